use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Distance, Features, Part, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::{Choice, Count, Criterion};
use crate::canonical::{Found, cluster_canonically};
use crate::distances::pairwise;
use crate::graph::{Graph, Spectrum};
use crate::neighbours::Rows;
use crate::partition::Search;

/// Spectral clustering: groups that a graph of near rows falls into, of whatever shape, as in `SpRAy` (arXiv 1902.10178).
///
/// Rows are joined to their nearest `neighbours`; the least eigenvectors of the graph's normalised Laplacian, divided by the roots of the
/// rows' degrees (Shi and Malik 2000), are clustered by k-means, as in scikit-learn. A graph of more components than groups is joined first, by the
/// shortest edges. Rows of any shape are taken as flat. Memory grows with the class, not with its square, unless `distance` is given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spectral {
    /// Number of groups; or `{ by: eigengap, at-most: 8 }`, which may also find one.
    #[serde(default = "default_k")]
    pub k: Count,
    /// The nearest rows that each row is joined to, itself not counted.
    #[serde(default = "default_neighbours")]
    #[schemars(range(min = 1))]
    pub neighbours: usize,
    /// How far rows are apart; Euclidean if left out.
    #[serde(default)]
    pub distance: Option<Part<dyn Distance>>,
}

fn default_k() -> Count {
    Count::Chosen(Choice { by: Criterion::Eigengap, at_most: 8 })
}

fn default_neighbours() -> usize {
    10
}

/// Starts of k-means.
const RESTARTS: usize = 10;

impl Plugin for Spectral {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "spectral";

    fn example() -> Self {
        Self { k: default_k(), neighbours: default_neighbours(), distance: None }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        self.k.check(Self::NAME, &[Criterion::Eigengap])?;
        Ok(Arc::new(self))
    }
}

register!(Spectral);

impl Clusterer for Spectral {
    fn min_rows(&self) -> usize {
        self.k.min_rows()
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            if features.rows().all(|row| row == features.row(0)) {
                return Ok(vec![Some(0); features.len()].into());
            }
            let pairs = self.distance.as_ref().map(|distance| pairwise(cx, distance, features)).transpose()?;
            let most = self.k.at_most();
            let graph = match &pairs {
                Some(pairs) => Graph::of_pairs(cx, pairs, self.neighbours, most)?,
                None => Graph::of_rows(cx, features, self.neighbours, most)?,
            };
            let (k, vectors) = match self.k {
                Count::Given(k) => (k, graph.spectrum(k, &mut cx.rng("spectrum"))?.vectors),
                Count::Chosen(Choice { at_most, .. }) => {
                    let Spectrum { values, vectors } = graph.spectrum(at_most + 1, &mut cx.rng("spectrum"))?;
                    (widest_gap(&values), vectors)
                }
            };
            let embedding = embed(&graph, &vectors[..k.min(vectors.len())])?;
            let search = Search { k, restarts: RESTARTS, iterations: 300, tolerance: 1e-6 };
            let labels = search.run(cx, &Rows::of(&embedding), &mut cx.rng("k-means"))?.labels;
            Ok(Found::by(labels.into_iter().map(Some).collect(), None, pairs))
        })
    }
}

/// The number of eigenvalues before the widest step; the first of equal ones.
fn widest_gap(values: &[f64]) -> usize {
    let steps = values.windows(2).map(|pair| pair[1] - pair[0]);
    1 + steps.enumerate().fold((0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best }).0
}

/// The vectors' entries at each row, divided by the root of its degree: constant within a component where the eigenvalue is 0.
fn embed(graph: &Graph, vectors: &[Vec<f64>]) -> Result<Features> {
    let roots: Vec<f64> = graph.degrees().map(f64::sqrt).collect();
    let values = roots.iter().enumerate().flat_map(|(row, root)| vectors.iter().map(move |vector| (vector[row] / root) as f32));
    Features::new(vec![vectors.len()], values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rings around each other, which no plane parts.
    fn rings(radii: &[f32], each: usize) -> Features {
        let point = |(ring, radius): (usize, &f32)| {
            (0..each)
                .flat_map(|i| {
                    let angle = (i as f32 + ring as f32 * 0.3) / each as f32 * std::f32::consts::TAU;
                    [radius * angle.cos(), radius * angle.sin()]
                })
                .collect::<Vec<_>>()
        };
        Features::new(vec![2], radii.iter().enumerate().flat_map(point).collect()).unwrap()
    }

    fn sizes(spectral: &Spectral, rows: &Features) -> Vec<usize> {
        spectral.cluster(&Context::quiet(0), rows).unwrap().sizes()
    }

    #[test]
    fn rings_are_found_whether_they_are_counted_or_not() {
        let rows = rings(&[1.0, 3.0, 5.0], 80);
        assert_eq!(sizes(&Spectral { neighbours: 4, ..Spectral::example() }, &rows), [80; 3]);
        assert_eq!(sizes(&Spectral { k: Count::Given(3), neighbours: 4, ..Spectral::example() }, &rows), [80; 3]);
    }

    #[test]
    fn more_components_than_groups_are_joined_by_the_shortest_edges() {
        let rows = rings(&[1.0, 3.0, 9.0], 80);
        assert_eq!(sizes(&Spectral { k: Count::Given(2), neighbours: 4, ..Spectral::example() }, &rows), [160, 80]);
    }

    #[test]
    fn large_classes_are_found_without_dense_matrices() {
        let rows = rings(&[1.0, 1.5, 2.0], 1500);
        assert_eq!(sizes(&Spectral { neighbours: 6, ..Spectral::example() }, &rows), [1500; 3]);
    }

    #[test]
    fn the_first_of_equally_wide_gaps_counts() {
        assert_eq!(widest_gap(&[0.0, 0.0, 0.5, 1.0]), 2);
        assert_eq!(widest_gap(&[0.0]), 1);
    }
}
