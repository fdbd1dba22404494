use std::sync::Arc;

use bezoar_core::{Context, Distance, Error, Features, Pairs, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bezoar_transport::gromov::{Fast, Fused, Placed};

use super::gromov_wasserstein::costs;
use super::{default_mass, size, spaces};

/// Wasserstein: how far the mass of one heatmap would have to be moved to make the other.
///
/// The entropic cost of squared ways over the pixels (Cuturi 2013), of the pixels that carry `mass` of each heatmap. Unlike
/// `gromov-wasserstein` it sees where a heatmap's mass lies.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wasserstein {
    /// Weight of the entropy, in units of the heatmap's squared diagonal.
    #[serde(default = "default_epsilon")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Share of each heatmap's mass that is compared, its strongest pixels.
    #[serde(default = "default_mass")]
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub mass: f64,
    /// Whether what entropy alone costs is taken away, so that a heatmap is 0 from itself.
    #[serde(default = "default_debiased")]
    pub debiased: bool,
}

fn default_epsilon() -> f64 {
    0.01
}

fn default_debiased() -> bool {
    true
}

impl Plugin for Wasserstein {
    type Kind = dyn Distance;
    const NAME: &'static str = "wasserstein";
    const PAPER: Option<&'static str> = Some("arXiv 1306.0895");

    fn example() -> Self {
        Self { epsilon: default_epsilon(), mass: default_mass(), debiased: default_debiased() }
    }

    fn build(self) -> Result<Arc<dyn Distance>> {
        Ok(Arc::new(self))
    }
}

register!(Wasserstein);

impl Distance for Wasserstein {
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>> {
        let (height, width) = size(features)?;
        let diagonal = ((height * height + width * width) as f64).sqrt();
        let spaces = spaces(cx, features, self.mass, |space| Placed::of(space, 0, diagonal))?;
        let solver = || Fused::new(Fast::new(self.epsilon), 0.0).map_err(Error::request);
        costs(cx, "compare places", &spaces, pairs, self.debiased, solver, |solver, a, b| Ok(solver.distance(a, b).into()))
    }
}
