use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Distance, Error, Features, Pairwise, Part, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::{Choice, Count, Criterion};
use crate::canonical::{Found, cluster_canonically};
use crate::distances::{announce_table, below_diagonal, pairwise};
use crate::linkage::{Linkage, cut};
use crate::metrics::Precomputed;
use crate::silhouette;

/// Agglomerative clustering: rows are merged into groups, the nearest first, until `k` are left.
///
/// By Ward's, average, complete or single linkage, along a chain of nearest neighbours. Rows of any shape are taken as flat; equal rows
/// stay together. Memory grows with the square of the class: 13 MB for 2,500 images.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Agglomerative {
    /// Number of groups; or `{ by: silhouette, at-most: 8 }`, in Euclidean distances.
    #[serde(default = "default_k")]
    pub k: Count,
    /// Instead of `k`: groups at this distance or farther apart are not merged.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub threshold: Option<f64>,
    /// How far two groups are apart.
    #[serde(default = "default_linkage")]
    pub linkage: Linkage,
    /// How far rows are apart; Euclidean if left out.
    #[serde(default)]
    pub distance: Option<Part<dyn Distance>>,
}

fn default_k() -> Count {
    Count::Given(2)
}

fn default_linkage() -> Linkage {
    Linkage::Ward
}

impl Plugin for Agglomerative {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "agglomerative";

    fn example() -> Self {
        Self { k: default_k(), threshold: None, linkage: default_linkage(), distance: None }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        self.k.check(Self::NAME, &[Criterion::Silhouette])?;
        let is_precomputed = self.distance.as_ref().is_some_and(|distance| distance.name() == Precomputed::NAME);
        if is_precomputed && self.threshold.is_none() && matches!(self.k, Count::Chosen(_)) {
            return Err(Error::request("the silhouette needs the rows themselves, and only their distances are known")
                .with_help("give `k` or a `threshold`"));
        }
        if self.distance.is_some() && self.linkage == Linkage::Ward {
            return Err(Error::request("Ward's linkage is for Euclidean distances").with_help("use `linkage: average` with `distance`"));
        }
        Ok(Arc::new(self))
    }
}

register!(Agglomerative);

impl Clusterer for Agglomerative {
    fn min_rows(&self) -> usize {
        self.k.min_rows()
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let rows = features.len();
            let pairs = self.distance.as_ref().map(|distance| pairwise(cx, distance, features)).transpose()?;
            let distances = match &pairs {
                Some(pairs) => {
                    announce_table(cx, "a copy of the distances between", rows, Pairwise::bytes(rows));
                    pairs.values().to_vec()
                }
                None => below_diagonal(cx, features)?,
            };
            let merges = self.linkage.merges(cx, rows, distances)?;
            let labels = match (self.threshold, self.k) {
                (Some(threshold), _) => cut(rows, &merges, rows, threshold),
                (None, Count::Given(k)) => cut(rows, &merges, k, 0.0),
                (None, Count::Chosen(Choice { at_most, .. })) => {
                    let value = |labels: &Vec<usize>| silhouette(features, &numbered(labels)).unwrap_or(f64::NEG_INFINITY);
                    let cuts = (2..=at_most.min(rows - 1)).map(|k| cut(rows, &merges, k, 0.0));
                    let valued = cuts.map(|labels| (value(&labels), labels));
                    valued.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or_else(|| vec![0; rows], |best| best.1)
                }
            };
            Ok(Found::by(labels.into_iter().map(Some).collect(), None, pairs))
        })
    }
}

/// Groups named by a row of theirs, as clusters without gaps in their numbers.
fn numbered(labels: &[usize]) -> Clustering {
    let mut names: Vec<usize> = labels.to_vec();
    names.sort_unstable();
    names.dedup();
    Clustering::of(labels.iter().map(|label| Some(names.partition_point(|name| name < label) as u32)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKAGES: [Linkage; 4] = [Linkage::Ward, Linkage::Average, Linkage::Complete, Linkage::Single];

    fn sizes(settings: &Agglomerative, values: &[f32]) -> Vec<usize> {
        settings.cluster(&Context::quiet(0), &Features::new(vec![1], values.to_vec()).unwrap()).unwrap().sizes()
    }

    #[test]
    fn heights_by_hand() {
        let heights = |linkage: Linkage| -> Vec<f64> {
            let merges = linkage.merges(&Context::quiet(0), 3, vec![1.0, 5.0, 4.0]).unwrap();
            merges.iter().map(|merge| merge.height).collect()
        };
        assert_eq!(heights(Linkage::Single), [1.0, 4.0]);
        assert_eq!(heights(Linkage::Average), [1.0, 4.5]);
        assert_eq!(heights(Linkage::Complete), [1.0, 5.0]);
        // Rows 0, 1 and 5: the union adds 2/3 · 4.5², of which Ward's distance is the root of twice as much.
        assert!((heights(Linkage::Ward)[1] - (4.0_f64 / 3.0 * 4.5 * 4.5).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn squares_neither_overflow_nor_vanish() {
        for scale in [1e-30, 1e-12, 1.0, 1e12, 1e30_f32] {
            let values = [0.0, 1.0, 2.0, 10.0, 11.0].map(|value| value * scale);
            assert_eq!(sizes(&Agglomerative::example(), &values), [3, 2], "{scale}");
        }
        let far = Linkage::Ward.merges(&Context::quiet(0), 2, vec![f32::INFINITY]).unwrap_err();
        assert_eq!(far.to_string(), "a distance between rows is inf");
    }

    #[test]
    fn groups_are_found_by_number_threshold_and_silhouette() {
        let values: Vec<f32> = (0..60).map(|i| [0.0, 10.0, 30.0][i % 3] + (i * 37 % 60) as f32 / 60.0).collect();
        for linkage in LINKAGES {
            let settings = Agglomerative { linkage, ..Agglomerative::example() };
            assert_eq!(sizes(&Agglomerative { k: Count::Given(3), ..settings.clone() }, &values), [20; 3], "{linkage:?}");
            let chosen = Count::Chosen(Choice { by: Criterion::Silhouette, at_most: 6 });
            assert_eq!(sizes(&Agglomerative { k: chosen, ..settings.clone() }, &values), [20; 3], "{linkage:?}");
        }
        let single = Agglomerative { linkage: Linkage::Single, threshold: Some(1.0), ..Agglomerative::example() };
        assert_eq!(sizes(&single, &values), [20; 3]);
        assert_eq!(sizes(&single, &[0.0, 1.0, 1.5]), [2, 1], "groups at the threshold are not merged");
    }

    #[test]
    fn single_linkage_follows_a_chain_that_complete_linkage_cuts() {
        let values: Vec<f32> = (0..20).map(|i| i as f32 * (1.0 + i as f32 * 0.001)).chain([25.0]).collect();
        let with = |linkage| sizes(&Agglomerative { linkage, ..Agglomerative::example() }, &values);
        assert_eq!(with(Linkage::Single), [20, 1]);
        assert_ne!(with(Linkage::Complete), [20, 1]);
    }
}
