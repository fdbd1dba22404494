//! A program without the crate that explains images.

use bezoar_core::{Detector, Part};
use bezoar_heatmap_clustering as _;
use serde_json::json;

#[test]
fn a_default_that_is_not_linked_is_an_error_that_names_it() {
    let error = Part::<dyn Detector>::from_json(json!({ "use": "heatmap-clustering" })).unwrap_err();
    assert!(error.to_string().contains("there is no representation plugin called `lrp`"), "{error}");
}
