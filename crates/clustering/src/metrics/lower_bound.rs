use std::sync::Arc;

use bezoar_core::{Context, Distance, Features, Pairs, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bezoar_transport::gromov::{LowerBound, Profile};

use super::{compared, default_mass, spaces};

/// A bound from below of `gromov-wasserstein`: how unlike the distributions of distances within two heatmaps are.
///
/// Exact, without entropy and without local minima, and far cheaper (Mémoli 2011). Heatmaps of one shape are 0 apart, wherever they lie;
/// some of different shapes are too.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Memoli {
    /// What is compared.
    #[serde(default)]
    pub bound: Bound,
    /// Share of each heatmap's mass that is compared, its strongest pixels.
    #[serde(default = "default_mass")]
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub mass: f64,
}

/// Which bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Eccentricities: how far pixels lie from all others.
    #[default]
    First,
    /// All distances.
    Second,
    /// Pixels, by the distances of each to all others: the sharpest, and a thousand times as dear.
    Third,
}

impl Plugin for Memoli {
    type Kind = dyn Distance;
    const NAME: &'static str = "memoli";
    const PAPER: Option<&'static str> = Some("doi 10.1007/s10208-011-9093-5");

    fn example() -> Self {
        Self { bound: Bound::First, mass: default_mass() }
    }

    fn build(self) -> Result<Arc<dyn Distance>> {
        Ok(Arc::new(self))
    }
}

register!(Memoli);

impl Distance for Memoli {
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>> {
        let bound = match self.bound {
            Bound::First => LowerBound::First,
            Bound::Second => LowerBound::Second,
            Bound::Third => LowerBound::Third,
        };
        let profiles = spaces(cx, features, self.mass, |space| Ok(Profile::of(space, bound)))?;
        compared(cx, "compare distances", profiles.len(), pairs, || Ok(()), |(), row, other| Ok(profiles[row].bound(&profiles[other])))
    }
}
