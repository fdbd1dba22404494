use std::sync::Arc;

use bezoar_core::{Context, Features, Plugin, Result, Transform, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stretches each row to the range from 0 to 1.
///
/// The least value of a row becomes 0 and the greatest 1; a row of equal values becomes zeros. In Heatmap Clustering (arXiv
/// 2204.12848) this makes relevance of either sign a non-negative mass.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MinMax {}

impl Plugin for MinMax {
    type Kind = dyn Transform;
    const NAME: &'static str = "min-max";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(MinMax);

impl Transform for MinMax {
    fn transform(&self, _: &Context, mut features: Features) -> Result<Features> {
        for row in features.rows_mut() {
            let (least, greatest) = row.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
            let (least, range) = (f64::from(least), f64::from(greatest) - f64::from(least));
            for value in row {
                *value = if range > 0.0 { ((f64::from(*value) - least) / range) as f32 } else { 0.0 };
            }
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretch(width: usize, values: &[f32]) -> Vec<f32> {
        MinMax {}.transform(&Context::quiet(0), Features::new(vec![width], values.to_vec()).unwrap()).unwrap().into_values()
    }

    #[test]
    fn extremes_and_constants_stay_finite() {
        assert_eq!(stretch(3, &[-2.0, 0.0, 2.0, 7.0, 7.0, 7.0]), [0.0, 0.5, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(stretch(3, &[f32::MIN, 0.0, f32::MAX]), [0.0, 0.5, 1.0]);
        assert_eq!(stretch(1, &[3.0]), [0.0]);
    }

    proptest! {
        #[test]
        fn rows_fill_zero_to_one_in_their_own_order(row in proptest::collection::vec(-1e6..1e6_f32, 2..30)) {
            let stretched = stretch(row.len(), &row);
            prop_assert!(stretched.iter().all(|value| (0.0..=1.0).contains(value)));
            if row.iter().any(|value| value.to_bits() != row[0].to_bits()) {
                prop_assert!(stretched.contains(&0.0) && stretched.contains(&1.0));
            }
            for (a, b) in row.iter().zip(&stretched) {
                for (c, d) in row.iter().zip(&stretched) {
                    prop_assert!(a > c || b <= d);
                }
            }
        }
    }
}
