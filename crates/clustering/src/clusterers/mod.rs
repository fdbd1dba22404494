//! Plugins that group the rows of a class.
//!
//! By Euclidean distance, but that `dbscan`, `optics`, `hdbscan`, `agglomerative`, `spectral` and `k-medoids` take any `distance`, and
//! `gromov-wasserstein-k-means` takes rows as heatmaps.
//!
//! All of them number clusters by size, largest first, and give each row the same company in whatever order the rows come.

mod agglomerative;
mod count;
mod dbscan;
mod gaussian_mixture;
mod gromov_wasserstein_k_means;
mod hdbscan;
mod k_means;
mod k_medoids;
mod mini_batch_k_means;
mod optics;
mod radius;
mod spectral;

pub use agglomerative::Agglomerative;
pub use count::{Choice, Count, Criterion};
pub use dbscan::Dbscan;
pub use gaussian_mixture::{Covariance, Fit, GaussianMixture};
pub use gromov_wasserstein_k_means::GromovWassersteinKMeans;
pub use hdbscan::Hdbscan;
pub use k_means::KMeans;
pub use k_medoids::KMedoids;
pub use mini_batch_k_means::MiniBatchKMeans;
pub use optics::Optics;
pub use spectral::Spectral;

#[cfg(test)]
mod laws {
    //! What holds for every clusterer.

    use bezoar_core::{Clusterer, Clustering, Context, Features, Plugin};
    use proptest::prelude::*;

    use super::*;

    fn all() -> [(&'static str, std::sync::Arc<dyn Clusterer>); 10] {
        let dense = Hdbscan { min_cluster_size: 3, min_samples: None, ..Hdbscan::example() };
        [
            ("k-means", KMeans::example().build().unwrap()),
            ("dbscan", Dbscan::example().build().unwrap()),
            ("agglomerative", Agglomerative::example().build().unwrap()),
            ("agglomerative single", Agglomerative { linkage: crate::Linkage::Single, ..Agglomerative::example() }.build().unwrap()),
            ("gaussian-mixture", GaussianMixture::example().build().unwrap()),
            ("optics", Optics::example().build().unwrap()),
            ("spectral", Spectral { k: Count::Given(3), neighbours: 5, distance: None }.build().unwrap()),
            ("mini-batch-k-means", MiniBatchKMeans { batch: 20, ..MiniBatchKMeans::example() }.build().unwrap()),
            ("k-medoids", KMedoids::example().build().unwrap()),
            ("hdbscan", dense.build().unwrap()),
        ]
    }

    fn cluster(clusterer: &dyn Clusterer, rows: &[[f32; 3]]) -> Clustering {
        clusterer.cluster(&Context::quiet(5), &Features::new(vec![3], rows.concat()).unwrap()).unwrap()
    }

    /// Two or three clouds, some rows twice.
    fn clouds() -> impl Strategy<Value = Vec<[f32; 3]>> {
        let row = (0..3_u8, proptest::array::uniform3(-1.0..1.0_f32));
        proptest::collection::vec(row, 12..60).prop_map(|rows| {
            let mut rows: Vec<[f32; 3]> = rows.into_iter().map(|(cloud, row)| row.map(|x| x + f32::from(cloud) * 3.0)).collect();
            rows.extend_from_within(..3);
            rows
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_order_of_rows_does_not_matter((rows, order) in clouds().prop_flat_map(|rows| {
            let order = Just((0..rows.len()).collect::<Vec<_>>()).prop_shuffle();
            (Just(rows), order)
        })) {
            let shuffled: Vec<[f32; 3]> = order.iter().map(|&row| rows[row]).collect();
            for (name, clusterer) in all() {
                let (before, after) = (cluster(&*clusterer, &rows), cluster(&*clusterer, &shuffled));
                prop_assert_eq!(before.sizes(), after.sizes(), "{}", name);
                for (&row, label) in order.iter().zip(&after.labels) {
                    // Only equal rows may change places.
                    let twins = (0..rows.len()).filter(|&twin| rows[twin].map(f32::to_bits) == rows[row].map(f32::to_bits));
                    prop_assert!(twins.into_iter().any(|twin| before.labels[twin] == *label), "{}", name);
                }
            }
        }

        #[test]
        fn every_row_is_answered_and_the_largest_cluster_is_the_first(rows in clouds()) {
            for (name, clusterer) in all() {
                let found = cluster(&*clusterer, &rows);
                prop_assert_eq!(found.labels.len(), rows.len(), "{}", name);
                prop_assert!(found.sizes().is_sorted_by(|a, b| a >= b), "{}", name);
                prop_assert!(!found.sizes().contains(&0), "{}", name);
            }
        }

        #[test]
        fn equal_rows_stay_together(rows in clouds()) {
            for (name, clusterer) in &all()[..3] {
                let labels = cluster(&**clusterer, &rows).labels;
                for twin in 0..3 {
                    prop_assert_eq!(labels[twin], labels[rows.len() - 3 + twin], "{}", name);
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let rows: Vec<[f32; 3]> = (0..400).map(|i| [(i % 7) as f32, (i * i % 11) as f32 * 0.3, (i * 31 % 17) as f32 * 0.1]).collect();
        for (name, clusterer) in all() {
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| cluster(&*clusterer, &rows))
            };
            assert_eq!(with(1), with(3), "{name}");
        }
    }

    #[test]
    fn equal_rows_make_no_trouble() {
        for (name, clusterer) in all() {
            assert!(cluster(&*clusterer, &[[2.0; 3]; 20]).sizes().len() <= 1, "{name}");
        }
    }

    #[test]
    fn rows_that_are_not_finite_are_refused() {
        for (name, clusterer) in all() {
            let mut values = vec![1.0; 30];
            values[7] = f32::NAN;
            let refusal = clusterer.cluster(&Context::quiet(0), &Features::new(vec![1], values).unwrap()).unwrap_err().to_string();
            assert_eq!(refusal, "row 7 of the features: holds a NaN or an infinity", "{name}");
        }
    }

    #[test]
    fn no_groups_are_refused_before_anything_is_clustered() {
        for name in ["k-means", "agglomerative", "gaussian-mixture", "spectral"] {
            for k in [serde_json::json!(0), serde_json::json!({ "by": "silhouette", "at-most": 0 })] {
                let block = serde_json::json!({ "use": name, "k": k });
                assert!(bezoar_core::Part::<dyn Clusterer>::from_json(block).is_err(), "{name}, k {k}");
            }
        }
        let chosen = serde_json::json!({ "use": "k-means", "k": { "by": "gap", "at-most": 3 } });
        let part = bezoar_core::Part::<dyn Clusterer>::from_json(chosen.clone()).unwrap();
        assert_eq!(part.block()["k"], chosen["k"]);
        assert_eq!(bezoar_core::Part::<dyn Clusterer>::from_json(serde_json::json!({ "use": "k-means", "k": 3 })).unwrap().block()["k"], 3);
    }

    #[test]
    fn too_few_rows_are_refused() {
        for (name, clusterer) in all() {
            let few = Features::new(vec![1], vec![0.0; clusterer.min_rows() - 1]).unwrap();
            assert!(clusterer.cluster(&Context::quiet(0), &few).is_err(), "{name}");
        }
    }
}
