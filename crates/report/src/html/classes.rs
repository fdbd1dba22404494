//! Every class, as each detector judges it.

use bezoar_core::{ClassVerdict, Detection, Outcome, Role};
use maud::{Markup, html};

use super::words::{class_name, targets, truth_mark};
use crate::format::{UNDEFINED, count, counted, number, percent};
use crate::tally::Tally;

pub(super) fn section(outcome: &Outcome) -> Markup {
    html! {
        section #classes {
            h2 { "Classes" }
            @for detection in &outcome.detections { (detector(outcome, detection)) }
        }
    }
}

fn detector(outcome: &Outcome, detection: &Detection) -> Markup {
    let classes = &detection.verdict.classes;
    let tallies = Tally::by_class(outcome, &detection.verdict);
    let statistic = classes.first().map_or("statistic", |class| class.statistic_name.as_str());
    html! {
        details {
            summary { (detection.detector) small { " " (counted(classes.len(), "class")) } }
            div.scroll tabindex="0" role="region" aria-label={ "Classes by " (detection.detector) } {
                table.classes {
                    thead {
                        tr {
                            th scope="col" { "Class" }
                            th.number scope="col" { "Images" }
                            @if outcome.truth.is_some() { th.number scope="col" { "Poison" } }
                            th.number scope="col" { "Flagged" }
                            th.number scope="col" { "Share" }
                            th.number scope="col" { (statistic) }
                            th.number scope="col" { "p" }
                            th scope="col" { "Why" }
                        }
                    }
                    tbody { @for class in classes { (row(outcome, class, tallies.get(class.class as usize).copied().unwrap_or_default())) } }
                }
            }
        }
    }
}

fn row(outcome: &Outcome, class: &ClassVerdict, tally: Tally) -> Markup {
    let shown = |value: Option<f64>| value.map_or_else(|| UNDEFINED.to_owned(), number);
    html! {
        tr {
            th scope="row" { (class_name(outcome, class.class)) @if targets(outcome).contains(&class.class) { " " (truth_mark(Role::Poison)) } }
            td.number { (count(tally.samples)) }
            @if outcome.truth.is_some() { td.number { (count(tally.poison)) } }
            td.number { (count(tally.flagged)) }
            td.number { @if tally.samples > 0 { (percent(tally.flagged as f64 / tally.samples as f64)) } @else { (UNDEFINED) } }
            td.number { (shown(class.statistic)) }
            td.number { (shown(class.p_value)) }
            td.why { (class.reason) }
        }
    }
}
