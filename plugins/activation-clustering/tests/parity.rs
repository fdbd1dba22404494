//! Clusters and verdicts beside those of the Adversarial Robustness Toolbox, made by `tests/parity/activation_clustering.py`.

use bezoar_activation_clustering::ActivationClustering;
use bezoar_attribution as _;
use bezoar_core::{Context, Detector, Features, Part, Plugin};
use serde::Deserialize;
use serde_json::{Value, json};

#[path = "../../../crates/clustering/tests/support/mod.rs"]
mod support;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    name: String,
    rows: Vec<Vec<f32>>,
    smaller: Vec<usize>,
    relative_size: Vec<usize>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/parity/activation_clustering.json")).unwrap()
}

fn flagged(case: &Case, decide: &Value) -> Vec<usize> {
    let detector = Part::<dyn Detector>::from_json(json!({ "use": ActivationClustering::NAME, "decide": decide })).unwrap();
    let features = Features::new(vec![case.rows[0].len()], case.rows.concat()).unwrap();
    let images = support::images(1, &vec![0; case.rows.len()]);
    let verdict = support::detect(&Context::quiet(0), &*detector, &images, features).unwrap();
    verdict.flagged.into_iter().map(usize::from).collect()
}

/// Where two clusters are all, the smaller one says which both are.
#[test]
fn the_smaller_cluster_is_theirs() {
    for case in cases() {
        assert_eq!(flagged(&case, &json!({ "use": "smaller-cluster" })), case.smaller, "{}", case.name);
    }
}

#[test]
fn clusters_below_their_relative_size_are_accused() {
    for case in cases() {
        assert_eq!(flagged(&case, &json!({ "use": "relative-size", "at-most": 0.35 })), case.relative_size, "{}", case.name);
    }
}
