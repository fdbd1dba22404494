//! Plugins that say which clusters of a class are poison.
//!
//! `smaller-cluster`, `relative-size`, `silhouette` and `fisher` trust the largest cluster and judge the others by features alone.
//! `centroid-distance` compares with other classes, `concentration` looks how widely relevance is spread, `causal` and `shift` ask the net: these
//! trust no cluster for its size. Noise belongs to no cluster and is not accused, unless `causal` finds a trigger in it.

mod causal;
mod centroid_distance;
mod chance;
mod concentration;
mod fisher;
mod hosts;
mod relative_size;
mod shift;
mod silhouette;
mod smaller_cluster;
mod windows;

pub use causal::Causal;
pub use centroid_distance::CentroidDistance;
pub use concentration::Concentration;
pub use fisher::Fisher;
pub use relative_size::RelativeSize;
pub use shift::Shift;
pub use silhouette::Silhouette;
pub use smaller_cluster::SmallerCluster;

use bezoar_core::{ClassOrigin, ClusteredClass, Decided, Error, Result};

/// Accuses the clusters beside the largest whose share of the class is at most `at_most`.
fn accuse_small_clusters(class: &ClusteredClass<'_>, at_most: f64) -> Decided {
    let (sizes, rows) = (class.clustering.sizes(), class.clustering.labels.len());
    let Some(largest) = class.clustering.largest() else {
        return spare(class, "all images are noise");
    };
    if sizes.len() == 1 {
        return spare(class, "all images that are not noise fall into one cluster");
    }
    let share = |cluster: u32| sizes[cluster as usize] as f64 / rows as f64;
    let small = |cluster: u32| cluster != largest && share(cluster) <= at_most;
    let flagged: Vec<bool> = class.clustering.labels.iter().map(|label| label.is_some_and(small)).collect();
    let accused = flagged.iter().filter(|&&flag| flag).count();
    let reason = if accused == 0 {
        let smaller = (0..).take(sizes.len()).filter(|&cluster| cluster != largest).map(share).fold(1.0, f64::min);
        format!("the smallest of {} clusters holds {}, more than {}", sizes.len(), percent(smaller), percent(at_most))
    } else {
        let clusters = (0..).take(sizes.len()).filter(|&cluster| small(cluster)).count();
        let share = percent(accused as f64 / rows as f64);
        format!("{clusters} of {} clusters accused: {accused} of {rows} images, {share}", sizes.len())
    };
    Decided { flagged, reason, p_value: None, scores: None }
}

/// Where a class comes from, for a decision that asks the net.
fn origin<'a>(class: &ClusteredClass<'a>, decision: &str) -> Result<ClassOrigin<'a>> {
    class.origin.ok_or_else(|| {
        Error::request(format!("the decision `{decision}` asks the net, and was given features alone"))
            .with_help("decide by what looks at features, such as `relative-size`")
    })
}

/// Accuses nobody.
fn spare(class: &ClusteredClass<'_>, reason: impl Into<String>) -> Decided {
    Decided { flagged: vec![false; class.clustering.labels.len()], reason: reason.into(), p_value: None, scores: None }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod laws {
    //! What holds for every decision.

    use std::sync::Arc;

    use bezoar_core::{Clustering, Context, Decision, Features, Plugin};
    use proptest::prelude::*;

    use super::*;

    /// Those that look at one class alone.
    fn all() -> [Arc<dyn Decision>; 4] {
        [
            SmallerCluster::example().build().unwrap(),
            RelativeSize::example().build().unwrap(),
            Silhouette::example().build().unwrap(),
            Fisher::example().build().unwrap(),
        ]
    }

    fn decide(decision: &dyn Decision, features: &Features, clustering: &Clustering, silhouette: Option<f64>) -> Decided {
        decision.decide(&Context::quiet(0), &ClusteredClass { features, clustering, silhouette, origin: None }).unwrap()
    }

    /// Rows that all say the same.
    fn equal(clustering: &Clustering) -> Features {
        Features::new(vec![1], vec![0.0; clustering.labels.len()]).unwrap()
    }

    /// Rows of two values about places of their clusters, which may be far from each other or the same.
    fn clustered(labels: impl Strategy<Value = Option<u32>>) -> impl Strategy<Value = (Features, Clustering)> {
        let rows = proptest::collection::vec((labels, proptest::array::uniform2(-1.0..1.0_f32)), 1..60);
        (rows, 0.0..20.0_f32).prop_map(|(rows, apart)| {
            let place = |(label, row): &(Option<u32>, [f32; 2])| row.map(|value| value + apart * label.map_or(0.5, |label| label as f32));
            let features = Features::new(vec![2], rows.iter().flat_map(place).collect()).unwrap();
            (features, Clustering::of(rows.into_iter().map(|(label, _)| label).collect()))
        })
    }

    proptest! {
        #[test]
        fn whole_clusters_are_accused_and_never_the_largest_nor_noise(
            (features, clustering) in clustered(proptest::option::of(0..4_u32)), silhouette in proptest::option::of(-1.0..1.0_f64)
        ) {
            for decision in all() {
                let decided = decide(&*decision, &features, &clustering, silhouette);
                prop_assert_eq!(decided.flagged.len(), clustering.labels.len());
                prop_assert!(!decided.reason.is_empty());
                let mut verdicts = std::collections::BTreeMap::new();
                for (label, &flagged) in clustering.labels.iter().zip(&decided.flagged) {
                    prop_assert!(!flagged || (label.is_some() && *label != clustering.largest()));
                    prop_assert_eq!(*verdicts.entry(label).or_insert(flagged), flagged, "a cluster in two minds");
                }
            }
        }

        #[test]
        fn a_better_separation_never_clears_a_sample(
            (features, clustering) in clustered((0..3_u32).prop_map(Some)), low in -1.0..1.0_f64, more in 0.0..1.0_f64
        ) {
            for decision in all() {
                let [before, after] = [low, low + more].map(|silhouette| decide(&*decision, &features, &clustering, Some(silhouette)));
                prop_assert!(before.flagged.iter().zip(&after.flagged).all(|(before, after)| before <= after));
            }
        }
    }

    #[test]
    fn of_equal_clusters_the_first_is_trusted() {
        let clustering = Clustering::of(vec![Some(1), Some(0), Some(1), Some(0)]);
        let decided = decide(&SmallerCluster {}, &equal(&clustering), &clustering, Some(0.5));
        assert_eq!(decided.flagged, [true, false, true, false]);
    }

    #[test]
    fn noise_alone_accuses_nobody() {
        let noise = Clustering::of(vec![None; 3]);
        for decision in all() {
            assert_eq!(decide(&*decision, &equal(&noise), &noise, None).flagged, [false; 3]);
        }
    }
}
