use std::sync::Arc;

use bezoar_core::{Measurement, Metric, Outcome, Plugin, Predictions, Result, Scope, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the trained net is worth, and its backdoor.
///
/// `accuracy` is the share of clean test images that are recognised. With an attack, `attack-success` is the share of triggered test
/// images that are taken for what the attacker wants, and `poisoned` the number of poisoned training images.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AttackSuccess {}

impl Plugin for AttackSuccess {
    type Kind = dyn Metric;
    const NAME: &'static str = "attack-success";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(AttackSuccess);

impl Metric for AttackSuccess {
    fn measure(&self, outcome: &Outcome) -> Result<Vec<Measurement>> {
        let of_net = |metric: &str, value| Measurement { metric: metric.to_owned(), detector: None, scope: Scope::All, value };
        let mut measurements = vec![of_net("accuracy", share_as_expected(&outcome.test))];
        if let Some(truth) = &outcome.truth {
            measurements.push(of_net("attack-success", outcome.triggered.as_ref().and_then(share_as_expected)));
            measurements.push(of_net("poisoned", Some(truth.poisoned() as f64)));
        }
        Ok(measurements)
    }
}

fn share_as_expected(predictions: &Predictions) -> Option<f64> {
    let images = predictions.expected.len();
    let as_expected = predictions.expected.iter().zip(&predictions.predicted).filter(|(expected, predicted)| expected == predicted).count();
    (images > 0).then(|| as_expected as f64 / images as f64)
}
