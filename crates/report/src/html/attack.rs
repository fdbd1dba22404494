//! The attack in numbers.

use bezoar_core::Outcome;
use maud::{Markup, html};

pub(super) fn section(outcome: &Outcome) -> Markup {
    if outcome.truth.is_none() {
        return html! {};
    }
    html! {
        section #attack {
            h2 { "Attack" }
            dl.facts { @for (name, value) in &outcome.facts { div { dt { (name) } dd { (value) } } } }
        }
    }
}
