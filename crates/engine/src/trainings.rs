//! Nets trained on the images that they are given, each once.

use std::fs;
use std::sync::Arc;

use bezoar_core::{Classifier, Context, Error, ImageSet, Part, Predictions, Result, Retrial, Trainer};
use bezoar_nn::{Architecture, FORMAT, Network, TrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::stages::{Tests, read_json, write_json};
use crate::store::{Entry, Key, Store};

const NETWORK: &str = "network.safetensors";
const HISTORY: &str = "history.json";

/// A net, and how it is trained.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(crate) model: Part<dyn Architecture>,
    pub(crate) train: TrainConfig,
}

impl Recipe {
    /// That of a pipeline's fields `model` and `train`.
    pub(crate) fn of(blocks: &serde_json::Value) -> Result<Self> {
        serde_json::from_value(blocks.clone()).map_err(Error::request)
    }

    /// What tells it from every other.
    pub(crate) fn identity(&self) -> String {
        format!("{} {}", self.model.identity(), json!(self.train))
    }
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

    /// The key of the net that this recipe makes of these images.
    pub(crate) fn key(&self, Recipe { model, train }: &Recipe, images: &ImageSet, validation: Option<&ImageSet>) -> Result<Key> {
        let content = model.blame(model.fingerprint())?;
        let data = [Some(images), validation].into_iter().flatten().map(ImageSet::digest).collect::<Result<Vec<_>>>()?;
        let inputs = json!({ "format": FORMAT, "model": model.identity(), "content": content, "train": train, "seed": self.seed, "device": self.device, "data": data });
        Ok(Key::new("train", &inputs))
    }

    /// The net that this recipe makes of these images.
    pub(crate) fn net(&self, recipe: &Recipe, images: &ImageSet, validation: Option<&ImageSet>) -> Result<Training> {
        let Recipe { model, train } = recipe;
        let key = self.key(recipe, images, validation)?;
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

impl Again<'_> {
    /// The net that the recipe makes of other images.
    fn net(&self, images: &ImageSet) -> Result<Training> {
        if self.recipe.train.epochs == 0 {
            return Err(Error::request("the net would have to be trained again, and `train` takes it as it is: its `epochs` is 0")
                .with_help("name a number of epochs, or leave this block out"));
        }
        self.trainings.net(&self.recipe, images, self.validation.as_ref())
    }
}

impl Trainer for Again<'_> {
    fn train(&self, images: &ImageSet) -> Result<Arc<dyn Classifier>> {
        Ok(Arc::new(self.net(images)?.network))
    }
}

/// Further nets, put to the tests of the run.
pub(crate) struct Tested<'a> {
    pub(crate) again: Again<'a>,
    pub(crate) tests: Tests<'a>,
}

impl Retrial for Tested<'_> {
    fn predictions(&self, images: &ImageSet) -> Result<(Predictions, Option<Predictions>)> {
        let Training { key, network, .. } = self.again.net(images)?;
        let Trainings { store, cx, .. } = &self.again.trainings;
        Ok(self.tests.shown_to(store, cx, &key, &network)?.2)
    }
}
