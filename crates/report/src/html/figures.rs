//! The figures of the net and of the detectors.

use bezoar_core::{Measurement, Outcome, Report, Scope};
use bezoar_evaluation::{ACCURACY_LOST, figure, success_missed};
use maud::{Markup, html};

use super::words::{class_list, targets};
use crate::each_once::each_once;
use crate::format::{UNDEFINED, percent};
use crate::grid::{is_wide, rows};
use crate::metric::{Metric, Unit, columns, lookup, net, success_by_class};
use crate::told;

pub(super) fn section(report: &Report<'_>) -> Markup {
    let columns = columns_over(report, |scope| !matches!(scope, Scope::Class(_)));
    html! {
        section #figures {
            h2 { "Figures" }
            dl.tiles {
                @for (metric, value) in net(report.measurements) {
                    div {
                        dt title=(metric.meaning) { (metric.heading) }
                        dd { (metric.show(value)) @if metric.unit == Unit::Percent && value.is_some() { small { "\u{a0}%" } } }
                    }
                }
            }
            (by_class(report))
            (lost_by_class(report))
            @if let Some(needed) = success_missed(report.measurements) {
                p.warning { strong { "Attack failed: " } "its success is below " (percent(needed)) "\u{a0}%, so what detectors find of it says nothing of them." }
            }
            @for scope in [Scope::Attacked, Scope::All] {
                (table(report, &scope, &columns_over(report, |other| *other == scope)))
            }
            @if !columns.is_empty() {
                p.note {
                    "Rates in percent. " (UNDEFINED) " stands where a figure is undefined. "
                    @if report.outcome.truth.is_some() { "The best of each column is " span.best { "marked" } "." }
                    @else { "Whether a flag is right nobody knows: there is no truth to compare with." }
                }
                details {
                    summary { "What the columns mean" }
                    dl.meanings { @for column in columns.iter().filter(|column| !column.meaning.is_empty()) { div { dt { (column.heading) } dd { (column.meaning) } } } }
                }
            }
        }
    }
}

/// What was measured of detectors over some scopes.
fn columns_over<'a>(report: &Report<'a>, is_meant: impl Fn(&Scope) -> bool) -> Vec<Metric<'a>> {
    let of_detectors = report.measurements.iter().filter(|measurement| measurement.detector.is_some() && is_meant(&measurement.scope));
    columns(of_detectors.map(|measurement| measurement.metric.as_str()))
}

/// The attack success on the test images of each class, if there are several.
fn by_class(report: &Report<'_>) -> Markup {
    let classes = success_by_class(report.measurements);
    if classes.len() < 2 {
        return html! {};
    }
    html! {
        details {
            summary { "Attack success by class of the triggered images" }
            dl.facts { @for (class, success) in classes { div { dt { (class) } dd { (percent(success)) "\u{a0}%" } } } }
        }
    }
}

/// What accuracy each class lost when images were removed, where that was tried.
fn lost_by_class(report: &Report<'_>) -> Markup {
    let lost: Vec<&Measurement> = report.measurements.iter().filter(|measurement| measurement.metric.starts_with(ACCURACY_LOST)).collect();
    let filters = each_once(lost.iter().map(|measurement| (measurement.metric.as_str(), measurement.detector.as_deref())));
    let classes = each_once(lost.iter().filter_map(|measurement| match &measurement.scope {
        Scope::Class(class) => Some(class.as_str()),
        _ => None,
    }));
    if classes.is_empty() {
        return html! {};
    }
    let shown = |class: &str, metric: &str, detector: Option<&str>| {
        lookup(metric).show(figure(report.measurements, metric, detector, &Scope::Class(class.to_owned())))
    };
    html! {
        details {
            summary { "Accuracy lost by class" }
            p.note { "In percent of the class’s test images, by a net trained without what a detector flags, as many images at random, or exactly the poison." }
            div.scroll tabindex="0" role="region" aria-label="Accuracy lost by class" {
                table.figures.wide[is_wide(1 + filters.len())] {
                    thead { tr { th scope="col" { "Class" } @for (metric, detector) in &filters { th scope="col" { (filter(metric, *detector)) } } } }
                    tbody {
                        @for class in classes {
                            tr {
                                th scope="row" { (class) }
                                @for (metric, detector) in &filters { td { (shown(class, metric, *detector)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What was removed, in words.
fn filter(metric: &str, detector: Option<&str>) -> Markup {
    html! { @match detector {
        Some(detector) if metric == ACCURACY_LOST => (detector),
        Some(detector) => { (detector) ", at random" },
        None => "exactly the poison",
    } }
}

fn table(report: &Report<'_>, scope: &Scope, columns: &[Metric<'_>]) -> Markup {
    let rows = rows(report.measurements, scope, columns);
    if rows.is_empty() {
        return html! {};
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name(scope)) {
            table.figures.wide[is_wide(1 + columns.len())] {
                caption { (caption(report.outcome, scope)) }
                thead { tr { th scope="col" { "Detector" } @for column in columns { th scope="col" title=(column.meaning) { (column.heading) } } } }
                tbody {
                    @for row in &rows {
                        tr {
                            th scope="row" { (detector(report.outcome, row.detector)) @if success_missed(report.measurements).is_some() { " " small.warning { "attack failed" } } }
                            @for cell in &row.cells { td { @if cell.best { strong.best title="the best of this column" { (cell.text) } } @else { (cell.text) } } }
                        }
                    }
                }
            }
        }
    }
}

/// A detector with what it was told.
fn detector(outcome: &Outcome, name: &str) -> Markup {
    let inputs = outcome.detections.iter().filter(|detection| detection.detector == name).flat_map(|detection| &detection.verdict.inputs);
    told::named(name, &told::words(inputs.map(|input| (input.name.as_str(), input.origin))))
}

fn name(scope: &Scope) -> &str {
    match scope {
        Scope::Attacked => "Attacked classes",
        Scope::All => "Whole training set",
        Scope::Class(name) => name,
    }
}

fn caption(outcome: &Outcome, scope: &Scope) -> Markup {
    let targets = targets(outcome);
    match scope {
        Scope::Attacked if targets.len() == 1 => html! { "Attacked class " (class_list(outcome, targets)) },
        Scope::Attacked => html! { "Attacked classes " (class_list(outcome, targets)) },
        _ => html! { (name(scope)) },
    }
}
