//! The kinds of work that are measured.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bezoar_core::rows::FeatureWriter;
use bezoar_core::{Cancel, Context, Device, Part, Representation};
use bezoar_nn::{Architecture, AtPlace, Network, TrainConfig, device, train};
use serde_json::json;
use tempfile::tempdir;

use crate::CLASSES;
use crate::images::noise;
use crate::pace::Pace;

/// Images that GTSRB has for training.
const KNOWN: usize = 34_799;

/// A net and how it is measured.
pub(crate) struct Work {
    pub(crate) architecture: Part<dyn Architecture>,
    /// Pixels of an image each way.
    pub(crate) side: usize,
    pub(crate) batch: usize,
    pub(crate) repeats: usize,
    pub(crate) device: Device,
}

impl Work {
    /// Images a second through the net, ready as tensors.
    pub(crate) fn inference(&self) -> Result<f64> {
        let pace = Pace::start();
        let task = self.context(&pace).task("inference", 0);
        let network = self.network()?.fold_batch_norm()?;
        let images = network.images(&noise(self.side, self.batch)?.batch(&(0..self.batch).collect::<Vec<_>>())?)?;
        for _ in 0..=self.repeats {
            network.forward(&images)?;
            network.device().synchronize().at("scores")?;
            task.advance(self.batch as u64);
        }
        self.rate(&pace, self.batch)
    }

    /// Images a second in training, without augmentation.
    pub(crate) fn training(&self) -> Result<f64> {
        let pace = Pace::start();
        let images = noise(self.side, self.batch * (self.repeats + 1))?;
        let augment = Part::from_json(json!({ "use": "none" }))?;
        let config = TrainConfig { epochs: 1, batch: self.batch, augment, ..TrainConfig::default() };
        train(&self.context(&pace), &*self.architecture, &images, None, &config, tempdir()?.path())?;
        Ok(self.rate(&pace, 1)? * self.batch as f64)
    }

    /// Images explained a second.
    pub(crate) fn heatmaps(&self, composite: &str) -> Result<f64> {
        let pace = Pace::start();
        let images = noise(self.side, self.batch * (self.repeats + 1))?;
        lrp(composite)?.represent(&self.context(&pace), &self.network()?, &images, &mut |_| Ok(()))?;
        self.rate(&pace, self.batch)
    }

    /// The most bytes that this process held, heatmaps of `count` images written to a file. Whatever the count, it knows as many
    /// images as GTSRB has for training, so that two counts differ in nothing but heatmaps.
    pub(crate) fn peak_memory(&self, count: usize) -> Result<u64> {
        let known = noise(self.side, KNOWN.max(count))?;
        let images = if count < known.len() { known.select(&(0..count).collect::<Vec<_>>()) } else { known.clone() };
        let folder = tempdir()?;
        let mut writer = FeatureWriter::new(folder.path().join("heatmaps"), count);
        lrp("epsilon")?.represent(&self.context(&Pace::start()), &self.network()?, &images, &mut |rows| writer.push(&rows))?;
        writer.finish()?;
        let status = fs::read_to_string("/proc/self/status").context("this system does not tell a process's peak memory")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(peak.context("/proc/self/status has no VmHWM")? * 1024)
    }

    fn context(&self, pace: &Pace) -> Context {
        Context::new(0, self.device, Arc::new(pace.clone()), Cancel::default())
    }

    fn network(&self) -> Result<Network> {
        let graph = self.architecture.graph([3, self.side, self.side], CLASSES)?;
        Ok(Network::init(graph, &mut Context::quiet(0).rng("net"), &device(self.device)?)?)
    }

    fn rate(&self, pace: &Pace, least: usize) -> Result<f64> {
        pace.rate(least).with_context(|| format!("{} repeats are too few: the work goes on in large steps", self.repeats))
    }
}

fn lrp(composite: &str) -> Result<Part<dyn Representation>> {
    Ok(Part::from_json(json!({ "use": "lrp", "composite": composite }))?)
}
