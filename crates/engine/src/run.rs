//! Runs a pipeline stage by stage. Each stage takes its inputs from the store and leaves its output there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::rows::{FeatureFile, FeatureWriter};
use bezoar_core::{
    Attack, ClassVerdict, Context, Counts, Dataset, Detection, Detector, Error, FeatureSource, FinishedStage, GroundTruth, ImageSet,
    Measurement, Metric, NamedFeatures, Outcome, Part, Report, Representation, Result, Skipped, Splits, Suspect, Verdict,
};
use bezoar_nn::Network;
use serde_json::json;

use crate::meter::{Cost, Meter};
use crate::names::names;
use crate::stages::{StageCost, Stages, Suspicious, Tests, read_json, write_json};
use crate::store::Key;
use crate::trainings::{Again, Recipe, Tested};
use crate::{Findings, Metrics, Pipeline, machine, runs};

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
    /// What each detector says.
    pub findings: Vec<Findings>,
    /// Images that the reader left out.
    pub skipped: Vec<Skipped>,
    /// Whether all of it was there before.
    pub before: bool,
}

impl Finished {
    fn of(folder: PathBuf, metrics: Metrics, stages: Vec<StageCost>, before: bool) -> Self {
        let Metrics { measurements, images: counts, attack, detectors: findings, skipped, .. } = metrics;
        Self { folder, measurements, stages, counts, attacked: attack.is_some(), findings, skipped, before }
    }
}

/// Runs `pipeline`, taking from the cache what is there; nothing is done for a run that is finished.
///
/// # Errors
/// Whatever a stage reports. What was finished before stays in the cache, and training goes on from its last epoch.
pub fn run(cx: &Context, pipeline: &Pipeline, places: &Places) -> Result<Finished> {
    let folder = runs::Folder::open(cx, &places.runs, pipeline)?;
    match folder.finished() {
        Some((metrics, stages)) => Ok(Finished::of(folder.path.clone(), metrics, stages, true)),
        None => run_in(cx, pipeline, &places.cache, &folder),
    }
}

/// Runs the `pipeline` of the run in `folder`, whatever its name, though it be finished: its stages come from the cache, and its reports are
/// written again.
///
/// # Errors
/// As [`run`].
pub fn report(cx: &Context, pipeline: &Pipeline, folder: &Path, cache: &Path) -> Result<Finished> {
    run_in(cx, pipeline, cache, &runs::Folder::at(cx, folder.to_owned(), pipeline)?)
}

fn run_in(cx: &Context, pipeline: &Pipeline, cache: &Path, folder: &runs::Folder) -> Result<Finished> {
    // A run whose reports are written again stays finished, whatever comes of them.
    if folder.finished().is_none() {
        folder.begin(pipeline)?;
    }
    let mut run = Run::new(cx, pipeline, cache)?;
    let Data { splits, attack_key, poisoned } = run.data()?;
    for detector in &pipeline.detect {
        detector.blame(detector.check(&poisoned.train))?;
    }
    let (net_key, network) = run.train(&poisoned)?;
    let tests = Tests { clean: &splits.test, triggered: poisoned.triggered.as_ref() };
    let (tests_key, (test, triggered)) = run.stages.predict(&pipeline.model, &net_key, &network, &tests)?;
    let again = Again { trainings: run.stages.trainings.clone(), recipe: run.recipe(), validation: poisoned.validation.clone() };
    let (detection_keys, detections) = run.detect(&net_key, &network, &poisoned.train, &again)?;

    let outcome = Outcome {
        name: pipeline.name.clone(),
        counts: splits.counts(),
        images: poisoned.train,
        truth: poisoned.truth,
        facts: poisoned.facts,
        test,
        triggered,
        detections,
        skipped: splits.skipped.clone(),
    };
    let measurements = run.evaluate(attack_key.as_ref(), &tests_key, &detection_keys, &outcome, &Tested { again, tests })?;
    let balances = std::mem::take(&mut run.balances);
    let stages = run.report(&outcome, &measurements, &balances, &folder.path)?;
    let metrics = Metrics::of(&outcome, &measurements);
    folder.finish(&metrics, &balances, &stages)?;
    Ok(Finished::of(folder.path.clone(), metrics, stages, false))
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
    let mut run = Run::new(cx, pipeline, &places.cache)?;
    let Data { poisoned, .. } = run.data()?;
    let (_, network) = run.train(&poisoned)?;
    Ok(Trained { network, images: poisoned.train, truth: poisoned.truth })
}

/// What an attack makes of a data set: the first stages of a pipeline.
///
/// # Errors
/// Whatever a stage reports.
pub fn poisoned(
    cx: &Context,
    dataset: &Part<dyn Dataset>,
    attack: &Part<dyn Attack>,
    seed: u32,
    places: &Places,
) -> Result<(Splits, Suspicious)> {
    let mut stages = Stages::new(cx, seed, &places.cache)?;
    let (clean_key, splits) = stages.dataset(dataset)?;
    let (_, poisoned) = stages.attack(Some(attack), &clean_key, &splits)?;
    Ok((splits, poisoned))
}

/// What a run begins with.
struct Data {
    /// The clean images.
    splits: Splits,
    /// The key of the attack, if there is one.
    attack_key: Option<Key>,
    /// The images that the net learns from.
    poisoned: Suspicious,
}

/// A run under way.
struct Run<'a> {
    pipeline: &'a Pipeline,
    stages: Stages<'a>,
    /// By the name of the representation.
    balances: BTreeMap<String, serde_json::Value>,
}

impl<'a> Run<'a> {
    fn new(cx: &'a Context, pipeline: &'a Pipeline, cache: &Path) -> Result<Self> {
        Ok(Self { pipeline, stages: Stages::new(cx, pipeline.seed, cache)?, balances: BTreeMap::new() })
    }

    fn data(&mut self) -> Result<Data> {
        let (clean_key, splits) = self.stages.dataset(&self.pipeline.dataset)?;
        let (attack_key, poisoned) = self.stages.attack(self.pipeline.attack.as_ref(), &clean_key, &splits)?;
        Ok(Data { splits, attack_key, poisoned })
    }

    fn recipe(&self) -> Recipe {
        Recipe { model: self.pipeline.model.clone(), train: self.pipeline.train.clone() }
    }

    fn train(&mut self, data: &Suspicious) -> Result<(Key, Network)> {
        self.stages.net("train", &self.recipe(), &data.train, data.validation.as_ref())
    }

    fn detect(&mut self, net_key: &Key, net: &Network, images: &ImageSet, trainer: &Again<'_>) -> Result<(Vec<Key>, Vec<Detection>)> {
        let (mut keys, mut detections) = (Vec::new(), Vec::new());
        let detectors = &self.pipeline.detect;
        let names = names(&detectors.iter().collect::<Vec<_>>());
        let representations = named_representations(detectors);
        for (detector, name) in detectors.iter().zip(names) {
            let (mut inputs, mut features) = (Vec::new(), Vec::new());
            for part in detector.representations() {
                let name = &representations[&part.identity()];
                let (key, source) = detector.blame(self.represent(net_key, net, images, &part, name))?;
                inputs.push(key.digest().to_owned());
                features.push(NamedFeatures { name: name.clone(), rows: source, is_relevance: part.is_relevance() });
            }
            let key = detect_key(detector, self.stages.seed, net_key, &inputs)?;
            let sources: Vec<_> = features.iter().map(|features| features.rows.clone()).collect();
            // The stage's random streams must not depend on what other detectors there are; its name does.
            let entry = self.stages.stage(&format!("detect {}", detector.name()), &key, |cx, folder| {
                let verdict = detector.blame(detector.detect(cx, &Suspect { images, model: net, features: &sources, trainer }))?;
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
            self.stages.record(&format!("detect {name}"), &detector.identity(), images.len(), &entry);
            let verdict: Verdict = read_json(&entry.folder, "verdict.json")?;
            if verdict.inputs.iter().all(|input| input.name != "suspects") {
                for class in not_scanned(&verdict, images) {
                    self.stages.cx.note(&format!("{name}: class `{}`: {}", images.classes()[class.class as usize], class.reason));
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
        let key = represent_key(part, self.stages.seed, net_key)?;
        let entry = self.stages.stage(&format!("represent {}", part.name()), &key, |cx, folder| {
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
        self.stages.record(&format!("represent {name}"), &part.identity(), images.len(), &entry);
        Ok((key, Arc::new(FeatureFile::open(entry.folder.join(FEATURES))?)))
    }

    fn evaluate(
        &mut self,
        attack_key: Option<&Key>,
        tests_key: &Key,
        detection_keys: &[Key],
        outcome: &Outcome,
        retrial: &Tested<'_>,
    ) -> Result<Vec<Measurement>> {
        let metrics = &self.pipeline.evaluate;
        let names: Vec<String> = outcome.detections.iter().map(|detection| detection.detector.clone()).collect();
        let key = evaluate_key(metrics, tests_key, detection_keys, &names, attack_key);
        let entry = self.stages.stage("evaluate", &key, |cx, folder| {
            let mut measurements = Vec::new();
            for metric in metrics {
                measurements.extend(metric.blame(metric.measure(cx, outcome, retrial))?);
            }
            write_json(folder, "measurements.json", &measurements)
        })?;
        self.stages.record("evaluate", &evaluation(self.pipeline), outcome.images.len(), &entry);
        read_json(&entry.folder, "measurements.json")
    }

    fn report(
        mut self,
        outcome: &Outcome,
        measurements: &[Measurement],
        balances: &BTreeMap<String, serde_json::Value>,
        folder: &Path,
    ) -> Result<Vec<StageCost>> {
        let meter = Meter::start();
        let finished = |stage: &StageCost| FinishedStage {
            name: stage.stage.clone(),
            seconds: stage.seconds,
            peak_bytes: stage.peak_bytes,
            reused: stage.reused,
            digest: stage.key.clone(),
        };
        let stages: Vec<_> = self.stages.costs.iter().map(finished).collect();
        let resolved = self.pipeline.resolved_yaml()?;
        let (machine, plugins) = (machine::describe(), self.pipeline.plugins());
        let report = Report { outcome, measurements, stages: &stages, resolved: &resolved, balances, plugins: &plugins, machine: &machine };
        for reporter in &self.pipeline.report {
            self.stages.cx.check()?;
            reporter.write(&self.stages.cx.stage("report"), &report, folder)?;
        }
        let Cost { seconds, peak_bytes } = meter.stop();
        let stage = "report".to_owned();
        let images = outcome.images.len();
        self.stages.costs.push(StageCost { stage, images, seconds, peak_bytes, reused: false, key: None, blocks: None });
        Ok(self.stages.costs)
    }
}

/// The key of a representation of a net's training images.
pub(crate) fn represent_key(part: &Part<dyn Representation>, seed: u32, net: &Key) -> Result<Key> {
    let content = part.blame(part.fingerprint())?;
    let inputs = json!({ "format": 2, "representation": part.identity(), "content": content, "seed": seed, "net": net.digest() });
    Ok(Key::new("represent", &inputs))
}

/// The key of a verdict on a net's training images; `features` are the digests of the representations that it looks at.
pub(crate) fn detect_key(detector: &Part<dyn Detector>, seed: u32, net: &Key, features: &[String]) -> Result<Key> {
    let content = detector.blame(detector.fingerprint())?;
    let inputs = json!({ "format": 2, "detector": detector.identity(), "content": content, "seed": seed, "net": net.digest(), "features": features });
    Ok(Key::new("detect", &inputs))
}

/// The key of what metrics make of a net's tests and of verdicts by detectors of these names; the truth is that of `attack`.
pub(crate) fn evaluate_key(metrics: &[Part<dyn Metric>], tests: &Key, detections: &[Key], names: &[String], attack: Option<&Key>) -> Key {
    let metrics: Vec<_> = metrics.iter().map(Part::identity).collect();
    let detections: Vec<&str> = detections.iter().map(Key::digest).collect();
    let truth = attack.map(Key::digest);
    let inputs =
        json!({ "format": 2, "metrics": metrics, "tests": tests.digest(), "detections": detections, "names": names, "truth": truth });
    Key::new("evaluate", &inputs)
}

/// The identity of these metrics together.
pub(crate) fn identity_of(metrics: &[Part<dyn Metric>]) -> String {
    metrics.iter().map(|metric| metric.identity() + "\n").collect()
}

/// What an evaluation's time depends on besides the images: the metrics, and what those that train nets have to train.
pub(crate) fn evaluation(Pipeline { evaluate, detect, train, .. }: &Pipeline) -> String {
    format!("{}{} detectors, {} epochs", identity_of(evaluate), detect.len(), train.epochs)
}

/// The classes of which no image was scored.
fn not_scanned<'a>(verdict: &'a Verdict, images: &ImageSet) -> impl Iterator<Item = &'a ClassVerdict> {
    let scanned = verdict.scanned(images);
    verdict.classes.iter().filter(move |class| !scanned.contains(&class.class))
}

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
    let names = names(&parts.iter().collect::<Vec<_>>());
    parts.iter().map(Part::identity).zip(names).collect()
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Edit, Image, ImageShape, Sample};

    use super::*;

    #[test]
    fn figures_are_known_by_the_truth_that_they_compare_with() {
        let key = |attack: Option<&str>| {
            let attack = attack.map(|attack| Key::new("attack", &json!(attack)));
            evaluate_key(&[], &Key::new("predict", &json!(null)), &[], &[], attack.as_ref())
        };
        assert_eq!(key(Some("one")), key(Some("one")));
        assert_ne!(key(Some("one")), key(Some("other")));
        assert_ne!(key(Some("one")), key(None));
    }

    /// Of three classes, the second is all noise and has no statistic, and only the third was passed over.
    #[test]
    fn a_class_without_a_statistic_may_have_been_scanned() {
        let image = Image::new(ImageShape::rgb(1, 1), vec![0; 3]).unwrap();
        let sample = |label: u32| Sample { id: label.to_string(), label, path: String::new() };
        let rows = (0..3).map(|label| Edit { sample: sample(label), image: image.clone() });
        let images = ImageSet::from_images(["a", "b", "c"].map(str::to_owned).to_vec(), rows.collect()).unwrap();
        let class =
            |class, statistic| ClassVerdict { class, statistic, statistic_name: String::new(), p_value: None, reason: String::new() };
        let classes = vec![class(0, Some(0.5)), class(1, None), class(2, None)];
        let verdict = Verdict { scores: vec![Some(1.0), Some(0.0), None], classes, ..Verdict::empty(3) };
        assert_eq!(not_scanned(&verdict, &images).map(|class| class.class).collect::<Vec<_>>(), [2]);
    }
}
