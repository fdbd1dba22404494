//! Nets trained on the images that they are given, each once.

use std::fs;
use std::sync::Arc;

use bezoar_core::{Classifier, Context, Error, ImageSet, Part, Result, Trainer};
use bezoar_nn::{Architecture, FORMAT, Network, TrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::stages::{read_json, write_json};
use crate::store::{Entry, Key, Store};

const NETWORK: &str = "network.safetensors";
const HISTORY: &str = "history.json";

/// A net, and how it is trained.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(crate) model: Part<dyn Architecture>,
    pub(crate) train: TrainConfig,
}

/// The nets of a run. The same images are known by their content, wherever they come from: a surrogate is the net of a run without an
/// attack.
#[derive(Clone)]
pub(crate) struct Trainings<'a> {
    cx: &'a Context,
    seed: u32,
    store: Store,
    device: String,
}

/// A net with its place in the store.
pub(crate) struct Training {
    pub(crate) key: Key,
    pub(crate) entry: Entry,
    pub(crate) network: Network,
    pub(crate) epochs: usize,
}

impl<'a> Trainings<'a> {
    pub(crate) fn new(cx: &'a Context, seed: u32, store: Store) -> Result<Self> {
        Ok(Self { cx, seed, store, device: format!("{:?}", bezoar_nn::device(cx.device())?.location()) })
    }

    /// The net that this recipe makes of these images.
    pub(crate) fn net(&self, recipe: &Recipe, images: &ImageSet, validation: Option<&ImageSet>) -> Result<Training> {
        let Recipe { model, train } = recipe;
        let content = model.blame(model.fingerprint())?;
        let data = [Some(images), validation].into_iter().flatten().map(ImageSet::digest).collect::<Result<Vec<_>>>()?;
        let inputs = json!({ "format": FORMAT, "model": model.identity(), "content": content, "train": train, "seed": self.seed, "device": self.device, "data": data });
        let key = Key::new("train", &inputs);
        // The random streams of equal trainings are equal, whatever the nets are for.
        let entry = self.store.stage(self.cx, "train", &key, |cx, folder| {
            let checkpoints = folder.join("checkpoints");
            let trained = bezoar_nn::train(cx, &**model, images, validation, train, &checkpoints)?;
            trained.network.save(&folder.join(NETWORK))?;
            write_json(folder, HISTORY, &trained.history)?;
            fs::remove_dir_all(&checkpoints).map_err(|error| Error::io(&checkpoints, error))
        })?;
        let history: Vec<serde_json::Value> = read_json(&entry.folder, HISTORY)?;
        let network = Network::load(&entry.folder.join(NETWORK), self.cx.device())?;
        Ok(Training { key, entry, network, epochs: history.len() })
    }
}

/// Trains further nets by one recipe, with the same validation images.
pub(crate) struct Again<'a> {
    pub(crate) trainings: Trainings<'a>,
    pub(crate) recipe: Recipe,
    pub(crate) validation: Option<ImageSet>,
}

impl Trainer for Again<'_> {
    fn train(&self, images: &ImageSet) -> Result<Arc<dyn Classifier>> {
        Ok(Arc::new(self.trainings.net(&self.recipe, images, self.validation.as_ref())?.network))
    }
}
