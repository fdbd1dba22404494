use bezoar_core::Scope;
use bezoar_evaluation::ATTACK_SUCCESS_NEEDED;
use bezoar_evaluation::repeats::{Figure, Group, Results};
use maud::{Markup, html};

use super::{axes, detectors, figure};
use crate::grid::is_wide;
use crate::metric::{Metric, columns, lookup, says_again};
use crate::told;

/// The tables that come first, as far as they were measured. All others are folded away below.
const FIRST: [(&str, Scope); 9] = [
    ("auroc", Scope::Attacked),
    ("tpr", Scope::Attacked),
    ("fpr", Scope::Attacked),
    ("tpr", Scope::All),
    ("fpr", Scope::All),
    ("tpr-at-1%", Scope::Attacked),
    ("class-detection-rate", Scope::All),
    ("false-alarm", Scope::All),
    ("attack-success-after", Scope::All),
];

pub(super) fn section(results: &Results) -> Markup {
    let measured = |metric: &str, scope: &Scope| {
        let is_it = |figure: &Figure| figure.detector.is_some() && figure.metric == metric && figure.scope == *scope;
        results.groups.iter().flat_map(|group| &group.figures).any(is_it)
    };
    let first: Vec<(&str, Scope)> = FIRST.into_iter().filter(|(metric, scope)| measured(metric, scope)).collect();
    let of_detectors = results.groups.iter().flat_map(|group| &group.figures).filter(|figure| figure.detector.is_some());
    let others: Vec<(&str, Scope)> = columns(of_detectors.map(|figure| figure.metric.as_str()))
        .iter()
        .flat_map(|column| [Scope::Attacked, Scope::All].map(|scope| (column.name, scope)))
        .filter(|(metric, scope)| measured(metric, scope) && !first.contains(&(*metric, scope.clone())))
        .collect();
    let table = |(metric, scope): &(&str, Scope)| {
        let place = match scope {
            Scope::Attacked => ", attacked classes",
            _ if measured(metric, &Scope::Attacked) => ", whole set",
            _ => "",
        };
        of_metric(results, lookup(metric).averaged(), scope, place)
    };
    html! {
        section #figures {
            h2 { "Figures" }
            (nets(results))
            @for one in &first { (table(one)) }
            @if !others.is_empty() {
                details open[first.is_empty()] {
                    summary { "All other figures of the detectors" }
                    @for one in &others { (table(one)) }
                }
            }
            p.note {
                "Means over the runs of a setting, rates in percent; behind them the 95\u{a0}% bootstrap interval of the mean, which with few runs is \
                 narrower than it should be. The best detector of each row is " span.best { "marked" } "."
                @if results.groups.iter().any(|group| group.failed > 0) {
                    " An attack failed where its success stayed below what it needed: the means hold these runs too, though there was no backdoor to find."
                }
            }
        }
    }
}

/// What the nets are worth, and their backdoors.
fn nets(results: &Results) -> Markup {
    let of_nets = results.groups.iter().flat_map(|group| &group.figures).filter(|one| one.detector.is_none() && one.scope == Scope::All);
    let names = of_nets.map(|figure| figure.metric.as_str()).filter(|metric| *metric != ATTACK_SUCCESS_NEEDED);
    let all = columns(names);
    let said = |name: &str| says_again(name, all.iter().map(|column| column.name));
    let columns: Vec<Metric<'_>> = all.iter().filter(|column| !said(column.name)).map(|column| column.averaged()).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Nets" {
            table.figures.wide[is_wide(axes(results).len() + 1 + columns.len())] {
                caption { "Nets and their backdoors" }
                (head(results, &html! { @for column in &columns { th scope="col" title=(column.meaning) { (column.heading) } } }))
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

fn of_metric(results: &Results, metric: Metric<'_>, scope: &Scope, place: &str) -> Markup {
    let detectors = detectors(&results.groups);
    let names = html! { @for detector in &detectors { th scope="col" { (told::named(detector, &told::in_study(results, detector))) } } };
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (metric.heading) (place) } {
            table.figures.wide[is_wide(axes(results).len() + 1 + detectors.len())] {
                caption title=(metric.meaning) { (metric.heading) (place) }
                (head(results, &names))
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

/// The head of a table; `columns` are the cells behind the settings.
fn head(results: &Results, columns: &Markup) -> Markup {
    html! {
        thead {
            tr {
                @for axis in axes(results) { th scope="col" { (results.axes[axis]) } }
                th scope="col" { "Runs" }
                (columns)
            }
        }
    }
}

/// The cells that say which group it is.
fn settings(results: &Results, group: &Group) -> Markup {
    html! {
        @for axis in axes(results) { th scope="row" { (group.settings[axis]) } }
        td { (group.cells.len()) @if group.failed > 0 { " " small.warning { "attack failed in " (group.failed) } } }
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
