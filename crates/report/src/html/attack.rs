//! The attack in numbers.

use bezoar_core::Outcome;
use maud::{Markup, html};

use super::words::attacked;

pub(super) fn section(outcome: &Outcome) -> Markup {
    if !attacked(outcome) {
        return html! {};
    }
    html! {
        section #attack {
            h2 { "Attack" }
            dl.facts { @for (name, value) in &outcome.facts { div { dt { (name) } dd { (value) } } } }
        }
    }
}
