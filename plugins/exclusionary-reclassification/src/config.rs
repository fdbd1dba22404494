use std::sync::Arc;

use bezoar_core::{Detector, Part, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Examines what another detector accuses: trains a net without those images, and clears a class if the new net sees them in it.
///
/// Of the accused images of a class, let the new net see `l` in that class, and `p` in the other class that it names most often. The class is
/// cleared if `l` is more than `threshold` times `p`; otherwise its accusation stands, and the reason names the other class, which is where the
/// images come from. Scores stay those of the other detector. A class of which every image is accused cannot be examined, and its accusation stands. After arXiv 1811.03728.
///
/// It trains once (twice for `both-parts`), as long as the pipeline's own training took, and not at all where nobody is accused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExclusionaryReclassification {
    /// The detector that accuses.
    pub detector: Part<dyn Detector>,
    /// How many times more often the new net must see the accused images in their class than in any other one, to clear them.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = 0.0))]
    pub threshold: f64,
    /// Whether the other images of these classes are examined in the same way, by a second training: of the two parts, that one is accused whose
    /// net sees the greater share of it in one other class, and only if it is not cleared. So the larger part of a class may be the poison,
    /// whatever the other detector thinks.
    #[serde(default)]
    pub both_parts: bool,
}

fn default_threshold() -> f64 {
    1.0
}

impl Plugin for ExclusionaryReclassification {
    type Kind = dyn Detector;
    const NAME: &'static str = "exclusionary-reclassification";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn defaults() -> Value {
        json!({ "detector": { "use": "activation-clustering" } })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("a program with this detector links the one that it examines")
    }

    fn build(self) -> Result<Arc<dyn Detector>> {
        Ok(Arc::new(self))
    }
}

register!(ExclusionaryReclassification);
