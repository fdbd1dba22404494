use bezoar_core::Scope;
use bezoar_evaluation::repeats::{Figure, Group, Results};
use unicode_width::UnicodeWidthStr;

use super::{UNMEASURED, axes, detectors, figure};
use crate::format::counted;
use crate::metric::{Metric, lookup};
use crate::paint::{Paint, printable};
use crate::told;

/// The columns of a detector: metric, over what, and what it is called.
const COLUMNS: [(&str, Scope, &str); 4] = [
    ("tpr", Scope::Attacked, "TPR"),
    ("fpr", Scope::All, "FPR, all"),
    ("auroc", Scope::Attacked, "AUROC"),
    ("auprc", Scope::Attacked, "AUPRC"),
];

/// What stands between columns.
const GAP: &str = "  ";

/// The figures of a study for a terminal: a line for each detector of each group of runs, with means in percent and, behind `±`, the standard
/// deviation of the runs. What a detector was told stands beside its name, and beside the number of runs in how many the attack failed. With
/// `color`, the best detector of a group is bold and green.
pub fn study_table(results: &Results, color: bool) -> String {
    let paint = Paint { color };
    let axes = axes(results);
    let mut lines = vec![head(results, &axes)];
    let mut best = vec![Vec::new()];
    for group in &results.groups {
        for (line, marks) in group_lines(results, group, &axes) {
            lines.push(line);
            best.push(marks);
        }
    }
    let columns = lines[0].len();
    let widths: Vec<usize> = (0..columns).map(|column| lines.iter().map(|line| line[column].width()).max().unwrap_or_default()).collect();
    let words = axes.len() + 1;
    let mut text = String::new();
    for (line, marks) in lines.iter().zip(&best) {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let space = " ".repeat(widths[column] - cell.width());
            let cell = paint.best(cell, marks.get(column).copied().unwrap_or_default());
            if column < words { cell + &space } else { space + &cell }
        });
        text.push_str(cells.collect::<Vec<_>>().join(GAP).trim_end());
        text.push('\n');
    }
    if !results.success_measured && !results.comparisons.is_empty() {
        text.push_str(&format!("\n{}\n", paint.warning(UNMEASURED)));
    }
    if !results.axes_after_net().is_empty() {
        let shared = results.axes_after_net().into_iter().map(printable).collect::<Vec<_>>().join(", ");
        let nets = counted(results.nets(), "net");
        text.push_str(&format!("\n{nets}: runs that differ in {shared} alone share one, and count once where detectors are compared\n"));
    }
    if results.groups.iter().any(|group| group.failed > 0) {
        text.push('\n');
        text.push_str(&paint.warning("an attack failed where its success stayed below what it needed; the means hold these runs too"));
        text.push('\n');
    }
    text
}

fn head(results: &Results, axes: &[usize]) -> Vec<String> {
    let settings = axes.iter().map(|&axis| printable(&results.axes[axis]));
    let figures = ["Detector", "runs", "success"].into_iter().chain(COLUMNS.iter().map(|(_, _, name)| *name));
    settings.chain(figures.map(str::to_owned)).collect()
}

/// The lines of a group, a cell a column, and which cells are the best of the group.
fn group_lines(results: &Results, group: &Group, axes: &[usize]) -> Vec<(Vec<String>, Vec<bool>)> {
    let settings: Vec<String> = axes.iter().map(|&axis| printable(&group.settings[axis])).collect();
    let detectors = detectors([group]);
    let of = |metric: &str, detector: Option<&str>, scope: &Scope| figure(group, metric, detector, scope);
    let success = show(lookup("attack-success"), of("attack-success", None, &Scope::All));
    let runs = match group.failed {
        0 => group.cells.len().to_string(),
        failed => format!("{}, attack failed in {failed}", group.cells.len()),
    };
    let shared = |name: String| [settings.clone(), vec![name, runs.clone(), success.clone()]].concat();
    let name = |detector: &str| printable(&told::beside(detector, &told::in_study(results, detector)));
    if detectors.is_empty() {
        return vec![([shared("–".to_owned()), vec!["–".to_owned(); COLUMNS.len()]].concat(), Vec::new())];
    }
    let marks: Vec<Vec<bool>> = COLUMNS
        .iter()
        .map(|(metric, scope, _)| {
            let means: Vec<_> =
                detectors.iter().map(|detector| of(metric, Some(detector), scope).map(|figure| figure.summary.mean)).collect();
            lookup(metric).best(&means)
        })
        .collect();
    let line = |(at, detector): (usize, &&str)| {
        let mut cells = shared(name(detector));
        let before = cells.len();
        cells.extend(COLUMNS.iter().map(|(metric, scope, _)| show(lookup(metric), of(metric, Some(detector), scope))));
        let best = std::iter::repeat_n(false, before).chain(marks.iter().map(|column| column[at]));
        (cells, best.collect())
    };
    detectors.iter().enumerate().map(line).collect()
}

/// A mean with its deviation.
fn show(metric: Metric<'_>, figure: Option<&Figure>) -> String {
    let mean = metric.show(figure.map(|figure| figure.summary.mean));
    match figure.and_then(|figure| figure.summary.deviation) {
        Some(deviation) => format!("{mean} ±{}", metric.show(Some(deviation))),
        None => mean,
    }
}
