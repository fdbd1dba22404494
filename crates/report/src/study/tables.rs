use bezoar_core::Scope;
use bezoar_evaluation::repeats::{Figure, Group, Results};
use maud::{Markup, html};

use super::{axes, detectors, figure};
use crate::metric::{Metric, lookup};

/// The tables: metric, over what, and what that is called.
const TABLES: [(&str, Scope, &str); 9] = [
    ("auroc", Scope::Attacked, "attacked classes"),
    ("tpr", Scope::Attacked, "attacked classes"),
    ("fpr", Scope::Attacked, "attacked classes"),
    ("tpr", Scope::All, "whole set"),
    ("fpr", Scope::All, "whole set"),
    ("tpr-at-1%", Scope::Attacked, "attacked classes"),
    ("class-detection-rate", Scope::All, "whole set"),
    ("false-alarm", Scope::All, "whole set"),
    ("attack-success-after", Scope::All, "after removal and training anew"),
];

pub(super) fn section(results: &Results) -> Markup {
    let detectors = detectors(&results.groups);
    html! {
        section #figures {
            h2 { "Figures" }
            (nets(results))
            @for (metric, scope, place) in &TABLES {
                @if results.groups.iter().any(|group| detectors.iter().any(|detector| figure(group, metric, Some(detector), scope).is_some())) {
                    (of_detectors(results, &detectors, lookup(metric), scope, place))
                }
            }
            p.note {
                "Means over the runs of a setting, in percent; behind them the 95\u{a0}% bootstrap interval of the mean, which with few runs is narrower \
                 than it should be. The best detector of each row is " span.best { "marked" } "."
            }
        }
    }
}

/// What the nets are worth, and their backdoors.
fn nets(results: &Results) -> Markup {
    let columns = ["accuracy", "attack-success", "accuracy-after-perfect", "attack-success-after-perfect"].map(lookup);
    let measured = |column: &Metric<'_>| results.groups.iter().any(|group| figure(group, column.name, None, &Scope::All).is_some());
    let columns: Vec<Metric<'_>> = columns.into_iter().filter(measured).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Nets" {
            table.figures {
                caption { "Nets and their backdoors" }
                (head(results, columns.iter().map(|column| (column.heading, column.meaning))))
                tbody {
                    @for group in &results.groups {
                        tr {
                            (settings(results, group))
                            @for column in &columns { td { (cell(*column, figure(group, column.name, None, &Scope::All))) } }
                        }
                    }
                }
            }
        }
    }
}

fn of_detectors(results: &Results, detectors: &[&str], metric: Metric<'_>, scope: &Scope, place: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (metric.heading) ", " (place) } {
            table.figures {
                caption title=(metric.meaning) { (metric.heading) ", " (place) }
                (head(results, detectors.iter().map(|detector| (*detector, ""))))
                tbody {
                    @for group in &results.groups {
                        @let figures: Vec<_> = detectors.iter().map(|detector| figure(group, metric.name, Some(detector), scope)).collect();
                        @let means: Vec<_> = figures.iter().map(|figure| figure.map(|figure| figure.summary.mean)).collect();
                        tr {
                            (settings(results, group))
                            @for (figure, best) in figures.into_iter().zip(metric.best(&means)) {
                                td { @if best { span.best { (cell(metric, figure)) } } @else { (cell(metric, figure)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn head<'a>(results: &Results, columns: impl Iterator<Item = (&'a str, &'a str)>) -> Markup {
    html! {
        thead {
            tr {
                @for axis in axes(results) { th scope="col" { (results.axes[axis]) } }
                th scope="col" { "Runs" }
                @for (heading, meaning) in columns { th scope="col" title=(meaning) { (heading) } }
            }
        }
    }
}

/// The cells that say which group it is.
fn settings(results: &Results, group: &Group) -> Markup {
    html! {
        @for axis in axes(results) { th scope="row" { (group.settings[axis]) } }
        td { (group.cells.len()) }
    }
}

/// A mean with its interval.
fn cell(metric: Metric<'_>, figure: Option<&Figure>) -> Markup {
    html! {
        (metric.show(figure.map(|figure| figure.summary.mean)))
        @if let Some((low, high)) = figure.and_then(|figure| figure.summary.interval) {
            " " small { (metric.show(Some(low))) "–" (metric.show(Some(high))) }
        }
    }
}
