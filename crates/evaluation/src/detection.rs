use std::sync::Arc;

use bezoar_core::{
    Context, Detection, Error, GroundTruth, Measurement, Metric, Outcome, Plugin, Result, Retrial, Role, Scope, Verdict, register,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Confusion, average_precision, precision_at, roc_auc, true_positive_rate_at};

/// What each detector flags, and what that is worth against the truth.
///
/// Measured over the attacked classes together, the whole set, and each class that has images: the numbers `samples`,
/// `scanned` (samples with a score) and `flagged`, and `flagged-share`, the flagged samples' share of the scanned ones.
///
/// With an attack, and so a truth, also from the flags of all samples in scope: `acc` (share judged rightly), `tpr` and `tnr`
/// (share of the poison that is flagged, and of the clean samples that are not, as in arXiv 2204.12848), `fpr`, `precision`
/// and `f1`; and from the scores, whatever the rule made of them: `auroc` and `auprc` (average precision), ties taken exactly, `tpr-at-1%` and
/// so on (the true positive rate of the best threshold that flags at most so many of the clean samples), and `precision-at-10` and so on (the
/// share of poison among so many of the highest scores).
/// Cover, which carries the trigger under its true label, is neither poison nor clean: these figures leave it out, and where there is any,
/// `cover-flagged` is the share of it that is flagged. What is undefined, such as `tpr` of a class without poison, is left empty.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DetectionQuality {
    /// False positive rates at which the true positive rate is measured.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub tpr_at: Vec<f64>,
    /// Numbers of highest scores of which the precision is measured.
    #[schemars(inner(range(min = 1)))]
    pub precision_at: Vec<usize>,
}

impl Default for DetectionQuality {
    fn default() -> Self {
        Self { tpr_at: vec![0.01, 0.05, 0.1], precision_at: vec![10, 100] }
    }
}

impl Plugin for DetectionQuality {
    type Kind = dyn Metric;
    const NAME: &'static str = "detection";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(DetectionQuality);

impl Metric for DetectionQuality {
    fn measure(&self, _: &Context, outcome: &Outcome, _: &dyn Retrial) -> Result<Vec<Measurement>> {
        let scopes = scopes(outcome);
        let mut measurements = Vec::new();
        for detection in &outcome.detections {
            check(outcome, detection)?;
            for (scope, rows) in &scopes {
                measurements.extend(self.of(outcome, detection, scope, rows));
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

impl DetectionQuality {
    fn of(&self, outcome: &Outcome, detection: &Detection, scope: &Scope, rows: &[usize]) -> Vec<Measurement> {
        let verdict = &detection.verdict;
        let mut figures = outcome.truth.as_ref().map(|truth| self.against(truth, verdict, rows)).unwrap_or_default();
        figures.extend(known_without_truth(verdict, rows));
        let named = |(metric, value): (String, Option<f64>)| Measurement {
            metric,
            detector: Some(detection.detector.clone()),
            scope: scope.clone(),
            value,
        };
        figures.into_iter().map(named).collect()
    }

    fn against(&self, truth: &GroundTruth, verdict: &Verdict, rows: &[usize]) -> Figures {
        let (cover, judged): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| truth.roles[**row] == Role::Cover);
        let hit = cover.iter().filter(|row| verdict.flagged[**row]).count();
        let counts = Confusion::count(judged.iter().map(|&row| (truth.is_poison(row), verdict.flagged[row])));
        let scanned: Vec<(f64, bool)> = judged.iter().filter_map(|&row| Some((verdict.scores[row]?, truth.is_poison(row)))).collect();
        let mut figures: Figures = [
            ("acc", counts.accuracy()),
            ("tpr", counts.true_positive_rate()),
            ("tnr", counts.true_negative_rate()),
            ("fpr", counts.false_positive_rate()),
            ("precision", counts.precision()),
            ("f1", counts.f1()),
            ("auroc", roc_auc(&scanned)),
            ("auprc", average_precision(&scanned)),
        ]
        .map(|(metric, value)| (metric.to_owned(), value))
        .into();
        figures.extend(self.tpr_at.iter().map(|fpr| (format!("tpr-at-{}", in_percent(*fpr)), true_positive_rate_at(&scanned, *fpr))));
        figures.extend(self.precision_at.iter().map(|k| (format!("precision-at-{k}"), precision_at(&scanned, *k))));
        if truth.roles.contains(&Role::Cover) {
            figures.push(("cover-flagged".to_owned(), (!cover.is_empty()).then(|| hit as f64 / cover.len() as f64)));
        }
        figures
    }
}

/// A share as the names of metrics have it: `2.5%`.
pub(crate) fn in_percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

type Figures = Vec<(String, Option<f64>)>;

fn known_without_truth(verdict: &Verdict, rows: &[usize]) -> Figures {
    let scanned = rows.iter().filter(|&&row| verdict.scores[row].is_some()).count();
    let flagged = rows.iter().filter(|&&row| verdict.flagged[row]).count();
    [
        ("samples", Some(rows.len() as f64)),
        ("scanned", Some(scanned as f64)),
        ("flagged", Some(flagged as f64)),
        ("flagged-share", (scanned > 0).then(|| flagged as f64 / scanned as f64)),
    ]
    .map(|(metric, value)| (metric.to_owned(), value))
    .into()
}
