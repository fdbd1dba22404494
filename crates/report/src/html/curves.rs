//! What the scores of each detector are worth, as curves; in the page, and as files beside it.

use bezoar_core::{Detection, Outcome, Role};
use bezoar_evaluation::{roc_auc, roc_curve};
use maud::{Markup, html};

use super::words::targets;
use crate::chart::{Axis, Chart, Drawing, round_ticks};
use crate::format::{count, percent};
use crate::histogram::Histogram;

/// The curves of one detector.
pub(super) struct Curves<'a> {
    detector: &'a str,
    pub(super) drawings: Vec<Drawing>,
}

/// The curves of all detectors, over the attacked classes if there are any and else over all. `names` are those of the detectors in the names of
/// files.
pub(super) fn draw<'a>(outcome: &'a Outcome, names: &[String]) -> Vec<Curves<'a>> {
    let curves = |(detection, name): (&'a Detection, &String)| {
        let drawings = [roc(outcome, detection, name), histogram(outcome, detection, name)].into_iter().flatten().collect();
        Curves { detector: &detection.detector, drawings }
    };
    outcome.detections.iter().zip(names).map(curves).filter(|curves| !curves.drawings.is_empty()).collect()
}

pub(super) fn section(outcome: &Outcome, curves: &[Curves<'_>]) -> Markup {
    if curves.is_empty() {
        return html! {};
    }
    html! {
        section #curves {
            h2 { "Scores" }
            p.note {
                @if targets(outcome).is_empty() { "All images that have a score. " }
                @else { "The attacked classes. " }
                "Each group of a histogram makes up 100\u{a0}%; its first and last bars hold what lies beyond."
            }
            @for Curves { detector, drawings } in curves {
                h3 { (detector) }
                div.charts { @for drawing in drawings { (drawing.figure()) } }
            }
        }
    }
}

/// The scores under comparison, with the rows that they belong to.
fn scores<'a>(outcome: &'a Outcome, detection: &'a Detection) -> impl Iterator<Item = (usize, f64)> + 'a {
    let targets = targets(outcome);
    let is_meant = move |row: usize| targets.is_empty() || targets.contains(&outcome.images.label(row));
    let scored = (0..).zip(&detection.verdict.scores).filter_map(|(row, score)| Some((row, (*score)?)));
    scored.filter(move |&(row, _)| is_meant(row))
}

/// Against the truth; none where there is none, or no poison in it.
fn roc(outcome: &Outcome, detection: &Detection, name: &str) -> Option<Drawing> {
    let truth = outcome.truth.as_ref()?;
    let samples: Vec<(f64, bool)> = scores(outcome, detection)
        .filter(|&(row, _)| truth.roles[row] != Role::Cover)
        .map(|(row, score)| (score, truth.is_poison(row)))
        .collect();
    let curve = roc_curve(&samples)?;
    let axis = |name| Axis { name, from: 0.0, to: 1.0, ticks: [0.0, 0.5, 1.0].map(|rate| (rate, format!("{:.0}", rate * 100.0))).to_vec() };
    let chart = Chart { x: axis("clean images above the threshold, %"), y: axis("poison above it, %") };
    let body = html! {
        path.guide d=(chart.line(&[[0.0, 0.0], [1.0, 1.0]])) {}
        path.line d=(chart.line(&corners(&curve))) {}
    };
    let label = format!("ROC curve of {}", detection.detector);
    let area = roc_auc(&samples)?;
    let caption = html! { b { "ROC" } " of the scores, area " (percent(area)) "\u{a0}%; the diagonal is chance" };
    Some(Drawing { name: format!("{name}-roc"), chart: chart.draw(&label, &body, &[]), caption })
}

/// A curve that never goes back, without the points that lie between two others on a straight line along an axis.
fn corners(curve: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut corners: Vec<[f64; 2]> = Vec::new();
    for &point in curve {
        if let [.., before, _] = corners[..]
            && (0..2).any(|axis| before[axis] >= point[axis])
        {
            corners.pop();
        }
        corners.push(point);
    }
    corners
}

/// Clean beside poison, or without poison what is left alone beside what is flagged.
fn histogram(outcome: &Outcome, detection: &Detection, name: &str) -> Option<Drawing> {
    let poison = outcome.truth.as_ref().filter(|truth| !truth.targets.is_empty());
    let mut groups = [Vec::new(), Vec::new()];
    for (row, score) in scores(outcome, detection) {
        match poison {
            Some(truth) if truth.roles[row] == Role::Cover => {}
            Some(truth) => groups[usize::from(truth.is_poison(row))].push(score),
            None => groups[usize::from(detection.verdict.flagged[row])].push(score),
        }
    }
    let names = if poison.is_some() { ["clean", "poison"] } else { ["not flagged", "flagged"] };
    let histogram = Histogram::of(&groups)?;
    let (from, to, highest) = (histogram.from, histogram.to, histogram.highest());
    let chart = Chart {
        x: Axis { name: "score", from, to, ticks: round_ticks(from, to) },
        y: Axis {
            name: "share, %",
            from: 0.0,
            to: highest,
            ticks: [0.0, highest].map(|tick| (tick, format!("{:.0}", tick * 100.0))).to_vec(),
        },
    };
    let body = html! {
        path.area d=(chart.line(&histogram.outline(0))) {}
        path.area.poison d=(chart.line(&histogram.outline(1))) {}
        path.line.poison d=(chart.line(&histogram.outline(1))) {}
    };
    let label = format!("Histogram of the scores of {}", detection.detector);
    let caption = html! {
        b { "Scores" } ": "
        span.swatch.area {} " " (names[0]) " (" (count(groups[0].len())) "), "
        span.swatch.area.poison {} " " (names[1]) " (" (count(groups[1].len())) ")"
    };
    Some(Drawing { name: format!("{name}-scores"), chart: chart.draw(&label, &body, &[]), caption })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_keeps_its_corners() {
        let curve = [[0.0, 0.0], [0.0, 0.2], [0.0, 0.5], [0.3, 0.5], [0.6, 0.5], [1.0, 1.0]];
        assert_eq!(corners(&curve), [[0.0, 0.0], [0.0, 0.5], [0.6, 0.5], [1.0, 1.0]]);
    }
}
