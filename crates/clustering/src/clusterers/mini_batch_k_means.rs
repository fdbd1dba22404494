use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Error, Features, Plugin, Result, register};
use linfa::DatasetBase;
use linfa::traits::{FitWith, Predict};
use linfa_clustering::{IncrKMeansError, KMeansInit, KMeansParams};
use linfa_nn::distance::L2Dist;
use rand::seq::index::sample;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::cluster_canonically;
use crate::matrix;
use crate::neighbours::{Rows, ranges};
use crate::partition::starts;

/// K-means from batches of rows: less work than `k-means` for very many rows, and looser groups.
///
/// A mean moves towards the rows of a batch that are nearest to it, by less the more rows it has seen (Sculley 2010; computed by linfa). Starts are drawn from the first
/// batch by greedy k-means++. Rows of any shape are taken as flat. With `k-means`, 50,000 rows of 128 values take less than a second: choose this
/// one for millions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MiniBatchKMeans {
    /// Number of groups.
    #[serde(default = "default_k")]
    #[schemars(range(min = 2))]
    pub k: usize,
    /// Rows a batch; all if there are fewer.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 2))]
    pub batch: usize,
    /// Number of batches.
    #[serde(default = "default_batches")]
    #[schemars(range(min = 1))]
    pub batches: usize,
}

fn default_k() -> usize {
    2
}

fn default_batch() -> usize {
    1024
}

fn default_batches() -> usize {
    100
}

impl Plugin for MiniBatchKMeans {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "mini-batch-k-means";

    fn example() -> Self {
        Self { k: default_k(), batch: default_batch(), batches: default_batches() }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        if self.batch < self.k {
            return Err(Error::request(format!("a batch of {} rows cannot hold the starts of {} groups", self.batch, self.k))
                .with_help("raise `batch` or lower `k`"));
        }
        Ok(Arc::new(self))
    }
}

register!(MiniBatchKMeans);

impl Clusterer for MiniBatchKMeans {
    fn min_rows(&self) -> usize {
        self.k
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let mut rng = cx.rng("mini-batch-k-means");
            let mut draw = || features.select(&sample(&mut rng, features.len(), self.batch.min(features.len())).into_vec());
            let first = draw();
            let starts = matrix(&first.select(&starts(&Rows::of(&first), self.k, &mut cx.rng("starts"))));
            // What linfa would draw is given already.
            let unused = Xoshiro256Plus::seed_from_u64(0);
            let search = KMeansParams::new(starts.nrows(), unused, L2Dist).init_method(KMeansInit::Precomputed(starts));
            let mut means = None;
            for _ in 0..self.batches {
                cx.check()?;
                means = match search.fit_with(means, &DatasetBase::from(matrix(&draw()))) {
                    Ok(moved) | Err(IncrKMeansError::NotConverged(moved)) => Some(moved),
                    Err(error) => return Err(Error::request(format!("k-means on batches: {error}"))),
                };
            }
            let Some(means) = means else { return Ok(vec![None; features.len()]) };
            let nearest = |rows: std::ops::Range<usize>| means.predict(&matrix(&features.select(&rows.collect::<Vec<_>>()))).to_vec();
            Ok(ranges(features.len(), self.batch).into_iter().flat_map(nearest).map(Some).collect::<Vec<_>>())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(k: usize, batch: usize, values: &[f32]) -> Vec<usize> {
        let rows = Features::new(vec![1], values.to_vec()).unwrap();
        MiniBatchKMeans { k, batch, batches: 60 }.cluster(&Context::quiet(1), &rows).unwrap().sizes()
    }

    #[test]
    fn groups_are_found_from_batches() {
        let values: Vec<f32> = (0..900).map(|i| [0.0, 10.0, 30.0][i % 3] + (i * 37 % 90) as f32 / 60.0).collect();
        assert_eq!(sizes(3, 60, &values), [300; 3]);
    }

    #[test]
    fn no_more_groups_than_different_rows() {
        assert_eq!(sizes(4, 10, &[1.0, 1.0, 2.0, 2.0, 2.0]), [3, 2]);
    }

    #[test]
    fn a_batch_must_hold_the_starts() {
        let refused = MiniBatchKMeans { k: 9, batch: 8, batches: 1 }.build().err().unwrap().to_string();
        assert_eq!(refused, "a batch of 8 rows cannot hold the starts of 9 groups");
    }
}
