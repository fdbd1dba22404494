//! Runs a pipeline stage by stage. Each stage takes its inputs from the store and leaves its output there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::rows::{FeatureFile, FeatureWriter, open_images, write_images};
use bezoar_core::{
    Classifier, Context, Counts, Detection, Detector, Error, FeatureSource, GroundTruth, ImageSet, Measurement, Outcome, Part, Poisoned,
    Predictions, Report, Representation, Result, Skipped, Splits, Suspect, Triggered, Verdict,
};
use bezoar_nn::{FORMAT, Network};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::meter::{Cost, Meter};
use crate::names::tell_apart;
use crate::store::{Entry, Key, Store, write_whole};
use crate::{Pipeline, runs};

/// Images a forward pass takes at once.
const BATCH: usize = 256;

/// Images of which a representation's balance is drawn up.
const AUDITED: usize = 64;

/// Where a run keeps what it makes.
#[derive(Clone, Debug)]
pub struct Places {
    /// The stage cache.
    pub cache: PathBuf,
    /// A folder a run.
    pub runs: PathBuf,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// The run's folder.
    pub folder: PathBuf,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// The stages in order, and what each cost.
    pub stages: Vec<StageCost>,
    /// Images in each split of the data set.
    pub counts: Counts,
    /// Whether there was an attack, and so a truth to compare with.
    pub attacked: bool,
    /// Images that the reader left out.
    pub skipped: Vec<Skipped>,
}

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
}

/// Runs `pipeline`, taking from the cache what is there.
///
/// # Errors
/// Whatever a stage reports. What was finished before stays in the cache, and training goes on from its last epoch.
pub fn run(cx: &Context, pipeline: &Pipeline, places: &Places) -> Result<Finished> {
    let resolved = pipeline.resolved()?;
    let folder = runs::begin(&places.runs, pipeline, &resolved)?;
    let mut run = Run::new(cx, pipeline, places)?;
    let (clean_key, splits) = run.dataset()?;
    let (poisoned_key, poisoned) = run.attack(&clean_key, &splits)?;
    for detector in &pipeline.detect {
        detector.blame(detector.check(&poisoned.train))?;
    }
    let (net_key, network) = run.train(&poisoned_key, &poisoned)?;
    let (test, triggered) = run.predict(&net_key, &network, &splits.test, poisoned.triggered.as_ref())?;
    let (detection_keys, detections) = run.detect(&net_key, &network, &poisoned.train)?;

    let outcome = Outcome {
        name: pipeline.name.clone(),
        counts: splits.counts(),
        images: poisoned.train,
        truth: poisoned.truth,
        facts: poisoned.facts,
        test,
        triggered,
        detections,
        skipped: splits.skipped,
    };
    let measurements = run.evaluate(&net_key, &detection_keys, &outcome)?;
    let balances = std::mem::take(&mut run.balances);
    let stages = run.report(&outcome, &measurements, &folder)?;
    runs::finish(&folder, &outcome, &measurements, &balances, &stages)?;
    Ok(Finished { folder, measurements, stages, counts: outcome.counts, attacked: outcome.truth.is_some(), skipped: outcome.skipped })
}

/// A trained net and what it was trained on.
#[derive(Debug)]
pub struct Trained {
    /// The net.
    pub network: Network,
    /// The images that it learnt from.
    pub images: ImageSet,
    /// What the attack did to them, if there was one.
    pub truth: Option<GroundTruth>,
}

/// The first stages of `pipeline`: its data set, its attack and its net, from the cache if they are there.
///
/// # Errors
/// Whatever a stage reports.
pub fn trained(cx: &Context, pipeline: &Pipeline, places: &Places) -> Result<Trained> {
    let mut run = Run::new(cx, pipeline, places)?;
    let (clean_key, splits) = run.dataset()?;
    let (poisoned_key, poisoned) = run.attack(&clean_key, &splits)?;
    let (_, network) = run.train(&poisoned_key, &poisoned)?;
    Ok(Trained { network, images: poisoned.train, truth: poisoned.truth })
}

/// A run under way.
struct Run<'a> {
    cx: &'a Context,
    pipeline: &'a Pipeline,
    store: Store,
    stages: Vec<StageCost>,
    /// By the name of the representation.
    balances: BTreeMap<String, serde_json::Value>,
    device: String,
}

/// The images that the net learns from, with what is known of them.
struct Suspicious {
    train: ImageSet,
    validation: Option<ImageSet>,
    truth: Option<GroundTruth>,
    triggered: Option<Triggered>,
    facts: Vec<(String, String)>,
}

impl<'a> Run<'a> {
    fn new(cx: &'a Context, pipeline: &'a Pipeline, places: &Places) -> Result<Self> {
        let device = format!("{:?}", bezoar_nn::device(cx.device())?.location());
        Ok(Self { cx, pipeline, store: Store::new(&places.cache), stages: Vec::new(), balances: BTreeMap::new(), device })
    }

    /// One stage: its entry from the store, made by `make` if it is not there.
    fn stage(&mut self, label: &str, key: &Key, make: impl FnOnce(&Context, &Path) -> Result<()>) -> Result<Entry> {
        self.cx.check()?;
        let cx = self.cx.stage(label);
        self.store.get_or_make(&cx, key, |folder| make(&cx, folder))
    }

    /// Notes what a stage cost, once.
    fn record(&mut self, label: &str, images: usize, Cost { seconds, peak_bytes }: Cost, reused: bool) {
        if self.stages.iter().all(|stage| stage.stage != label) {
            self.stages.push(StageCost { stage: label.to_owned(), images, seconds, peak_bytes, reused });
        }
    }

    fn dataset(&mut self) -> Result<(Key, Splits)> {
        let dataset = &self.pipeline.dataset;
        let content = dataset.blame(dataset.fingerprint())?;
        let key = Key::new("dataset", &json!({ "dataset": dataset.identity(), "seed": self.pipeline.seed, "content": content }));
        let entry = self.stage("dataset", &key, |cx, folder| {
            let splits = dataset.blame(dataset.load(cx))?;
            write_images(&folder.join(TRAIN), &splits.train)?;
            write_optional(folder, VALIDATION, splits.validation.as_ref())?;
            write_images(&folder.join(TEST), &splits.test)?;
            write_json(folder, "skipped.json", &splits.skipped)
        })?;
        let splits = Splits {
            train: open_images(&entry.folder.join(TRAIN))?,
            validation: open_optional(&entry.folder, VALIDATION)?,
            test: open_images(&entry.folder.join(TEST))?,
            skipped: read_json(&entry.folder, "skipped.json")?,
        };
        let counts = splits.counts();
        self.record("dataset", counts.total(), entry.cost, entry.reused);
        self.cx.note(&counts.coverage());
        dataset.blame(check_classes(&splits.train))?;
        Ok((key, splits))
    }

    fn attack(&mut self, clean_key: &Key, splits: &Splits) -> Result<(Key, Suspicious)> {
        let Some(attack) = &self.pipeline.attack else {
            let (train, validation) = (splits.train.clone(), splits.validation.clone());
            return Ok((clean_key.clone(), Suspicious { train, validation, truth: None, triggered: None, facts: Vec::new() }));
        };
        let key = Key::new("attack", &json!({ "attack": attack.identity(), "seed": self.pipeline.seed, "dataset": clean_key.digest() }));
        let entry = self.stage("attack", &key, |cx, folder| {
            let Poisoned { train, truth, validation, triggered, facts } = attack.blame(attack.poison(cx, splits))?;
            write_images(&folder.join(TRAIN), &train)?;
            write_optional(folder, VALIDATION, validation.as_ref())?;
            write_images(&folder.join(TRIGGERED), &triggered.images)?;
            write_json(folder, "truth.json", &(truth, triggered.targets, facts))
        })?;
        let (truth, targets, facts) = read_json(&entry.folder, "truth.json")?;
        let poisoned = Suspicious {
            train: open_images(&entry.folder.join(TRAIN))?,
            validation: open_optional(&entry.folder, VALIDATION)?,
            truth: Some(truth),
            triggered: Some(Triggered { images: open_images(&entry.folder.join(TRIGGERED))?, targets }),
            facts,
        };
        self.record("attack", poisoned.train.len(), entry.cost, entry.reused);
        Ok((key, poisoned))
    }

    fn train(&mut self, data_key: &Key, data: &Suspicious) -> Result<(Key, Network)> {
        let Pipeline { model, train, seed, .. } = self.pipeline;
        let content = model.blame(model.fingerprint())?;
        let inputs = json!({ "format": FORMAT, "model": model.identity(), "content": content, "train": train, "seed": seed, "device": self.device, "data": data_key.digest() });
        let key = Key::new("train", &inputs);
        let entry = self.stage("train", &key, |cx, folder| {
            let checkpoints = folder.join("checkpoints");
            let trained = bezoar_nn::train(cx, &**model, &data.train, data.validation.as_ref(), train, &checkpoints)?;
            trained.network.save(&folder.join(NETWORK))?;
            write_json(folder, HISTORY, &trained.history)?;
            fs::remove_dir_all(&checkpoints).map_err(|error| Error::io(&checkpoints, error))
        })?;
        let history: Vec<serde_json::Value> = read_json(&entry.folder, HISTORY)?;
        self.record("train", history.len() * data.train.len(), entry.cost, entry.reused);
        Ok((key, Network::load(&entry.folder.join(NETWORK), self.cx.device())?))
    }

    fn predict(
        &mut self,
        net_key: &Key,
        net: &Network,
        test: &ImageSet,
        triggered: Option<&Triggered>,
    ) -> Result<(Predictions, Option<Predictions>)> {
        let key = Key::new("predict", &json!({ "net": net_key.digest(), "test": test.digest()? }));
        let entry = self.stage("predict", &key, |cx, folder| {
            let clean = Predictions { expected: labels(test), predicted: predict(cx, net, test)? };
            let triggered = triggered.map(|set| {
                let predicted = predict(cx, net, &set.images)?;
                Ok::<_, Error>(Predictions { expected: set.targets.clone(), predicted })
            });
            write_json(folder, "predictions.json", &(clean, triggered.transpose()?))
        })?;
        let images = test.len() + triggered.map_or(0, |set| set.images.len());
        self.record("predict", images, entry.cost, entry.reused);
        read_json(&entry.folder, "predictions.json")
    }

    fn detect(&mut self, net_key: &Key, net: &Network, images: &ImageSet) -> Result<(Vec<Key>, Vec<Detection>)> {
        let (mut keys, mut detections) = (Vec::new(), Vec::new());
        let detectors = &self.pipeline.detect;
        let names = tell_apart(&detectors.iter().map(Part::block).collect::<Vec<_>>());
        let representations = named_representations(detectors);
        for (detector, name) in detectors.iter().zip(names) {
            let (mut inputs, mut features) = (Vec::new(), Vec::new());
            for part in detector.representations() {
                let name = &representations[&part.identity()];
                let (key, source) = detector.blame(self.represent(net_key, net, images, &part, name))?;
                inputs.push(key.digest().to_owned());
                features.push((name.clone(), source));
            }
            let key = Key::new(
                "detect",
                &json!({ "detector": detector.identity(), "seed": self.pipeline.seed, "net": net_key.digest(), "features": inputs }),
            );
            let sources: Vec<_> = features.iter().map(|(_, source)| source.clone()).collect();
            // The stage's random streams must not depend on what other detectors there are; its name does.
            let entry = self.stage(&format!("detect {}", detector.name()), &key, |cx, folder| {
                let verdict = detector.blame(detector.detect(cx, &Suspect { images, model: net, features: &sources }))?;
                let said = [verdict.scores.len(), verdict.flagged.len()];
                if said != [images.len(); 2] {
                    let problem = format!(
                        "the detector {} gave {} scores and {} flags for {} images",
                        detector.name(),
                        said[0],
                        said[1],
                        images.len()
                    );
                    return Err(Error::request(problem));
                }
                write_json(folder, "verdict.json", &verdict)
            })?;
            self.record(&format!("detect {name}"), images.len(), entry.cost, entry.reused);
            let verdict: Verdict = read_json(&entry.folder, "verdict.json")?;
            if verdict.inputs.iter().all(|input| input.name != "suspects") {
                for class in verdict.classes.iter().filter(|class| class.statistic.is_none()) {
                    self.cx.note(&format!("{name}: class `{}`: {}", images.classes()[class.class as usize], class.reason));
                }
            }
            detections.push(Detection { detector: name, verdict, features });
            keys.push(key);
        }
        Ok((keys, detections))
    }

    fn represent(
        &mut self,
        net_key: &Key,
        net: &Network,
        images: &ImageSet,
        part: &Part<dyn Representation>,
        name: &str,
    ) -> Result<(Key, Arc<dyn FeatureSource>)> {
        let key = Key::new(
            "represent",
            &json!({ "format": 2, "representation": part.identity(), "seed": self.pipeline.seed, "net": net_key.digest() }),
        );
        let entry = self.stage(&format!("represent {}", part.name()), &key, |cx, folder| {
            let mut writer = FeatureWriter::new(folder.join(FEATURES), images.len());
            part.blame(part.represent(cx, net, images, &mut |features| {
                cx.check()?;
                writer.push(&features)
            }))?;
            writer.finish()?;
            let spread: Vec<usize> = (0..images.len()).step_by(images.len().div_ceil(AUDITED).max(1)).collect();
            write_json(folder, BALANCE, &part.blame(part.balance(net, &images.select(&spread)))?)
        })?;
        if let Some(balance) = read_json(&entry.folder, BALANCE)? {
            self.balances.insert(name.to_owned(), balance);
        }
        self.record(&format!("represent {name}"), images.len(), entry.cost, entry.reused);
        Ok((key, Arc::new(FeatureFile::open(entry.folder.join(FEATURES))?)))
    }

    fn evaluate(&mut self, net_key: &Key, detection_keys: &[Key], outcome: &Outcome) -> Result<Vec<Measurement>> {
        let metrics = &self.pipeline.evaluate;
        let inputs = json!({
            "metrics": metrics.iter().map(Part::identity).collect::<Vec<_>>(),
            "net": net_key.digest(),
            "detections": detection_keys.iter().map(Key::digest).collect::<Vec<_>>(),
            "names": outcome.detections.iter().map(|detection| &detection.detector).collect::<Vec<_>>(),
            "truth": outcome.truth.is_some(),
        });
        let entry = self.stage("evaluate", &Key::new("evaluate", &inputs), |_, folder| {
            let mut measurements = Vec::new();
            for metric in metrics {
                measurements.extend(metric.measure(outcome)?);
            }
            write_json(folder, "measurements.json", &measurements)
        })?;
        self.record("evaluate", outcome.images.len(), entry.cost, entry.reused);
        read_json(&entry.folder, "measurements.json")
    }

    fn report(mut self, outcome: &Outcome, measurements: &[Measurement], folder: &Path) -> Result<Vec<StageCost>> {
        let meter = Meter::start();
        let timings: Vec<_> = self.stages.iter().map(|stage| (stage.stage.clone(), stage.seconds)).collect();
        let resolved = self.pipeline.resolved_yaml()?;
        let report = Report { outcome, measurements, timings: &timings, resolved: &resolved };
        for reporter in &self.pipeline.report {
            self.cx.check()?;
            reporter.write(&self.cx.stage("report"), &report, folder)?;
        }
        self.record("report", outcome.images.len(), meter.stop(), false);
        Ok(self.stages)
    }
}

const TRAIN: &str = "train.safetensors";
const VALIDATION: &str = "validation.safetensors";
const TEST: &str = "test.safetensors";
const TRIGGERED: &str = "triggered.safetensors";
const NETWORK: &str = "network.safetensors";
const HISTORY: &str = "history.json";
const FEATURES: &str = "features.safetensors";
const BALANCE: &str = "balance.json";

/// The name of each representation that these detectors look at, by its identity.
fn named_representations(detectors: &[Part<dyn Detector>]) -> BTreeMap<String, String> {
    let mut parts: Vec<Part<dyn Representation>> = Vec::new();
    for part in detectors.iter().flat_map(|detector| detector.representations()) {
        if parts.iter().all(|other| other.identity() != part.identity()) {
            parts.push(part);
        }
    }
    let names = tell_apart(&parts.iter().map(Part::block).collect::<Vec<_>>());
    parts.iter().map(Part::identity).zip(names).collect()
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

/// The class with the highest score for each image; of equal ones the first.
fn predict(cx: &Context, net: &Network, images: &ImageSet) -> Result<Vec<u32>> {
    let task = cx.task("test images", images.len() as u64);
    let mut predicted = Vec::with_capacity(images.len());
    for batch in images.batches(BATCH) {
        cx.check()?;
        let logits = net.logits(&batch?)?;
        for row in logits.rows() {
            let best = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
            predicted.push(best.unwrap_or_default() as u32);
        }
        task.advance(logits.len() as u64);
    }
    Ok(predicted)
}

fn write_optional(folder: &Path, name: &str, set: Option<&ImageSet>) -> Result<()> {
    set.map_or(Ok(()), |set| write_images(&folder.join(name), set))
}

fn open_optional(folder: &Path, name: &str) -> Result<Option<ImageSet>> {
    let path = folder.join(name);
    if path.exists() { open_images(&path).map(Some) } else { Ok(None) }
}

fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    write_whole(&folder.join(name), &serde_json::to_vec(value).map_err(Error::request)?)
}

fn read_json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let text = fs::read(&path).map_err(|error| Error::io(&path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::data(path.display(), error))
}
