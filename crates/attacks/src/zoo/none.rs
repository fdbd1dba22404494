use std::sync::Arc;

use bezoar_core::{Attack, Classifier, Context, GroundTruth, Plugin, Poisoned, Result, Splits, Triggered, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No attack: the images stay as they are, and the truth says so. Whatever a detector flags is a false alarm.
///
/// A pipeline without `attack:` knows no truth; it only counts what is flagged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct None {}

impl Plugin for None {
    type Kind = dyn Attack;
    const NAME: &'static str = "none";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Attack>> {
        Ok(Arc::new(self))
    }
}

register!(None);

impl Attack for None {
    fn poison(&self, _: &Context, clean: &Splits, _: Option<&dyn Classifier>) -> Result<Poisoned> {
        Ok(Poisoned {
            train: clean.train.clone(),
            truth: GroundTruth::clean(clean.train.len()),
            validation: clean.validation.clone().map(|set| (set.clone(), GroundTruth::clean(set.len()))),
            triggered: Triggered { images: clean.test.select(&[]), targets: Vec::new() },
            facts: vec![("attack".to_owned(), "none".to_owned())],
        })
    }
}
