use std::sync::Arc;

use bezoar_core::{Detection, Error, GroundTruth, Measurement, Metric, Outcome, Plugin, Result, Role, Scope, Verdict, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Confusion, average_precision, roc_auc};

/// What each detector flags, and what that is worth against the truth.
///
/// Measured over the attacked classes together, the whole set, and each class that has images: the numbers `samples`,
/// `scanned` (samples with a score) and `flagged`, and `flagged-share`, the flagged samples' share of the scanned ones.
///
/// With an attack, and so a truth, also from the flags of all samples in scope: `acc` (share judged rightly), `tpr` and `tnr`
/// (share of the poison that is flagged, and of the clean samples that are not, as in arXiv 2204.12848), `fpr`, `precision`
/// and `f1`; and from the scores, whatever the rule made of them: `auroc` and `auprc` (average precision), ties taken exactly.
/// Cover, which carries the trigger under its true label, is neither poison nor clean: these figures leave it out, and where there is any,
/// `cover-flagged` is the share of it that is flagged. What is undefined, such as `tpr` of a class without poison, is left empty.
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
    let targets = outcome.truth.as_ref().map_or(&[][..], |truth| &truth.targets);
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
    let roles = outcome.truth.as_ref().map_or(samples, |truth| truth.roles.len());
    let (scores, flags) = (verdict.scores.len(), verdict.flagged.len());
    if [scores, flags, roles] != [samples; 3] {
        return Err(Error::request(format!("{samples} images, {roles} truths, and of `{detector}` {scores} scores and {flags} flags")));
    }
    match verdict.scores.iter().position(|score| score.is_some_and(f64::is_nan)) {
        Some(row) => Err(Error::data(format!("image {}", outcome.images.samples()[row].id), format!("`{detector}` gave the score NaN"))),
        None => Ok(()),
    }
}

fn measure(outcome: &Outcome, detection: &Detection, scope: &Scope, rows: &[usize]) -> Vec<Measurement> {
    let verdict = &detection.verdict;
    let mut figures = outcome.truth.as_ref().map(|truth| against(truth, verdict, rows)).unwrap_or_default();
    figures.extend(known_without_truth(verdict, rows));
    let named = |(metric, value): (&str, Option<f64>)| Measurement {
        metric: metric.to_owned(),
        detector: Some(detection.detector.clone()),
        scope: scope.clone(),
        value,
    };
    figures.into_iter().map(named).collect()
}

type Figures = Vec<(&'static str, Option<f64>)>;

fn against(truth: &GroundTruth, verdict: &Verdict, rows: &[usize]) -> Figures {
    let (cover, judged): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| truth.roles[**row] == Role::Cover);
    let hit = cover.iter().filter(|row| verdict.flagged[**row]).count();
    let counts = Confusion::count(judged.iter().map(|&row| (truth.is_poison(row), verdict.flagged[row])));
    let scanned: Vec<(f64, bool)> = judged.iter().filter_map(|&row| Some((verdict.scores[row]?, truth.is_poison(row)))).collect();
    let mut figures = vec![
        ("acc", counts.accuracy()),
        ("tpr", counts.true_positive_rate()),
        ("tnr", counts.true_negative_rate()),
        ("fpr", counts.false_positive_rate()),
        ("precision", counts.precision()),
        ("f1", counts.f1()),
        ("auroc", roc_auc(&scanned)),
        ("auprc", average_precision(&scanned)),
    ];
    if truth.roles.contains(&Role::Cover) {
        figures.push(("cover-flagged", (!cover.is_empty()).then(|| hit as f64 / cover.len() as f64)));
    }
    figures
}

fn known_without_truth(verdict: &Verdict, rows: &[usize]) -> Figures {
    let scanned = rows.iter().filter(|&&row| verdict.scores[row].is_some()).count();
    let flagged = rows.iter().filter(|&&row| verdict.flagged[row]).count();
    vec![
        ("samples", Some(rows.len() as f64)),
        ("scanned", Some(scanned as f64)),
        ("flagged", Some(flagged as f64)),
        ("flagged-share", (scanned > 0).then(|| flagged as f64 / scanned as f64)),
    ]
}
