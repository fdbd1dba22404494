use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Distance, Features, Part, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::radius::{default_min_points, default_quantile, radius, roots};
use crate::canonical::{Found, cluster_canonically};
use crate::distances::pairwise;
use crate::neighbours::{Neighbours, Rows};
use crate::spanning_tree::{self, Edge, Forest};

/// DBSCAN: groups of rows that are dense at one radius, and noise between them.
///
/// A row is a core if `min-points` rows, itself included, lie within `eps` of it; cores within `eps` of each other share a group,
/// and take the rows within `eps` of them along (Ester, Kriegel, Sander and Xu 1996). Rows of any shape are taken as flat. Memory grows with
/// the class, not with its square, unless `distance` is given.
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
    /// How far rows are apart; Euclidean if left out.
    #[serde(default)]
    pub distance: Option<Part<dyn Distance>>,
}

impl Plugin for Dbscan {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "dbscan";

    fn example() -> Self {
        Self { min_points: default_min_points(), eps: None, quantile: default_quantile(), distance: None }
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
            let others = self.min_points - 1;
            let pairs = self.distance.as_ref().map(|distance| pairwise(cx, distance, features)).transpose()?;
            let (nearest, reaches, tree) = if let Some(pairs) = &pairs {
                let nearest = Neighbours::of_pairs(pairs, others);
                let reaches = nearest.reaches(features.len(), others);
                let tree = spanning_tree::of_pairs(cx, pairs, &reaches)?;
                (nearest, reaches, tree)
            } else {
                let rows = Rows::of(features);
                let nearest = Neighbours::of_rows(cx, &rows, others.max(spanning_tree::NEIGHBOURS))?;
                let reaches = nearest.reaches(features.len(), others);
                let tree = spanning_tree::of_rows(cx, &rows, &nearest, &reaches)?;
                (nearest, reaches, tree)
            };
            let eps = self.eps.unwrap_or_else(|| radius(roots(&reaches), self.quantile));
            Ok(Found::by(cut(tree, &nearest, &reaches, eps), None, pairs))
        })
    }
}

/// The group of each row at a radius, named by its first core. `reaches` are the squared distances at which rows are dense, and the tree
/// spans rows that are no nearer than those: its edges within the radius join just the cores that share a group.
fn cut(tree: Vec<Edge>, nearest: &Neighbours, reaches: &[f64], eps: f64) -> Vec<Option<usize>> {
    let is_within = |squared: f64| squared.sqrt() <= eps;
    let joined = Forest::of(reaches.len(), tree.into_iter().filter(|edge| is_within(edge.weight)).collect());
    let mut names = vec![None; reaches.len()];
    let mut groups = vec![None; reaches.len()];
    for row in (0..reaches.len()).filter(|&row| is_within(reaches[row])) {
        groups[row] = Some(*names[joined.root(row)].get_or_insert(row));
    }
    // A row that is no core has all rows within the radius among its nearest; of several groups it joins the first.
    let beside = |row: usize| {
        let near = nearest.of(row).iter().filter(|(_, squared)| is_within(*squared));
        near.filter_map(|&(other, _)| groups[other as usize]).min()
    };
    (0..reaches.len()).map(|row| groups[row].or_else(|| beside(row))).collect()
}

#[cfg(test)]
mod tests {
    use linfa::ParamGuard;
    use linfa::traits::Transformer;
    use linfa_nn::CommonNearestNeighbour;
    use ndarray::{Array2, ArrayView, Dimension};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::distances::Distances;

    /// Distances between rows that stand for themselves by number.
    #[derive(Clone)]
    struct Known<'a>(&'a Array2<f64>);

    impl linfa_nn::distance::Distance<f64> for Known<'_> {
        fn distance<D: Dimension>(&self, a: ArrayView<'_, f64, D>, b: ArrayView<'_, f64, D>) -> f64 {
            self.0[[a.sum() as usize, b.sum() as usize]]
        }
    }

    /// What linfa finds in a table of distances.
    fn twin(settings: &Dbscan, eps: f64, features: &Features) -> Vec<Option<u32>> {
        let twin = cluster_canonically(features, settings.min_rows(), |features| {
            let distances = Distances::between(features).all();
            let numbers = Array2::from_shape_fn((features.len(), 1), |(row, _)| row as f64);
            let linear = CommonNearestNeighbour::LinearSearch;
            let parameters = linfa_clustering::Dbscan::params_with(settings.min_points, Known(&distances), linear).tolerance(eps);
            Ok(parameters.check().unwrap().transform(&numbers).to_vec())
        });
        twin.unwrap().labels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Rows between two groups and equal rows included, with and without a table. Places are whole numbers and no distance is near `eps`.
        #[test]
        fn linfa_finds_the_same(
            places in proptest::collection::vec((0..30_u8, 0..30_u8), 12..200),
            min_points in 2..8_usize,
            squared in 1..20_u8,
        ) {
            let values = places.iter().flat_map(|&(y, x)| [f32::from(y), f32::from(x)]).collect();
            let features = Features::new(vec![2], values).unwrap();
            let eps = (f64::from(squared) + 0.5).sqrt();
            let settings = Dbscan { min_points, eps: Some(eps), ..Dbscan::example() };
            let right = twin(&settings, eps, &features);
            prop_assert_eq!(&settings.cluster(&Context::quiet(0), &features).unwrap().labels, &right);
            let by_table = Dbscan { distance: Some(Part::from_json(json!({ "use": "euclidean" })).unwrap()), ..settings };
            prop_assert_eq!(&by_table.cluster(&Context::quiet(0), &features).unwrap().labels, &right);
        }
    }

    #[test]
    fn groups_are_dense_under_any_distance() {
        let along = |i: usize| if i.is_multiple_of(3) { [1.0 + i as f32, 0.0] } else { [0.0, 1.0 + i as f32] };
        let rows = Features::new(vec![2], (0..30).flat_map(along).collect()).unwrap();
        let distance = Some(Part::from_json(json!({ "use": "euclidean", "norm": "cosine" })).unwrap());
        let found = Dbscan { distance, eps: Some(0.1), ..Dbscan::example() }.cluster(&Context::quiet(0), &rows).unwrap();
        assert_eq!(found.sizes(), [20, 10]);
    }

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
