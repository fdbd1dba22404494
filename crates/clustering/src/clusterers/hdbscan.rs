use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Distance, Features, Part, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::{Found, cluster_canonically};
use crate::condensed_tree::CondensedTree;
use crate::distances::pairwise;
use crate::neighbours::{Neighbours, Rows};
use crate::spanning_tree;

/// HDBSCAN: groups that last over the widest range of densities, and noise between them.
///
/// Needs no number of groups and no radius (Campello, Moulavi and Sander 2013). Says of each row how firmly it belongs to its group, and
/// how far out it lies (GLOSH; Campello, Moulavi, Zimek and Sander 2015). Rows of any shape are taken as flat. Memory grows with the
/// class, not with its square, unless `distance` is given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hdbscan {
    /// Fewest rows that make a group; classes with fewer images are not scanned.
    #[serde(default = "default_min_cluster_size")]
    #[schemars(range(min = 2))]
    pub min_cluster_size: usize,
    /// Rows, itself included, whose reach sets the density at a row: more of them, more noise. `min-cluster-size` if left out.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub min_samples: Option<usize>,
    /// Whether the whole class may be one group.
    #[serde(default)]
    pub allow_single_cluster: bool,
    /// How far rows are apart; Euclidean if left out.
    #[serde(default)]
    pub distance: Option<Part<dyn Distance>>,
}

fn default_min_cluster_size() -> usize {
    5
}

impl Plugin for Hdbscan {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "hdbscan";

    fn example() -> Self {
        Self { min_cluster_size: default_min_cluster_size(), min_samples: None, allow_single_cluster: false, distance: None }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        Ok(Arc::new(self))
    }
}

register!(Hdbscan);

impl Hdbscan {
    fn min_samples(&self) -> usize {
        self.min_samples.unwrap_or(self.min_cluster_size)
    }
}

impl Clusterer for Hdbscan {
    fn min_rows(&self) -> usize {
        self.min_cluster_size.max(self.min_samples())
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let others = self.min_samples() - 1;
            let pairs = self.distance.as_ref().map(|distance| pairwise(cx, distance, features)).transpose()?;
            let tree = if let Some(pairs) = &pairs {
                let cores = Neighbours::of_pairs(pairs, others).reaches(features.len(), others);
                spanning_tree::of_pairs(cx, pairs, &cores)?
            } else {
                let rows = Rows::of(features);
                let neighbours = Neighbours::of_rows(cx, &rows, others.max(spanning_tree::NEIGHBOURS))?;
                let cores = neighbours.reaches(features.len(), others);
                spanning_tree::of_rows(cx, &rows, &neighbours, &cores)?
            };
            let (labels, membership) = CondensedTree::of(features.len(), &tree, self.min_cluster_size).cut(self.allow_single_cluster);
            Ok(Found::by(labels, Some(membership), pairs))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::distances::Distances;

    #[test]
    fn dense_groups_are_told_from_noise() {
        let mut values: Vec<f32> = (0..12).map(|i| i as f32 * 0.1).collect();
        values.extend((0..8).map(|i| 10.0 + i as f32 * 0.1));
        values.push(100.0);
        let rows = Features::new(vec![1], values).unwrap();
        let found = Hdbscan::example().cluster(&Context::quiet(0), &rows).unwrap();
        assert_eq!(found.sizes(), [12, 8]);
        assert_eq!(found.labels[20], None);
        let membership = found.membership.unwrap();
        assert!(membership.strengths[20] <= 0.0 && membership.strengths[5] >= 1.0, "{:?}", membership.strengths);
        assert!(membership.outliers[20] > 0.9, "{:?}", membership.outliers);
    }

    #[test]
    fn a_class_of_one_density_may_be_one_group() {
        let rows = Features::new(vec![1], (0..40).map(|i| (i as f32).sqrt()).collect()).unwrap();
        let single = Hdbscan { allow_single_cluster: true, min_cluster_size: 10, ..Hdbscan::example() };
        assert_eq!(single.cluster(&Context::quiet(0), &rows).unwrap().sizes().len(), 1);
    }

    /// What the crate hdbscan finds in a table of distances.
    fn twin(settings: &Hdbscan, features: &Features) -> Vec<Option<u32>> {
        let twin = cluster_canonically(features, settings.min_rows(), |features| {
            let distances: Vec<Vec<f64>> = Distances::between(features).all().rows().into_iter().map(|row| row.to_vec()).collect();
            let parameters = hdbscan::HdbscanHyperParams::builder()
                .min_cluster_size(settings.min_cluster_size)
                .min_samples(settings.min_samples())
                .dist_metric(hdbscan::DistanceMetric::Precalculated)
                .build();
            let labels = hdbscan::Hdbscan::new(&distances, parameters).cluster().unwrap();
            Ok(labels.into_iter().map(|label| usize::try_from(label).ok()).collect::<Vec<_>>())
        });
        twin.unwrap().labels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_crate_hdbscan_finds_the_same(
            rows in proptest::collection::vec((0..4_u8, proptest::array::uniform4(-1.0..1.0_f32)), 12..300),
            min_cluster_size in 2..9_usize,
            // More of them join a row to many others at one distance, its own reach; which of these is taken first is anybody's choice.
            min_samples in 1..3_usize,
        ) {
            let values = rows.iter().flat_map(|(cloud, row)| row.map(|x| x * f32::from(cloud + 1) + f32::from(*cloud) * 4.0)).collect();
            let features = Features::new(vec![4], values).unwrap();
            let settings = Hdbscan { min_cluster_size, min_samples: Some(min_samples), ..Hdbscan::example() };
            let found = settings.cluster(&Context::quiet(0), &features).unwrap();
            prop_assert_eq!(&found.labels, &twin(&settings, &features));
            let membership = found.membership.unwrap();
            for (row, label) in found.labels.iter().enumerate() {
                let (strength, outlier) = (membership.strengths[row], membership.outliers[row]);
                prop_assert!((0.0..=1.0).contains(&strength) && (0.0..=1.0).contains(&outlier));
                prop_assert!(label.is_some() || strength <= 0.0);
            }
        }
    }
}
