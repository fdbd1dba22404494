//! The figures in the terminal, as a reader sees them.

use bezoar_core::{Measurement, Scope};
use bezoar_report::table;

use crate::fixture;

#[test]
fn a_wide_terminal_has_a_line_for_each_detector_and_scope() {
    insta::assert_snapshot!(table(&fixture::measurements(), false, 120));
}

#[test]
fn a_narrow_terminal_has_names_on_lines_of_their_own() {
    let text = table(&fixture::measurements(), false, 80);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_failed_attack_marks_every_row() {
    let figure = |metric: &str, detector: Option<&str>, scope, value| Measurement {
        metric: metric.into(),
        detector: detector.map(str::to_owned),
        scope,
        value: Some(value),
    };
    let class = |name: &str| Scope::Class(name.into());
    let mut measurements = vec![
        figure("accuracy", None, Scope::All, 0.97),
        figure("attack-success", None, Scope::All, 0.3),
        figure("attack-success-by-class", None, Scope::All, 0.25),
        figure("attack-success-needed", None, Scope::All, 0.5),
        figure("attack-success", None, class("stop"), 0.1),
        figure("attack-success", None, class("yield"), 0.4),
        figure("tpr", Some("a"), Scope::Attacked, 0.9),
        figure("tpr", Some("a"), Scope::All, 0.9),
    ];
    insta::assert_snapshot!(table(&measurements, false, 80), @r"
    Clean accuracy      97.00 %
    Attack success      30.00 %
    … mean of classes   25.00 %
    … least             10.00 % on stop
    … greatest          40.00 % on yield
    attack failed: its success is below 50.00 %; what detectors find of it says nothing of them

    Detector                     TPR
    a         attacked class   90.00  attack failed
              whole set        90.00  attack failed
    ");
    measurements[3].value = Some(0.3);
    assert!(!table(&measurements, false, 80).contains("failed"), "a success that is just enough");
}

#[test]
fn without_truth_only_what_was_flagged_is_shown() {
    insta::assert_snapshot!(table(&fixture::unattacked(4).measurements, true, 80).replace('\x1b', "^"), @r"
    Clean accuracy     ^[1m 97.10^[0m %

    ^[2mDetector                              Scanned Flagged   Share^[0m
    heatmap-clustering     whole set       34,799     297    0.85
    activation-clustering  whole set       34,799     389    1.12
    ");
}

#[test]
fn colour_marks_the_best_and_changes_no_text() {
    let text = table(&fixture::measurements(), true, 120);
    insta::assert_snapshot!(text.replace('\x1b', "^"));
    let mut plain = String::new();
    let mut escaped = false;
    for letter in text.chars() {
        escaped |= letter == '\x1b';
        if !escaped {
            plain.push(letter);
        }
        escaped &= letter != 'm';
    }
    assert_eq!(plain, table(&fixture::measurements(), false, 120));
}

#[test]
fn what_is_undefined_or_was_not_measured_is_a_dash_or_absent() {
    let figure = |metric: &str, detector: Option<&str>, value| Measurement {
        metric: metric.into(),
        detector: detector.map(str::to_owned),
        scope: Scope::All,
        value,
    };
    let measurements = [
        figure("accuracy", None, None),
        figure("tpr", Some("a"), None),
        figure("fpr", Some("a"), Some(0.0)),
        figure("fpr", Some("b"), Some(f64::NAN)),
    ];
    insta::assert_snapshot!(table(&measurements, false, 80), @r"
    Clean accuracy          –

    Detector                     TPR     FPR
    a         whole set            –    0.00
    b         whole set            –       –
    ");
    assert_eq!(table(&[], false, 80), "");
}

#[test]
fn a_detector_name_cannot_steer_the_terminal() {
    let hostile = Measurement { metric: "tpr".into(), detector: Some("\x1b[2J\rgone".into()), scope: Scope::All, value: Some(1.0) };
    let text = table(&[hostile], false, 80);
    assert!(text.contains("\u{fffd}[2J\u{fffd}gone"));
    assert!(!text.contains(['\x1b', '\r']));
}

#[test]
fn what_became_of_the_backdoor_stands_beside_random_and_perfect_filters() {
    let figure = |metric: &str, detector: Option<&str>, value| Measurement {
        metric: metric.into(),
        detector: detector.map(str::to_owned),
        scope: Scope::All,
        value: Some(value),
    };
    let mut measurements = vec![
        figure("accuracy", None, 0.97),
        figure("attack-success", None, 0.99),
        figure("accuracy-before", None, 0.97),
        figure("attack-success-before", None, 0.99),
        figure("accuracy-after-perfect", None, 0.965),
        figure("attack-success-after-perfect", None, 0.01),
    ];
    for (detector, found, accused, after) in [("a", 1.0, 0.0, 0.02), ("b", 0.0, 3.0, 0.98)] {
        measurements.extend([
            figure("tpr", Some(detector), found),
            figure("class-detection-rate", Some(detector), found),
            figure("class-false-alarms", Some(detector), accused),
            figure("accuracy-after", Some(detector), 0.96),
            figure("attack-success-after", Some(detector), after),
            figure("accuracy-after-random", Some(detector), 0.95),
            figure("attack-success-after-random", Some(detector), 0.985),
        ]);
    }
    insta::assert_snapshot!(table(&measurements, false, 80), @r"
    Clean accuracy      97.00 %
    Attack success      99.00 %

    Detector                     TPR
    a         whole set       100.00
    b         whole set         0.00

    Detector  Classes found  Classes accused
    a                100.00                0
    b                  0.00                3

    Trained without      Success after  Accuracy after
    nothing                      99.00           97.00
    a                             2.00           96.00
      as many at random          98.50           95.00
    b                            98.00           96.00
      as many at random          98.50           95.00
    exactly the poison            1.00           96.50
    ");
    let clean: Vec<Measurement> = measurements.into_iter().filter(|one| !one.metric.contains("success")).collect();
    assert!(table(&clean, false, 80).contains("Trained without  "), "the accuracy alone");
}
