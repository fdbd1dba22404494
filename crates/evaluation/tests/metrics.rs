//! The metric plugins on a small outcome.

use bezoar_core::{
    Counts, Detection, Edit, GroundTruth, Image, ImageSet, ImageShape, Measurement, Metric, Outcome, Predictions, Role, Sample, Scope,
    Verdict,
};
use bezoar_evaluation::{AttackSuccess, DetectionQuality};

/// Eight images: four of the attacked class `b` (two poison, one cover), three of `a`, none of `c`, one of `d`.
fn outcome(scores: [Option<f64>; 8], flagged: [bool; 8]) -> Outcome {
    let shape = ImageShape { height: 1, width: 1, channels: 1 };
    let rows = [0, 0, 0, 1, 1, 1, 1, 3].into_iter().enumerate().map(|(row, label)| Edit {
        sample: Sample { id: format!("s{row}"), label, path: String::new() },
        image: Image::new(shape, vec![0]).unwrap(),
    });
    let images = ImageSet::from_images(["a", "b", "c", "d"].map(str::to_owned).to_vec(), rows.collect()).unwrap();
    let mut truth = GroundTruth::clean(8);
    (truth.roles[3], truth.roles[4], truth.roles[5]) = (Role::Poison, Role::Poison, Role::Cover);
    truth.targets = vec![1];
    let verdict = Verdict { scores: scores.to_vec(), flagged: flagged.to_vec(), ..Verdict::empty(8) };
    Outcome {
        name: "test".to_owned(),
        counts: Counts { train: 8, validation: 0, test: 4 },
        images,
        truth: Some(truth),
        facts: Vec::new(),
        test: Predictions { labels: vec![0, 1, 2, 3], expected: vec![0, 1, 2, 3], predicted: vec![0, 1, 2, 0] },
        triggered: Some(Predictions { labels: vec![0, 0, 0, 2, 2], expected: vec![1; 5], predicted: vec![1, 1, 1, 1, 0] }),
        detections: vec![Detection { detector: "hc".to_owned(), verdict, features: Vec::new() }],
        skipped: Vec::new(),
    }
}

const SCORES: [Option<f64>; 8] = [None, None, None, Some(3.0), Some(1.0), Some(2.0), Some(1.0), Some(0.5)];
const FLAGGED: [bool; 8] = [false, false, false, true, false, true, false, false];

fn value(all: &[Measurement], metric: &str, scope: &Scope) -> Option<f64> {
    let found: Vec<_> = all.iter().filter(|one| one.metric == metric && one.scope == *scope).collect();
    assert_eq!(found.len(), 1, "{metric} over {scope:?}");
    found[0].value
}

#[test]
fn the_net_and_its_backdoor() {
    let mut outcome = outcome(SCORES, FLAGGED);
    let measured = AttackSuccess::default().measure(&outcome).unwrap();
    assert!(measured.iter().all(|one| one.detector.is_none()));
    let names = ["accuracy", "attack-success", "attack-success-by-class", "attack-success-needed", "poisoned", "covers"];
    let figures = names.map(|metric| value(&measured, metric, &Scope::All));
    assert_eq!(figures, [Some(0.75), Some(0.8), Some(0.75), Some(0.5), Some(2.0), Some(1.0)]);
    assert_eq!(["a", "c"].map(|class| value(&measured, "attack-success", &Scope::Class(class.into()))), [Some(1.0), Some(0.5)]);
    (outcome.truth, outcome.triggered) = (None, None);
    let names: Vec<_> = AttackSuccess::default().measure(&outcome).unwrap().into_iter().map(|one| one.metric).collect();
    assert_eq!(names, ["accuracy"], "without an attack there is none to measure");
    outcome.test = Predictions { labels: vec![], expected: vec![], predicted: vec![] };
    assert_eq!(value(&AttackSuccess::default().measure(&outcome).unwrap(), "accuracy", &Scope::All), None, "without test images");
}

#[test]
fn each_scope_has_its_figures() {
    let measured = DetectionQuality {}.measure(&outcome(SCORES, FLAGGED)).unwrap();
    let metrics = [
        "acc",
        "tpr",
        "tnr",
        "fpr",
        "precision",
        "f1",
        "auroc",
        "auprc",
        "cover-flagged",
        "samples",
        "scanned",
        "flagged",
        "flagged-share",
    ];
    let figures = |scope: Scope| metrics.map(|metric| value(&measured, metric, &scope));
    let rates =
        [Some(2.0 / 3.0), Some(0.5), Some(1.0), Some(0.0), Some(1.0), Some(2.0 / 3.0), Some(0.75), Some(0.5 + 1.0 / 3.0), Some(1.0)];
    let attacked: [_; 13] = [&rates[..], &[Some(4.0), Some(4.0), Some(2.0), Some(0.5)]].concat().try_into().unwrap();
    assert_eq!(figures(Scope::Attacked), attacked);
    assert_eq!(figures(Scope::Class("b".to_owned())), attacked);
    let spared = [Some(1.0), None, Some(1.0), Some(0.0), None, None, None, None, None, Some(3.0), Some(0.0), Some(0.0), None];
    assert_eq!(figures(Scope::Class("a".to_owned())), spared);
    let all = figures(Scope::All);
    assert_eq!(all[..4], [Some(6.0 / 7.0), Some(0.5), Some(1.0), Some(0.0)]);
    assert_eq!(all[6], Some((2.0 + 1.5) / 4.0), "samples that were not scanned have no rank");
    assert!(!measured.iter().any(|one| one.scope == Scope::Class("c".to_owned())), "a class without images");
    assert_eq!(measured.len(), 5 * metrics.len());
    assert_eq!(measured[0].detector.as_deref(), Some("hc"));
}

/// Scores mean suspicion: BackdoorBench reports STRIP's area for the opposite sign.
#[test]
fn a_high_score_on_poison_is_a_high_area() {
    let scores = [0.0, 0.1, 0.2, 5.0, 6.0, 0.3, 0.1, 0.0].map(Some);
    let measured = DetectionQuality {}.measure(&outcome(scores, [false; 8])).unwrap();
    assert_eq!(value(&measured, "auroc", &Scope::All), Some(1.0), "whatever the rule made of the scores");
    assert_eq!(value(&measured, "tpr", &Scope::All), Some(0.0));
}

#[test]
fn without_truth_only_counts_are_known() {
    let mut unknown = outcome(SCORES, FLAGGED);
    unknown.truth = None;
    let measured = DetectionQuality {}.measure(&unknown).unwrap();
    assert!(!measured.iter().any(|one| one.scope == Scope::Attacked));
    let of_all: Vec<_> =
        measured.iter().filter(|one| one.scope == Scope::All).map(|one| (one.metric.as_str(), one.value.unwrap())).collect();
    assert_eq!(of_all, [("samples", 8.0), ("scanned", 5.0), ("flagged", 2.0), ("flagged-share", 0.4)]);
    assert_eq!(value(&measured, "flagged", &Scope::Class("b".to_owned())), Some(2.0));
}

#[test]
fn verdicts_that_cannot_be_measured_are_refused() {
    let nan = outcome([Some(f64::NAN); 8], FLAGGED);
    assert_eq!(DetectionQuality {}.measure(&nan).unwrap_err().to_string(), "image s0: `hc` gave the score NaN");
    let mut short = outcome(SCORES, FLAGGED);
    short.detections[0].verdict.scores.pop();
    assert!(DetectionQuality {}.measure(&short).is_err());
}
