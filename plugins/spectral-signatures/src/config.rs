use std::sync::Arc;

use bezoar_core::{ClassRef, Detector, Part, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Accuses the images that lie farthest out along the direction in which the activations of their class vary most.
///
/// The score of an image is its squared projection on the first principal direction of its class, divided by the mean of the
/// class, so that classes can be compared. In each scanned class the highest scores are accused, `multiplier` times `share`
/// of its images.
///
/// The share of poison is a guess that the method cannot do without; it stands beside the result as given. A clean class
/// loses as many images: name the `suspects` if they are known. After arXiv 1811.00636.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SpectralSignatures {
    /// What is seen of each image.
    pub represent: Part<dyn Representation>,
    /// The share of poison to expect in a class, between 0 and 1, both excluded.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub share: f64,
    /// How many images are accused for one that is expected.
    #[serde(default = "default_multiplier")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub multiplier: f64,
    /// The classes to scan, by name or index; all if left out. What is given here is told beside the result.
    #[serde(default)]
    pub suspects: Option<Vec<ClassRef>>,
}

fn default_multiplier() -> f64 {
    1.5
}

impl Plugin for SpectralSignatures {
    type Kind = dyn Detector;
    const NAME: &'static str = "spectral-signatures";
    const PAPER: Option<&'static str> = Some("arXiv 1811.00636");

    fn defaults() -> Value {
        json!({ "represent": { "use": "activations" } })
    }

    fn example() -> Self {
        let example = json!({ "represent": { "use": "activations" }, "share": 0.15 });
        serde_json::from_value(example).expect("a program with this detector links the representation that it reads")
    }

    fn build(self) -> Result<Arc<dyn Detector>> {
        Ok(Arc::new(self))
    }
}

register!(SpectralSignatures);
