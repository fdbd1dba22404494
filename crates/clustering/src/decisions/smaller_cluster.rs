use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accuse_small_clusters;

/// Accuses every cluster but the largest.
///
/// The rule of Heatmap Clustering (arXiv 2204.12848) and of Activation Clustering (arXiv 1811.03728), made for a class that is known
/// to be poisoned: a clean class loses a cluster too, up to half of its images. Of equally large clusters the first is trusted.
/// Noise is not accused.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmallerCluster {}

impl Plugin for SmallerCluster {
    type Kind = dyn Decision;
    const NAME: &'static str = "smaller-cluster";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(SmallerCluster);

impl Decision for SmallerCluster {
    fn decide(&self, _: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        Ok(accuse_small_clusters(class, 1.0))
    }
}
