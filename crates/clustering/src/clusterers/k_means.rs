use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Error, Features, Plugin, Result, register};
use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use ndarray::{Array1, Array2, Axis};
use rand::Rng;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::cluster_canonically;
use crate::matrix;

/// K-means: `k` groups with the least squared distance to their means.
///
/// Starts are drawn by k-means++ (Arthur and Vassilvitskii 2007); the best of several is kept. Rows of any shape are taken as flat.
/// There are fewer groups only where there are fewer different rows. Computed by linfa.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KMeans {
    /// Number of groups.
    #[serde(default = "default_k")]
    #[schemars(range(min = 2))]
    pub k: usize,
    /// Number of starts.
    #[serde(default = "default_restarts")]
    #[schemars(range(min = 1))]
    pub restarts: usize,
    /// Most iterations a start.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1))]
    pub iterations: u64,
    /// A start ends when the means move less than this, in units of the rows' own spread.
    #[serde(default = "default_tolerance")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub tolerance: f64,
}

fn default_k() -> usize {
    2
}

fn default_restarts() -> usize {
    10
}

fn default_iterations() -> u64 {
    300
}

fn default_tolerance() -> f64 {
    1e-4
}

impl Plugin for KMeans {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "k-means";

    fn example() -> Self {
        Self { k: default_k(), restarts: default_restarts(), iterations: default_iterations(), tolerance: default_tolerance() }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        Ok(Arc::new(self))
    }
}

register!(KMeans);

impl Clusterer for KMeans {
    fn min_rows(&self) -> usize {
        self.k
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let mut seed = [0; 32];
            cx.rng("k-means").fill_bytes(&mut seed);
            let rows = in_units_of_spread(matrix(features));
            let model = linfa_clustering::KMeans::params_with_rng(self.k, Xoshiro256Plus::from_seed(seed))
                .n_runs(self.restarts)
                .max_n_iterations(self.iterations)
                .tolerance(self.tolerance)
                .fit(&DatasetBase::from(rows.view()))
                .map_err(|error| Error::request(format!("k-means: {error}")))?;
            let labels: Array1<usize> = model.predict(&rows);
            Ok(labels.into_iter().map(Some).collect::<Vec<_>>())
        })
    }
}

/// Centred rows whose variance is 1 in the mean over the columns. linfa's tolerance is absolute: heatmaps of unit mass would always
/// fall below it.
fn in_units_of_spread(mut rows: Array2<f64>) -> Array2<f64> {
    if let Some(mean) = rows.mean_axis(Axis(0)) {
        rows -= &mean;
    }
    let spread = (rows.iter().map(|value| value * value).sum::<f64>() / rows.len() as f64).sqrt();
    if spread > 0.0 {
        rows /= spread;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(k: usize, values: &[f32]) -> Vec<usize> {
        let rows = Features::new(vec![1], values.to_vec()).unwrap();
        KMeans { k, ..KMeans::example() }.cluster(&Context::quiet(1), &rows).unwrap().sizes()
    }

    #[test]
    fn groups_are_found_at_any_scale() {
        for scale in [1e-12, 1.0, 1e12] {
            let values: Vec<f32> = (0..30).map(|i| ((i % 3 == 0) as u8 as f32 * 10.0 + (i % 5) as f32 * 0.1) * scale).collect();
            assert_eq!(sizes(2, &values), [20, 10], "scale {scale}");
        }
    }

    #[test]
    fn no_more_groups_than_different_rows() {
        assert_eq!(sizes(4, &[1.0, 1.0, 2.0, 2.0, 2.0]), [3, 2]);
    }

    #[test]
    fn the_seed_alone_decides() {
        let rows = Features::new(vec![2], (0..200).map(|i| (i * 37 % 101) as f32).collect()).unwrap();
        let one_start = KMeans { k: 8, restarts: 1, ..KMeans::example() };
        let labels = |seed| one_start.cluster(&Context::quiet(seed), &rows).unwrap();
        assert_eq!(labels(1), labels(1));
        assert!((2..20).any(|seed| labels(seed) != labels(1)), "another seed, another start");
    }
}
