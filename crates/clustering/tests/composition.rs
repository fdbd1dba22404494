//! Detectors composed of parts.

use std::sync::Arc;

use bezoar_clustering::Composition;
use bezoar_core::{
    Cancel, Classifier, Context, Device, Error, Features, ImageSet, Origin, Plugin, Progress, Representation, Result, Task, Transform,
    Verdict, register,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod support;

use support::{detect, images};

/// A representation that is never asked.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Unseen {}

impl Plugin for Unseen {
    type Kind = dyn Representation;
    const NAME: &'static str = "unseen";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

impl Representation for Unseen {
    fn represent(&self, _: &Context, _: &dyn Classifier, _: &ImageSet, _: &mut dyn FnMut(Features) -> Result<()>) -> Result<()> {
        Err(Error::request("nobody asks"))
    }
}

register!(Unseen);

/// A transform that takes logarithms, of negative values too.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Logarithm {}

impl Plugin for Logarithm {
    type Kind = dyn Transform;
    const NAME: &'static str = "logarithm";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

impl Transform for Logarithm {
    fn transform(&self, _: &Context, mut features: Features) -> Result<Features> {
        features.rows_mut().flatten().for_each(|value| *value = value.ln());
        Ok(features)
    }
}

register!(Logarithm);

/// A composition of k-means and the smaller cluster, but for these fields.
fn composition(fields: Value) -> Composition {
    let mut block = json!({ "represent": { "use": "unseen" }, "cluster": { "use": "k-means" }, "decide": { "use": "smaller-cluster" } });
    let (Value::Object(block_fields), Value::Object(fields)) = (&mut block, fields) else { unreachable!("both are objects") };
    block_fields.extend(fields);
    serde_json::from_value(block).unwrap()
}

/// Three classes of `size` images and four features, one image in ten of class 1 far from the others.
fn data(size: usize) -> (ImageSet, Features) {
    let labels: Vec<u32> = (0..3 * size).map(|row| (row % 3) as u32).collect();
    let value = |row: usize, column: usize| {
        let poison = if is_poison(row) && column == 2 { 20.0 } else { 0.0 };
        (row * (7 + column) % 31) as f32 * 0.1 + poison
    };
    let values = (0..3 * size).flat_map(|row| (0..4).map(move |column| value(row, column))).collect();
    (images(3, &labels), Features::new(vec![4], values).unwrap())
}

fn is_poison(row: usize) -> bool {
    row % 3 == 1 && row % 30 < 3
}

fn run(detector: &Composition, size: usize) -> Verdict {
    let (images, features) = data(size);
    detect(&Context::quiet(3), detector, &images, features).unwrap()
}

#[test]
fn poison_is_scored_and_flagged() {
    let verdict = run(&composition(json!({ "decide": { "use": "silhouette", "at-least": 0.6 } })), 200);
    for row in 0..600 {
        assert_eq!(verdict.flagged[row], is_poison(row), "row {row}");
        assert_eq!(verdict.scores[row].unwrap() > 5.0, is_poison(row), "row {row}");
    }
    let statistics: Vec<f64> = verdict.classes.iter().map(|class| class.statistic.unwrap()).collect();
    assert!(statistics[1] > 0.6 && statistics[0] < 0.6 && statistics[2] < 0.6, "{statistics:?}");
    assert_eq!(verdict.classes[1].statistic_name, "silhouette");
    assert_eq!(verdict.classes[1].reason, "1 of 2 clusters accused: 20 of 200 images, 10.0 %");
    assert!(verdict.inputs.is_empty());
}

#[test]
fn scores_do_not_depend_on_the_rule() {
    let rules = ["smaller-cluster", "relative-size", "silhouette"].map(|rule| run(&composition(json!({ "decide": { "use": rule } })), 50));
    assert_eq!(rules[0].scores, rules[1].scores);
    assert_eq!(rules[0].scores, rules[2].scores);
}

/// The Adversarial Robustness Toolbox fits one clusterer to all classes in turn, each from where the last one ended.
#[test]
fn a_suspect_is_judged_as_in_a_scan_of_all() {
    let settings = json!({ "cluster": { "use": "k-means", "k": 4, "restarts": 1 } });
    let all = run(&composition(settings.clone()), 40);
    let mut only = settings;
    only["suspects"] = json!(["class-2", 1]);
    let some = run(&composition(only), 40);
    for row in 0..120 {
        let scanned = row % 3 != 0;
        assert_eq!(some.scores[row], all.scores[row].filter(|_| scanned));
        assert_eq!(some.flagged[row], all.flagged[row] && scanned);
    }
    assert_eq!(some.classes[0].reason, "not scanned: not among the suspects");
    assert_eq!(some.classes[0].statistic, None);
    assert_eq!(some.classes[1..], all.classes[1..]);
    let input = &some.inputs[0];
    assert_eq!((input.name.as_str(), input.value.as_str(), input.origin), ("suspects", r#"["class-2",1]"#, Origin::Given));
}

#[test]
fn suspects_must_be_classes_of_the_set() {
    let (images, features) = data(10);
    let error = detect(&Context::quiet(0), &composition(json!({ "suspects": ["clas-1"] })), &images, features).unwrap_err();
    assert_eq!(error.to_string(), "there is no class `clas-1` in the data set");
}

#[test]
fn classes_too_small_are_left_out_with_the_reason() {
    let images = images(4, &[0, 0, 1, 1, 1, 3, 3, 3, 3, 3, 3]);
    let features = Features::new(vec![1], (0..11).map(|row| row as f32).collect()).unwrap();
    let of = |fields| detect(&Context::quiet(0), &composition(fields), &images, features.clone()).unwrap();
    let reasons = |verdict: &Verdict| verdict.classes.iter().map(|class| class.reason.clone()).collect::<Vec<_>>();
    let two = of(json!({}));
    assert_eq!(reasons(&two)[0], "not scanned: 2 images, and at least 3 are needed");
    assert_eq!(reasons(&two)[2], "not scanned: 0 images, and at least 3 are needed");
    assert_eq!(two.scores.iter().map(Option::is_some).collect::<Vec<_>>(), [vec![false; 2], vec![true; 9]].concat());
    let five = of(json!({ "cluster": { "use": "k-means", "k": 5 } }));
    assert_eq!(reasons(&five)[1], "not scanned: 3 images, and at least 5 are needed");
    assert!(five.scores[5].is_some());
    let dense = of(json!({ "cluster": { "use": "hdbscan", "min-cluster-size": 3, "min-samples": 7 } }));
    assert_eq!(reasons(&dense)[3], "not scanned: 6 images, and at least 7 are needed");
}

#[test]
fn values_that_are_not_finite_are_traced_to_their_image() {
    let images = images(2, &[1, 0, 0, 0, 1, 1]);
    let problem = |values: [f32; 6], fields| {
        let features = Features::new(vec![1], values.to_vec()).unwrap();
        detect(&Context::quiet(0), &composition(fields), &images, features).unwrap_err().to_string()
    };
    let raw = problem([0.0, 1.0, 2.0, f32::NAN, f32::INFINITY, 0.0], json!({}));
    assert_eq!(raw, "image image-3: the representation gave a NaN or an infinity");
    let processed = problem([1.0, 1.0, 2.0, 3.0, -4.0, 2.0], json!({ "process": [{ "use": "logarithm" }] }));
    assert_eq!(processed, "image image-4: the transform `logarithm` gave a NaN or an infinity");
}

#[test]
fn threads_change_nothing() {
    let detector = composition(json!({ "process": [{ "use": "min-max" }], "reduce": { "use": "pca", "dimensions": 2 } }));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&detector, 300))
    };
    assert_eq!(with(1), with(4));
}

struct Deaf;

impl Progress for Deaf {
    fn task(&self, _: &str, _: u64) -> Box<dyn Task> {
        Box::new(Self)
    }

    fn note(&self, _: &str) {}
}

impl Task for Deaf {
    fn advance(&self, _: u64) {}

    fn remark(&self, _: &str) {}
}

#[test]
fn a_cancelled_run_stops() {
    let cancel = Cancel::default();
    let cx = Context::new(0, Device::Cpu, Arc::new(Deaf), cancel.clone());
    cancel.cancel();
    let (images, features) = data(10);
    assert!(matches!(detect(&cx, &composition(json!({})), &images, features), Err(Error::Cancelled)));
}
