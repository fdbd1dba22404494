use std::sync::Arc;

use bezoar_clustering::Composition;
use bezoar_core::{Detector, Plugin, Preset, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Clusters the heatmaps of each class and accuses the images of the smaller cluster.
///
/// Every image is explained towards its given label by layer-wise relevance propagation; heatmaps are stretched to 0 to 1 and
/// divided by their sum; k-means splits each class in two. The score of an image is the distance of its heatmap to the mean
/// heatmap of the largest cluster, in medians of its class.
///
/// The rule `smaller-cluster` accuses a part of every class, clean ones too: to judge a whole data set take `preset: recommended`, name the
/// `suspects`, or decide by `relative-size` or `silhouette`. After arXiv 2204.12848, with the Euclidean distance in place of
/// Gromov-Wasserstein.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HeatmapClustering(pub Composition);

impl Plugin for HeatmapClustering {
    type Kind = dyn Detector;
    const NAME: &'static str = "heatmap-clustering";
    const PAPER: Option<&'static str> = Some("arXiv 2204.12848");

    fn defaults() -> Value {
        json!({
            "represent": { "use": "lrp", "composite": "epsilon" },
            "process": [{ "use": "min-max" }, { "use": "unit-mass" }],
            "cluster": { "use": "k-means", "k": 2 },
            "decide": { "use": "smaller-cluster" },
        })
    }

    fn presets() -> Vec<Preset> {
        let squares = |kind: &str| json!({ "kind": kind, "rule": "squares" });
        let published = Preset {
            name: "as-published",
            summary: "what the paper's code does on its own net: squared products, relevance of the first block's output, barycentres anew.",
            fields: json!({
                "represent": {
                    "use": "lrp",
                    "composite": { "rows": [squares("convolution"), squares("linear")] },
                    "target": "logit",
                    "at": "inception",
                },
                "process": [],
                "cluster": { "use": "gromov-wasserstein-k-means", "preset": "as-published" },
                "decide": { "use": "smaller-cluster" },
            }),
        };
        let described = Preset {
            name: "as-described",
            summary: "what the paper's text says: LRP-ε at the pixels, k-means under Gromov-Wasserstein at epsilon 0.1.",
            fields: json!({
                "represent": { "use": "lrp", "composite": "epsilon" },
                "process": [],
                "cluster": { "use": "gromov-wasserstein-k-means", "epsilon": 0.1 },
                "decide": { "use": "smaller-cluster" },
            }),
        };
        let recommended = Preset {
            name: "recommended",
            summary: "aligned patches in eight groups; squares exchanged with images of other classes; accuses nobody without that evidence.",
            fields: json!({
                "represent": { "use": "aligned-patch" },
                "process": [],
                "reduce": { "use": "pca", "dimensions": 10 },
                "cluster": { "use": "k-means", "k": 8 },
                "decide": { "use": "causal" },
            }),
        };
        vec![published, described, recommended]
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("a program with this detector links the parts that it is made of")
    }

    fn build(self) -> Result<Arc<dyn Detector>> {
        Ok(Arc::new(self.0))
    }
}

register!(HeatmapClustering);
