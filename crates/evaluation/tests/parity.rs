//! Figures equal to scikit-learn's and `SciPy`'s; `tests/parity/metrics.py` made the numbers.

use bezoar_evaluation::repeats::wilcoxon;
use bezoar_evaluation::{Confusion, average_precision, roc_auc, true_positive_rate_at};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    truth: Vec<bool>,
    scores: Vec<f64>,
    flagged: Vec<bool>,
    auroc: f64,
    auprc: f64,
    acc: f64,
    tpr: f64,
    tnr: f64,
    precision: f64,
    f1: f64,
    tpr_at: [f64; 3],
    differences: Vec<f64>,
    wilcoxon: f64,
}

#[test]
fn figures_equal_those_of_scikit_learn_and_scipy() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/parity/metrics.json")).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let ranked: Vec<(f64, bool)> = case.scores.iter().copied().zip(case.truth.iter().copied()).collect();
        let counts = Confusion::count(case.truth.iter().copied().zip(case.flagged));
        let pairs = [
            ("auroc", roc_auc(&ranked), case.auroc),
            ("auprc", average_precision(&ranked), case.auprc),
            ("acc", counts.accuracy(), case.acc),
            ("tpr", counts.true_positive_rate(), case.tpr),
            ("tnr", counts.true_negative_rate(), case.tnr),
            ("fpr", counts.false_positive_rate(), 1.0 - case.tnr),
            ("precision", counts.precision(), case.precision),
            ("f1", counts.f1(), case.f1),
            ("tpr at 1 %", true_positive_rate_at(&ranked, 0.01), case.tpr_at[0]),
            ("tpr at 5 %", true_positive_rate_at(&ranked, 0.05), case.tpr_at[1]),
            ("tpr at 10 %", true_positive_rate_at(&ranked, 0.1), case.tpr_at[2]),
            ("wilcoxon's p-value", Some(wilcoxon(&case.differences)), case.wilcoxon),
        ];
        for (figure, ours, theirs) in pairs {
            let ours = ours.unwrap();
            assert!((ours - theirs).abs() < 1e-12, "{}: {figure} {ours}, and {theirs} by the peer", case.name);
        }
    }
}
