//! Training: epochs over shuffled, augmented batches, early stopping, and checkpoints to go on from.

mod checkpoint;
pub mod optimizer;
pub mod schedule;

use std::collections::BTreeMap;
use std::path::Path;

use bezoar_core::{Context, Error, ImageSet, Part, Result};
use candle_core::{DType, Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::checkpoint::Checkpoint;
use self::optimizer::{Change, Optimizer};
use self::schedule::{Moment, Schedule};
use crate::augmentation::{Augmentation, Planes};
use crate::{Architecture, Array, AtPlace, Memory, Mode, Network, Tape, cross_entropy, device};

/// Images of a batch whose loss is only looked at.
const EVALUATED: usize = 64;

/// How a net is trained.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training images, at most. 0 takes a net that is given, such as `{ use: onnx, .. }`, as it is.
    pub epochs: usize,
    /// Images a step.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// What changes the parameters.
    pub optimizer: Part<dyn Optimizer>,
    /// How the rate changes in the course of training.
    pub schedule: Part<dyn Schedule>,
    /// What is done to training images.
    pub augment: Part<dyn Augmentation>,
    /// Epochs without a lower validation loss after which training stops; without it, it never stops early. With validation
    /// images the net of the lowest validation loss is kept in any case.
    #[schemars(range(min = 1))]
    pub patience: Option<usize>,
}

impl Default for TrainConfig {
    /// Twelve epochs of Adam with the paper's augmentation.
    #[expect(clippy::expect_used, reason = "these plugins are in this crate")]
    fn default() -> Self {
        fn part<K: bezoar_core::Kind + ?Sized>(name: &str) -> Part<K> {
            Part::from_json(json!({ "use": name })).expect("a plugin of this crate is linked")
        }
        Self { epochs: 12, batch: 64, optimizer: part("adam"), schedule: part("constant"), augment: part("paper"), patience: None }
    }
}

/// Loss and accuracy over some images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy.
    pub loss: f64,
    /// Share of images whose highest score is that of their label.
    pub accuracy: f64,
}

/// What happened in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// The rate of its last step.
    pub rate: f64,
    /// On the training images as they were shown: augmented, with dropout, while the net changed.
    pub train: Score,
    /// On the validation images, after the epoch.
    pub validation: Option<Score>,
}

/// A trained net.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The net of the lowest validation loss; without validation images, the last.
    pub network: Network,
    /// Each epoch.
    pub history: Vec<Epoch>,
}

/// Trains a net on labelled images: a fresh one, or one that the architecture gives.
///
/// After each epoch a checkpoint is left in the folder `checkpoints`; a training that finds one there goes on from it and ends
/// with the same weights, bit for bit. All chance comes from `cx` and is bound to epochs and samples, so that neither the
/// number of threads nor an interruption changes the result.
///
/// # Errors
/// When the images do not suit the architecture, the loss is no longer a number, the checkpoint belongs to another training,
/// or the run is cancelled.
pub fn train(
    cx: &Context,
    architecture: &dyn Architecture,
    images: &ImageSet,
    validation: Option<&ImageSet>,
    config: &TrainConfig,
    checkpoints: &Path,
) -> Result<Trained> {
    if images.is_empty() {
        return Err(Error::request("there are no images to train on"));
    }
    let shape = images.shape();
    let graph = architecture.graph([shape.channels, shape.height, shape.width], images.classes().len())?;
    let device = device(cx.device())?;
    let start = match architecture.parameters(&graph)? {
        Some(given) => Network::new(graph, given)?.to(&device, DType::F32)?,
        None if config.epochs == 0 => {
            return Err(Error::request("a fresh net must be trained, and `epochs` is 0")
                .with_help("name a number of epochs, or a net that is given, such as `{ use: pretrained, .. }`"));
        }
        None => Network::init(graph, &mut cx.rng("init"), &device)?.with_gain(architecture.gain())?,
    };
    let validation = validation.filter(|set| !set.is_empty());
    let run = Run { cx, images, validation, config, memory: Memory::default() };
    let fingerprint = run.fingerprint(&start, architecture.fingerprint()?.as_deref())?;
    let mut state = match Checkpoint::open(checkpoints, &fingerprint, &start, config.optimizer.slots())? {
        Some(checkpoint) => checkpoint,
        None => Checkpoint::new(checkpoints, fingerprint, start)?,
    };
    run.go_on(&mut state)?;
    Ok(Trained { network: state.best.map_or(state.network, |best| best.network), history: state.history })
}

/// Loss and accuracy of a net on labelled images, as in use.
pub fn evaluate(cx: &Context, network: &Network, images: &ImageSet) -> Result<Score> {
    let (mut loss, mut correct) = (0.0, 0);
    for batch in images.batches(EVALUATED) {
        cx.check()?;
        let batch = batch?;
        let part = cross_entropy(&network.scores(&batch)?, &batch.labels)?;
        loss += part.mean * batch.len() as f64;
        correct += part.correct;
    }
    Ok(Score { loss: loss / images.len() as f64, accuracy: correct as f64 / images.len() as f64 })
}

/// What stays the same over a training.
struct Run<'a> {
    cx: &'a Context,
    images: &'a ImageSet,
    validation: Option<&'a ImageSet>,
    config: &'a TrainConfig,
    memory: Memory,
}

impl Run<'_> {
    /// What tells this training from every other: its configuration, data, seed and net.
    fn fingerprint(&self, start: &Network, given: Option<&str>) -> Result<String> {
        let validation = self.validation.map(ImageSet::digest).transpose()?;
        let seed = self.cx.rng("fingerprint").next_u64();
        Ok(json!([self.config, self.images.digest()?, validation, seed, start.graph(), given]).to_string())
    }

    fn steps_an_epoch(&self) -> usize {
        self.images.len().div_ceil(self.config.batch)
    }

    fn go_on(&self, state: &mut Checkpoint) -> Result<()> {
        let total = self.config.epochs * self.steps_an_epoch();
        let task = self.cx.task("training", total as u64);
        task.resume((state.history.len() * self.steps_an_epoch()) as u64);
        while state.history.len() < self.config.epochs && !self.is_hopeless(state) {
            let epoch = state.history.len();
            let mut order: Vec<usize> = (0..self.images.len()).collect();
            order.shuffle(&mut self.cx.rng(&format!("order/{epoch}")));
            let (mut loss, mut correct, mut rate) = (0.0, 0, 0.0);
            let batches: Vec<&[usize]> = order.chunks(self.config.batch).collect();
            let loader = Loader::new(self, &state.network, epoch);
            let mut images = loader.load(batches[0])?;
            for (number, &rows) in batches.iter().enumerate() {
                self.cx.check()?;
                let share = (epoch * self.steps_an_epoch() + number) as f64 / total as f64;
                rate = self.config.optimizer.rate() * self.config.schedule.factor(Moment { epoch, share });
                // While one thread has nothing to do in this step, it goes on with the next one's images.
                let (step, next) = rayon::join(
                    || self.step(state, epoch, number, rows, &images, rate),
                    || batches.get(number + 1).map(|rows| loader.load(rows)).transpose(),
                );
                let step = step?;
                loss += step.loss * rows.len() as f64;
                correct += (step.accuracy * rows.len() as f64).round() as usize;
                task.advance(1);
                task.remark(&format!("epoch {}, loss {:.3}", epoch + 1, step.loss));
                let Some(next) = next? else { break };
                images = next;
            }
            let train = Score { loss: loss / self.images.len() as f64, accuracy: correct as f64 / self.images.len() as f64 };
            let validation = self.validation.map(|set| evaluate(self.cx, &state.network, set)).transpose()?;
            // The last step's loss was taken before it changed the net.
            let is_finite = validation.map_or_else(|| state.network.is_finite(), |validation| Ok(validation.loss.is_finite()))?;
            if !is_finite {
                let place = format!("training, after epoch {}", epoch + 1);
                return Err(Error::data(place, "the net's weights or scores are not finite").with_help("lower the optimizer's rate"));
            }
            state.finish(Epoch { epoch: epoch + 1, rate, train, validation }, self.config.optimizer.slots())?;
        }
        Ok(())
    }

    /// Whether the validation loss has not fallen for too long.
    fn is_hopeless(&self, state: &Checkpoint) -> bool {
        let since_best = state.best.as_ref().map(|best| state.history.len() - best.epoch);
        since_best.zip(self.config.patience).is_some_and(|(since, patience)| since >= patience)
    }

    /// One batch forward and backward, and the change of all parameters.
    fn step(&self, state: &mut Checkpoint, epoch: usize, number: usize, rows: &[usize], images: &Array, rate: f64) -> Result<Score> {
        let labels: Vec<u32> = rows.iter().map(|&row| self.images.label(row)).collect();
        let seed = self.cx.rng(&format!("dropout/{epoch}/{number}")).next_u64();
        let tape = state.network.record(images, Mode::Training { seed })?;
        let loss = cross_entropy(&tape.scores()?, &labels)?;
        if !loss.mean.is_finite() {
            let place = format!("training, epoch {}, batch {}", epoch + 1, number + 1);
            return Err(Error::data(place, format!("the loss is {}", loss.mean)).with_help("lower the optimizer's rate"));
        }
        let statistics = state.network.running_statistics(&tape)?;
        let gradients = state.network.parameter_gradients(tape, &loss.gradient)?;
        state.update(&*self.config.optimizer, &gradients, rate)?;
        state.network.replace(statistics);
        Ok(Score { loss: loss.mean, accuracy: loss.correct as f64 / rows.len() as f64 })
    }
}

/// Makes an epoch's batches.
struct Loader<'a> {
    run: &'a Run<'a>,
    epoch: usize,
    /// Channels, height and width that the net takes, and where.
    input: [usize; 3],
    device: Device,
}

impl<'a> Loader<'a> {
    fn new(run: &'a Run<'a>, network: &Network, epoch: usize) -> Self {
        Self { run, epoch, input: network.graph().input(), device: network.device().clone() }
    }

    /// Augmented images as the net takes them. Each has a random stream of its own.
    fn load(&self, rows: &[usize]) -> Result<Array> {
        let Run { cx, images, config, memory, .. } = self.run;
        let [channels, height, width] = self.input;
        let size = channels * height * width;
        let mut values = vec![0f32; rows.len() * size];
        values.par_chunks_mut(size).zip(rows).try_for_each(|(values, &row)| {
            let mut rng = cx.rng(&format!("augment/{}/{}", self.epoch, images.samples()[row].id));
            let image = config.augment.apply(Planes::new(&images.image(row)?), &mut rng);
            if image.values.len() != size {
                return Err(Error::request(format!("the augmentation {} changes the shape of images", config.augment.name())));
            }
            values.copy_from_slice(&image.values);
            Ok(())
        })?;
        let batch = Tensor::from_vec(values, (rows.len(), channels, height, width), &Device::Cpu);
        batch.and_then(|batch| Array::new(&batch.to_device(&self.device)?, memory)).at("input")
    }
}

impl Network {
    /// The running statistics of every batch norm after this pass, by parameter name. The variance is made unbiased, as in PyTorch.
    fn running_statistics(&self, tape: &Tape) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        for (&id, moments) in tape.moments() {
            let node = self.graph().node(id);
            let crate::Op::BatchNorm { momentum, .. } = node.op else { continue };
            let unbias = moments.count as f64 / (moments.count.max(2) - 1) as f64;
            let variance: Vec<f64> = moments.variance.iter().map(|variance| variance * unbias).collect();
            for (what, new) in [("running_mean", &moments.mean), ("running_var", &variance)] {
                let name = format!("{}.{what}", node.name);
                let old = &self.parameters()[&name];
                let mixed = Tensor::new(&new[..], &Device::Cpu).and_then(|new| {
                    let new = new.to_dtype(old.dtype())?.to_device(old.device())?;
                    (old * (1.0 - momentum))? + (new * momentum)?
                });
                all.insert(name.clone(), mixed.at(&name)?);
            }
        }
        Ok(all)
    }
}

impl Checkpoint {
    /// One step of the optimizer on every trained parameter, in place.
    fn update(&mut self, optimizer: &dyn Optimizer, gradients: &BTreeMap<String, Array>, rate: f64) -> Result<()> {
        self.step += 1;
        for (name, gradient) in gradients {
            let parameter = &self.network.parameters()[name];
            if !self.slots.contains_key(name) {
                let zeros = optimizer.slots().iter().map(|_| parameter.zeros_like()).collect::<candle_core::Result<_>>().at(name)?;
                self.slots.insert(name.clone(), zeros);
            }
            optimizer.update(&Change { parameter, gradient, slots: &self.slots[name], rate, step: self.step }).at(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
