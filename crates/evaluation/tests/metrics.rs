//! The metric plugins on a small outcome.

use std::sync::{Arc, Mutex};

use bezoar_core::{
    ClassVerdict, Context, Counts, Detection, Edit, Features, GroundTruth, Image, ImageSet, ImageShape, Mask, Measurement, Metric,
    NamedFeatures, Outcome, Predictions, Result, Retrial, Role, Sample, Scope, Verdict,
};
use bezoar_evaluation::{AttackSuccess, ClassDetection, DetectionQuality, Remediation, TriggerLocalisation};

/// A net of which the images that it was trained on are noted, and which has lost its backdoor if no poison was among them.
#[derive(Default)]
struct Trials(Mutex<Vec<Vec<String>>>);

impl Retrial for Trials {
    fn predictions(&self, images: &ImageSet) -> Result<(Predictions, Option<Predictions>)> {
        let ids: Vec<String> = images.samples().iter().map(|sample| sample.id.clone()).collect();
        let backdoor = ids.iter().any(|id| id == "s3" || id == "s4");
        self.0.lock().unwrap().push(ids);
        let clean = Predictions { labels: vec![0, 1, 2, 3], expected: vec![0, 1, 2, 3], predicted: vec![0, 0, 2, 3] };
        let triggered = Predictions { labels: vec![0; 4], expected: vec![1; 4], predicted: vec![u32::from(backdoor); 4] };
        Ok((clean, Some(triggered)))
    }
}

fn measure(metric: &dyn Metric, outcome: &Outcome) -> Result<Vec<Measurement>> {
    metric.measure(&Context::quiet(0), outcome, &Trials::default())
}

/// Without what is measured at chosen places.
fn detection_quality() -> DetectionQuality {
    DetectionQuality { tpr_at: Vec::new(), precision_at: Vec::new() }
}

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
    let measured = measure(&AttackSuccess::default(), &outcome).unwrap();
    assert!(measured.iter().all(|one| one.detector.is_none()));
    let names = ["accuracy", "attack-success", "attack-success-by-class", "attack-success-needed", "poisoned", "covers"];
    let figures = names.map(|metric| value(&measured, metric, &Scope::All));
    assert_eq!(figures, [Some(0.75), Some(0.8), Some(0.75), Some(0.5), Some(2.0), Some(1.0)]);
    assert_eq!(["a", "c"].map(|class| value(&measured, "attack-success", &Scope::Class(class.into()))), [Some(1.0), Some(0.5)]);
    (outcome.truth, outcome.triggered) = (None, None);
    let names: Vec<_> = measure(&AttackSuccess::default(), &outcome).unwrap().into_iter().map(|one| one.metric).collect();
    assert_eq!(names, ["accuracy"], "without an attack there is none to measure");
    outcome.test = Predictions { labels: vec![], expected: vec![], predicted: vec![] };
    assert_eq!(value(&measure(&AttackSuccess::default(), &outcome).unwrap(), "accuracy", &Scope::All), None, "without test images");
}

#[test]
fn each_scope_has_its_figures() {
    let measured = measure(&detection_quality(), &outcome(SCORES, FLAGGED)).unwrap();
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
    let measured = measure(&detection_quality(), &outcome(scores, [false; 8])).unwrap();
    assert_eq!(value(&measured, "auroc", &Scope::All), Some(1.0), "whatever the rule made of the scores");
    assert_eq!(value(&measured, "tpr", &Scope::All), Some(0.0));
}

#[test]
fn without_truth_only_counts_are_known() {
    let mut unknown = outcome(SCORES, FLAGGED);
    unknown.truth = None;
    let measured = measure(&detection_quality(), &unknown).unwrap();
    assert!(!measured.iter().any(|one| one.scope == Scope::Attacked));
    let of_all: Vec<_> =
        measured.iter().filter(|one| one.scope == Scope::All).map(|one| (one.metric.as_str(), one.value.unwrap())).collect();
    assert_eq!(of_all, [("samples", 8.0), ("scanned", 5.0), ("flagged", 2.0), ("flagged-share", 0.4)]);
    assert_eq!(value(&measured, "flagged", &Scope::Class("b".to_owned())), Some(2.0));
}

#[test]
fn verdicts_that_cannot_be_measured_are_refused() {
    let nan = outcome([Some(f64::NAN); 8], FLAGGED);
    assert_eq!(measure(&detection_quality(), &nan).unwrap_err().to_string(), "image s0: `hc` gave the score NaN");
    let mut short = outcome(SCORES, FLAGGED);
    short.detections[0].verdict.scores.pop();
    assert!(measure(&detection_quality(), &short).is_err());
}

#[test]
fn rates_at_chosen_places_are_named_after_them() {
    let metric = DetectionQuality { tpr_at: vec![0.0, 0.005, 1.0], precision_at: vec![1, 3] };
    let measured = measure(&metric, &outcome(SCORES, FLAGGED)).unwrap();
    let names = ["tpr-at-0%", "tpr-at-0.5%", "tpr-at-100%", "precision-at-1", "precision-at-3"];
    let figures = names.map(|name| value(&measured, name, &Scope::Attacked));
    assert_eq!(figures, [Some(0.5), Some(0.5), Some(1.0), Some(1.0), Some(2.0 / 3.0)], "of poison at 3 and 1 beside a clean 1");
}

#[test]
fn classes_are_found_or_wrongly_accused() {
    let of_class = |class, p_value| ClassVerdict {
        class,
        statistic: Some(1.0),
        statistic_name: "effect".to_owned(),
        p_value: Some(p_value),
        reason: String::new(),
    };
    let mut outcome = outcome(SCORES, [true, false, false, true, false, true, false, true]);
    outcome.detections[0].verdict.classes = vec![of_class(0, 0.04), of_class(1, 0.001), of_class(3, 0.5)];
    let measured = measure(&ClassDetection::default(), &outcome).unwrap();
    let names =
        ["class-detection-rate", "class-false-alarms", "false-alarm", "any-clean-p-at-1%", "any-clean-p-at-5%", "any-clean-p-at-10%"];
    assert_eq!(
        names.map(|name| value(&measured, name, &Scope::All)),
        [1.0, 2.0, 1.0, 0.0, 1.0, 1.0].map(Some),
        "one clean class of two is enough, and the attacked one none"
    );
    outcome.detections[0].verdict = Verdict::empty(8);
    let measured = measure(&ClassDetection::default(), &outcome).unwrap();
    assert_eq!(
        measured.iter().map(|one| one.value).collect::<Vec<_>>(),
        [Some(0.0), Some(0.0), Some(0.0)],
        "without p-values none are counted"
    );
    outcome.truth = None;
    assert!(measure(&ClassDetection::default(), &outcome).unwrap().is_empty());
}

#[test]
fn heatmaps_are_held_beside_the_trigger() {
    let mut outcome = outcome(SCORES, FLAGGED);
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let rows = outcome.images.samples().to_vec().into_iter().map(|sample| Edit { sample, image: Image::new(shape, vec![0, 0]).unwrap() });
    outcome.images = ImageSet::from_images(outcome.images.classes().to_vec(), rows.collect()).unwrap();
    let mark = vec![Mask { top: 0, left: 1, height: 1, width: 1 }];
    outcome.truth.as_mut().unwrap().masks =
        vec![Vec::new(), Vec::new(), Vec::new(), mark.clone(), mark.clone(), mark, Vec::new(), Vec::new()];
    // Two channels of two pixels. Of the poisoned rows 3 and 4, the channels of one sum to relevance on the trigger alone.
    let mut values = vec![9.0; 8 * 4];
    values[12..16].copy_from_slice(&[-1.0, 2.0, 1.0, 2.0]);
    values[16..20].copy_from_slice(&[3.0, 1.0, 0.0, 0.0]);
    let features = Features::new(vec![2, 1, 2], values).unwrap();
    let named =
        |name: &str, is_relevance, rows: &Features| NamedFeatures { name: name.to_owned(), rows: Arc::new(rows.clone()), is_relevance };
    let pixels = named("pixels", false, &Features::new(vec![2, 1, 2], vec![1.0; 8 * 4]).unwrap());
    let window = named("window", true, &Features::new(vec![1], vec![0.0; 8]).unwrap());
    outcome.detections[0].features = vec![pixels, window, named("lrp", true, &features)];
    let measured = measure(&TriggerLocalisation {}, &outcome).unwrap();
    let figures = ["mask-mass", "mask-rank", "mask-hit"].map(|name| value(&measured, name, &Scope::Attacked));
    assert_eq!(figures, [Some(0.625), Some(0.5), Some(0.5)]);
    outcome.detections[0].features.pop();
    assert!(measure(&TriggerLocalisation {}, &outcome).unwrap().is_empty(), "pixels and windows are no heatmaps");
}

#[test]
fn remediation_trains_without_what_is_flagged_drawn_and_poison() {
    let trials = Trials::default();
    let mut outcome = outcome(SCORES, FLAGGED);
    let measured = Remediation {}.measure(&Context::quiet(0), &outcome, &trials).unwrap();
    let figure = |name: &str| value(&measured, name, &Scope::All);
    let trained = trials.0.lock().unwrap().clone();
    let [perfect, flagged, random] = &trained[..] else { panic!("{trained:?}") };
    assert_eq!(perfect, &["s0", "s1", "s2", "s5", "s6", "s7"]);
    assert_eq!(flagged, &["s0", "s1", "s2", "s4", "s6", "s7"], "s3 and s5 are flagged");
    assert_eq!(random.len(), 6);
    assert_eq!((figure("accuracy-after-perfect"), figure("attack-success-after-perfect")), (Some(0.75), Some(0.0)));
    assert_eq!((figure("accuracy-after"), figure("attack-success-after")), (Some(0.75), Some(1.0)), "a poison image is left");
    assert_eq!(figure("accuracy-after-random"), Some(0.75));
    // Before, the last class was not recognised; after, the second.
    let lost = ["a", "b", "c", "d"].map(|class| value(&measured, "accuracy-lost", &Scope::Class(class.to_owned())));
    assert_eq!((lost, figure("accuracy-lost")), ([Some(0.0), Some(1.0), Some(0.0), Some(-1.0)], Some(1.0)));
    assert_eq!((figure("accuracy-before"), figure("attack-success-before")), (Some(0.75), Some(0.8)));
    for lost in ["accuracy-lost-random", "accuracy-lost-perfect"] {
        assert_eq!((value(&measured, lost, &Scope::Class("b".to_owned())), figure(lost)), (Some(1.0), Some(1.0)), "{lost}");
    }

    outcome.detections[0].verdict.flagged = vec![false; 8];
    let trials = Trials::default();
    let measured = Remediation {}.measure(&Context::quiet(0), &outcome, &trials).unwrap();
    assert_eq!(trials.0.lock().unwrap().len(), 1, "a detector that accuses nobody leaves the net as it is");
    assert_eq!(
        [value(&measured, "accuracy-after", &Scope::All), value(&measured, "attack-success-after", &Scope::All)],
        [Some(0.75), Some(0.8)]
    );

    outcome.detections[0].verdict.flagged = vec![false, false, false, true, true, true, true, true];
    let measured = Remediation {}.measure(&Context::quiet(0), &outcome, &Trials::default()).unwrap();
    for undefined in ["accuracy-after", "attack-success-after", "accuracy-lost"] {
        let figures: Vec<_> = measured.iter().filter(|one| one.metric == undefined).map(|one| one.value).collect();
        assert!(!figures.is_empty() && figures.iter().all(Option::is_none), "one class alone is nothing to learn: {undefined} {figures:?}");
    }
}
