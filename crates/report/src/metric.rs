//! How each metric is called and shown, on the page and in the terminal.

use bezoar_core::{Measurement, Scope};
use bezoar_evaluation::{ACCURACY_LOST, ATTACK_SUCCESS, ATTACK_SUCCESS_NEEDED};

use crate::format::{UNDEFINED, count, number, percent};

/// What the value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A share of 1, shown in percent.
    Percent,
    /// A number of things.
    Count,
    /// Anything else.
    Number,
}

/// Which values are the better ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
    Neither,
}

/// How a metric is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric<'a> {
    /// Its name in measurements.
    pub(crate) name: &'a str,
    /// Its name for readers, short enough for the head of a column.
    pub(crate) heading: &'a str,
    /// What it means, in a sentence; empty where we do not know.
    pub(crate) meaning: &'a str,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
}

const fn metric(name: &'static str, heading: &'static str, unit: Unit, better: Better, meaning: &'static str) -> Metric<'static> {
    Metric { name, heading, meaning, unit, better }
}

/// Ends the name of a figure of the net that other figures are compared with.
pub(crate) const BEFORE: &str = "-before";

/// The metrics that we know, in the order of columns.
const KNOWN: &[Metric<'static>] = &[
    metric("accuracy", "Clean accuracy", Unit::Percent, Better::Higher, "Clean test images that the net takes for what they are."),
    metric(
        ATTACK_SUCCESS,
        "Attack success",
        Unit::Percent,
        Better::Neither,
        "Triggered test images that the net takes for the attacker's class.",
    ),
    metric(
        "attack-success-by-class",
        "… mean of classes",
        Unit::Percent,
        Better::Neither,
        "The attack success on the test images of each class, averaged over the classes.",
    ),
    metric("poisoned", "Poison images", Unit::Count, Better::Neither, "Training images that teach the net the trigger."),
    metric("covers", "Cover images", Unit::Count, Better::Neither, "Training images that carry the trigger under their true label."),
    metric("acc", "ACC", Unit::Percent, Better::Higher, "Accuracy: images that are rightly flagged or rightly left alone."),
    metric("tpr", "TPR", Unit::Percent, Better::Higher, "True positive rate: poison images that are flagged."),
    metric("tnr", "TNR", Unit::Percent, Better::Higher, "True negative rate: clean images that are left alone."),
    metric("fpr", "FPR", Unit::Percent, Better::Lower, "False positive rate: clean images that are flagged."),
    metric("precision", "Precision", Unit::Percent, Better::Higher, "Flagged images that are poison."),
    metric("f1", "F1", Unit::Percent, Better::Higher, "Harmonic mean of precision and TPR."),
    metric(
        "auroc",
        "AUROC",
        Unit::Percent,
        Better::Higher,
        "Area under the ROC curve of the scores: 50 is chance. No threshold is involved.",
    ),
    metric(
        "auprc",
        "AUPRC",
        Unit::Percent,
        Better::Higher,
        "Area under the precision-recall curve of the scores: the share of poison is chance.",
    ),
    metric(
        "tpr-at-1%",
        "TPR@1%",
        Unit::Percent,
        Better::Higher,
        "Poison images above the threshold that flags at most 1 % of the clean ones.",
    ),
    metric(
        "tpr-at-5%",
        "TPR@5%",
        Unit::Percent,
        Better::Higher,
        "Poison images above the threshold that flags at most 5 % of the clean ones.",
    ),
    metric(
        "tpr-at-10%",
        "TPR@10%",
        Unit::Percent,
        Better::Higher,
        "Poison images above the threshold that flags at most 10 % of the clean ones.",
    ),
    metric("precision-at-10", "P@10", Unit::Percent, Better::Higher, "Poison among the ten highest scores."),
    metric("precision-at-100", "P@100", Unit::Percent, Better::Higher, "Poison among the hundred highest scores."),
    metric("class-detection-rate", "Classes found", Unit::Percent, Better::Higher, "Attacked classes of which an image is flagged."),
    metric("class-false-alarms", "Classes accused", Unit::Count, Better::Lower, "Clean classes of which an image is flagged."),
    metric("false-alarm", "False alarm", Unit::Percent, Better::Lower, "Whether a clean class is accused; over runs, how often."),
    metric(
        "any-clean-p-at-1%",
        "Any p ≤ 1%",
        Unit::Percent,
        Better::Lower,
        "Whether any clean class has a p-value, which holds over all classes, of at most 1 %; over runs, how often. More than 1 % and the test is not calibrated.",
    ),
    metric(
        "any-clean-p-at-5%",
        "Any p ≤ 5%",
        Unit::Percent,
        Better::Lower,
        "Whether any clean class has a p-value of at most 5 %; over runs, how often.",
    ),
    metric(
        "any-clean-p-at-10%",
        "Any p ≤ 10%",
        Unit::Percent,
        Better::Lower,
        "Whether any clean class has a p-value of at most 10 %; over runs, how often.",
    ),
    metric("mask-mass", "On trigger", Unit::Percent, Better::Higher, "The share of positive relevance that lies on the trigger."),
    metric("mask-rank", "Trigger rank", Unit::Percent, Better::Higher, "The trigger’s share of as many of the most relevant pixels."),
    metric("mask-hit", "Trigger hit", Unit::Percent, Better::Higher, "Images whose most relevant pixel lies on the trigger."),
    metric("accuracy-before", "Accuracy before", Unit::Percent, Better::Higher, "Clean accuracy of the net that learnt from all images."),
    metric(
        "attack-success-before",
        "Success before",
        Unit::Percent,
        Better::Neither,
        "Attack success on the net that learnt from all images.",
    ),
    metric(
        "accuracy-after-perfect",
        "Accuracy, perfect",
        Unit::Percent,
        Better::Higher,
        "Clean accuracy of a net trained without exactly the poison.",
    ),
    metric(
        "attack-success-after-perfect",
        "Success, perfect",
        Unit::Percent,
        Better::Lower,
        "Attack success on a net trained without exactly the poison.",
    ),
    metric("accuracy-after", "Accuracy after", Unit::Percent, Better::Higher, "Clean accuracy of a net trained without what is flagged."),
    metric(
        "attack-success-after",
        "Success after",
        Unit::Percent,
        Better::Lower,
        "Attack success on a net trained without what is flagged.",
    ),
    metric(
        "accuracy-after-random",
        "Accuracy, random",
        Unit::Percent,
        Better::Neither,
        "Clean accuracy of a net trained without as many images, drawn at random.",
    ),
    metric(
        "attack-success-after-random",
        "Success, random",
        Unit::Percent,
        Better::Neither,
        "Attack success on a net trained without as many images, drawn at random.",
    ),
    metric(ACCURACY_LOST, "Worst class", Unit::Percent, Better::Lower, "By how much the accuracy fell on the class on which it fell most."),
    metric("accuracy-lost-random", "Worst, random", Unit::Percent, Better::Neither, "The same, without as many images drawn at random."),
    metric("accuracy-lost-perfect", "Worst, perfect", Unit::Percent, Better::Lower, "The same, without exactly the poison."),
    metric("cover-flagged", "Cover", Unit::Percent, Better::Neither, "Cover images that are flagged; the other rates leave cover out."),
    metric("samples", "Images", Unit::Count, Better::Neither, "Images that the row covers."),
    metric("scanned", "Scanned", Unit::Count, Better::Neither, "Images that the detector gives a score."),
    metric("flagged", "Flagged", Unit::Count, Better::Neither, "Images that the detector flags."),
    metric("flagged-share", "Share", Unit::Percent, Better::Neither, "The flagged images’ share of the scanned ones."),
];

/// How the metric called `name` is shown.
pub(crate) fn lookup(name: &str) -> Metric<'_> {
    let unknown = Metric { name, heading: name, meaning: "", unit: Unit::Number, better: Better::Neither };
    KNOWN.iter().find(|metric| metric.name == name).copied().unwrap_or(unknown)
}

/// The metrics of these names, each once: those that we know in their order, then the others as they come.
pub(crate) fn columns<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Metric<'a>> {
    let mut columns: Vec<Metric<'a>> = Vec::new();
    for name in names {
        if !columns.iter().any(|column| column.name == name) {
            columns.push(lookup(name));
        }
    }
    columns.sort_by_key(|column| KNOWN.iter().position(|known| known.name == column.name).unwrap_or(KNOWN.len()));
    columns
}

/// Whether a figure of this name, taken before images were removed, says again what another of `names` says.
pub(crate) fn says_again<'a>(name: &str, mut names: impl Iterator<Item = &'a str>) -> bool {
    name.strip_suffix(BEFORE).is_some_and(|figure| names.any(|other| other == figure))
}

/// The figures of the net over the whole set, which belong to no detector.
pub(crate) fn net(measurements: &[Measurement]) -> impl Iterator<Item = (Metric<'_>, Option<f64>)> {
    let whole = measurements.iter().filter(|m| m.detector.is_none() && !matches!(m.scope, Scope::Class(_)));
    let names = || measurements.iter().filter(|m| m.detector.is_none()).map(|m| m.metric.as_str());
    let shown = whole.filter(move |m| m.metric != ATTACK_SUCCESS_NEEDED && !says_again(&m.metric, names()));
    shown.map(|measurement| (lookup(&measurement.metric), measurement.value))
}

/// The attack success on the test images of each class that the backdoor is for.
pub(crate) fn success_by_class(measurements: &[Measurement]) -> Vec<(&str, f64)> {
    let of_class = |m: &'_ Measurement| m.detector.is_none() && m.metric == ATTACK_SUCCESS;
    measurements
        .iter()
        .filter(|m| of_class(m))
        .filter_map(|m| match &m.scope {
            Scope::Class(name) => Some((name.as_str(), m.value?)),
            _ => None,
        })
        .collect()
}

impl Metric<'_> {
    /// How its mean over runs is shown: that of whole numbers need not be whole.
    pub(crate) fn averaged(self) -> Self {
        Self { unit: if self.unit == Unit::Count { Unit::Number } else { self.unit }, ..self }
    }

    /// A value as it stands in a column.
    pub(crate) fn show(self, value: Option<f64>) -> String {
        match (value.filter(|value| value.is_finite()), self.unit) {
            (None, _) => UNDEFINED.to_owned(),
            (Some(value), Unit::Percent) => percent(value),
            (Some(value), Unit::Count) => count(value.max(0.0).round() as usize),
            (Some(value), Unit::Number) => number(value),
        }
    }

    /// Which values of a column are the best as shown; none where all are equal.
    pub(crate) fn best(self, column: &[Option<f64>]) -> Vec<bool> {
        let defined = || column.iter().copied().flatten();
        let best = match self.better {
            Better::Higher => defined().max_by(f64::total_cmp),
            Better::Lower => defined().min_by(f64::total_cmp),
            Better::Neither => None,
        };
        let best = best.map(|value| self.show(Some(value)));
        let marks: Vec<bool> = column.iter().map(|value| value.is_some() && best == Some(self.show(*value))).collect();
        let worse = column.iter().zip(&marks).any(|(value, &mark)| value.is_some() && !mark);
        if worse { marks } else { vec![false; column.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_a_column_is_marked_as_it_is_shown() {
        let column = [Some(0.99381), Some(0.99382), None, Some(0.5)];
        assert_eq!(lookup("tpr").best(&column), [true, true, false, false]);
        assert_eq!(lookup("fpr").best(&column), [false, false, false, true]);
        assert_eq!(lookup("flagged").best(&column), [false; 4]);
        assert_eq!(lookup("tpr").best(&[Some(1.0), Some(1.0), None]), [false; 3]);
    }

    #[test]
    fn columns_come_in_one_order_and_strangers_last() {
        let names: Vec<_> = columns(["depth", "auroc", "tpr", "auroc"]).iter().map(|column| column.name).collect();
        assert_eq!(names, ["tpr", "auroc", "depth"]);
    }

    #[test]
    fn no_two_columns_have_one_heading() {
        let mut headings: Vec<_> = KNOWN.iter().map(|metric| metric.heading).collect();
        headings.sort_unstable();
        headings.dedup();
        assert_eq!(headings.len(), KNOWN.len());
    }

    #[test]
    fn a_mean_of_counts_need_not_be_whole() {
        let alarms = lookup("class-false-alarms");
        assert_eq!((alarms.show(Some(2.0)), alarms.averaged().show(Some(1.0 / 3.0))), ("2".to_owned(), "0.3333".to_owned()));
        assert_eq!(alarms.averaged().best(&[Some(0.25), Some(0.0)]), [false, true]);
    }
}
