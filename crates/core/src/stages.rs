//! One object-safe trait a stage of the pipeline. Each is a [`Kind`] of plugin.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Batch, Context, FeatureSource, Features, GroundTruth, ImageSet, ImageShape, Kind, Pairwise, Part, Result, Verdict, highest};

/// Training, validation and test images of one data set.
#[derive(Clone, Debug)]
pub struct Splits {
    /// What the net learns from; the set under suspicion.
    pub train: ImageSet,
    /// What early stopping looks at, if the data set has it.
    pub validation: Option<ImageSet>,
    /// What accuracy is measured on; it is not measured where there are none.
    pub test: ImageSet,
    /// Images that were left out.
    pub skipped: Vec<Skipped>,
}

impl Splits {
    /// Images in each split.
    pub fn counts(&self) -> Counts {
        Counts { train: self.train.len(), validation: self.validation.as_ref().map_or(0, ImageSet::len), test: self.test.len() }
    }
}

/// Images in each split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Counts {
    /// Training images.
    pub train: usize,
    /// Validation images; 0 for none.
    #[serde(default)]
    pub validation: usize,
    /// Test images; 0 for none.
    pub test: usize,
}

impl Counts {
    /// All images.
    pub fn total(&self) -> usize {
        self.train + self.validation + self.test
    }

    /// Which part of the images a run looks for poison in, as a sentence without its full stop.
    pub fn coverage(&self) -> String {
        let held_out: Vec<_> = [(self.validation, "validation"), (self.test, "tests")]
            .into_iter()
            .filter(|(images, _)| *images > 0)
            .map(|(images, purpose)| format!("{images} for {purpose}"))
            .collect();
        match held_out.as_slice() {
            [] => format!("all {} images are trained on and scanned, none are held out", self.train),
            held_out => {
                format!("{} of {} images are trained on and scanned; held out are {}", self.train, self.total(), held_out.join(" and "))
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} training, {} validation and {} test images", self.train, self.validation, self.test)
    }
}

/// An image that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// The file, or the table and its row.
    pub path: String,
    /// Why.
    pub problem: String,
}

/// Reads or renders a data set.
pub trait Dataset: Send + Sync {
    /// A digest of what [`load`](Self::load) would read, far cheaper than loading: equal fingerprints, equal data.
    /// The configuration need not be part of it.
    fn fingerprint(&self) -> Result<String>;

    /// All splits, decoded to one image shape.
    fn load(&self, cx: &Context) -> Result<Splits>;
}

/// Poisons a data set.
pub trait Attack: Send + Sync {
    /// The poisoned training and validation images, and the test images that show whether the backdoor works.
    /// Images that are not poisoned stay as they are, bit for bit.
    fn poison(&self, cx: &Context, clean: &Splits, surrogate: Option<&dyn Classifier>) -> Result<Poisoned>;

    /// The net that it needs, trained on the clean images, as the fields `model` and `train` of a pipeline. It is trained as a stage of its
    /// own, and given to [`poison`](Self::poison).
    fn surrogate(&self) -> Option<serde_json::Value> {
        None
    }
}

/// What an attack makes of a data set.
#[derive(Clone, Debug)]
pub struct Poisoned {
    /// What the net learns from.
    pub train: ImageSet,
    /// What was done to each of them.
    pub truth: GroundTruth,
    /// Poisoned like the training images, and what was done to each.
    pub validation: Option<(ImageSet, GroundTruth)>,
    /// Test images that carry the trigger; none where nothing is poisoned.
    pub triggered: Triggered,
    /// What was done in numbers, for the report: `poisoned images` and `291`, say.
    pub facts: Vec<(String, String)>,
}

/// Test images with the trigger, under their true labels.
#[derive(Clone, Debug)]
pub struct Triggered {
    /// The images.
    pub images: ImageSet,
    /// What the attacker wants each to be taken for.
    pub targets: Vec<u32>,
}

/// A trained net as detectors and metrics see it.
pub trait Classifier: Any + Send + Sync {
    /// The shape of the images that it takes.
    fn input(&self) -> ImageShape;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Names of the layers whose activations can be asked for, from input to output.
    fn layers(&self) -> Vec<String>;

    /// The layer that feeds the last weighted layer.
    fn penultimate(&self) -> String;

    /// Scores before the softmax, `[classes]` a row, without dropout or batch statistics.
    fn logits(&self, batch: &Batch) -> Result<Features>;

    /// What the named layer gives for each image.
    ///
    /// # Errors
    /// When no layer has this name: the error lists those that there are.
    fn activations(&self, batch: &Batch, layer: &str) -> Result<Features>;

    /// The net itself, for representations that know its type.
    fn as_any(&self) -> &dyn Any;
}

/// Images that `Classifier::predict` shows a net at once.
const BATCH: usize = 256;

impl dyn Classifier + '_ {
    /// The class that the net names for each image. `label` says what they are, for the user to see.
    ///
    /// # Errors
    /// When the net refuses an image, or the run is cancelled.
    pub fn predict(&self, cx: &Context, label: &str, images: &ImageSet) -> Result<Vec<u32>> {
        let task = cx.task(label, images.len() as u64);
        let mut predicted = Vec::with_capacity(images.len());
        for batch in images.batches(BATCH) {
            cx.check()?;
            let scores = self.logits(&batch?)?;
            predicted.extend(scores.rows().map(|scores| highest(scores) as u32));
            task.advance(scores.len() as u64);
        }
        Ok(predicted)
    }
}

/// Trains nets as the suspected one was: the same architecture, recipe and seed, on other images.
pub trait Trainer: Sync {
    /// A net that has learnt from `images`. Equal images give equal nets, and those that were trained before are not trained again.
    fn train(&self, images: &ImageSet) -> Result<Arc<dyn Classifier>>;
}

/// Explains or embeds images through a net: heatmaps, activations.
pub trait Representation: Send + Sync {
    /// Gives the rows of all `images` to `sink`, in order, some at a time. The result for an image depends on that image alone.
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()>;

    /// Whether its values say how much each part of an image counts for the class: heatmaps, and not what the image or the net holds.
    fn is_relevance(&self) -> bool {
        true
    }

    /// A digest of the files that it reads; none where it reads none.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn fingerprint(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What became of all that it shares out over these images, for people to check; it stands beside a run's results. None where
    /// nothing is shared out.
    fn balance(&self, _model: &dyn Classifier, _images: &ImageSet) -> Result<Option<serde_json::Value>> {
        Ok(None)
    }
}

/// Changes features: normalises each row, or reduces all rows together.
pub trait Transform: Send + Sync {
    /// The features of one class, changed; row order stays.
    fn transform(&self, cx: &Context, features: Features) -> Result<Features>;
}

/// Which rows of a class are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs<'a> {
    /// Each row with all before it.
    All,
    /// Each row with these.
    With(&'a [usize]),
}

/// Distances between the rows of a class, for clusterers that need no coordinates.
pub trait Distance: Send + Sync {
    /// The distances of these pairs, the first row's first. A row is 0 from itself.
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>>;

    /// The distances between all rows.
    fn between(&self, cx: &Context, features: &Features) -> Result<Pairwise> {
        Pairwise::new(features.len(), self.compare(cx, features, Pairs::All)?)
    }
}

/// Groups of similar rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// The cluster of each row, from 0; none for noise.
    pub labels: Vec<Option<u32>>,
    /// How each row belongs to its cluster; none where the clusterer does not say.
    pub membership: Option<Membership>,
    /// How far each row is from the middle of the largest cluster, or from its rows in the mean; none where the clusterer has no distance of its
    /// own, and Euclidean distances tell.
    pub to_bulk: Option<Vec<f64>>,
    /// Mean silhouette coefficient, -1 to 1, under the clusterer's own distance; none where it has none, or does not compare all rows with each
    /// other.
    pub silhouette: Option<f64>,
}

/// How the rows of a clustering belong to their clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// How firmly each row belongs, 0 (noise) to 1 (the core of its cluster).
    pub strengths: Vec<f64>,
    /// How far out each row lies, 0 to 1.
    pub outliers: Vec<f64>,
}

impl Clustering {
    /// Clusters of a clusterer that gives each row to one, or to none.
    pub fn of(labels: Vec<Option<u32>>) -> Self {
        Self { labels, membership: None, to_bulk: None, silhouette: None }
    }

    /// The size of each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        let clusters = self.labels.iter().flatten().max().map_or(0, |&last| last as usize + 1);
        let mut sizes = vec![0; clusters];
        for &label in self.labels.iter().flatten() {
            sizes[label as usize] += 1;
        }
        sizes
    }

    /// The cluster with the most rows; of equal ones the first.
    pub fn largest(&self) -> Option<u32> {
        let sizes = self.sizes();
        (0..sizes.len()).rev().max_by_key(|&cluster| sizes[cluster]).map(|cluster| cluster as u32)
    }
}

/// Groups the rows of a class.
pub trait Clusterer: Send + Sync {
    /// Fewest rows that it can group; a class with fewer is not scanned.
    fn min_rows(&self) -> usize {
        1
    }

    /// The clusters of `features`.
    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering>;
}

/// A clustered class, as a decision sees it.
pub struct ClusteredClass<'a> {
    /// What was clustered.
    pub features: &'a Features,
    /// The clusters found.
    pub clustering: &'a Clustering,
    /// Mean silhouette coefficient of the clustering, -1 to 1; none with fewer than two clusters, and where the clusterer has a distance of its own
    /// but does not compare all rows by it.
    pub silhouette: Option<f64>,
    /// Where the features come from; none where features are all there is.
    pub origin: Option<ClassOrigin<'a>>,
}

/// A class in its training set.
#[derive(Clone, Copy)]
pub struct ClassOrigin<'a> {
    /// Images, net, and what the detector sees of them.
    pub suspect: &'a Suspect<'a>,
    /// The label.
    pub class: u32,
    /// The rows of the set that carry it, in the order of the clustered features.
    pub rows: &'a [usize],
}

/// What a decision says of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The accused rows.
    pub flagged: Vec<bool>,
    /// Why, in a sentence.
    pub reason: String,
    /// Chance of such evidence in a clean class, where the decision knows it.
    pub p_value: Option<f64>,
    /// Suspicion of each row, higher is more suspicious, where the decision has a better measure than the distance to the bulk.
    pub scores: Option<Vec<f64>>,
}

/// Says which clusters of a class are poison, if any.
pub trait Decision: Send + Sync {
    /// A digest of the files that it reads; none where it reads none.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn fingerprint(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The chance of accusing any class of a clean data set that it keeps to: its p-values are corrected over all classes, and classes
    /// that do not stay below are cleared. None where it has no p-values.
    fn level(&self) -> Option<f64> {
        None
    }

    /// The accused rows of one class.
    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided>;
}

/// A training set under suspicion, with all that a detector may look at.
pub struct Suspect<'a> {
    /// The training images under their given labels.
    pub images: &'a ImageSet,
    /// The net trained on them.
    pub model: &'a dyn Classifier,
    /// One source for each of the detector's [`representations`](Detector::representations), rows as in `images`.
    pub features: &'a [Arc<dyn FeatureSource>],
    /// Trains further nets like `model`.
    pub trainer: &'a dyn Trainer,
}

/// Finds poisoned training images.
pub trait Detector: Send + Sync {
    /// What has to be computed of every training image before [`detect`](Self::detect).
    fn representations(&self) -> Vec<Part<dyn Representation>>;

    /// A digest of the files that it reads beside those of its representations; none where it reads none.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn fingerprint(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Refuses images that it cannot judge as it is configured, such as a data set without the class that it shall scan. Called
    /// before a net is trained on them.
    fn check(&self, _images: &ImageSet) -> Result<()> {
        Ok(())
    }

    /// Scores the samples and accuses some of them.
    fn detect(&self, cx: &Context, suspect: &Suspect<'_>) -> Result<Verdict>;
}

/// Given and predicted classes of some images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predictions {
    /// The true classes.
    pub labels: Vec<u32>,
    /// What was expected of each image: its label, or the attacker's target.
    pub expected: Vec<u32>,
    /// What the net says.
    pub predicted: Vec<u32>,
}

/// What one detector made of the training set.
pub struct Detection {
    /// The detector's name: its plugin's, and for another of the same plugin what sets it apart.
    pub detector: String,
    /// What it says.
    pub verdict: Verdict,
    /// What it looked at.
    pub features: Vec<NamedFeatures>,
}

/// What a representation made of the training images.
#[derive(Clone)]
pub struct NamedFeatures {
    /// The representation's name, made like a detector's.
    pub name: String,
    /// A row for each image.
    pub rows: Arc<dyn FeatureSource>,
    /// See [`Representation::is_relevance`].
    pub is_relevance: bool,
}

/// All that a run found out, for metrics and reports. The only place where verdicts and truth meet.
pub struct Outcome {
    /// The pipeline's name.
    pub name: String,
    /// Images that the data set has in each split.
    pub counts: Counts,
    /// The training images that the detectors saw.
    pub images: ImageSet,
    /// What the attack did to each of them; none without an attack, when nobody knows which of them are poison.
    pub truth: Option<GroundTruth>,
    /// The attack in numbers.
    pub facts: Vec<(String, String)>,
    /// The net on clean test images.
    pub test: Predictions,
    /// The net on triggered test images, against the attacker's targets; none without an attack.
    pub triggered: Option<Predictions>,
    /// Each detector, in the pipeline's order.
    pub detections: Vec<Detection>,
    /// Images that the reader left out.
    pub skipped: Vec<Skipped>,
}

/// One number of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// What was measured, such as `tpr` or `attack-success`.
    pub metric: String,
    /// The detector; none for figures of the net.
    pub detector: Option<String>,
    /// What it was measured over.
    pub scope: Scope,
    /// The value; none where it is undefined, such as the true positive rate without positives.
    pub value: Option<f64>,
}

/// The samples that a measurement covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The whole set.
    All,
    /// The classes that the attack poisons, together.
    Attacked,
    /// One class by name.
    Class(String),
}

/// Puts a net that was trained anew to the tests of a run.
pub trait Retrial: Sync {
    /// What the net that the run's recipe makes of `images` says of the clean test images, and of the triggered ones if there was an attack. The
    /// run's own images give what the run found.
    ///
    /// # Errors
    /// When training fails or is cancelled. Nets that were trained before are not trained again.
    fn predictions(&self, images: &ImageSet) -> Result<(Predictions, Option<Predictions>)>;
}

/// Scores a run, against the truth where it is known.
pub trait Metric: Send + Sync {
    /// The figures, in the order in which they should be shown.
    fn measure(&self, cx: &Context, outcome: &Outcome, retrial: &dyn Retrial) -> Result<Vec<Measurement>>;
}

/// A stage of a finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedStage {
    /// Its name, such as `train`.
    pub name: String,
    /// Wall time in seconds; a stage taken from the cache carries what it once cost.
    pub seconds: f64,
    /// The most memory in bytes that the process held meanwhile; none where the system does not tell.
    pub peak_bytes: Option<u64>,
    /// Whether it was taken from the cache.
    pub reused: bool,
    /// Digest of all that its output depends on: settings, inputs and version; equal digests mean equal outputs. None of what is not kept in the cache.
    pub digest: Option<String>,
}

/// A finished run, for reports.
pub struct Report<'a> {
    /// What happened.
    pub outcome: &'a Outcome,
    /// What was measured.
    pub measurements: &'a [Measurement],
    /// The stages, in order.
    pub stages: &'a [FinishedStage],
    /// The pipeline with all defaults filled in, as YAML.
    pub resolved: &'a str,
    /// What became of the relevance that each representation shares out, by its name; see [`Representation::balance`].
    pub balances: &'a BTreeMap<String, serde_json::Value>,
    /// The plugins that it was made with, by the name and version of their crate.
    pub plugins: &'a BTreeMap<String, BTreeSet<&'static str>>,
    /// What it ran on, in words.
    pub machine: &'a str,
}

/// Writes a finished run for people or programs to read.
pub trait Reporter: Send + Sync {
    /// Writes into the run's folder and says which files it made.
    fn write(&self, cx: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>>;
}

macro_rules! kinds {
    ($($stage:ident $name:literal $summary:literal)*) => {
        $(impl Kind for dyn $stage {
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;
        })*
    };
}

kinds! {
    Dataset "dataset" "reads or renders images with labels"
    Attack "attack" "poisons a data set"
    Representation "representation" "explains or embeds images through a net"
    Transform "transform" "normalises or reduces features"
    Distance "distance" "measures how far rows of a class are from each other"
    Clusterer "clusterer" "groups the rows of a class"
    Decision "decision" "says which clusters are poison"
    Detector "detector" "finds poisoned training images"
    Metric "metric" "scores a run"
    Reporter "report" "writes a finished run down"
}
