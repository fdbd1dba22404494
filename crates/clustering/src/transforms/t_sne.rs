use std::sync::Arc;

use bezoar_core::{Context, Error, Features, Plugin, Result, Transform, register};
use linfa::traits::Transformer;
use linfa_tsne::TSneParams;
use ndarray::Array2;
use rand::RngExt;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pca;
use crate::canonical::change_canonically;
use crate::distances::announce;

/// Places rows in the plane so that near ones stay near (t-SNE; van der Maaten and Hinton 2008), for pictures.
///
/// Distances between groups, and the sizes of groups, say nothing: cluster what it was made from instead. Rows of more than 50 dimensions are
/// reduced to these by `pca` first. Computed by linfa, from rows and not from distances, exactly and on one core: time and memory grow with the
/// square of the rows, and a note says how much memory.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TSne {
    /// How many near rows each row is to keep, roughly; at most a third of the rows, and a note says where that lowers it.
    #[serde(default = "default_perplexity")]
    #[schemars(range(min = 1.0))]
    pub perplexity: f64,
    /// Number of iterations.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1))]
    pub iterations: usize,
}

fn default_perplexity() -> f64 {
    30.0
}

fn default_iterations() -> usize {
    1000
}

/// Most dimensions that it starts from.
const WIDEST: usize = 50;

/// How near groups of rows may be, in parts of their size, to act as one: none do, as the tree of Barnes and Hut that linfa uses draws
/// its pivots from a source of the thread's own, and no two runs agree.
const EXACT: f64 = 0.0;

/// Bytes of the tables of distances, similarities and similarities in the plane.
fn bytes(rows: usize) -> usize {
    3 * size_of::<f64>() * rows * rows
}

impl Plugin for TSne {
    type Kind = dyn Transform;
    const NAME: &'static str = "t-sne";

    fn example() -> Self {
        Self { perplexity: default_perplexity(), iterations: default_iterations() }
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(TSne);

impl Transform for TSne {
    fn transform(&self, cx: &Context, features: Features) -> Result<Features> {
        change_canonically(&features, |features| {
            let count = features.len();
            if count < 4 || features.rows().all(|row| row == features.row(0)) {
                return Features::new(vec![2], vec![0.0; 2 * count]);
            }
            announce(cx, count, bytes(count));
            let perplexity = self.perplexity.min((count - 1) as f64 / 3.0);
            if perplexity < self.perplexity {
                cx.note(&format!("t-sne: perplexity {perplexity:.1} instead of {}; there are but {count} rows", self.perplexity));
            }
            let narrow = if features.width() > WIDEST {
                Pca { dimensions: WIDEST, whiten: false }.transform(cx, features.clone())?
            } else {
                features.clone()
            };
            // linfa places rows in no more dimensions than they have.
            let flat = |(row, column): (usize, usize)| narrow.row(row).get(column).map_or(0.0, |&value| f64::from(value));
            let rows = Array2::from_shape_fn((count, narrow.width().max(2)), flat);
            let rng = Xoshiro256Plus::seed_from_u64(cx.rng("t-sne").random());
            let search =
                TSneParams::embedding_size_with_rng(2, rng).perplexity(perplexity).approx_threshold(EXACT).max_iter(self.iterations);
            let found = search.transform(rows).map_err(|error| Error::request(format!("t-SNE: {error}")))?;
            Features::new(vec![2], found.iter().map(|&value| value as f32).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clouds in `width` dimensions, by turns.
    fn clouds(count: usize, width: usize) -> Features {
        let values = (0..count * width).map(|i| (i * 7919 % 1009) as f32 / 1009.0 + (i / width % 2) as f32 * 3.0);
        Features::new(vec![width], values.collect()).unwrap()
    }

    fn place(features: &Features, seed: u64) -> Features {
        TSne { perplexity: 10.0, iterations: 400 }.transform(&Context::quiet(seed), features.clone()).unwrap()
    }

    #[test]
    fn near_rows_stay_near() {
        for width in [1, 5, 80] {
            let placed = place(&clouds(80, width), 0);
            assert_eq!(placed.shape(), [2]);
            let squared = |a: usize, b: usize| (0..2).map(|at| (placed.row(a)[at] - placed.row(b)[at]).powi(2)).sum::<f32>();
            for row in 0..80 {
                let nearest = (0..80).filter(|&other| other != row).min_by(|&a, &b| squared(row, a).total_cmp(&squared(row, b))).unwrap();
                assert_eq!(nearest % 2, row % 2, "row {row} of width {width}");
            }
        }
    }

    #[test]
    fn the_seed_decides_and_the_order_of_rows_does_not() {
        let rows = clouds(40, 3);
        let placed = place(&rows, 1);
        assert_ne!(placed, place(&rows, 2));
        let backwards: Vec<usize> = (0..40).rev().collect();
        assert_eq!(place(&rows.select(&backwards), 1), placed.select(&backwards));
    }

    #[test]
    fn few_or_equal_rows_make_no_trouble() {
        assert_eq!(place(&clouds(3, 2), 0).values(), [0.0; 6]);
        assert_eq!(place(&Features::new(vec![2], vec![1.0; 20]).unwrap(), 0).values(), [0.0; 20]);
        let twins = place(&Features::new(vec![1], (0..30).map(|i| (i / 10) as f32).collect()).unwrap(), 0);
        assert!(twins.first_not_finite().is_none());
    }
}
