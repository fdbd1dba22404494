//! What a study would do, without doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bezoar_core::{Context, ImageSet, Part, Result, Triggered, hex};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::names::names;
use crate::run::{detect_key, evaluate_key, evaluation, identity_of, represent_key};
use crate::runs;
use crate::stages::{StageCost, Suspicious, attack_key, blocks_digest, dataset_key, open_attacked, open_splits, predict_key};
use crate::store::{Key, Store};
use crate::trainings::{Recipe, Trainings};
use crate::{Pipeline, Places, Study, machine};

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
    /// What making them will take, by the rates of finished runs with the same net on this machine: of the same blocks, or else of the same
    /// plugin. None where no run tells, or where the number of images is not known.
    pub seconds: Option<f64>,
    /// Whether `seconds` are for about as many images as there will be: those before an attack that is not made yet, or those of an earlier run
    /// with the same data set.
    pub about: bool,
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
            let sizes = rates.sizes.get(&blocks_digest(&cell.pipeline.dataset.identity())).copied();
            let walk = if finished { Vec::new() } else { Walk::through(cx, &cell.pipeline, &places.cache, sizes)? };
            for step in walk {
                if !seen.insert(step.identity.clone()) {
                    continue;
                }
                to_make += usize::from(!step.cached);
                plan.count(step, &rates, cell.pipeline.model.name());
            }
            plan.cells.push(PlannedCell { settings: cell.settings.clone(), finished, to_make });
        }
        Ok(plan)
    }

    fn count(&mut self, Step { stage, blocks, images, cached, .. }: Step, rates: &Rates, model: &str) {
        let known = rates.get(&stage, &blocks, model);
        let seconds = known.zip(images).map(|(rate, count)| rate.seconds_an_image * count.images as f64);
        let at = self.stages.iter().position(|other| other.stage == stage).unwrap_or_else(|| {
            self.stages.push(PlannedStage { stage, cached: 0, to_make: 0, seconds: Some(0.0), about: false, peak_bytes: None });
            self.stages.len() - 1
        });
        let entry = &mut self.stages[at];
        if cached {
            entry.cached += 1;
        } else {
            entry.to_make += 1;
            entry.seconds = entry.seconds.zip(seconds).map(|(before, more)| before + more);
            entry.about |= images.is_some_and(|count| count.about);
            entry.peak_bytes = entry.peak_bytes.max(known.and_then(|rate| rate.peak_bytes));
        }
    }
}

/// A stage of a run that has not begun.
struct Step {
    stage: String,
    /// The identities of the blocks that it carries out.
    blocks: String,
    /// Images that it goes through, where that is known.
    images: Option<Count>,
    /// Equal for stages that are the same.
    identity: String,
    cached: bool,
}

/// A number of images.
#[derive(Clone, Copy)]
struct Count {
    images: usize,
    /// Whether it may be somewhat more or less.
    about: bool,
}

/// How many images an earlier run had of a data set.
#[derive(Clone, Copy)]
struct Sizes {
    all: usize,
    train: usize,
}

/// A walk through a pipeline as far as the cache leads, and on by what is configured alone.
struct Walk<'a> {
    pipeline: &'a Pipeline,
    trainings: Trainings<'a>,
    store: Store,
    steps: Vec<Step>,
}

/// The images that a net will learn from and be tested on, as far as they are there.
struct Data {
    /// The last stage that made them.
    made: Made,
    /// The key of the attack, if there is one and it is known.
    attack_key: Option<Key>,
    /// What the net learns from and stops by.
    images: Option<(ImageSet, Option<ImageSet>)>,
    /// About how many the net learns from, where they are not there.
    about: Option<usize>,
    /// Clean test images.
    tests: Option<ImageSet>,
    /// Those with the trigger, if there is an attack.
    triggered: Option<Triggered>,
}

impl Data {
    /// How many images the net learns from.
    fn count(&self) -> Option<Count> {
        let exact = self.images.as_ref().map(|(train, _)| Count { images: train.len(), about: false });
        exact.or(self.about.map(|images| Count { images, about: true }))
    }
}

impl<'a> Walk<'a> {
    fn through(cx: &'a Context, pipeline: &'a Pipeline, cache: &Path, sizes: Option<Sizes>) -> Result<Vec<Step>> {
        let store = Store::new(cache);
        let mut walk = Self { pipeline, trainings: Trainings::new(cx, pipeline.seed, store.clone())?, store, steps: Vec::new() };
        let data = walk.data(sizes)?;
        let (net, tests) = walk.net(&data)?;
        let verdicts = walk.detectors(&net, data.count())?;
        let names = names(&pipeline.detect.iter().collect::<Vec<_>>());
        let key = tests.map(|tests| evaluate_key(&pipeline.evaluate, &tests, &verdicts, &names, data.attack_key.as_ref()));
        let metrics = identity_of(&pipeline.evaluate);
        let config = json!([net.identity, pipeline.detect.iter().map(Part::identity).collect::<Vec<_>>(), metrics]);
        walk.step("evaluate", evaluation(pipeline), data.count(), key, &config);
        Ok(walk.steps)
    }

    /// Data set, surrogate and attack.
    fn data(&mut self, sizes: Option<Sizes>) -> Result<Data> {
        let Pipeline { dataset, attack, seed, .. } = self.pipeline;
        let key = dataset_key(dataset, *seed)?;
        let all = sizes.map(|sizes| Count { images: sizes.all, about: true });
        let (made, folder) = self.step("dataset", dataset.identity(), all, Some(key), &json!(null));
        let clean = folder.as_deref().map(open_splits).transpose()?;
        let tests = clean.as_ref().map(|clean| clean.test.clone());
        let images = clean.map(|clean| (clean.train, clean.validation));
        let data = Data { made, attack_key: None, images, about: sizes.map(|sizes| sizes.train), tests, triggered: None };
        let Some(attack) = attack else { return Ok(data) };
        let surrogate = attack.surrogate().map(|blocks| self.trained("surrogate", &Recipe::of(&blocks)?, &data)).transpose()?;
        let known = surrogate.as_ref().is_none_or(|surrogate| surrogate.key.is_some());
        let dataset_key = data.made.key.as_ref().filter(|_| known);
        let surrogate_key = surrogate.as_ref().and_then(|surrogate| surrogate.key.as_ref());
        let key = dataset_key.map(|dataset| attack_key(attack, *seed, dataset, surrogate_key));
        let config = json!([data.made.identity, attack.identity(), surrogate.as_ref().map(|one| &one.identity)]);
        let (made, folder) = self.step("attack", attack.identity(), data.count(), key.clone(), &config);
        let attacked = folder.as_deref().map(open_attacked).transpose()?;
        let (images, triggered) = attacked.map(|Suspicious { train, validation, triggered, .. }| ((train, validation), triggered)).unzip();
        // An attack adds few images, or none.
        let about = data.count().map(|count| count.images);
        Ok(Data { made, attack_key: key, images, about, triggered: triggered.flatten(), ..data })
    }

    /// A net that is to learn from these images.
    fn trained(&mut self, stage: &str, recipe: &Recipe, data: &Data) -> Result<Made> {
        let key = data.images.as_ref().map(|(train, validation)| self.trainings.key(recipe, train, validation.as_ref())).transpose()?;
        let count = data.count().map(|count| Count { images: count.images * recipe.train.epochs, ..count });
        let config = json!([data.made.identity, recipe, self.pipeline.seed]);
        Ok(self.step(stage, recipe.identity(), count, key, &config).0)
    }

    /// The net, and the key of what it says of the tests.
    fn net(&mut self, data: &Data) -> Result<(Made, Option<Key>)> {
        let Pipeline { model, train, attack, .. } = self.pipeline;
        let net = self.trained("train", &Recipe { model: model.clone(), train: train.clone() }, data)?;
        let (tests, triggered) = (data.tests.as_ref(), data.triggered.as_ref());
        let shown = tests.filter(|_| attack.is_some() == triggered.is_some());
        let key = net.key.as_ref().zip(shown).map(|(net, tests)| predict_key(net, tests, triggered)).transpose()?;
        let shown_count = |tests: &ImageSet| tests.len() + triggered.map_or(0, |set| set.images.len());
        let count = shown.map(|tests| Count { images: shown_count(tests), about: false });
        self.step("predict", model.identity(), count, key.clone(), &json!([net.identity]));
        Ok((net, key))
    }

    /// What each detector looks at, and its verdict; the keys of those that are known. They look at `count` images.
    fn detectors(&mut self, net: &Made, count: Option<Count>) -> Result<Vec<Key>> {
        let Pipeline { detect, seed, .. } = self.pipeline;
        let mut verdicts = Vec::new();
        for detector in detect {
            let (mut identities, mut digests) = (Vec::new(), Vec::new());
            for part in detector.representations() {
                let key = net.key.as_ref().map(|net| represent_key(&part, *seed, net)).transpose()?;
                digests.extend(key.as_ref().map(|key| key.digest().to_owned()));
                let config = json!([net.identity, part.identity()]);
                identities.push(self.step(&format!("represent {}", part.name()), part.identity(), count, key, &config).0.identity);
            }
            let key = net.key.as_ref().map(|net| detect_key(detector, *seed, net, &digests)).transpose()?;
            verdicts.extend(key.clone());
            let config = json!([identities, detector.identity()]);
            self.step(&format!("detect {}", detector.name()), detector.identity(), count, key, &config);
        }
        Ok(verdicts)
    }

    /// Adds a stage; gives what tells it from others, and its folder if it is there.
    fn step(&mut self, stage: &str, blocks: String, images: Option<Count>, key: Option<Key>, config: &Value) -> (Made, Option<PathBuf>) {
        // Not the stage's name: a surrogate may be another cell's net.
        let identity = key.as_ref().map_or_else(|| hex(&Sha256::digest(config.to_string())), |key| key.digest().to_owned());
        let folder = key.as_ref().and_then(|key| self.store.find(key));
        self.steps.push(Step { stage: stage.to_owned(), blocks, images, identity: identity.clone(), cached: folder.is_some() });
        (Made { identity, key }, folder)
    }
}

/// What tells a stage from others: its key, where the stages before it are there, so that it is known.
struct Made {
    identity: String,
    key: Option<Key>,
}

/// What stages took in this machine's finished runs; of equal ones, in the run that was finished last.
#[derive(Default)]
struct Rates {
    /// By the digest of a data set's block.
    sizes: BTreeMap<String, Sizes>,
    /// By the digest of a stage's blocks and the plugin of the net.
    blocks: BTreeMap<(String, String), Rate>,
    /// By a stage's plain name and the plugin of the net.
    plain: BTreeMap<(String, String), Rate>,
}

/// What a stage took.
#[derive(Clone, Copy)]
struct Rate {
    seconds_an_image: f64,
    peak_bytes: Option<u64>,
}

impl Rates {
    fn of(folder: &Path) -> Result<Self> {
        let mut rates = Self::default();
        let finished = runs::list(folder)?.into_iter().filter(|run| run.finished);
        let here = machine::describe();
        for costs in finished.filter_map(|run| runs::RunCosts::read(&run.folder)).filter(|costs| costs.machine == here) {
            rates.measure(&costs.stages);
            for stage in &costs.stages {
                rates.add(stage, &costs.model);
            }
        }
        Ok(rates)
    }

    /// Notes how many images a run had: metrics go through those that the net learnt from.
    fn measure(&mut self, stages: &[StageCost]) {
        let of = |name: &str| stages.iter().find(|stage| stage.stage == name);
        if let (Some(dataset), Some(evaluate)) = (of("dataset"), of("evaluate"))
            && let Some(blocks) = &dataset.blocks
        {
            self.sizes.insert(blocks.clone(), Sizes { all: dataset.images, train: evaluate.images });
        }
    }

    fn add(&mut self, StageCost { stage, blocks, images, seconds, peak_bytes, .. }: &StageCost, model: &str) {
        if *images == 0 {
            return;
        }
        let rate = Rate { seconds_an_image: seconds / *images as f64, peak_bytes: *peak_bytes };
        if let Some(blocks) = blocks {
            self.blocks.insert((blocks.clone(), model.to_owned()), rate);
        }
        // Other metrics say nothing: one may train nets, where the others count.
        if stage != "evaluate" {
            self.plain.insert((plain(stage), model.to_owned()), rate);
        }
    }

    /// The rate of a stage with these blocks, or else of one with the same plugins.
    fn get(&self, stage: &str, blocks: &str, model: &str) -> Option<Rate> {
        let measured = self.blocks.get(&(blocks_digest(blocks), model.to_owned()));
        measured.or_else(|| self.plain.get(&(stage.to_owned(), model.to_owned()))).copied()
    }
}

/// A stage's name without what sets it apart from others of its plugin: what is done, and the plugin's name.
fn plain(stage: &str) -> String {
    stage.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_a_rate_of_its_own() {
        let mut rates = Rates::default();
        let measured = [
            ("detect hc", Some("plain"), 100, 1.0),
            ("detect hc (as-described)", Some("described"), 100, 1000.0),
            ("detect hc (recommended)", Some("recommended"), 200, 30.0),
            ("detect old 2", None, 100, 7.0),
            ("evaluate", Some("counts"), 100, 2.0),
            ("train", Some("nothing"), 0, 5.0),
        ];
        for (stage, blocks, images, seconds) in measured {
            let (stage, blocks) = (stage.to_owned(), blocks.map(blocks_digest));
            rates.add(&StageCost { stage, images, seconds, peak_bytes: None, reused: false, key: None, blocks }, "net");
        }
        let rate = |stage, blocks| rates.get(stage, blocks, "net").map(|rate| rate.seconds_an_image);
        assert_eq!(rate("detect hc", "plain"), Some(0.01));
        assert_eq!(rate("detect hc", "described"), Some(10.0));
        assert_eq!(rate("detect hc", "recommended"), Some(0.15));
        assert_eq!(rate("detect hc", "never measured"), Some(0.15), "that of the plugin's last one");
        assert_eq!(rate("detect old", "of runs before blocks were noted"), Some(0.07));
        assert_eq!(rate("evaluate", "counts"), Some(0.02));
        assert_eq!(rate("evaluate", "counts and trains"), None);
        assert_eq!((rate("train", "nothing"), rate("predict", "")), (None, None));
        assert!(rates.get("detect hc", "plain", "another net").is_none());
    }
}
