use std::sync::Arc;

use bezoar_core::{Context, Features, Plugin, Result, Transform, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::principal::{announce_products, principal_components};

/// Projects the rows of a class onto the directions in which they vary most (principal component analysis).
///
/// Right to nine digits, or to six for more than four million values, and independent of the order of the rows. Rows of any shape are taken as
/// flat. A class whose rows span fewer dimensions than asked for gets as many as they span; a note says so. Activation Clustering (arXiv
/// 1811.03728) reduces to 10 dimensions; its paper uses independent components, most of its implementations this.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pca {
    /// Number of dimensions to keep.
    #[serde(default = "default_dimensions")]
    #[schemars(range(min = 1))]
    pub dimensions: usize,
    /// Whether all dimensions get the same variance, 1.
    #[serde(default)]
    pub whiten: bool,
}

fn default_dimensions() -> usize {
    10
}

impl Plugin for Pca {
    type Kind = dyn Transform;
    const NAME: &'static str = "pca";

    fn example() -> Self {
        Self { dimensions: default_dimensions(), whiten: false }
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(Pca);

impl Transform for Pca {
    fn transform(&self, cx: &Context, features: Features) -> Result<Features> {
        announce_products(cx, features.len(), features.width());
        let found = principal_components(&features, self.dimensions)?;
        let dimensions = found.variances.len();
        if dimensions < self.dimensions {
            let rows = features.len();
            cx.note(&format!("pca: {dimensions} dimensions instead of {}; the {rows} rows of this class span no more", self.dimensions));
        }
        if dimensions == 0 {
            return Features::new(vec![1], vec![0.0; features.len()]);
        }
        let scales: Vec<f64> = found.variances.iter().map(|variance| if self.whiten { variance.sqrt().recip() } else { 1.0 }).collect();
        let scaled = found.coordinates.chunks(dimensions).flat_map(|row| row.iter().zip(&scales).map(|(x, scale)| (x * scale) as f32));
        Features::new(vec![dimensions], scaled.collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reduce(dimensions: usize, width: usize, values: &[f32]) -> Features {
        Pca { dimensions, whiten: false }.transform(&Context::quiet(0), Features::new(vec![width], values.to_vec()).unwrap()).unwrap()
    }

    #[test]
    fn no_more_dimensions_than_the_rows_span() {
        assert_eq!(reduce(10, 4, &[0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 4.0]).shape(), [1]);
        assert_eq!(reduce(10, 4, &[7.0; 12]), Features::new(vec![1], vec![0.0; 3]).unwrap());
        assert_eq!(reduce(10, 4, &[7.0; 4]), Features::new(vec![1], vec![0.0]).unwrap());
    }

    #[test]
    fn whitened_dimensions_have_variance_one() {
        let values = (0..60).map(|i| (i * 37 % 61) as f32 * if i % 3 == 0 { 100.0 } else { 1.0 }).collect();
        let features = Features::new(vec![3], values).unwrap();
        let white = Pca { dimensions: 3, whiten: true }.transform(&Context::quiet(0), features).unwrap();
        for column in 0..3 {
            let variance = white.rows().map(|row| f64::from(row[column]).powi(2)).sum::<f64>() / 19.0;
            assert!((variance - 1.0).abs() < 1e-5, "{variance}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn rows_keep_their_place_when_shuffled(
            (rows, order) in (3..20_usize).prop_flat_map(|rows| (
                proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f32, 6), rows),
                Just((0..rows).collect::<Vec<_>>()).prop_shuffle(),
            )),
        ) {
            let reduced = reduce(3, 6, &rows.concat());
            let shuffled: Vec<f32> = order.iter().flat_map(|&row| rows[row].clone()).collect();
            prop_assert_eq!(reduce(3, 6, &shuffled), reduced.select(&order));
        }
    }
}
