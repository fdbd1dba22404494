use std::collections::BTreeSet;
use std::sync::Arc;

use bezoar_core::{Context, Measurement, Metric, Outcome, Plugin, Predictions, Result, Retrial, Role, Scope, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ATTACK_SUCCESS, ATTACK_SUCCESS_NEEDED};

/// What the trained net is worth, and its backdoor.
///
/// `accuracy` is the share of clean test images that are recognised. With an attack, `attack-success` is the share of triggered test
/// images that are taken for what the attacker wants: of all, and of each class that they are of; where these are several,
/// `attack-success-by-class` is the mean over them (the thesis of arXiv 2204.12848 calls it mAER). `attack-success-needed` is the success
/// below which the attack has failed, and says nothing of detectors. `poisoned` is the number of poisoned training images, and `covers` that
/// of cover, if there is any.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AttackSuccess {
    /// The success below which an attack has failed.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub needed: f64,
}

impl Default for AttackSuccess {
    fn default() -> Self {
        Self { needed: 0.5 }
    }
}

impl Plugin for AttackSuccess {
    type Kind = dyn Metric;
    const NAME: &'static str = ATTACK_SUCCESS;

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(AttackSuccess);

impl Metric for AttackSuccess {
    fn measure(&self, _: &Context, outcome: &Outcome, _: &dyn Retrial) -> Result<Vec<Measurement>> {
        let of_net = |metric: &str, scope, value| Measurement { metric: metric.to_owned(), detector: None, scope, value };
        let mut measurements = vec![of_net("accuracy", Scope::All, share_as_expected(&outcome.test, |_| true))];
        let Some(truth) = &outcome.truth else { return Ok(measurements) };
        let covers = truth.roles.iter().filter(|role| **role == Role::Cover).count();
        if let Some(triggered) = &outcome.triggered {
            let success = |label: Option<u32>| share_as_expected(triggered, |row| label.is_none_or(|label| triggered.labels[row] == label));
            let classes: BTreeSet<u32> = triggered.labels.iter().copied().collect();
            let by_class: Vec<(u32, Option<f64>)> = classes.into_iter().map(|label| (label, success(Some(label)))).collect();
            let mean = by_class.iter().filter_map(|(_, success)| *success).sum::<f64>() / by_class.len() as f64;
            measurements.push(of_net(ATTACK_SUCCESS, Scope::All, success(None)));
            if by_class.len() > 1 {
                measurements.push(of_net("attack-success-by-class", Scope::All, Some(mean)));
            }
            measurements.push(of_net(ATTACK_SUCCESS_NEEDED, Scope::All, (!by_class.is_empty()).then_some(self.needed)));
            for (label, success) in by_class {
                let name = outcome.images.classes()[label as usize].clone();
                measurements.push(of_net(ATTACK_SUCCESS, Scope::Class(name), success));
            }
        }
        measurements.push(of_net("poisoned", Scope::All, Some(truth.poisoned() as f64)));
        if covers > 0 {
            measurements.push(of_net("covers", Scope::All, Some(covers as f64)));
        }
        Ok(measurements)
    }
}

/// The share of some rows that the net takes for what is expected; none of no rows.
pub(crate) fn share_as_expected(predictions: &Predictions, is_meant: impl Fn(usize) -> bool) -> Option<f64> {
    let rows: Vec<usize> = (0..predictions.expected.len()).filter(|row| is_meant(*row)).collect();
    let as_expected = rows.iter().filter(|row| predictions.expected[**row] == predictions.predicted[**row]).count();
    (!rows.is_empty()).then(|| as_expected as f64 / rows.len() as f64)
}
