use std::sync::Arc;

use bezoar_core::{Context, Features, Plugin, Result, Transform, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Divides each row by its mass, so that rows are compared by where their mass lies and not by how much of it there is.
///
/// The mass is the sum of the absolute values; on rows that `min-max` made, simply the sum. A row of zeros stays as it is. A step
/// of Heatmap Clustering (arXiv 2204.12848).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnitMass {}

impl Plugin for UnitMass {
    type Kind = dyn Transform;
    const NAME: &'static str = "unit-mass";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(UnitMass);

impl Transform for UnitMass {
    fn transform(&self, _: &Context, mut features: Features) -> Result<Features> {
        for row in features.rows_mut() {
            let mass: f64 = row.iter().map(|&value| f64::from(value).abs()).sum();
            if mass > 0.0 {
                for value in row {
                    *value = (f64::from(*value) / mass) as f32;
                }
            }
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divide(width: usize, values: &[f32]) -> Vec<f32> {
        UnitMass {}.transform(&Context::quiet(0), Features::new(vec![width], values.to_vec()).unwrap()).unwrap().into_values()
    }

    #[test]
    fn rows_without_mass_or_of_opposite_signs_stay_finite() {
        assert_eq!(divide(2, &[0.0, 0.0, 1.0, -1.0, 1.0, 3.0]), [0.0, 0.0, 0.5, -0.5, 0.25, 0.75]);
    }

    proptest! {
        #[test]
        fn the_mass_is_one_whatever_the_scale(row in proptest::collection::vec(0.01..1.0_f32, 1..50), scale in 1e-20..1e20_f32) {
            let divided = divide(row.len(), &row);
            let scaled = divide(row.len(), &row.iter().map(|value| value * scale).collect::<Vec<_>>());
            prop_assert!((divided.iter().map(|&value| f64::from(value)).sum::<f64>() - 1.0).abs() < 1e-6);
            for (x, y) in divided.iter().zip(&scaled) {
                prop_assert!((x - y).abs() < 1e-6);
            }
        }
    }
}
