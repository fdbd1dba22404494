//! The detector, as YAML builds it.

use bezoar_attribution as _;
use bezoar_core::{Context, Detector, Features, Origin, Part, Plugin};
use bezoar_spectral_signatures::SpectralSignatures;
use proptest::prelude::*;
use serde_json::json;

#[path = "../../../crates/clustering/tests/support/mod.rs"]
mod support;

fn detector(share: f64) -> Part<dyn Detector> {
    Part::from_json(json!({ "use": SpectralSignatures::NAME, "share": share })).unwrap()
}

/// The Adversarial Robustness Toolbox assumes 0.33 unless told, and so removes half of every class.
#[test]
fn the_share_must_be_given_and_is_told() {
    let error = Part::<dyn Detector>::from_json(json!({ "use": SpectralSignatures::NAME })).unwrap_err();
    assert!(error.to_string().contains("share"), "{error}");
    for share in [0.0, 1.0, -0.1] {
        assert!(Part::<dyn Detector>::from_json(json!({ "use": SpectralSignatures::NAME, "share": share })).is_err());
    }
    assert_eq!(detector(0.1).block()["represent"], json!({ "use": "activations", "layer": "penultimate" }));
    let features = Features::new(vec![1], (0..6).map(|row| row as f32).collect()).unwrap();
    let verdict = support::detect(&Context::quiet(0), &*detector(0.1), &support::images(1, &[0; 6]), features).unwrap();
    assert_eq!((verdict.inputs[0].name.as_str(), verdict.inputs[0].value.as_str()), ("share", "0.1"));
    assert_eq!(verdict.inputs[0].origin, Origin::Given);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// BackdoorBox takes an image's number within its class for its number in the set.
    #[test]
    fn each_class_loses_its_highest_scores(values in proptest::collection::vec(-1.0..1.0_f32, 60 * 4), share in 0.01..0.9_f64) {
        let labels: Vec<u32> = (0..60).map(|row| u32::from(row >= 40)).collect();
        let features = Features::new(vec![2, 2], values).unwrap();
        let verdict = support::detect(&Context::quiet(0), &*detector(share), &support::images(2, &labels), features).unwrap();
        for (class, size) in [(0, 40), (1, 20)] {
            let rows: Vec<usize> = (0..60).filter(|&row| labels[row] == class).collect();
            let accused = rows.iter().filter(|&&row| verdict.flagged[row]).count();
            prop_assert_eq!(accused, ((1.5 * share * f64::from(size)).round() as usize).min(rows.len()));
            for &a in &rows {
                for &b in &rows {
                    prop_assert!(verdict.scores[a] <= verdict.scores[b] || !verdict.flagged[b] || verdict.flagged[a]);
                }
            }
            let statistic = verdict.classes[class as usize].statistic.unwrap();
            prop_assert!((0.25..=1.0 + 1e-12).contains(&statistic), "of four directions the first has at least a quarter: {statistic}");
        }
    }
}
