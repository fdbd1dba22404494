use std::sync::Arc;

use bezoar_core::{Detection, Error, Measurement, Metric, Outcome, Plugin, Result, Scope, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Confusion, average_precision, roc_auc};

/// What each detector is worth against the truth.
///
/// Measured over the attacked classes together, the whole set, and each class that has images. From the flags of all samples
/// in scope: `acc` (share judged rightly), `tpr` and `tnr` (share of the poison that is flagged, and of the clean samples
/// that are not, as in arXiv 2204.12848), `fpr`, `precision`, `f1`, and the numbers `flagged` and `samples`. From the scores
/// of the samples that were scanned, whatever the rule made of them: `auroc` and `auprc` (average precision), ties taken
/// exactly. Samples that carry the trigger under their true label count as clean. What is undefined, such as `tpr` of a class
/// without poison, is left empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DetectionQuality {}

impl Plugin for DetectionQuality {
    type Kind = dyn Metric;
    const NAME: &'static str = "detection";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(DetectionQuality);

impl Metric for DetectionQuality {
    fn measure(&self, outcome: &Outcome) -> Result<Vec<Measurement>> {
        let scopes = scopes(outcome);
        let mut measurements = Vec::new();
        for detection in &outcome.detections {
            check(outcome, detection)?;
            for (scope, rows) in &scopes {
                measurements.extend(measure(outcome, detection, scope, rows));
            }
        }
        Ok(measurements)
    }
}

/// What is measured over, and the rows that belong to it.
fn scopes(outcome: &Outcome) -> Vec<(Scope, Vec<usize>)> {
    let images = &outcome.images;
    let targets = &outcome.truth.targets;
    let attacked: Vec<usize> = (0..images.len()).filter(|&row| targets.contains(&images.label(row))).collect();
    let classes = (0..).zip(images.classes()).map(|(label, name)| (Scope::Class(name.clone()), images.rows_of(label)));
    [(Scope::Attacked, attacked), (Scope::All, (0..images.len()).collect())]
        .into_iter()
        .chain(classes)
        .filter(|(_, rows)| !rows.is_empty())
        .collect()
}

/// Checks that the verdict speaks of the images, in numbers that can be ranked.
fn check(outcome: &Outcome, Detection { detector, verdict, .. }: &Detection) -> Result<()> {
    let samples = outcome.images.len();
    if verdict.scores.len() != samples || verdict.flagged.len() != samples || outcome.truth.roles.len() != samples {
        let (scores, flags, roles) = (verdict.scores.len(), verdict.flagged.len(), outcome.truth.roles.len());
        return Err(Error::request(format!("{samples} images, {roles} truths, and of `{detector}` {scores} scores and {flags} flags")));
    }
    match verdict.scores.iter().position(|score| score.is_some_and(f64::is_nan)) {
        Some(row) => Err(Error::data(format!("image {}", outcome.images.samples()[row].id), format!("`{detector}` gave the score NaN"))),
        None => Ok(()),
    }
}

fn measure(outcome: &Outcome, detection: &Detection, scope: &Scope, rows: &[usize]) -> Vec<Measurement> {
    let (truth, verdict) = (&outcome.truth, &detection.verdict);
    let counts = Confusion::count(rows.iter().map(|&row| (truth.is_poison(row), verdict.flagged[row])));
    let scanned: Vec<(f64, bool)> = rows.iter().filter_map(|&row| Some((verdict.scores[row]?, truth.is_poison(row)))).collect();
    let figures = [
        ("acc", counts.accuracy()),
        ("tpr", counts.true_positive_rate()),
        ("tnr", counts.true_negative_rate()),
        ("fpr", counts.false_positive_rate()),
        ("precision", counts.precision()),
        ("f1", counts.f1()),
        ("auroc", roc_auc(&scanned)),
        ("auprc", average_precision(&scanned)),
        ("flagged", Some(counts.flagged() as f64)),
        ("samples", Some(counts.samples() as f64)),
    ];
    let named = |(metric, value): (&str, Option<f64>)| Measurement {
        metric: metric.to_owned(),
        detector: Some(detection.detector.clone()),
        scope: scope.clone(),
        value,
    };
    figures.into_iter().map(named).collect()
}
