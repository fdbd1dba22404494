use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Error, Features, Plugin, Result, register};
use linfa::ParamGuard;
use linfa::traits::Transformer;
use linfa_nn::CommonNearestNeighbour;
use linfa_nn::distance::Distance;
use ndarray::{Array2, ArrayView, Axis, Dimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::radius::{default_min_points, default_quantile, radius};
use crate::canonical::cluster_canonically;
use crate::distances::{Distances, announce};

/// DBSCAN: groups of rows that are dense at one radius, and noise between them.
///
/// A row is a core if `min-points` rows, itself included, lie within `eps` of it; cores within `eps` of each other share a group,
/// and take the rows within `eps` of them along (Ester, Kriegel, Sander and Xu 1996). Rows of any shape are taken as flat. Memory
/// grows with the square of the class: 50 MB for 2,500 images. Computed by linfa.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dbscan {
    /// Rows that make a neighbourhood dense, the row itself included.
    #[serde(default = "default_min_points")]
    #[schemars(range(min = 2))]
    pub min_points: usize,
    /// The radius; if left out, it is read off each class by `quantile`.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub eps: Option<f64>,
    /// Without `eps`: the share of the rows that shall be cores. The radius is this quantile of the distances to the
    /// `min-points`-th row.
    #[serde(default = "default_quantile")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub quantile: f64,
}

impl Plugin for Dbscan {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "dbscan";

    fn example() -> Self {
        Self { min_points: default_min_points(), eps: None, quantile: default_quantile() }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        Ok(Arc::new(self))
    }
}

register!(Dbscan);

impl Clusterer for Dbscan {
    fn min_rows(&self) -> usize {
        self.min_points
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            announce(cx, features.len(), features.len().pow(2) * size_of::<f64>());
            let distances = Distances::between(features).all();
            let eps = self.eps.unwrap_or_else(|| self.radius(&distances));
            let numbers = Array2::from_shape_fn((features.len(), 1), |(row, _)| row as f64);
            let parameters =
                linfa_clustering::Dbscan::params_with(self.min_points, Known(&distances), CommonNearestNeighbour::LinearSearch)
                    // linfa counts rows nearer than the radius, DBSCAN those at the radius too.
                    .tolerance(eps.next_up())
                    .check()
                    .map_err(|error| Error::request(format!("dbscan: {error}")))?;
            Ok(parameters.transform(&numbers).to_vec())
        })
    }
}

impl Dbscan {
    fn radius(&self, distances: &Array2<f64>) -> f64 {
        let reach = |row: ndarray::ArrayView1<'_, f64>| *row.to_vec().select_nth_unstable_by(self.min_points - 1, f64::total_cmp).1;
        radius(distances.axis_iter(Axis(0)).map(reach).collect(), self.quantile)
    }
}

/// Distances between rows that stand for themselves by number, so that linfa takes them from a table.
#[derive(Clone)]
struct Known<'a>(&'a Array2<f64>);

impl Distance<f64> for Known<'_> {
    fn distance<D: Dimension>(&self, a: ArrayView<'_, f64, D>, b: ArrayView<'_, f64, D>) -> f64 {
        self.0[[a.sum() as usize, b.sum() as usize]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(dbscan: &Dbscan, values: &[f32]) -> (Vec<usize>, usize) {
        let rows = Features::new(vec![1], values.to_vec()).unwrap();
        let found = dbscan.cluster(&Context::quiet(0), &rows).unwrap();
        (found.sizes(), found.labels.iter().filter(|label| label.is_none()).count())
    }

    #[test]
    fn rows_at_the_radius_are_neighbours() {
        let at = |eps| Dbscan { min_points: 3, eps: Some(eps), ..Dbscan::example() };
        let values = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 13.0, 20.0];
        assert_eq!(sizes(&at(1.0), &values), (vec![4, 3], 1));
        assert_eq!(sizes(&at(0.999), &values), (vec![], 8));
    }

    #[test]
    fn the_radius_is_read_off_the_class() {
        let mut values: Vec<f32> = (0..50).map(|i| i as f32 * 0.01).collect();
        values.extend((0..10).map(|i| 5.0 + i as f32 * 0.01));
        values.push(99.0);
        assert_eq!(sizes(&Dbscan::example(), &values), (vec![50, 10], 1));
        let scaled: Vec<f32> = values.iter().map(|value| value * 1e6).collect();
        assert_eq!(sizes(&Dbscan::example(), &scaled), (vec![50, 10], 1));
    }
}
