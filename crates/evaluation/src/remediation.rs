use std::collections::BTreeSet;
use std::sync::Arc;

use bezoar_core::{Context, Measurement, Metric, Outcome, Plugin, Predictions, Result, Retrial, Scope, register};
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attack_success::share_as_expected;
use crate::figures::ACCURACY_LOST;

/// What is left of the backdoor once the accused images are removed and the net is trained again: what a detector is for.
///
/// For each detector, `accuracy-after` on the clean test images and, with an attack, `attack-success-after` on the triggered ones; beside them
/// what removing as many images at random gives (`accuracy-after-random`, `attack-success-after-random`), and for the net as such what it had
/// before (`accuracy-before`, `attack-success-before`) and what removing exactly the poison gives (`accuracy-after-perfect`,
/// `attack-success-after-perfect`). `accuracy-lost` is by how much the accuracy on a class fell, for each class of the test images; over the whole
/// set, it is the most that any class lost. It too is measured at random (`accuracy-lost-random`) and without the poison (`accuracy-lost-perfect`).
/// A detector that accuses nobody leaves the net as it is. Where fewer than two classes are left to learn, all is undefined.
///
/// Each filter costs a training, or two for a detector; trained nets stay in the cache. With `patience`, these trainings end by the validation
/// images as the suspect net's did, poisoned ones included: whoever cleans data has no others.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Remediation {}

impl Plugin for Remediation {
    type Kind = dyn Metric;
    const NAME: &'static str = "remediation";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(Remediation);

impl Metric for Remediation {
    fn measure(&self, cx: &Context, outcome: &Outcome, retrial: &dyn Retrial) -> Result<Vec<Measurement>> {
        let trial = Trial { outcome, retrial };
        let mut measurements = worth("-before", None, &trial.before());
        if let Some(truth) = &outcome.truth {
            let poison: Vec<bool> = (0..truth.roles.len()).map(|row| truth.is_poison(row)).collect();
            measurements.extend(trial.figures("-perfect", None, &poison)?);
        }
        for detection in &outcome.detections {
            let detector = Some(detection.detector.as_str());
            let flagged = &detection.verdict.flagged;
            measurements.extend(trial.figures("", detector, flagged)?);
            measurements.extend(trial.figures("-random", detector, &drawn(cx, flagged, &detection.detector))?);
        }
        Ok(measurements)
    }
}

/// What a net says of the test images; nothing of any where there is no net.
struct Tests {
    clean: Predictions,
    triggered: Option<Predictions>,
}

/// A run that can be repeated without some images.
struct Trial<'a> {
    outcome: &'a Outcome,
    retrial: &'a dyn Retrial,
}

impl Trial<'_> {
    fn before(&self) -> Tests {
        Tests { clean: self.outcome.test.clone(), triggered: self.outcome.triggered.clone() }
    }

    /// What a net is worth that is trained without some of the images, and what each class lost.
    fn figures(&self, filter: &str, detector: Option<&str>, removed: &[bool]) -> Result<Vec<Measurement>> {
        let tests = self.without(removed)?;
        let mut figures = worth(&format!("-after{filter}"), detector, &tests);
        figures.extend(accuracy_lost(self.outcome, filter, detector, &tests.clean));
        Ok(figures)
    }

    /// The tests of a net trained without some of the images; there is none where fewer than two classes are left to learn.
    fn without(&self, removed: &[bool]) -> Result<Tests> {
        let kept: Vec<usize> = (0..removed.len()).filter(|&row| !removed[row]).collect();
        let classes: BTreeSet<u32> = kept.iter().map(|&row| self.outcome.images.label(row)).collect();
        if classes.len() < 2 {
            let triggered = self.outcome.triggered.as_ref().map(|_| Predictions::default());
            return Ok(Tests { clean: Predictions::default(), triggered });
        }
        if kept.len() == removed.len() {
            return Ok(self.before());
        }
        let (clean, triggered) = self.retrial.predictions(&self.outcome.images.select(&kept))?;
        Ok(Tests { clean, triggered })
    }
}

/// As many images as are flagged, drawn from all.
fn drawn(cx: &Context, flagged: &[bool], detector: &str) -> Vec<bool> {
    let count = flagged.iter().filter(|flagged| **flagged).count();
    let mut drawn = vec![false; flagged.len()];
    index::sample(&mut cx.rng(&format!("random filter beside {detector}")), flagged.len(), count)
        .into_iter()
        .for_each(|row| drawn[row] = true);
    drawn
}

/// Accuracy and attack success of a net.
fn worth(when: &str, detector: Option<&str>, Tests { clean, triggered }: &Tests) -> Vec<Measurement> {
    let figure = |metric: &str, predictions: &Predictions| Measurement {
        metric: format!("{metric}{when}"),
        detector: detector.map(str::to_owned),
        scope: Scope::All,
        value: share_as_expected(predictions, |_| true),
    };
    std::iter::once(figure("accuracy", clean)).chain(triggered.iter().map(|triggered| figure("attack-success", triggered))).collect()
}

/// By how much the accuracy on each class of the test images fell, after the most that any lost.
fn accuracy_lost(outcome: &Outcome, filter: &str, detector: Option<&str>, after: &Predictions) -> Vec<Measurement> {
    let before = &outcome.test;
    let of_class = |predictions: &Predictions, label: u32| share_as_expected(predictions, |row| predictions.labels[row] == label);
    let classes: BTreeSet<u32> = before.labels.iter().copied().collect();
    let lost: Vec<(u32, Option<f64>)> = classes
        .into_iter()
        .map(|label| (label, of_class(before, label).zip(of_class(after, label)).map(|(before, after)| before - after)))
        .collect();
    let most = lost.iter().filter_map(|(_, lost)| *lost).reduce(f64::max);
    let scoped = lost.iter().map(|&(label, lost)| (Scope::Class(outcome.images.classes()[label as usize].clone()), lost));
    let named =
        |(scope, value)| Measurement { metric: format!("{ACCURACY_LOST}{filter}"), detector: detector.map(str::to_owned), scope, value };
    std::iter::once((Scope::All, most)).chain(scoped).map(named).collect()
}
