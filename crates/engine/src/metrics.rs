use std::collections::BTreeMap;

use bezoar_core::{ClassVerdict, Counts, Input, Measurement, Outcome, Skipped};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `metrics.json` says of a run: the same bytes for the same pipeline on the same machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Version of this format: 1.
    pub version: u32,
    /// The pipeline's name.
    pub name: String,
    /// Images in each split of the data set.
    pub images: Counts,
    /// The names of the classes, by label.
    pub classes: Vec<String>,
    /// What the attack did, in numbers; null without an attack, when there is no truth to compare with.
    pub attack: Option<BTreeMap<String, String>>,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// What each detector says of the classes, and what it was told.
    pub detectors: Vec<Findings>,
    /// Images that the reader left out.
    pub skipped: Vec<Skipped>,
}

/// What a detector says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// The detector's name.
    pub detector: String,
    /// What it was told beyond data and model.
    pub inputs: Vec<Input>,
    /// What it says of each class.
    pub classes: Vec<ClassVerdict>,
}

impl Metrics {
    pub(crate) fn of(outcome: &Outcome, measurements: &[Measurement]) -> Self {
        let findings = outcome.detections.iter().map(|detection| Findings {
            detector: detection.detector.clone(),
            inputs: detection.verdict.inputs.clone(),
            classes: detection.verdict.classes.clone(),
        });
        Self {
            version: 1,
            name: outcome.name.clone(),
            images: outcome.counts,
            classes: outcome.images.classes().to_vec(),
            attack: outcome.truth.as_ref().map(|_| outcome.facts.iter().cloned().collect()),
            measurements: measurements.to_vec(),
            detectors: findings.collect(),
            skipped: outcome.skipped.clone(),
        }
    }
}
