//! Measures one kind of work on one net, and prints one line of JSON. `cargo xtask bench peers` runs it in turn with the scripts in
//! `bench/peers`, which print the same for PyTorch and zennit.
//!
//! What is measured is what a run calls: `train` and the representation `lrp` report their progress, and rates are taken from that.

#![expect(clippy::print_stdout, reason = "its line of JSON is what it is for")]

mod images;
mod pace;
mod work;

use anyhow::{Result, bail};
use bezoar_attribution as _;
use bezoar_core::{Device, Part};
use bezoar_models as _;
use bezoar_nn::Architecture;
use clap::Parser;
use serde_json::json;

use crate::work::Work;

/// Pixels of an image each way: as in the benchmarks of the field, but for a net that does not take so few.
fn side(net: &str) -> usize {
    if net == "inception-v3" { 96 } else { 32 }
}

/// As many as GTSRB has.
const CLASSES: usize = 43;

/// Measures one kind of work on one net.
#[derive(Parser)]
struct Arguments {
    /// `inference`: scores, with batch norm folded. `training`: steps of Adam, from images to changed parameters.
    /// `lrp-COMPOSITE`: heatmaps. `heatmaps-memory`: the process's peak memory for heatmaps that go to a file as they come; Linux tells.
    what: String,
    /// The architecture, by its name in YAML.
    net: String,
    /// Images that go through the net together.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Batches that are timed, after one that is not.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Images whose heatmaps are made while memory is watched.
    #[arg(long, default_value_t = 1000)]
    images: usize,
    #[arg(long, default_value_t = Device::Cpu)]
    device: Device,
}

fn main() -> Result<()> {
    let Arguments { what, net, batch, threads, repeats, images, device } = Arguments::parse();
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let architecture = Part::<dyn Architecture>::from_json(json!({ "use": net }))?;
    let side = side(&net);
    let parameters = architecture.graph([3, side, side], CLASSES)?.parameter_count();
    let work = Work { architecture, side, batch, repeats, device };
    let (field, value) = match (what.as_str(), what.strip_prefix("lrp-")) {
        ("inference", _) => ("images_per_s", work.inference()?.into()),
        ("training", _) => ("images_per_s", work.training()?.into()),
        ("heatmaps-memory", _) => ("peak_bytes", work.peak_memory(images)?.into()),
        (_, Some(composite)) => ("images_per_s", work.heatmaps(composite)?.into()),
        _ => bail!("`{what}` is not measured, but inference, training, lrp-COMPOSITE and heatmaps-memory are"),
    };
    let by = concat!("bezoar ", env!("CARGO_PKG_VERSION"));
    let mut line = json!({ "what": what, "net": net, "by": by, "parameters": parameters });
    line[field] = value;
    println!("{line}");
    Ok(())
}
