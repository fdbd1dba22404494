use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ImageSet;

/// What a detector says of a training set. Scores come first; flags are one rule's reading of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Suspicion of each sample in row order, higher is more suspicious; none where the sample's class was not scanned.
    pub scores: Vec<Option<f64>>,
    /// Whether each sample is accused, in row order.
    pub flagged: Vec<bool>,
    /// The cluster of each sample within its class, in row order; none for noise and for classes that were not scanned. Empty where the
    /// detector does not cluster.
    #[serde(default)]
    pub clusters: Vec<Option<u32>>,
    /// Each class, ascending.
    pub classes: Vec<ClassVerdict>,
    /// What the detector was told beyond data and model.
    pub inputs: Vec<Input>,
}

/// What a detector says of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassVerdict {
    /// The label.
    pub class: u32,
    /// How much the class looks poisoned, in the detector's own measure (named by `statistic_name`); none if it was not scanned, or the measure
    /// is not defined, as the silhouette of a class that is all noise.
    pub statistic: Option<f64>,
    /// What the statistic is.
    pub statistic_name: String,
    /// Chance of such evidence in a clean class, where the detector knows it.
    pub p_value: Option<f64>,
    /// Why samples were flagged, or none were, or the class was not scanned.
    pub reason: String,
}

/// Something that a detector was told beyond data and model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// Such as `share` or `suspects`.
    pub name: String,
    /// Its value as YAML would say it.
    pub value: String,
    /// Who said it.
    pub origin: Origin,
}

/// Where a detector's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Worked out from data and model.
    Estimated,
    /// Stated in the pipeline by its author.
    Given,
    /// Taken from the ground truth.
    Oracle,
}

impl Verdict {
    /// A verdict that scores and accuses nothing yet.
    pub fn empty(samples: usize) -> Self {
        Self { scores: vec![None; samples], flagged: vec![false; samples], clusters: Vec::new(), classes: Vec::new(), inputs: Vec::new() }
    }

    /// The classes of which an image of these has a score.
    pub fn scanned(&self, images: &ImageSet) -> BTreeSet<u32> {
        images.samples().iter().zip(&self.scores).filter(|(_, score)| score.is_some()).map(|(sample, _)| sample.label).collect()
    }

    /// Those of the rows that have a score, the most suspicious first; of equally suspicious ones the first.
    pub fn ranked(&self, rows: &[usize]) -> Vec<usize> {
        let mut scored: Vec<(f64, usize)> = rows.iter().filter_map(|&row| Some((self.scores[row]?, row))).collect();
        scored.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
        scored.into_iter().map(|(_, row)| row).collect()
    }
}
