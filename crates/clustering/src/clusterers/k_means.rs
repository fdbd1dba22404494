use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Features, Plugin, Result, register};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::{Choice, Count, Criterion};
use crate::canonical::cluster_canonically;
use crate::neighbours::Rows;
use crate::partition::{Partition, Search};
use crate::silhouette;

/// K-means: `k` groups with the least squared distance to their means.
///
/// Starts are drawn by greedy k-means++ (Arthur and Vassilvitskii 2007); the best of several is kept. Rows of any shape are taken as flat.
/// There are fewer groups only where there are fewer different rows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KMeans {
    /// Number of groups; or `{ by: silhouette, at-most: 8 }`, or `{ by: gap, at-most: 8 }`.
    #[serde(default = "default_k")]
    pub k: Count,
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

fn default_k() -> Count {
    Count::Given(2)
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

/// Sets of rows without groups that a gap is measured against.
const REFERENCES: usize = 10;

impl Plugin for KMeans {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "k-means";

    fn example() -> Self {
        Self { k: default_k(), restarts: default_restarts(), iterations: default_iterations(), tolerance: default_tolerance() }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        self.k.check(Self::NAME, &[Criterion::Silhouette, Criterion::Gap])?;
        Ok(Arc::new(self))
    }
}

register!(KMeans);

impl Clusterer for KMeans {
    fn min_rows(&self) -> usize {
        self.k.min_rows()
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let labels = match self.k {
                Count::Given(k) => self.partition(cx, features, k, "k-means")?.labels,
                Count::Chosen(Choice { by: Criterion::Gap, at_most }) => self.by_gap(cx, features, at_most)?,
                Count::Chosen(Choice { at_most, .. }) => self.by_silhouette(cx, features, at_most)?,
            };
            Ok(labels.into_iter().map(Some).collect::<Vec<_>>())
        })
    }
}

impl KMeans {
    fn partition(&self, cx: &Context, features: &Features, k: usize, stream: &str) -> Result<Partition> {
        let search = Search { k, restarts: self.restarts, iterations: self.iterations, tolerance: self.tolerance };
        search.run(cx, &Rows::of(features), &mut cx.rng(stream))
    }

    fn by_silhouette(&self, cx: &Context, features: &Features, at_most: usize) -> Result<Vec<usize>> {
        let mut best = (f64::NEG_INFINITY, vec![0; features.len()]);
        for k in 2..=at_most.min(features.len() - 1) {
            let labels = self.partition(cx, features, k, "k-means")?.labels;
            let clustering = Clustering::of(labels.iter().map(|&label| Some(label as u32)).collect());
            if let Some(value) = silhouette(features, &clustering)
                && value > best.0
            {
                best = (value, labels);
            }
        }
        Ok(best.1)
    }

    /// Rows without groups are uniform in the box that holds the rows.
    fn by_gap(&self, cx: &Context, features: &Features, at_most: usize) -> Result<Vec<usize>> {
        let references: Vec<Features> = (0..REFERENCES).map(|number| without_groups(cx, features, number)).collect::<Result<_>>()?;
        let mut before: Option<(f64, Vec<usize>)> = None;
        for k in 1..=at_most.min(features.len()) {
            let Partition { labels, inertia } = self.partition(cx, features, k, "k-means")?;
            let logarithm = |inertia: f64| inertia.max(f64::MIN_POSITIVE).ln();
            let of_reference = |(number, rows): (usize, &Features)| {
                Ok(logarithm(self.partition(cx, rows, k, &format!("k-means on reference {number}"))?.inertia))
            };
            let logarithms: Vec<f64> = references.iter().enumerate().map(of_reference).collect::<Result<_>>()?;
            let mean = logarithms.iter().sum::<f64>() / REFERENCES as f64;
            let deviation = (logarithms.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / REFERENCES as f64).sqrt();
            let gap = mean - logarithm(inertia);
            if let Some((last_gap, last)) = before
                && last_gap >= gap - deviation * (1.0 + 1.0 / REFERENCES as f64).sqrt()
            {
                return Ok(last);
            }
            if inertia <= 0.0 {
                return Ok(labels);
            }
            before = Some((gap, labels));
        }
        Ok(before.map_or_else(|| vec![0; features.len()], |(_, labels)| labels))
    }
}

fn without_groups(cx: &Context, features: &Features, number: usize) -> Result<Features> {
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); features.width()];
    for row in features.rows() {
        for (range, &value) in ranges.iter_mut().zip(row) {
            *range = (range.0.min(value), range.1.max(value));
        }
    }
    let mut rng = cx.rng(&format!("reference {number}"));
    let mut value = |&(low, high): &(f32, f32)| (f64::from(low) + (f64::from(high) - f64::from(low)) * rng.random::<f64>()) as f32;
    let values = (0..features.len()).flat_map(|_| ranges.iter().map(&mut value).collect::<Vec<_>>()).collect();
    Features::new(features.shape().to_vec(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(k: Count, values: &[f32]) -> Vec<usize> {
        let rows = Features::new(vec![1], values.to_vec()).unwrap();
        KMeans { k, ..KMeans::example() }.cluster(&Context::quiet(1), &rows).unwrap().sizes()
    }

    #[test]
    fn groups_are_found_at_any_scale() {
        for scale in [1e-12, 1.0, 1e12] {
            let values: Vec<f32> = (0..30).map(|i| ((i % 3 == 0) as u8 as f32 * 10.0 + (i % 5) as f32 * 0.1) * scale).collect();
            assert_eq!(sizes(Count::Given(2), &values), [20, 10], "scale {scale}");
        }
    }

    #[test]
    fn no_more_groups_than_different_rows() {
        assert_eq!(sizes(Count::Given(4), &[1.0, 1.0, 2.0, 2.0, 2.0]), [3, 2]);
    }

    #[test]
    fn the_number_of_groups_is_found() {
        let groups: Vec<f32> = (0..90).map(|i| [0.0, 10.0, 40.0][i % 3] + (i * 37 % 90) as f32 / 60.0).collect();
        let chosen = |by| Count::Chosen(Choice { by, at_most: 6 });
        assert_eq!(sizes(chosen(Criterion::Silhouette), &groups), [30; 3]);
        assert_eq!(sizes(chosen(Criterion::Gap), &groups), [30; 3]);
        let none: Vec<f32> = (0..90).map(|i| (i * 37 % 90) as f32).collect();
        assert_eq!(sizes(chosen(Criterion::Gap), &none), [90], "rows without groups are one");
        assert_eq!(sizes(chosen(Criterion::Gap), &[2.0; 10]), [10]);
        assert_eq!(sizes(chosen(Criterion::Silhouette), &[2.0; 10]), [10]);
    }

    #[test]
    fn a_criterion_that_it_cannot_judge_by_is_refused() {
        let k = Count::Chosen(Choice { by: Criterion::Bic, at_most: 3 });
        assert_eq!(KMeans { k, ..KMeans::example() }.build().err().unwrap().to_string(), "k-means does not choose k by bic");
    }

    #[test]
    fn the_seed_alone_decides() {
        let rows = Features::new(vec![2], (0..200).map(|i| (i * 37 % 101) as f32).collect()).unwrap();
        let one_start = KMeans { k: Count::Given(8), restarts: 1, ..KMeans::example() };
        let labels = |seed| one_start.cluster(&Context::quiet(seed), &rows).unwrap();
        assert_eq!(labels(1), labels(1));
        assert!((2..20).any(|seed| labels(seed) != labels(1)), "another seed, another start");
    }
}
