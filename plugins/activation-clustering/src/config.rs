use std::sync::Arc;

use bezoar_clustering::Composition;
use bezoar_core::{Detector, Plugin, Preset, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Clusters the activations of each class and accuses the images of the smaller cluster.
///
/// The activations of the penultimate layer are reduced to ten principal components; k-means splits each class in two. The
/// score of an image is its distance to the mean of the largest cluster, in medians of its class.
///
/// The rule `smaller-cluster` accuses a part of every class, clean ones too: to judge a whole data set take `preset: recommended`, name the
/// `suspects`, or decide by `relative-size` or `silhouette`. After arXiv 1811.03728, which reduces by independent components.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ActivationClustering(pub Composition);

impl Plugin for ActivationClustering {
    type Kind = dyn Detector;
    const NAME: &'static str = "activation-clustering";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn defaults() -> Value {
        json!({
            "represent": { "use": "activations" },
            "reduce": { "use": "pca", "dimensions": 10 },
            "cluster": { "use": "k-means", "k": 2, "restarts": 10 },
            "decide": { "use": "smaller-cluster" },
        })
    }

    fn presets() -> Vec<Preset> {
        let published = Preset {
            name: "as-published",
            summary: "what the code of Heatmap Clustering's thesis runs under this name: it clusters logits.",
            fields: json!({ "represent": { "use": "activations", "layer": "logits" } }),
        };
        let recommended = Preset {
            name: "recommended",
            summary: "two ellipsoids; what one has in common is added to images of other classes; accuses nobody without that evidence.",
            fields: json!({
                "cluster": { "use": "gaussian-mixture", "k": 2 },
                "decide": { "use": "shift" },
            }),
        };
        vec![published, recommended]
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("a program with this detector links the parts that it is made of")
    }

    fn build(self) -> Result<Arc<dyn Detector>> {
        Ok(Arc::new(self.0))
    }
}

register!(ActivationClustering);
