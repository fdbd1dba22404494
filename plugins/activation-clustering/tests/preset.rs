//! The preset, as YAML builds it.

use bezoar_activation_clustering::ActivationClustering;
use bezoar_attribution as _;
use bezoar_core::{Context, Detector, Features, Part, Plugin};
use serde_json::json;

#[path = "../../../crates/clustering/tests/support/mod.rs"]
mod support;

#[test]
fn all_parts_have_defaults_and_the_resolved_block_shows_them() {
    let expected = json!({
        "use": "activation-clustering",
        "represent": { "use": "activations", "layer": "penultimate" },
        "process": [],
        "reduce": { "use": "pca", "dimensions": 10, "whiten": false },
        "cluster": { "use": "k-means", "k": 2, "restarts": 10, "iterations": 300, "tolerance": 1e-4 },
        "decide": { "use": "smaller-cluster" },
        "suspects": null,
    });
    let block = Part::<dyn Detector>::from_json(json!({ "use": ActivationClustering::NAME })).unwrap().block();
    assert_eq!(block, expected);
    assert_eq!(Part::<dyn Detector>::from_json(block).unwrap().block(), expected, "it resolves to itself");
}

#[test]
fn null_switches_the_reduction_off() {
    let whole = Part::<dyn Detector>::from_json(json!({ "use": ActivationClustering::NAME, "reduce": null })).unwrap();
    assert_eq!(whole.block()["reduce"], json!(null));
}

/// Activations of 64 values, of which poison raises three.
#[test]
fn activations_apart_are_accused() {
    let poison = |row: usize| row.is_multiple_of(6);
    let value = |row: usize, column: usize| {
        let raised = if poison(row) && column < 3 { 3.0 } else { 0.0 };
        ((row * 17 + column * 29 + row * column) % 23) as f32 / 23.0 + raised
    };
    let values = (0..90).flat_map(|row| (0..64).map(move |column| value(row, column))).collect();
    let features = Features::new(vec![64], values).unwrap();
    let detector = Part::<dyn Detector>::from_json(json!({ "use": ActivationClustering::NAME })).unwrap();
    let verdict = support::detect(&Context::quiet(0), &*detector, &support::images(1, &[0; 90]), features).unwrap();
    for row in 0..90 {
        assert_eq!(verdict.flagged[row], poison(row), "row {row}");
    }
}
