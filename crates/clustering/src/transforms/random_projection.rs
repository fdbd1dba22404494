use std::sync::Arc;

use bezoar_core::{Context, Features, Plugin, Result, Transform, register};
use rand::RngExt;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::neighbours::times;

/// Projects rows onto random directions, which keeps their distances within a few percent at a few hundred dimensions.
///
/// The directions have entries of either sign by chance (Achlioptas 2003): they depend on the seed and the width alone, not on the
/// rows. Rows of any shape are taken as flat; rows that have no more dimensions than asked for stay as they are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RandomProjection {
    /// Number of dimensions to project to.
    #[serde(default = "default_dimensions")]
    #[schemars(range(min = 1))]
    pub dimensions: usize,
}

fn default_dimensions() -> usize {
    256
}

impl Plugin for RandomProjection {
    type Kind = dyn Transform;
    const NAME: &'static str = "random-projection";

    fn example() -> Self {
        Self { dimensions: default_dimensions() }
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(RandomProjection);

/// Rows that are projected at once.
const BLOCK: usize = 256;

impl Transform for RandomProjection {
    fn transform(&self, cx: &Context, features: Features) -> Result<Features> {
        let width = features.width();
        if width <= self.dimensions {
            return Ok(features);
        }
        let mut rng = cx.rng("random-projection");
        let entry = (self.dimensions as f32).sqrt().recip();
        let directions: Vec<f32> = (0..self.dimensions * width).map(|_| if rng.random::<bool>() { entry } else { -entry }).collect();
        let project = |rows: &[f32]| {
            let mut projected = Vec::new();
            times(rows, &directions, width, &mut projected);
            projected
        };
        let blocks: Vec<Vec<f32>> = features.values().par_chunks(BLOCK * width).map(project).collect();
        Features::new(vec![self.dimensions], blocks.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_kept() {
        let width = 3000;
        let values = (0..6 * width).map(|i| ((i * 7919 + i * i % 31) % 1009) as f32 / 1009.0).collect();
        let rows = Features::new(vec![width], values).unwrap();
        let projected = RandomProjection { dimensions: 400 }.transform(&Context::quiet(0), rows.clone()).unwrap();
        assert_eq!(projected.shape(), [400]);
        let squared = |features: &Features, a: usize, b: usize| -> f32 {
            features.row(a).iter().zip(features.row(b)).map(|(x, y)| (x - y) * (x - y)).sum()
        };
        for a in 1..6 {
            let ratio = squared(&projected, 0, a) / squared(&rows, 0, a);
            assert!((ratio - 1.0).abs() < 0.3, "{ratio}");
        }
    }

    #[test]
    fn narrow_rows_stay_as_they_are() {
        let rows = Features::new(vec![2], vec![1.0, 2.0]).unwrap();
        assert_eq!(RandomProjection::example().transform(&Context::quiet(0), rows.clone()).unwrap(), rows);
    }
}
