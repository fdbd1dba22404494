use std::sync::Arc;

use bezoar_core::{Context, Distance, Features, Pairs, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{compared, default_mass, spaces};

/// How spread out two heatmaps are: the difference of the mean distances between their own pixels.
///
/// One number a heatmap, the mean distance between two pixels drawn by relevance, in units of the largest. At the published epsilon of 0.1,
/// Heatmap Clustering's barycentres hold nothing but this number: it is what `gromov-wasserstein` has to be better than.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MeanDistance {
    /// Share of each heatmap's mass that is compared, its strongest pixels.
    #[serde(default = "default_mass")]
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub mass: f64,
}

impl Plugin for MeanDistance {
    type Kind = dyn Distance;
    const NAME: &'static str = "mean-distance";

    fn example() -> Self {
        Self { mass: default_mass() }
    }

    fn build(self) -> Result<Arc<dyn Distance>> {
        Ok(Arc::new(self))
    }
}

register!(MeanDistance);

impl Distance for MeanDistance {
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>> {
        let means = spaces(cx, features, self.mass, |space| Ok(space.moments().0))?;
        compared(cx, "compare spreads", means.len(), pairs, || Ok(()), |(), row, other| Ok((means[row] - means[other]).abs()))
    }
}
