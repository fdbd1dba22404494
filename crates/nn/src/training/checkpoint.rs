use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::Epoch;
use crate::{Network, files};

/// The one file of a checkpoint folder.
const FILE: &str = "checkpoint.safetensors";

/// Where a training stands: all that the next epoch depends on.
pub(super) struct Checkpoint {
    file: PathBuf,
    fingerprint: String,
    /// The net now.
    pub(super) network: Network,
    /// The optimizer's tensors for each trained parameter; none before the first step.
    pub(super) slots: BTreeMap<String, Vec<Tensor>>,
    /// Steps done.
    pub(super) step: u64,
    /// Epochs done.
    pub(super) history: Vec<Epoch>,
    /// The net of the lowest validation loss.
    pub(super) best: Option<Best>,
}

/// The net of the lowest validation loss.
pub(super) struct Best {
    /// The epoch after which it was that, from 1.
    pub(super) epoch: usize,
    loss: f64,
    pub(super) network: Network,
}

/// What a checkpoint file's metadata says.
#[derive(Serialize, Deserialize)]
struct Facts {
    fingerprint: String,
    step: u64,
    history: Vec<Epoch>,
    /// Epoch and loss.
    best: Option<(usize, f64)>,
}

impl Checkpoint {
    /// The start of a training that leaves its checkpoints in `folder`.
    pub(super) fn new(folder: &Path, fingerprint: String, network: Network) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        Ok(Self { file: folder.join(FILE), fingerprint, network, slots: BTreeMap::new(), step: 0, history: Vec::new(), best: None })
    }

    /// What an earlier training left in `folder`, if anything. `like` has the graph of its nets, `slots` are those of its optimizer.
    ///
    /// # Errors
    /// When the file is broken or belongs to another training.
    pub(super) fn open(folder: &Path, fingerprint: &str, like: &Network, slots: &[&str]) -> Result<Option<Self>> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(None);
        }
        let (mut tensors, facts) = files::read(&file, like.device())?;
        let refuse = |problem: &str| Error::data(file.display(), problem).with_help("delete the file to train from the start");
        let facts: Facts = serde_json::from_str(&facts).map_err(|_| refuse("is no checkpoint"))?;
        if facts.fingerprint != fingerprint {
            return Err(refuse("is a checkpoint of another training: configuration, data, seed or net differ"));
        }
        let mut take = |group: &str, name: &str| tensors.remove(&format!("{group}/{name}")).ok_or_else(|| refuse("lacks a tensor"));
        let mut network = |group| {
            let parameters = like.parameters().keys().map(|name| Ok((name.clone(), take(group, name)?)));
            Network::new(like.graph().clone(), parameters.collect::<Result<_>>()?)
        };
        let (last, best) = (network(LAST)?, facts.best.map(|(epoch, loss)| Ok::<_, Error>(Best { epoch, loss, network: network(BEST)? })));
        let trained = like.graph().parameters().into_iter().filter(|parameter| parameter.role.is_trained());
        let slots = trained.map(|parameter| {
            let tensors = slots.iter().map(|slot| take(slot, &parameter.name)).collect::<Result<Vec<_>>>()?;
            if tensors.iter().any(|tensor| tensor.dims() != parameter.shape) {
                return Err(refuse("has tensors of wrong shapes"));
            }
            Ok((parameter.name, tensors))
        });
        let slots = slots.collect::<Result<_>>()?;
        let Facts { step, history, .. } = facts;
        Ok(Some(Self { file, fingerprint: fingerprint.to_owned(), network: last, slots, step, history, best: best.transpose()? }))
    }

    /// Ends an epoch: keeps the net if it is the best so far, and writes the checkpoint.
    pub(super) fn finish(&mut self, epoch: Epoch, slots: &[&str]) -> Result<()> {
        self.history.push(epoch);
        if let Some(validation) = epoch.validation
            && self.best.as_ref().is_none_or(|best| validation.loss < best.loss)
        {
            self.best = Some(Best { epoch: epoch.epoch, loss: validation.loss, network: self.network.copied()? });
        }
        let best = self.best.as_ref().map(|best| (best.epoch, best.loss));
        let facts = Facts { fingerprint: self.fingerprint.clone(), step: self.step, history: self.history.clone(), best };
        let network = |group: &'static str, network: &Network| {
            let named = network.parameters().iter().map(move |(name, tensor)| (format!("{group}/{name}"), tensor.clone()));
            named.collect::<Vec<_>>()
        };
        let mut tensors = network(LAST, &self.network);
        tensors.extend(self.best.iter().flat_map(|best| network(BEST, &best.network)));
        for (name, kept) in &self.slots {
            tensors.extend(slots.iter().zip(kept).map(|(slot, tensor)| (format!("{slot}/{name}"), tensor.clone())));
        }
        let note = serde_json::to_string(&facts).map_err(Error::request)?;
        files::write(&self.file, tensors.iter().map(|(name, tensor)| (name.clone(), tensor)), note)
    }
}

const LAST: &str = "last";
const BEST: &str = "best";
