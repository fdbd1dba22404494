//! What a study would do, without doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bezoar_core::{Context, ImageSet, Part, Result, hex};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::names::names;
use crate::run::{detect_key, evaluate_key, represent_key};
use crate::runs;
use crate::stages::{attack_key, dataset_key, open_suspicious, open_tests, open_triggered, predict_key};
use crate::store::{Key, Store};
use crate::trainings::{Recipe, Trainings};
use crate::{Pipeline, Places, Study};

/// What a study would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// All cells, in the order of the study.
    pub cells: Vec<PlannedCell>,
    /// The stages by name, in the order in which they come first.
    pub stages: Vec<PlannedStage>,
}

/// A cell of the plan.
#[derive(Debug, Serialize)]
pub struct PlannedCell {
    /// Its value of each axis.
    pub settings: Vec<String>,
    /// Whether it is finished.
    pub finished: bool,
    /// Stages that have to be made for it, and for no cell before it.
    pub to_make: usize,
}

/// A kind of stage over all cells; what several cells share counts once.
#[derive(Debug, Serialize)]
pub struct PlannedStage {
    /// Its name, as in `timings.json`.
    pub stage: String,
    /// How many are in the cache.
    pub cached: usize,
    /// How many have to be made.
    pub to_make: usize,
    /// What making them will take, by the rates of finished runs with the same net; none where no run tells.
    pub seconds: Option<f64>,
    /// The most memory that such a stage took in these runs.
    pub peak_bytes: Option<u64>,
}

impl Plan {
    /// Looks at the cache and at finished runs.
    ///
    /// What cannot be known without making a stage (which images an attack poisons) is counted as to be made.
    ///
    /// # Errors
    /// When a data set or a file that a stage reads is not there.
    pub fn of(cx: &Context, study: &Study, places: &Places) -> Result<Self> {
        let rates = Rates::of(&places.runs)?;
        let mut plan = Self::default();
        let mut seen = BTreeSet::new();
        for cell in &study.cells {
            let finished = runs::is_finished(&places.runs, &cell.pipeline)?;
            let mut to_make = 0;
            let walk = if finished { Vec::new() } else { Walk::through(cx, &cell.pipeline, &places.cache)? };
            for Step { stage, images, identity, cached } in walk {
                if !seen.insert(identity) {
                    continue;
                }
                to_make += usize::from(!cached);
                plan.count(stage, images, cached, &rates, &cell.pipeline);
            }
            plan.cells.push(PlannedCell { settings: cell.settings.clone(), finished, to_make });
        }
        Ok(plan)
    }

    fn count(&mut self, stage: String, images: Option<usize>, cached: bool, rates: &Rates, pipeline: &Pipeline) {
        let known = rates.get(&stage, pipeline);
        let seconds = known.map(|rate| rate.seconds_an_image * images.unwrap_or(rate.images) as f64);
        let at = self.stages.iter().position(|other| other.stage == stage).unwrap_or_else(|| {
            self.stages.push(PlannedStage { stage, cached: 0, to_make: 0, seconds: Some(0.0), peak_bytes: None });
            self.stages.len() - 1
        });
        let entry = &mut self.stages[at];
        if cached {
            entry.cached += 1;
        } else {
            entry.to_make += 1;
            entry.seconds = entry.seconds.zip(seconds).map(|(before, more)| before + more);
            entry.peak_bytes = entry.peak_bytes.max(known.and_then(|rate| rate.peak_bytes));
        }
    }
}

/// A stage of a run that has not begun.
struct Step {
    stage: String,
    /// Images that it goes through, where that is known.
    images: Option<usize>,
    /// Equal for stages that are the same.
    identity: String,
    cached: bool,
}

/// A walk through a pipeline as far as the cache leads, and on by what is configured alone.
struct Walk {
    store: Store,
    steps: Vec<Step>,
}

impl Walk {
    fn through(cx: &Context, pipeline: &Pipeline, cache: &Path) -> Result<Vec<Step>> {
        let mut walk = Self { store: Store::new(cache), steps: Vec::new() };
        let trainings = Trainings::new(cx, pipeline.seed, walk.store.clone())?;
        let (dataset, clean) = walk.step("dataset", None, Some(dataset_key(&pipeline.dataset, pipeline.seed)?), &json!(null));
        let mut images = clean.as_deref().map(open_suspicious).transpose()?;
        let tests = clean.as_deref().map(open_tests).transpose()?;
        let mut triggered = None;
        let mut before = dataset.identity.clone();
        if let Some(attack) = &pipeline.attack {
            let mut surrogate = None;
            if let Some(blocks) = attack.surrogate() {
                let recipe = Recipe::of(&blocks)?;
                let key = images.as_ref().map(|(train, validation)| trainings.key(&recipe, train, validation.as_ref())).transpose()?;
                let trained = images.as_ref().map(|(train, _)| recipe.train.epochs * train.len());
                let config = json!([before, blocks]);
                surrogate = Some(walk.step("surrogate", trained, key, &config).0);
            }
            let known = surrogate.as_ref().is_none_or(|surrogate| surrogate.key.is_some());
            let dataset_key = dataset.key.as_ref().filter(|_| known);
            let key =
                dataset_key.map(|dataset| attack_key(attack, pipeline.seed, dataset, surrogate.as_ref().and_then(|one| one.key.as_ref())));
            let config = json!([before, attack.identity(), surrogate.as_ref().map(|one| &one.identity)]);
            let (attacked, folder) = walk.step("attack", images.as_ref().map(|(train, _)| train.len()), key, &config);
            before = attacked.identity;
            images = folder.as_deref().map(open_suspicious).transpose()?;
            triggered = folder.as_deref().map(open_triggered).transpose()?;
        }
        let recipe = Recipe { model: pipeline.model.clone(), train: pipeline.train.clone() };
        let key = images.as_ref().map(|(train, validation)| trainings.key(&recipe, train, validation.as_ref())).transpose()?;
        let count = images.as_ref().map(|(train, _)| train.len());
        let config = json!([before, recipe, pipeline.seed]);
        let (net, _) = walk.step("train", count.map(|count| count * pipeline.train.epochs), key, &config);
        let tests_key = match (&net.key, &tests) {
            (Some(net), Some(tests)) => Some(predict_key(net, tests, triggered.as_ref())?),
            _ => None,
        };
        let shown = match (&pipeline.attack, &triggered) {
            (Some(_), None) => None,
            (_, triggered) => tests.as_ref().map(|tests| tests.len() + triggered.as_ref().map_or(0, ImageSet::len)),
        };
        walk.step("predict", shown, tests_key.clone(), &json!([net.identity]));
        let mut verdicts = Vec::new();
        for detector in &pipeline.detect {
            let (mut identities, mut digests) = (Vec::new(), Vec::new());
            for part in detector.representations() {
                let key = net.key.as_ref().map(|net| represent_key(&part, pipeline.seed, net)).transpose()?;
                digests.extend(key.as_ref().map(|key| key.digest().to_owned()));
                let config = json!([net.identity, part.identity()]);
                identities.push(walk.step(&format!("represent {}", part.name()), count, key, &config).0.identity);
            }
            let key = net.key.as_ref().map(|net| detect_key(detector, pipeline.seed, net, &digests)).transpose()?;
            verdicts.extend(key.clone());
            walk.step(&format!("detect {}", detector.name()), count, key, &json!([identities, detector.identity()]));
        }
        let names = names(&pipeline.detect.iter().collect::<Vec<_>>());
        let key = tests_key.map(|tests| evaluate_key(&pipeline.evaluate, &tests, &verdicts, &names, pipeline.attack.is_some()));
        let all = json!([net.identity, pipeline.detect.iter().map(Part::identity).collect::<Vec<_>>()]);
        walk.step("evaluate", count, key, &json!([all, pipeline.evaluate.iter().map(Part::identity).collect::<Vec<_>>()]));
        Ok(walk.steps)
    }

    /// Adds a stage; gives what tells it from others, and its folder if it is there.
    fn step(&mut self, stage: &str, images: Option<usize>, key: Option<Key>, config: &Value) -> (Made, Option<std::path::PathBuf>) {
        let identity = match &key {
            Some(key) => format!("{stage} {}", key.digest()),
            None => format!("{stage} {}", hex(&Sha256::digest(config.to_string()))),
        };
        let folder = key.as_ref().and_then(|key| self.store.find(key));
        self.steps.push(Step { stage: stage.to_owned(), images, identity: identity.clone(), cached: folder.is_some() });
        (Made { identity, key }, folder)
    }
}

/// What tells a stage from others: its key, where the stages before it are there, so that it is known.
struct Made {
    identity: String,
    key: Option<Key>,
}

/// What stages took in finished runs.
struct Rates(BTreeMap<(String, String), Rate>);

/// What a stage took in the run that was finished last.
#[derive(Clone, Copy)]
struct Rate {
    images: usize,
    seconds_an_image: f64,
    peak_bytes: Option<u64>,
}

impl Rates {
    fn of(folder: &Path) -> Result<Self> {
        let mut rates = BTreeMap::new();
        for run in runs::list(folder)?.into_iter().filter(|run| run.finished) {
            let Some((model, stages)) = runs::costs(&run.folder) else { continue };
            for stage in stages.into_iter().filter(|stage| stage.images > 0) {
                let seconds_an_image = stage.seconds / stage.images as f64;
                let name = plain(&stage.stage).to_owned();
                rates.insert((name, model.clone()), Rate { images: stage.images, seconds_an_image, peak_bytes: stage.peak_bytes });
            }
        }
        Ok(Self(rates))
    }

    fn get(&self, stage: &str, pipeline: &Pipeline) -> Option<Rate> {
        self.0.get(&(stage.to_owned(), pipeline.model.name().to_owned())).copied()
    }
}

/// A stage's name without what sets it apart from others of its plugin.
fn plain(stage: &str) -> &str {
    stage.split(" (").next().unwrap_or(stage)
}
