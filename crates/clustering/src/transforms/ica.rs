use std::sync::Arc;

use bezoar_core::{Context, Error, Features, Plugin, Result, Transform, register};
use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_ica::fast_ica::{FastIca, GFunc};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pca;
use crate::canonical::change_canonically;
use crate::matrix;
use crate::principal::peak;

/// Projects the rows of a class onto the directions along which they are least Gaussian (independent component analysis).
///
/// Rows are whitened by `pca` first; what is left to find is a rotation (`FastICA` with the contrast log cosh; Hyvärinen 1999; computed by linfa). All components
/// have variance 1, and their largest entry, the first of equals, is positive; their numbering follows from the seed. Rows of any shape are taken as flat. Activation
/// Clustering (arXiv 1811.03728) reduces to 10 of them in its paper.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ica {
    /// Number of components; fewer where the rows of a class span fewer dimensions, and a note says so.
    #[serde(default = "default_dimensions")]
    #[schemars(range(min = 1))]
    pub dimensions: usize,
    /// Most iterations.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1))]
    pub iterations: usize,
}

fn default_dimensions() -> usize {
    10
}

fn default_iterations() -> usize {
    200
}

/// Directions whose cosine with their last state is nearer to 1 than this have come to rest.
const TOLERANCE: f64 = 1e-6;

impl Plugin for Ica {
    type Kind = dyn Transform;
    const NAME: &'static str = "ica";

    fn example() -> Self {
        Self { dimensions: default_dimensions(), iterations: default_iterations() }
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(Ica);

impl Transform for Ica {
    fn transform(&self, cx: &Context, features: Features) -> Result<Features> {
        change_canonically(&features, |features| {
            let white = Pca { dimensions: self.dimensions, whiten: true }.transform(cx, features.clone())?;
            if white.values().iter().all(|&value| value == 0.0) {
                return Ok(white);
            }
            let (rows, dimensions) = (white.len(), white.width());
            let seed = cx.rng("ica").random::<u32>() as usize;
            let search = FastIca::params().gfunc(GFunc::Logcosh(1.0)).max_iter(self.iterations).tol(TOLERANCE).random_state(seed);
            let white = DatasetBase::from(matrix(&white));
            let model = search.fit(&white).map_err(|error| Error::request(format!("independent components: {error}")))?;
            // linfa's components have length 1.
            let scale = (rows.saturating_sub(1) as f64).sqrt();
            let found: ndarray::Array2<f64> = model.predict(white.records());
            let signs: Vec<f64> = found.columns().into_iter().map(|component| scale.copysign(peak(component.iter().copied()))).collect();
            let values =
                found.rows().into_iter().flat_map(|row| row.iter().zip(&signs).map(|(x, sign)| (x * sign) as f32).collect::<Vec<_>>());
            Features::new(vec![dimensions], values.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let product =
            |x: &[f64], mean_x: f64, y: &[f64], mean_y: f64| -> f64 { x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum() };
        product(a, mean_a, b, mean_b) / (product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b)).sqrt()
    }

    fn reduce(dimensions: usize, features: &Features) -> Features {
        Ica { dimensions, ..Ica::example() }.transform(&Context::quiet(3), features.clone()).unwrap()
    }

    #[test]
    fn mixed_sources_are_parted() {
        let saw = |row: usize| (row * 37 % 101) as f64 / 50.0 - 1.0;
        let square = |row: usize| if (row / 13).is_multiple_of(2) { 1.0 } else { -1.0 };
        let mixed = (0..1000).flat_map(|row| {
            let (a, b) = (saw(row), square(row));
            [(0.6 * a + 0.8 * b) as f32, (-0.3 * a + 0.9 * b) as f32, (a + b) as f32]
        });
        let found = reduce(10, &Features::new(vec![3], mixed.collect()).unwrap());
        assert_eq!(found.shape(), [2], "three mixtures of two sources");
        let component = |at: usize| found.rows().map(|row| f64::from(row[at])).collect::<Vec<_>>();
        let sources = [(0..1000).map(saw).collect::<Vec<_>>(), (0..1000).map(square).collect()];
        for source in &sources {
            let best = (0..2).map(|at| correlation(source, &component(at)).abs()).fold(0.0, f64::max);
            assert!(best > 0.99, "{best}");
        }
        for at in 0..2 {
            let variance = component(at).iter().map(|value| value * value).sum::<f64>() / 999.0;
            assert!((variance - 1.0).abs() < 1e-4, "{variance}");
        }
    }

    #[test]
    fn rows_without_variance_have_no_components() {
        let rows = Features::new(vec![4], vec![7.0; 12]).unwrap();
        assert_eq!(reduce(3, &rows), Features::new(vec![1], vec![0.0; 3]).unwrap());
    }
}
