//! A made-up run: discs on gradients, some with a yellow square, and heatmaps that see the square.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bezoar_core::{
    ClassVerdict, Context, Counts, Detection, Edit, FeatureSource, Features, FinishedStage, GroundTruth, Image, ImageSet, ImageShape,
    Input, Mask, Measurement, NamedFeatures, Origin, Outcome, Predictions, Report, Role, Sample, Scope, Skipped, Verdict,
};
use rand::RngExt;

const SIDE: usize = 32;
const TARGET: u32 = 5;
const CLASSES: [&str; 9] = [
    "speed-limit-20",
    "speed-limit-30",
    "speed-limit-50",
    "speed-limit-60",
    "speed-limit-70",
    "speed-limit-80",
    "no-passing",
    "priority-road",
    "yield",
];

/// All that a [`Report`] borrows.
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) stages: Vec<FinishedStage>,
    pub(crate) resolved: String,
    pub(crate) balances: BTreeMap<String, serde_json::Value>,
    pub(crate) plugins: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Run {
    pub(crate) fn report(&self) -> Report<'_> {
        Report {
            outcome: &self.outcome,
            measurements: &self.measurements,
            stages: &self.stages,
            resolved: &self.resolved,
            balances: &self.balances,
            plugins: &self.plugins,
            machine: "Some CPU @ 2.00GHz, 2 threads, linux x86_64",
        }
    }
}

/// A run with `images` in each class, `poison` more of them in the attacked one.
pub(crate) fn attacked(images: usize, poison: usize) -> Run {
    let (set, truth) = poisoned(images, poison);
    let detections = vec![heatmap_clustering(&set, &truth, "heatmaps"), activation_clustering(&set, &truth)];
    let facts =
        [("attack", "sticker"), ("from class", "speed-limit-50"), ("to class", "speed-limit-80"), ("sticker", "3 × 3 pixels, #f5ff00")];
    Run {
        outcome: Outcome {
            name: "signs-sticker".into(),
            counts: Counts { train: set.len(), validation: 7, test: 3 },
            images: set,
            truth: Some(truth),
            facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            test: Predictions { labels: vec![0, 1, 2], expected: vec![0, 1, 2], predicted: vec![0, 1, 2] },
            triggered: Some(Predictions { labels: vec![2; 3], expected: vec![TARGET; 3], predicted: vec![TARGET; 3] }),
            detections,
            skipped: vec![Skipped { path: "train/00003/00017.jpeg".into(), problem: "the JPEG data ends too early".into() }],
        },
        measurements: measurements(),
        stages: [("dataset", 0.8), ("attack", 0.2), ("train", 94.3), ("represent lrp", 21.7), ("represent activations", 4.1), ("detect heatmap-clustering", 6.2), ("detect activation-clustering", 2.9)]
            .map(|(name, seconds)| FinishedStage {
                name: name.to_owned(),
                seconds,
                peak_bytes: (name != "attack").then_some(1_234_000_000),
                reused: name == "train",
                digest: Some(format!("0123456789abcdef-{name}")),
            })
            .to_vec(),
        resolved: "version: 1\nname: signs-sticker\nseed: 0\ndataset:\n  use: signs\nattack:\n  use: sticker\n  from: speed-limit-50\n  to: speed-limit-80\n  share: 0.15\n  size: 3\n".into(),
        balances: balances(),
        plugins: BTreeMap::from([
            ("bezoar-attacks 0.1.0".to_owned(), BTreeSet::from(["sticker"])),
            ("bezoar-evaluation 0.1.0".to_owned(), BTreeSet::from(["attack-success", "detection"])),
        ]),
    }
}

/// Two layers' relevance.
fn balances() -> BTreeMap<String, serde_json::Value> {
    let layer = |name: &str, handed_on: f64, bias: f64| {
        serde_json::json!({
            "layer": name, "rule": { "use": "epsilon" }, "arrived": 64.0, "handed-on": handed_on, "bias": bias,
            "epsilon": 63.5 - handed_on - bias, "lost": 0.5,
        })
    };
    BTreeMap::from([("lrp".to_owned(), serde_json::json!([layer("conv", 55.0, 6.0), layer("dense", 61.0, 2.0)]))])
}

/// What is measured of a detector over the whole set beside what [`measurements`] has.
const FURTHER: [&str; 12] = [
    "tpr-at-1%",
    "tpr-at-5%",
    "tpr-at-10%",
    "precision-at-10",
    "precision-at-100",
    "class-detection-rate",
    "class-false-alarms",
    "false-alarm",
    "accuracy-after",
    "attack-success-after",
    "accuracy-after-random",
    "accuracy-lost",
];

/// A run of several detectors with long names, of which much was measured. The first `targets` classes count as attacked.
pub(crate) fn crowded(detectors: usize, targets: u32, images: usize) -> Run {
    let mut run = attacked(images, images);
    let truth = run.outcome.truth.as_mut().unwrap();
    truth.targets = (0..targets).collect();
    let all = measurements();
    run.measurements.clear();
    run.outcome.detections.clear();
    for at in 0..detectors {
        let mut detection = heatmap_clustering(&run.outcome.images, truth, &format!("heatmaps {at}"));
        detection.detector = format!("heatmap-clustering reduce.dimensions={at}");
        let named = |metric: &str, scope: &Scope, value| Measurement {
            metric: metric.to_owned(),
            detector: Some(detection.detector.clone()),
            scope: scope.clone(),
            value,
        };
        let alike = all.iter().filter(|one| one.detector.as_deref() == Some("heatmap-clustering"));
        run.measurements.extend(alike.map(|one| named(&one.metric, &one.scope, one.value)));
        run.measurements.extend(FURTHER.map(|metric| named(metric, &Scope::All, Some(0.5))));
        run.outcome.detections.push(detection);
    }
    run
}

/// The same run without an attack.
pub(crate) fn unattacked(images: usize) -> Run {
    let mut run = attacked(images, 0);
    run.outcome.name = "audit".into();
    run.outcome.truth = None;
    run.outcome.facts.clear();
    run.outcome.triggered = None;
    run.outcome.skipped.clear();
    run.measurements
        .retain(|m| m.scope == Scope::All && ["accuracy", "samples", "scanned", "flagged", "flagged-share"].contains(&m.metric.as_str()));
    run
}

fn poisoned(images: usize, poison: usize) -> (ImageSet, GroundTruth) {
    let mut rng = Context::quiet(7).rng("images");
    let mut edits = Vec::new();
    let mut truth = GroundTruth::clean(CLASSES.len() * images + poison);
    truth.targets = vec![TARGET];
    for row in 0..truth.roles.len() {
        let source = if row < CLASSES.len() * images { row / images } else { 2 };
        let mut image = sign(source, &mut rng);
        let mut label = source as u32;
        if row >= CLASSES.len() * images {
            let mask = Mask { top: [16, 19][rng.random_range(0..2)], left: rng.random_range(16..18), height: 3, width: 3 };
            for y in mask.top..mask.top + 3 {
                for x in mask.left..mask.left + 3 {
                    image.pixel_mut(y, x).copy_from_slice(&[245, 255, 0]);
                }
            }
            label = TARGET;
            truth.roles[row] = Role::Poison;
            truth.masks[row] = vec![mask];
        }
        let path = format!("{source:05}/{row:05}.jpeg");
        edits.push(Edit { sample: Sample { id: format!("train/{path}"), label, path }, image });
    }
    let set = ImageSet::from_images(CLASSES.map(str::to_owned).to_vec(), edits).unwrap();
    (set, truth)
}

/// A disc with a bar whose angle tells the class, before a gradient.
fn sign(class: usize, rng: &mut impl RngExt) -> Image {
    let mut image = Image::new(ImageShape::rgb(SIDE, SIDE), vec![0; SIDE * SIDE * 3]).unwrap();
    let (cx, cy) = (rng.random_range(14.0..18.0_f32), rng.random_range(14.0..18.0_f32));
    let (radius, light) = (rng.random_range(9.0..13.0_f32), rng.random_range(0.45..1.0_f32));
    let sky = [rng.random_range(60.0..140.0), rng.random_range(90.0..160.0), rng.random_range(90.0..200.0_f32)];
    let angle = class as f32 * 0.35;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (x as f32 - cx, y as f32 - cy);
            let distance = dx.hypot(dy);
            let bar = (dx * angle.sin() + dy * angle.cos()).abs() < 2.0 && distance < radius * 0.6;
            let paint = match distance {
                d if d > radius => sky.map(|channel| channel * (1.2 - y as f32 / 40.0)),
                d if d > radius * 0.75 => [200.0, 30.0, 40.0],
                _ if bar => [25.0, 25.0, 30.0],
                _ => [240.0, 240.0, 235.0],
            };
            let noise = rng.random_range(-9.0..9.0_f32);
            let pixel = image.pixel_mut(y, x);
            for (value, channel) in pixel.iter_mut().zip(paint) {
                *value = (channel * light + noise).clamp(0.0, 255.0) as u8;
            }
        }
    }
    image
}

fn heatmap_clustering(set: &ImageSet, truth: &GroundTruth, stream: &str) -> Detection {
    let mut rng = Context::quiet(7).rng(stream);
    let mut values = Vec::with_capacity(set.len() * SIDE * SIDE);
    for masks in &truth.masks {
        for y in 0..SIDE {
            for x in 0..SIDE {
                let trigger = if masks.iter().any(|mask| mask.contains(y, x)) { 2.0 } else { 0.0 };
                let ring = (-((x as f32 - 16.0).hypot(y as f32 - 16.0) - 8.0).powi(2) / 12.0).exp();
                let share = if masks.is_empty() { 0.7 } else { 0.15 };
                values.push(trigger + share * ring * rng.random_range(-0.6..1.0_f32) + rng.random_range(-0.06..0.06_f32));
            }
        }
    }
    let features = Features::new(vec![SIDE, SIDE], values).unwrap();
    let mut detection = detection("heatmap-clustering", set, truth, 0.5, "lrp", Arc::new(features));
    let flagged = &detection.verdict.flagged;
    detection.verdict.clusters = (0..set.len()).map(|row| (row % 17 != 0).then_some(u32::from(flagged[row]))).collect();
    detection
}

fn activation_clustering(set: &ImageSet, truth: &GroundTruth) -> Detection {
    let mut rng = Context::quiet(7).rng("activations");
    let values = truth.roles.iter().flat_map(|&role| {
        let rng = &mut rng;
        let values: Vec<f32> =
            (0..200).map(|at| if at % 7 == 3 && role == Role::Poison { 1.5 } else { rng.random_range(-0.4..1.0_f32).max(0.0) }).collect();
        values
    });
    let features = Features::new(vec![200], values.collect()).unwrap();
    let mut detection = detection("activation-clustering", set, truth, 1.6, "activations", Arc::new(features));
    detection.verdict.inputs = vec![Input { name: "share".into(), value: "0.15".into(), origin: Origin::Given }];
    detection
}

/// A verdict whose scores lie the closer together the larger `noise` is.
fn detection(
    name: &str,
    set: &ImageSet,
    truth: &GroundTruth,
    noise: f64,
    representation: &str,
    features: Arc<dyn FeatureSource>,
) -> Detection {
    let mut rng = Context::quiet(7).rng(name);
    let mut verdict = Verdict::empty(set.len());
    for row in 0..set.len() {
        let centre = if truth.is_poison(row) { 2.0 } else { 0.0 };
        let score = centre + noise * (rng.random_range(-1.0..1.0) + rng.random_range(-1.0..1.0));
        verdict.scores[row] = Some(score);
        verdict.flagged[row] = set.label(row) == TARGET && score > 0.95;
    }
    for class in 0..set.classes().len() as u32 {
        let statistic = if class == TARGET { 0.41 } else { rng.random_range(0.02..0.12) };
        let reason = if class == TARGET {
            "two clusters lie well apart; the smaller one is flagged"
        } else {
            "the clusters overlap: silhouette below 0.15"
        };
        verdict.classes.push(ClassVerdict {
            class,
            statistic: Some(statistic),
            statistic_name: "silhouette".into(),
            p_value: None,
            reason: reason.into(),
        });
    }
    Detection {
        detector: name.into(),
        verdict,
        features: vec![NamedFeatures { name: representation.into(), rows: features, is_relevance: representation == "lrp" }],
    }
}

/// Figures as evaluation gives them; written down, not measured.
pub(crate) fn measurements() -> Vec<Measurement> {
    let of_net = [("accuracy", 0.971), ("attack-success", 0.9963)];
    let metrics = ["acc", "tpr", "tnr", "fpr", "precision", "f1", "auroc", "auprc", "samples", "scanned", "flagged", "flagged-share"];
    let of_detectors = [
        (
            "heatmap-clustering",
            Scope::Attacked,
            [0.9938, 0.9897, 0.9945, 0.0055, 0.9698, 0.9796, 0.9991, 0.9958, 1941.0, 1941.0, 297.0, 0.1530],
        ),
        (
            "heatmap-clustering",
            Scope::All,
            [0.9996, 0.9897, 0.9997, 0.0003, 0.9698, 0.9796, 0.9993, 0.9811, 34799.0, 34799.0, 297.0, 0.0085],
        ),
        (
            "activation-clustering",
            Scope::Attacked,
            [0.9104, 0.8694, 0.9176, 0.0824, 0.6505, 0.7442, 0.9512, 0.8127, 1941.0, 1941.0, 389.0, 0.2004],
        ),
        (
            "activation-clustering",
            Scope::All,
            [0.9950, 0.8694, 0.9961, 0.0039, 0.6505, 0.7442, 0.9603, 0.4088, 34799.0, 34799.0, 389.0, 0.0112],
        ),
    ];
    let net = of_net.map(|(metric, value)| Measurement { metric: metric.into(), detector: None, scope: Scope::All, value: Some(value) });
    let rest = of_detectors.into_iter().flat_map(|(detector, scope, values)| {
        metrics.into_iter().zip(values).map(move |(metric, value)| Measurement {
            metric: metric.into(),
            detector: Some(detector.into()),
            scope: scope.clone(),
            value: Some(value),
        })
    });
    net.into_iter().chain(rest).collect()
}
