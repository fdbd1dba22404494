//! The preset, as YAML builds it.

use bezoar_attribution as _;
use bezoar_core::{Context, Detector, Features, Part, Plugin, Registry};
use bezoar_heatmap_clustering::HeatmapClustering;
use serde_json::{Value, json};

#[path = "../../../crates/clustering/tests/support/mod.rs"]
mod support;

fn preset(fields: Value) -> Part<dyn Detector> {
    let mut block = json!({ "use": HeatmapClustering::NAME });
    let (Value::Object(block_fields), Value::Object(fields)) = (&mut block, fields) else { unreachable!("both are objects") };
    block_fields.extend(fields);
    Part::from_json(block).unwrap()
}

#[test]
fn all_parts_have_defaults_and_the_resolved_block_shows_them() {
    let expected = json!({
        "use": "heatmap-clustering",
        "represent": { "use": "lrp", "composite": "epsilon", "epsilon": 1e-6, "gamma": 0.25, "stabilizer": "add", "target": "label", "channels": "sum" },
        "process": [{ "use": "min-max" }, { "use": "unit-mass" }],
        "reduce": null,
        "cluster": { "use": "k-means", "k": 2, "restarts": 10, "iterations": 300, "tolerance": 1e-4 },
        "decide": { "use": "smaller-cluster" },
        "suspects": null,
    });
    let block = preset(json!({})).block();
    assert_eq!(block, expected);
    assert_eq!(Part::<dyn Detector>::from_json(block).unwrap().block(), expected, "it resolves to itself");
}

#[test]
fn parts_are_replaced_one_by_one() {
    let replacements = json!({
        "represent": { "use": "lrp", "composite": "epsilon-plus" },
        "process": [],
        "reduce": { "use": "pca", "dimensions": 3 },
        "cluster": { "use": "hdbscan" },
        "decide": { "use": "relative-size" },
        "suspects": ["class-1"],
    });
    let before = preset(json!({})).block();
    for (field, replacement) in replacements.as_object().unwrap() {
        let after = preset(json!({ field: replacement })).block();
        for (other, value) in after.as_object().unwrap() {
            assert_eq!(*value != before[other], other == field, "{other} when {field} is replaced");
        }
    }
}

#[test]
fn the_schema_names_the_defaults_and_requires_nothing() {
    let schema = Registry::global().unwrap().get("detector", HeatmapClustering::NAME).unwrap().schema();
    assert_eq!(schema["properties"]["represent"]["default"], json!({ "use": "lrp", "composite": "epsilon" }));
    assert_eq!(schema["required"].as_array().map_or(0, Vec::len), 0);
    assert!(schema["description"].as_str().unwrap().starts_with("Clusters the heatmaps of each class"));
    assert_eq!(schema["additionalProperties"], json!(false));
}

#[test]
fn unknown_fields_are_refused() {
    let error = Part::<dyn Detector>::from_json(json!({ "use": HeatmapClustering::NAME, "clusters": 2 })).unwrap_err();
    assert!(error.to_string().contains("clusters"), "{error}");
}

/// Heatmaps of 6x6 pixels, the relevance of poison in one corner, that of clean images spread over the middle, at different scales.
#[test]
fn heatmaps_that_point_elsewhere_are_accused() {
    let labels: Vec<u32> = (0..120).map(|row| row % 2).collect();
    let poison = |row: usize| row % 2 == 1 && row.is_multiple_of(7);
    let value = |row: usize, pixel: usize| {
        let (y, x) = (pixel / 6, pixel % 6);
        let lit = if poison(row) { y < 2 && x < 2 } else { (1..5).contains(&y) && (1..5).contains(&x) };
        let noise = (row * 13 + pixel * 7) % 11;
        (if lit { 5.0 } else { 0.0 } + noise as f32 * 0.05 - 0.2) * (1 + row % 5) as f32
    };
    let values = (0..120).flat_map(|row| (0..36).map(move |pixel| value(row, pixel))).collect();
    let features = Features::new(vec![6, 6], values).unwrap();
    let detector = preset(json!({ "suspects": [1] }));
    let verdict = support::detect(&Context::quiet(0), &*detector, &support::images(2, &labels), features).unwrap();
    for row in 0..120 {
        assert_eq!(verdict.flagged[row], poison(row), "row {row}");
        assert!(row % 2 == 0 || (verdict.scores[row].unwrap() > 3.0) == poison(row), "row {row}");
    }
}

#[test]
fn a_whole_block_says_which_preset_it_stands_for() {
    for name in ["as-published", "as-described", "recommended"] {
        let part = preset(json!({ "preset": name, "suspects": [1] }));
        assert_eq!(part.preset(), Some(name), "{}", part.block());
        assert_eq!(preset(part.block()).preset(), Some(name));
    }
    assert_eq!(preset(json!({})).preset(), None);
    assert_eq!(preset(json!({ "preset": "recommended", "decide": "smaller-cluster" })).preset(), None);
}
