use bezoar_core::Scope;
use bezoar_evaluation::repeats::{Group, Results};
use maud::{Markup, html};

use super::{axes, detectors, figure};
use crate::chart::{Axis, Chart, Drawing, Key};
use crate::metric::lookup;
use crate::told;

/// What is drawn over each axis.
const DRAWN: [&str; 2] = ["auroc", "tpr"];

/// Each of [`DRAWN`] over each axis of several numbers.
pub(super) fn drawings(results: &Results) -> Vec<Drawing> {
    let axes = axes(results).into_iter().filter_map(|axis| Some((axis, numbers(results, axis)?)));
    axes.flat_map(|(axis, values)| DRAWN.map(|metric| chart(results, axis, &values, metric))).collect()
}

pub(super) fn section(drawings: &[Drawing]) -> Markup {
    html! {
        section #axes {
            h2 { "Over each axis" }
            @if drawings.is_empty() { p.note { "No axis of this study has several numbers." } }
            @else {
                p.note { "Means over all settings with the same value, in percent of the attacked classes." }
                div.charts { @for drawing in drawings { (drawing.figure()) } }
            }
        }
    }
}

/// The values of an axis, ascending, if all are numbers and there are several.
fn numbers(results: &Results, axis: usize) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    for group in results.groups.iter().filter(|group| !group.settings[axis].is_empty()) {
        values.push(group.settings[axis].parse::<f64>().ok().filter(|value| value.is_finite())?);
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    (values.len() > 1).then_some(values)
}

/// The classes of a detector's line: one of seven colours that the stylesheet has for clusters (the first is for what does not stand out), and
/// one of four ways to draw it, so that 28 detectors are told apart and no two neighbours by colour alone.
fn style(detector: usize) -> String {
    format!("{} dash-{}", colour(detector), detector % 4)
}

fn colour(detector: usize) -> String {
    format!("line series cluster-{}", 1 + detector % 7)
}

fn chart(results: &Results, axis: usize, values: &[f64], metric: &str) -> Drawing {
    let name = &results.axes[axis];
    let detectors = detectors(&results.groups);
    // Shares go up by factors, other axes by steps: what is legible of both is values side by side.
    let ticks = values.iter().enumerate().map(|(place, value)| (place as f64, value.to_string())).collect();
    let chart = Chart {
        x: Axis { name, from: 0.0, to: (values.len() - 1) as f64, ticks },
        y: Axis {
            name: lookup(metric).heading,
            from: 0.0,
            to: 1.0,
            ticks: [0.0, 0.5, 1.0].map(|rate| (rate, format!("{:.0}", 100.0 * rate))).to_vec(),
        },
    };
    let line = |at: usize, path: &str| html! { path class=(style(at)) d=(path) { title { (detectors[at]) } } };
    let dots = |at: usize, path: &str| html! { path class={ (colour(at)) " dots" } d=(path) {} };
    let body = html! {
        @for (at, detector) in detectors.iter().enumerate() {
            @let points = points(results, axis, values, metric, detector);
            (line(at, &chart.line(&points))) (dots(at, &chart.dots(&points)))
        }
    };
    let keys: Vec<Key> = detectors
        .iter()
        .enumerate()
        .map(|(at, detector)| Key { sample: line(at, "M0 8H16"), text: told::beside(detector, &told::in_study(results, detector)) })
        .collect();
    let label = format!("{} over {name}", lookup(metric).heading);
    Drawing { name: format!("{metric} over {name}"), chart: chart.draw(&label, &body, &keys), caption: html! { b { (label) } } }
}

/// The mean of a detector's figure at the place of each value of an axis that has one.
fn points(results: &Results, axis: usize, values: &[f64], metric: &str, detector: &str) -> Vec<[f64; 2]> {
    let at = |(place, value): (usize, &f64)| {
        let here = |group: &&Group| group.settings[axis].parse::<f64>().is_ok_and(|own| own.total_cmp(value).is_eq());
        let means = results.groups.iter().filter(here).filter_map(|group| figure(group, metric, Some(detector), &Scope::Attacked));
        let means: Vec<f64> = means.map(|figure| figure.summary.mean).collect();
        (!means.is_empty()).then(|| [place as f64, means.iter().sum::<f64>() / means.len() as f64])
    };
    values.iter().enumerate().filter_map(at).collect()
}
