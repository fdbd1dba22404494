//! The stages that every run begins with: data, attack, net.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bezoar_core::rows::{open_images, write_images};
use bezoar_core::{
    Attack, Classifier, Context, Dataset, Error, GroundTruth, ImageSet, Part, Poisoned, Predictions, Result, Splits, Triggered, hex,
};
use bezoar_nn::{Architecture, Network};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::meter::Cost;
use crate::store::{Entry, Key, Store, write_whole};
use crate::trainings::{Recipe, Training, Trainings};

const TRAIN: &str = "train.safetensors";
const VALIDATION: &str = "validation.safetensors";
const TEST: &str = "test.safetensors";
const TRIGGERED: &str = "triggered.safetensors";
const SKIPPED: &str = "skipped.json";
const TRUTH: &str = "truth.json";

/// What one stage of a run cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageCost {
    /// The stage, such as `train` or `represent lrp`; no two have the same name.
    pub stage: String,
    /// Images that it went through; in training, once an epoch.
    pub images: usize,
    /// Wall time in seconds, when it was made.
    pub seconds: f64,
    /// The most memory that the process held meanwhile; none where the system does not tell.
    pub peak_bytes: Option<u64>,
    /// Whether it came from the cache.
    pub reused: bool,
    /// Its key in the cache, a digest of all that its output depends on; none of what is not kept there.
    #[serde(default)]
    pub key: Option<String>,
    /// A digest of the blocks that it carries out, whatever its inputs; none of the report.
    #[serde(default)]
    pub blocks: Option<String>,
}

/// What stages with the same blocks have in common: a digest of their identities.
pub(crate) fn blocks_digest(blocks: &str) -> String {
    hex(&Sha256::digest(blocks))[..16].to_owned()
}

/// The images that the net learns from, with what is known of them.
#[derive(Debug)]
pub struct Suspicious {
    /// What it learns from.
    pub train: ImageSet,
    /// What early stopping looks at.
    pub validation: Option<ImageSet>,
    /// What the attack did to each training image, if there was one.
    pub truth: Option<GroundTruth>,
    /// What it did to each validation image.
    pub validation_truth: Option<GroundTruth>,
    /// Test images with the trigger.
    pub triggered: Option<Triggered>,
    /// What the attack did, in numbers.
    pub facts: Vec<(String, String)>,
}

/// Stages under way: each takes its inputs from the store and leaves its output there.
pub(crate) struct Stages<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) seed: u32,
    pub(crate) trainings: Trainings<'a>,
    pub(crate) costs: Vec<StageCost>,
    store: Store,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(cx: &'a Context, seed: u32, cache: &Path) -> Result<Self> {
        let store = Store::new(cache);
        Ok(Self { cx, seed, trainings: Trainings::new(cx, seed, store.clone())?, costs: Vec::new(), store })
    }

    /// One stage: its entry from the store, made by `make` if it is not there.
    pub(crate) fn stage(&mut self, label: &str, key: &Key, make: impl FnOnce(&Context, &Path) -> Result<()>) -> Result<Entry> {
        self.store.stage(self.cx, label, key, make)
    }

    /// Notes what a stage cost, once; `blocks` are the identities of those that it carries out.
    pub(crate) fn record(&mut self, label: &str, blocks: &str, images: usize, Entry { folder, cost, reused }: &Entry) {
        if self.costs.iter().all(|stage| stage.stage != label) {
            let (Cost { seconds, peak_bytes }, key) = (*cost, folder.file_name().and_then(|name| name.to_str()).map(str::to_owned));
            let blocks = Some(blocks_digest(blocks));
            self.costs.push(StageCost { stage: label.to_owned(), images, seconds, peak_bytes, reused: *reused, key, blocks });
        }
    }

    /// The clean images.
    pub(crate) fn dataset(&mut self, dataset: &Part<dyn Dataset>) -> Result<(Key, Splits)> {
        let key = dataset_key(dataset, self.seed)?;
        let entry = self.stage("dataset", &key, |cx, folder| {
            let splits = dataset.blame(dataset.load(cx))?;
            write_images(&folder.join(TRAIN), &splits.train)?;
            write_optional(folder, VALIDATION, splits.validation.as_ref())?;
            write_images(&folder.join(TEST), &splits.test)?;
            write_json(folder, SKIPPED, &splits.skipped)
        })?;
        let splits = open_splits(&entry.folder)?;
        let counts = splits.counts();
        self.record("dataset", &dataset.identity(), counts.total(), &entry);
        self.cx.note(&counts.coverage());
        dataset.blame(check_classes(&splits.train))?;
        Ok((key, splits))
    }

    /// The images after the attack, if there is one; its key tells the truth from others.
    pub(crate) fn attack(
        &mut self,
        attack: Option<&Part<dyn Attack>>,
        clean_key: &Key,
        splits: &Splits,
    ) -> Result<(Option<Key>, Suspicious)> {
        let Some(attack) = attack else {
            let (train, validation) = (splits.train.clone(), splits.validation.clone());
            return Ok((None, Suspicious { train, validation, truth: None, validation_truth: None, triggered: None, facts: Vec::new() }));
        };
        let surrogate = attack.surrogate().map(|blocks| self.surrogate(attack, &blocks, splits)).transpose()?;
        let (surrogate_key, surrogate) = surrogate.unzip();
        let key = attack_key(attack, self.seed, clean_key, surrogate_key.as_ref());
        let entry = self.stage("attack", &key, |cx, folder| {
            let surrogate = surrogate.as_ref().map(|net| net as &dyn Classifier);
            let Poisoned { train, truth, validation, triggered, facts } = attack.blame(attack.poison(cx, splits, surrogate))?;
            write_images(&folder.join(TRAIN), &train)?;
            let (validation, validation_truth) = validation.unzip();
            write_optional(folder, VALIDATION, validation.as_ref())?;
            write_images(&folder.join(TRIGGERED), &triggered.images)?;
            write_json(folder, TRUTH, &(truth, validation_truth, triggered.targets, facts))
        })?;
        let poisoned = open_attacked(&entry.folder)?;
        self.record("attack", &attack.identity(), poisoned.train.len(), &entry);
        Ok((Some(key), poisoned))
    }

    /// The net that an attack works with, trained on the clean images.
    fn surrogate(&mut self, attack: &Part<dyn Attack>, blocks: &serde_json::Value, splits: &Splits) -> Result<(Key, Network)> {
        attack.blame(self.net("surrogate", &Recipe::of(blocks)?, &splits.train, splits.validation.as_ref()))
    }

    /// A net trained on these images; `label` names it among the stages.
    pub(crate) fn net(&mut self, label: &str, recipe: &Recipe, images: &ImageSet, validation: Option<&ImageSet>) -> Result<(Key, Network)> {
        let Training { key, network, entry, epochs } = self.trainings.net(recipe, images, validation)?;
        self.record(label, &recipe.identity(), epochs * images.len(), &entry);
        Ok((key, network))
    }

    /// What a net of this architecture makes of the test images.
    pub(crate) fn predict(
        &mut self,
        model: &Part<dyn Architecture>,
        net_key: &Key,
        net: &Network,
        tests: &Tests<'_>,
    ) -> Result<(Key, (Predictions, Option<Predictions>))> {
        let (key, entry, predictions) = tests.shown_to(&self.store, self.cx, net_key, net)?;
        let images = tests.clean.len() + tests.triggered.map_or(0, |set| set.images.len());
        self.record("predict", &model.identity(), images, &entry);
        Ok((key, predictions))
    }
}

/// What nets are tested on.
#[derive(Clone, Copy)]
pub(crate) struct Tests<'a> {
    pub(crate) clean: &'a ImageSet,
    pub(crate) triggered: Option<&'a Triggered>,
}

impl Tests<'_> {
    /// What a net says of them.
    pub(crate) fn shown_to(
        &self,
        store: &Store,
        cx: &Context,
        net_key: &Key,
        net: &Network,
    ) -> Result<(Key, Entry, (Predictions, Option<Predictions>))> {
        let key = predict_key(net_key, self.clean, self.triggered)?;
        let entry = store.stage(cx, "predict", &key, |cx, folder| {
            let net: &dyn Classifier = net;
            let predicted = net.predict(cx, "test images", self.clean)?;
            let clean = Predictions { labels: labels(self.clean), expected: labels(self.clean), predicted };
            let triggered = self.triggered.map(|set| {
                let predicted = net.predict(cx, "test images", &set.images)?;
                Ok::<_, Error>(Predictions { labels: labels(&set.images), expected: set.targets.clone(), predicted })
            });
            write_json(folder, "predictions.json", &(clean, triggered.transpose()?))
        })?;
        let predictions = read_json(&entry.folder, "predictions.json")?;
        Ok((key, entry, predictions))
    }
}

/// The key of a data set's images.
pub(crate) fn dataset_key(dataset: &Part<dyn Dataset>, seed: u32) -> Result<Key> {
    let content = dataset.blame(dataset.fingerprint())?;
    Ok(Key::new("dataset", &json!({ "dataset": dataset.identity(), "seed": seed, "content": content })))
}

/// The key of what an attack makes of them.
pub(crate) fn attack_key(attack: &Part<dyn Attack>, seed: u32, dataset: &Key, surrogate: Option<&Key>) -> Key {
    let mut inputs = json!({ "format": 2, "attack": attack.identity(), "seed": seed, "dataset": dataset.digest() });
    if let Some(surrogate) = surrogate {
        inputs["surrogate"] = surrogate.digest().into();
    }
    Key::new("attack", &inputs)
}

/// The key of what a net says of the test images, and of those with the trigger against the attacker's targets.
pub(crate) fn predict_key(net: &Key, clean: &ImageSet, triggered: Option<&Triggered>) -> Result<Key> {
    let targets = triggered.map(|set| hex(&Sha256::digest(json!(set.targets).to_string())));
    let triggered = triggered.map(|set| set.images.digest()).transpose()?;
    let inputs = json!({ "format": 4, "net": net.digest(), "clean": clean.digest()?, "triggered": triggered, "targets": targets });
    Ok(Key::new("predict", &inputs))
}

/// What lies in the folder of a data set.
pub(crate) fn open_splits(folder: &Path) -> Result<Splits> {
    Ok(Splits {
        train: open_images(&folder.join(TRAIN))?,
        validation: open_optional(folder, VALIDATION)?,
        test: open_images(&folder.join(TEST))?,
        skipped: read_json(folder, SKIPPED)?,
    })
}

/// What lies in the folder of an attack.
pub(crate) fn open_attacked(folder: &Path) -> Result<Suspicious> {
    let (truth, validation_truth, targets, facts) = read_json(folder, TRUTH)?;
    Ok(Suspicious {
        train: open_images(&folder.join(TRAIN))?,
        validation: open_optional(folder, VALIDATION)?,
        truth: Some(truth),
        validation_truth,
        triggered: Some(Triggered { images: open_images(&folder.join(TRIGGERED))?, targets }),
        facts,
    })
}

/// A net of one class is always right and has learnt nothing.
fn check_classes(train: &ImageSet) -> Result<()> {
    let labels: BTreeSet<u32> = train.samples().iter().map(|sample| sample.label).collect();
    let names: Vec<_> = labels.iter().map(|&label| train.classes()[label as usize].as_str()).collect();
    match names.as_slice() {
        [only] => Err(Error::request(format!("all training images are of one class, `{only}`: there is nothing to tell apart"))
            .with_help("a data set needs two classes or more; look at its folders and at `classes:`")),
        _ => Ok(()),
    }
}

fn labels(set: &ImageSet) -> Vec<u32> {
    set.samples().iter().map(|sample| sample.label).collect()
}

pub(crate) fn write_optional(folder: &Path, name: &str, set: Option<&ImageSet>) -> Result<()> {
    set.map_or(Ok(()), |set| write_images(&folder.join(name), set))
}

pub(crate) fn open_optional(folder: &Path, name: &str) -> Result<Option<ImageSet>> {
    let path = folder.join(name);
    if path.exists() { open_images(&path).map(Some) } else { Ok(None) }
}

pub(crate) fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    write_whole(&folder.join(name), &serde_json::to_vec(value).map_err(Error::request)?)
}

pub(crate) fn read_json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let text = fs::read(&path).map_err(|error| Error::io(&path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::data(path.display(), error))
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Edit, Image, ImageShape, Sample};

    use super::*;

    #[test]
    fn predictions_are_known_by_what_is_expected_too() {
        let sample = Sample { id: "a".to_owned(), label: 0, path: String::new() };
        let image = Image::new(ImageShape::rgb(1, 1), vec![0; 3]).unwrap();
        let images = ImageSet::from_images(["a", "b", "c"].map(str::to_owned).to_vec(), vec![Edit { sample, image }]).unwrap();
        let key = |target: u32| {
            let triggered = Triggered { images: images.clone(), targets: vec![target] };
            predict_key(&Key::new("train", &json!(null)), &images, Some(&triggered)).unwrap()
        };
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }
}
