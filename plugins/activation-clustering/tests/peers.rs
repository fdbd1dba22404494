//! What implementations of others get wrong, so that this one never does.

use bezoar_activation_clustering::ActivationClustering;
use bezoar_attribution as _;
use bezoar_core::{Context, Detector, Features, Part, Plugin, Verdict};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

#[path = "../../../crates/clustering/tests/support/mod.rs"]
mod support;

const WIDTH: usize = 12;

/// Activations of a class; `poisoned` of them have three values raised.
fn activations(images: usize, poisoned: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut value = |row: usize, column: usize| rng.random_range(0.0..1.0) + if row < poisoned && column < 3 { 4.0 } else { 0.0 };
    (0..images * WIDTH).map(|at| value(at / WIDTH, at % WIDTH)).collect()
}

fn detect(fields: &Value, labels: &[u32], activations: Vec<f32>) -> Verdict {
    let mut block = json!({ "use": ActivationClustering::NAME });
    block.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let detector = Part::<dyn Detector>::from_json(block).unwrap();
    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let features = Features::new(vec![WIDTH], activations).unwrap();
    support::detect(&Context::quiet(0), &*detector, &support::images(classes, labels), features).unwrap()
}

fn first_of(poisoned: usize, images: usize) -> Vec<bool> {
    (0..images).map(|row| row < poisoned).collect()
}

/// The Adversarial Robustness Toolbox (its issue 186) calls the small cluster clean and the large one nothing at all.
#[test]
fn art_silhouette_scores_keep_nothing_of_the_class() {
    let found = detect(&json!({ "decide": { "use": "silhouette" } }), &[0; 200], activations(200, 20, 0));
    assert_eq!(found.flagged, first_of(20, 200));
}

/// Its limits of relative size and silhouette cannot be reached from outside.
#[test]
fn art_thresholds_cannot_be_set() {
    for (at_most, accused) in [(0.09, 0), (0.11, 20)] {
        let found = detect(&json!({ "decide": { "use": "relative-size", "at-most": at_most } }), &[0; 200], activations(200, 20, 0));
        assert_eq!(found.flagged, first_of(accused, 200), "{at_most}");
    }
    let by_silhouette =
        |at_least: f64| detect(&json!({ "decide": { "use": "silhouette", "at-least": at_least } }), &[0; 200], activations(200, 20, 0));
    let silhouette = by_silhouette(0.0).classes[0].statistic.unwrap();
    for (at_least, accused) in [(silhouette - 0.01, 20), (silhouette + 0.01, 0)] {
        assert_eq!(by_silhouette(at_least).flagged, first_of(accused, 200), "{at_least}");
    }
}

/// It takes the name of t-SNE and then refuses it.
#[test]
fn art_t_sne_is_a_dead_option() {
    let reduced = json!({ "reduce": { "use": "t-sne", "perplexity": 10.0, "iterations": 300 }, "decide": { "use": "relative-size" } });
    assert_eq!(detect(&reduced, &[0; 60], activations(60, 15, 0)).flagged, first_of(15, 60));
}

/// It gives all classes of a generator one k-means, so that a class's clusters depend on what came before.
#[test]
fn art_generators_share_one_k_means_between_classes() {
    let alone = detect(&json!({}), &[0; 80], activations(80, 12, 1));
    let labels = [vec![0; 80], vec![1; 50]].concat();
    let beside = detect(&json!({}), &labels, [activations(80, 12, 1), activations(50, 25, 2)].concat());
    assert_eq!(beside.flagged[..80], alone.flagged);
    assert_eq!(beside.scores[..80], alone.scores);
}

/// Its default accuses a part of every class. So does `smaller-cluster`, which says so; what has no reason to accuse must be at hand.
#[test]
fn art_default_accuses_clean_classes() {
    let clean = || activations(200, 0, 3);
    assert!(detect(&json!({}), &[0; 200], clean()).flagged.contains(&true), "the rule of the paper");
    for decide in ["relative-size", "silhouette", "fisher"] {
        let found = detect(&json!({ "decide": { "use": decide } }), &[0; 200], clean());
        assert!(!found.flagged.contains(&true), "{decide}: {}", found.classes[0].reason);
    }
}

/// `TrojanZoo` groups images by what the net takes them for, where the method has their labels. The net here refuses to be asked.
#[test]
fn trojanzoo_groups_by_predictions() {
    let labels: Vec<u32> = (0..160).map(|row| row % 2).collect();
    let [one, two] = [activations(80, 12, 4), activations(80, 0, 5)];
    let turns = one.chunks(WIDTH).zip(two.chunks(WIDTH)).flat_map(|(one, two)| one.iter().chain(two)).copied().collect();
    let found = detect(&json!({ "decide": { "use": "relative-size" } }), &labels, turns);
    assert_eq!(found.flagged, (0..160).map(|row| row % 2 == 0 && row < 24).collect::<Vec<_>>());
}
