use bezoar_core::{Measurement, Scope};
use bezoar_evaluation::figure;
use unicode_width::UnicodeWidthStr;

use crate::metric::lookup;
use crate::paint::{Paint, pad, printable};

/// The figures of several runs side by side for a terminal, a column a run: those of the nets, then of each detector over the attacked classes
/// and the whole set. `–` stands where a run has no such figure. With `color`, the best of a line is bold and green.
pub fn compare(runs: &[(String, Vec<Measurement>)], color: bool) -> String {
    let paint = Paint { color };
    let figures = figures(runs);
    let names: Vec<String> = figures.iter().map(|one| title(one)).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or_default();
    let columns: Vec<usize> = runs.iter().map(|(name, _)| name.width().max(8)).collect();
    let head: String = runs.iter().zip(&columns).map(|((name, _), &column)| format!("  {}", right(&printable(name), column))).collect();
    let mut text = format!("{}{head}\n", pad("", width));
    for (one, name) in figures.iter().zip(names) {
        let metric = lookup(&one.metric);
        let values: Vec<Option<f64>> =
            runs.iter().map(|(_, measurements)| figure(measurements, &one.metric, one.detector.as_deref(), &one.scope)).collect();
        let cells = values.iter().zip(metric.best(&values)).zip(&columns);
        let cells: String =
            cells.map(|((&value, best), &column)| format!("  {}", paint.best(&right(&metric.show(value), column), best))).collect();
        text.push_str(&format!("{}{cells}\n", pad(&name, width)));
    }
    text
}

/// The figures of all runs, each once, in the order in which they come.
fn figures(runs: &[(String, Vec<Measurement>)]) -> Vec<&Measurement> {
    let mut figures: Vec<&Measurement> = Vec::new();
    for one in runs.iter().flat_map(|(_, measurements)| measurements).filter(|one| !matches!(one.scope, Scope::Class(_))) {
        if !figures.iter().any(|other| same(other, one)) {
            figures.push(one);
        }
    }
    figures.sort_by_key(|one| one.detector.is_some());
    figures
}

fn same(a: &Measurement, b: &Measurement) -> bool {
    (&a.metric, &a.detector, &a.scope) == (&b.metric, &b.detector, &b.scope)
}

fn title(one: &Measurement) -> String {
    let scope = if one.scope == Scope::Attacked { ", attacked" } else { "" };
    match &one.detector {
        Some(detector) => format!("{}: {}{scope}", printable(detector), lookup(&one.metric).heading),
        None => format!("{}{scope}", lookup(&one.metric).heading),
    }
}

fn right(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.width())) + text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stand_side_by_side() {
        let one = |metric: &str, detector: Option<&str>, scope, value| Measurement {
            metric: metric.to_owned(),
            detector: detector.map(str::to_owned),
            scope,
            value: Some(value),
        };
        let runs = [
            ("first".to_owned(), vec![one("tpr", Some("ac"), Scope::Attacked, 0.5), one("accuracy", None, Scope::All, 0.9)]),
            ("second".to_owned(), vec![one("accuracy", None, Scope::All, 0.95), one("tpr", Some("ac"), Scope::Class("a".to_owned()), 1.0)]),
        ];
        let text = compare(&runs, false);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines,
            [vec!["first", "second"], vec!["Clean", "accuracy", "90.00", "95.00"], vec!["ac:", "TPR,", "attacked", "50.00", "–"]]
        );
    }
}
