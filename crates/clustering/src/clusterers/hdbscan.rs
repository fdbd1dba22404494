use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Error, Features, Plugin, Result, register};
use hdbscan::{DistanceMetric, HdbscanHyperParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::cluster_canonically;
use crate::distances::Distances;

/// HDBSCAN: groups that last over the widest range of densities, and noise between them.
///
/// Needs no number of groups and no radius (Campello, Moulavi and Sander 2013). Rows of any shape are taken as flat. Memory grows
/// with the square of the class: 100 MB for 2,500 images. Computed by the crate hdbscan.
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
}

fn default_min_cluster_size() -> usize {
    5
}

impl Plugin for Hdbscan {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "hdbscan";

    fn example() -> Self {
        Self { min_cluster_size: default_min_cluster_size(), min_samples: None, allow_single_cluster: false }
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

    fn cluster(&self, _: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            // Left to itself, the crate would look for neighbours in a k-d tree, which is slower than a scan in high dimensions.
            let distances: Vec<Vec<f64>> = Distances::between(features).all().rows().into_iter().map(|row| row.to_vec()).collect();
            let parameters = HdbscanHyperParams::builder()
                .min_cluster_size(self.min_cluster_size)
                .min_samples(self.min_samples())
                .allow_single_cluster(self.allow_single_cluster)
                .dist_metric(DistanceMetric::Precalculated)
                .build();
            let labels =
                hdbscan::Hdbscan::new(&distances, parameters).cluster().map_err(|error| Error::request(format!("hdbscan: {error}")))?;
            Ok(labels.into_iter().map(|label| usize::try_from(label).ok()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_groups_are_told_from_noise() {
        let mut values: Vec<f32> = (0..12).map(|i| i as f32 * 0.1).collect();
        values.extend((0..8).map(|i| 10.0 + i as f32 * 0.1));
        values.push(100.0);
        let rows = Features::new(vec![1], values).unwrap();
        let found = Hdbscan::example().cluster(&Context::quiet(0), &rows).unwrap();
        assert_eq!(found.sizes(), [12, 8]);
        assert_eq!(found.labels[20], None);
    }

    #[test]
    fn a_class_of_one_density_may_be_one_group() {
        let rows = Features::new(vec![1], (0..40).map(|i| (i as f32).sqrt()).collect()).unwrap();
        let single = Hdbscan { allow_single_cluster: true, min_cluster_size: 10, ..Hdbscan::example() };
        assert_eq!(single.cluster(&Context::quiet(0), &rows).unwrap().sizes().len(), 1);
    }
}
