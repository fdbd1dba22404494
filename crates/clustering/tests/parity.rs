//! Results equal to those of scikit-learn and hdbscan; `tests/parity/clustering.py` made the numbers.

use std::collections::BTreeMap;

use bezoar_clustering::clusterers::{Agglomerative, Covariance, Dbscan, GaussianMixture, Hdbscan, KMeans, Optics, Spectral};
use bezoar_clustering::{Linkage, principal_components, silhouette};
use bezoar_core::{Clustering, Context, Features, Plugin};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    name: String,
    rows: Vec<Vec<f32>>,
    k_means: Means,
    silhouette: f64,
    pca: Components,
    dbscan: Density,
    hdbscan: Hierarchy,
    spectral: Cuts,
    agglomerative: BTreeMap<String, Vec<i64>>,
    mixture: Option<Mixture>,
    optics: Order,
    strengths: Strengths,
}

#[derive(Deserialize)]
struct Cuts {
    k: usize,
    neighbours: usize,
    labels: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mixture {
    k: usize,
    log_likelihood: f64,
    labels: Vec<i64>,
}

#[derive(Deserialize)]
struct Means {
    k: usize,
    inertia: f64,
    labels: Vec<i64>,
}

#[derive(Deserialize)]
struct Components {
    variances: Vec<f64>,
    coordinates: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Density {
    eps: f64,
    min_points: usize,
    labels: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Hierarchy {
    min_cluster_size: usize,
    min_samples: usize,
    labels: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Order {
    min_points: usize,
    eps: f64,
    labels: Vec<i64>,
    dense: Vec<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Strengths {
    rows: Vec<Vec<f32>>,
    min_cluster_size: usize,
    min_samples: usize,
    labels: Vec<i64>,
    probabilities: Vec<f64>,
    outlier_scores: Vec<f64>,
}

fn cases() -> Vec<(Case, Features)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/parity/clustering.json")).unwrap();
    assert_eq!(cases.len(), 3);
    cases
        .into_iter()
        .map(|case| {
            let features = Features::new(vec![case.rows[0].len()], case.rows.concat()).unwrap();
            (case, features)
        })
        .collect()
}

/// The clusters named by first appearance; negative labels are noise.
fn renamed(labels: impl IntoIterator<Item = i64>) -> Vec<Option<usize>> {
    let mut names = BTreeMap::new();
    let name = |label| {
        let next = names.len();
        (label >= 0).then(|| *names.entry(label).or_insert(next))
    };
    labels.into_iter().map(name).collect()
}

fn ours(clustering: &Clustering) -> Vec<Option<usize>> {
    renamed(clustering.labels.iter().map(|label| label.map_or(-1, i64::from)))
}

fn inertia(features: &Features, clustering: &Clustering) -> f64 {
    let of_cluster = |cluster| {
        let rows: Vec<usize> = (0..features.len()).filter(|&row| clustering.labels[row] == Some(cluster)).collect();
        let squares = |column: usize| {
            let values: Vec<f64> = rows.iter().map(|&row| f64::from(features.row(row)[column])).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
        };
        (0..features.width()).map(squares).sum::<f64>()
    };
    (0..clustering.sizes().len() as u32).map(of_cluster).sum()
}

#[test]
fn k_means_finds_the_same_groups() {
    for (Case { name, k_means, .. }, features) in cases() {
        let clusterer = KMeans { k: k_means.k.into(), restarts: 100, ..KMeans::example() }.build().unwrap();
        let found = clusterer.cluster(&Context::quiet(0), &features).unwrap();
        assert_eq!(ours(&found), renamed(k_means.labels), "{name}");
        let inertia = inertia(&features, &found);
        assert!((inertia / k_means.inertia - 1.0).abs() < 1e-9, "{name}: {inertia}, and {} by scikit-learn", k_means.inertia);
    }
}

#[test]
fn silhouettes_are_equal() {
    for (case, features) in cases() {
        let labels = case.k_means.labels.iter().map(|&label| u32::try_from(label).ok()).collect();
        let value = silhouette(&features, &Clustering::of(labels)).unwrap();
        assert!((value - case.silhouette).abs() < 1e-9, "{}: {value}, and {} by scikit-learn", case.name, case.silhouette);
    }
}

#[test]
fn principal_components_are_equal_with_their_signs() {
    for (Case { name, pca, .. }, features) in cases() {
        let found = principal_components(&features, pca.variances.len()).unwrap();
        for (ours, theirs) in found.variances.iter().zip(&pca.variances) {
            assert!((ours / theirs - 1.0).abs() < 1e-9, "{name}: variance {ours}, and {theirs} by scikit-learn");
        }
        let theirs = pca.coordinates.concat();
        assert_eq!(found.coordinates.len(), theirs.len());
        for (ours, theirs) in found.coordinates.iter().zip(&theirs) {
            assert!((ours - theirs).abs() < 1e-8, "{name}: coordinate {ours}, and {theirs} by scikit-learn");
        }
    }
}

#[test]
fn dbscan_finds_the_same_groups_and_noise() {
    for (Case { name, dbscan, .. }, features) in cases() {
        let clusterer = Dbscan { min_points: dbscan.min_points, eps: Some(dbscan.eps), ..Dbscan::example() }.build().unwrap();
        let found = clusterer.cluster(&Context::quiet(0), &features).unwrap();
        assert_eq!(ours(&found), renamed(dbscan.labels), "{name}");
    }
}

#[test]
fn hdbscan_finds_the_same_groups_and_noise() {
    for (Case { name, hdbscan, .. }, features) in cases() {
        let settings = Hdbscan { min_cluster_size: hdbscan.min_cluster_size, min_samples: Some(hdbscan.min_samples), ..Hdbscan::example() };
        let found = settings.build().unwrap().cluster(&Context::quiet(0), &features).unwrap();
        assert_eq!(ours(&found), renamed(hdbscan.labels), "{name}");
    }
}

#[test]
fn hdbscan_says_the_same_of_each_row() {
    for (Case { name, strengths, .. }, _) in cases() {
        let features = Features::new(vec![strengths.rows[0].len()], strengths.rows.concat()).unwrap();
        let settings =
            Hdbscan { min_cluster_size: strengths.min_cluster_size, min_samples: Some(strengths.min_samples), ..Hdbscan::example() };
        let found = settings.build().unwrap().cluster(&Context::quiet(0), &features).unwrap();
        assert_eq!(ours(&found), renamed(strengths.labels), "{name}");
        let membership = found.membership.unwrap();
        let pairs = [(&membership.strengths, &strengths.probabilities), (&membership.outliers, &strengths.outlier_scores)];
        for (row, (ours, theirs)) in pairs.into_iter().flat_map(|(ours, theirs)| ours.iter().zip(theirs).enumerate()) {
            assert!((ours - theirs).abs() < 1e-9, "{name}, row {row}: {ours}, and {theirs} by hdbscan");
        }
    }
}

#[test]
fn spectral_clustering_finds_the_same_groups() {
    for (Case { name, spectral, .. }, features) in cases() {
        let clusterer = Spectral { k: spectral.k.into(), neighbours: spectral.neighbours, distance: None }.build().unwrap();
        let found = clusterer.cluster(&Context::quiet(0), &features).unwrap();
        assert_eq!(ours(&found), renamed(spectral.labels), "{name}");
    }
}

#[test]
fn agglomerative_clustering_finds_the_same_groups_by_every_linkage() {
    for (Case { name, agglomerative, .. }, features) in cases() {
        for (link, labels) in agglomerative {
            let linkage: Linkage = serde_json::from_value(link.clone().into()).unwrap();
            let clusterer = Agglomerative { k: 3.into(), linkage, ..Agglomerative::example() }.build().unwrap();
            let found = clusterer.cluster(&Context::quiet(0), &features).unwrap();
            assert_eq!(ours(&found), renamed(labels), "{name}, {link}");
        }
    }
}

#[test]
fn mixtures_are_as_likely() {
    for (Case { name, mixture, .. }, features) in cases() {
        let Some(mixture) = mixture else { continue };
        let settings = GaussianMixture { covariance: Covariance::Diagonal, tolerance: 1e-9, ..GaussianMixture::example() };
        let fit = settings.fit(&Context::quiet(0), &features, mixture.k).unwrap();
        let mean = fit.log_likelihood / features.len() as f64;
        assert!(mean > mixture.log_likelihood - 1e-4, "{name}: {mean}, and {} by scikit-learn", mixture.log_likelihood);
        assert_eq!(renamed(fit.labels.iter().map(|&label| label as i64)), renamed(mixture.labels), "{name}");
    }
}

#[test]
fn optics_finds_the_same_groups_and_noise() {
    for (Case { name, optics, .. }, features) in cases() {
        let settings = Optics { min_points: optics.min_points, eps: Some(optics.eps), ..Optics::example() };
        let found = settings.build().unwrap().cluster(&Context::quiet(0), &features).unwrap();
        let of_dense =
            |labels: Vec<i64>| renamed(labels.into_iter().zip(&optics.dense).filter(|(_, dense)| **dense).map(|(label, _)| label));
        let ours = of_dense(found.labels.iter().map(|label| label.map_or(-1, i64::from)).collect());
        assert_eq!(ours, of_dense(optics.labels.clone()), "{name}");
    }
}
