use bezoar_core::{Measurement, Scope};
use bezoar_evaluation::{ATTACK_SUCCESS, figure, success_missed};
use unicode_width::UnicodeWidthStr;

use crate::block::block;
use crate::format::percent;
use crate::grid::{Cell, Row, rows};
use crate::metric::{BEFORE, Metric, Unit, lookup, net, success_by_class};
use crate::paint::{Paint, pad, printable};

/// The columns where there is a truth to compare with, as far as they were measured.
const WITH_TRUTH: &[&str] = &["acc", "tpr", "tnr", "fpr", "f1", "auroc", "auprc", "cover-flagged"];

/// The columns where there is none.
const WITHOUT_TRUTH: &[&str] = &["scanned", "flagged", "flagged-share"];

/// What is said of classes, as far as it was measured.
const OF_CLASSES: &[&str] = &["class-detection-rate", "class-false-alarms"];

/// What a net is worth that was trained without some images, as far as it was measured. Filters have endings of their own.
const AFTER: &[&str] = &["attack-success-after", "accuracy-after"];
const LEARNT_AGAIN: &str = "-after";
const RANDOM: &str = "-after-random";
const PERFECT: &str = "-after-perfect";

/// The lines of a detector, as far as they were measured.
const SCOPES: [(Scope, &str); 2] = [(Scope::Attacked, "attacked class"), (Scope::All, "whole set")];

/// What the scope is called takes as much.
const SCOPE_WIDTH: usize = 14;

/// What a figure of the net is called takes as much.
const NET_WIDTH: usize = 17;

/// The figures of a run for a terminal of `width` columns.
///
/// First accuracy and attack success of the net, with the classes on which it is least and greatest, then for each detector a line for the
/// attacked classes and one for the whole set, marked where the attack failed; where nothing was measured against a truth, only what was flagged.
/// If they were measured, there follow the classes that each detector accuses, and what became of success and accuracy without what it flags, beside
/// nothing, as many images at random and exactly the poison. Rates are in percent; `–` stands where a figure is undefined. With `color`, the best of several
/// detectors is bold and green. Where a detector's name and its figures do not fit beside each other, the name gets a line of its own.
pub fn table(measurements: &[Measurement], color: bool, width: usize) -> String {
    let paint = Paint { color };
    let parts = [
        net_lines(measurements, &paint),
        detector_lines(measurements, &paint, width),
        class_lines(measurements, &paint),
        remediation_lines(measurements, &paint),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n") + "\n").collect();
    parts.join("\n")
}

/// The figures of the net, a line each. Of the attack success by class, only the extremes.
fn net_lines(measurements: &[Measurement], paint: &Paint) -> Vec<String> {
    let classes = success_by_class(measurements);
    let line = |(metric, value): (Metric<'_>, Option<f64>)| {
        let sign = if metric.unit == Unit::Percent && value.is_some() { " %" } else { "" };
        format!("{}  {}{sign}", pad(metric.heading, NET_WIDTH), paint.bold(&format!("{:>6}", metric.show(value))))
    };
    let mut lines: Vec<String> = net(measurements).filter(|(metric, _)| !in_block(metric.name)).map(line).collect();
    let least = classes.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let greatest = classes.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    if let (Some(least), Some(greatest), true) = (least, greatest, classes.len() > 1) {
        for (name, (class, success)) in [("… least", least), ("… greatest", greatest)] {
            lines.push(format!("{}  {:>6} % on {}", pad(name, NET_WIDTH), lookup(ATTACK_SUCCESS).show(Some(*success)), printable(class)));
        }
    }
    if let Some(needed) = success_missed(measurements) {
        let why = format!("attack failed: its success is below {} %; what detectors find of it says nothing of them", percent(needed));
        lines.push(paint.warning(&why));
    }
    lines
}

/// Whether a figure of the net stands beside those of nets that were trained without some images.
fn in_block(metric: &str) -> bool {
    [BEFORE, PERFECT, "-lost-perfect"].iter().any(|ending| metric.ends_with(ending))
}

/// Those of some metrics that were measured of a detector.
fn measured(measurements: &[Measurement], names: &[&'static str]) -> Vec<Metric<'static>> {
    let is_measured = |name: &&&str| measurements.iter().any(|m| m.metric == **name && m.detector.is_some());
    names.iter().filter(is_measured).map(|name| lookup(name)).collect()
}

/// Which classes each detector accuses.
fn class_lines(measurements: &[Measurement], paint: &Paint) -> Vec<String> {
    let columns = measured(measurements, OF_CLASSES);
    if columns.is_empty() {
        return Vec::new();
    }
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    let rows: Vec<_> =
        rows(measurements, &Scope::All, &columns).into_iter().map(|Row { detector, cells }| (printable(detector), cells)).collect();
    block("Detector", &headings, &rows, paint)
}

/// What became of the backdoor without what each detector flags, without as many images at random, and without exactly the poison.
fn remediation_lines(measurements: &[Measurement], paint: &Paint) -> Vec<String> {
    let columns = measured(measurements, AFTER);
    if columns.is_empty() {
        return Vec::new();
    }
    let net = |ending: &str, detector: Option<&str>| -> Vec<Cell> {
        let name = |column: &Metric<'_>| column.name.replace(LEARNT_AGAIN, ending);
        let value = |column: &Metric<'_>| figure(measurements, &name(column), detector, &Scope::All);
        columns.iter().map(|column| Cell { text: column.show(value(column)), best: false }).collect()
    };
    let mut lines = vec![("nothing".to_owned(), net(BEFORE, None))];
    for Row { detector, cells } in rows(measurements, &Scope::All, &columns) {
        lines.push((printable(detector), cells));
        lines.push(("  as many at random".to_owned(), net(RANDOM, Some(detector))));
    }
    lines.push(("exactly the poison".to_owned(), net(PERFECT, None)));
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    block("Trained without", &headings, &lines, paint)
}

fn detector_lines(measurements: &[Measurement], paint: &Paint, width: usize) -> Vec<String> {
    let columns = Some(measured(measurements, WITH_TRUTH)).filter(|columns| !columns.is_empty());
    let columns = columns.unwrap_or_else(|| measured(measurements, WITHOUT_TRUTH));
    let blocks = by_detector(measurements, &columns);
    if blocks.is_empty() {
        return Vec::new();
    }
    let names = blocks.iter().map(|(name, _)| name.width()).max().unwrap_or_default().max("Detector".len());
    let mark = if success_missed(measurements).is_some() { "  attack failed" } else { "" };
    let beside = names + 2 + SCOPE_WIDTH + 8 * columns.len() + mark.len() <= width;
    let head = columns.iter().fold(String::new(), |head, column| head + &format!("{:>8}", column.heading));
    let indent = if beside { names + 2 } else { 2 };
    let mut lines = vec![paint.dim(&format!("{}{head}", pad(if beside { "Detector" } else { "" }, indent + SCOPE_WIDTH)))];
    for (name, rows) in &blocks {
        if !beside {
            lines.push(name.clone());
        }
        for (at, (scope, row)) in rows.iter().enumerate() {
            let lead = if beside && at == 0 { name } else { "" };
            let cells: String = row.cells.iter().map(|cell| paint.best(&format!("{:>8}", cell.text), cell.best)).collect();
            lines.push(format!("{}{}{cells}{}", pad(lead, indent), pad(scope, SCOPE_WIDTH), paint.warning(mark)));
        }
    }
    lines
}

/// The rows of each detector, one a scope.
fn by_detector<'a>(measurements: &'a [Measurement], columns: &[Metric<'_>]) -> Vec<(String, Vec<(&'static str, Row<'a>)>)> {
    let mut blocks: Vec<(String, Vec<(&'static str, Row<'a>)>)> = Vec::new();
    for (scope, label) in &SCOPES {
        for row in rows(measurements, scope, columns) {
            let name = printable(row.detector);
            match blocks.iter_mut().find(|(block, _)| *block == name) {
                Some((_, rows)) => rows.push((label, row)),
                None => blocks.push((name, vec![(label, row)])),
            }
        }
    }
    blocks
}
