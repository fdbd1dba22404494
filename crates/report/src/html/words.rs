//! Words, marks and links that several sections share.

use bezoar_core::{Outcome, Role};
use maud::{Markup, html};

/// The classes that the attack adds poison to; none without an attack.
pub(super) fn targets(outcome: &Outcome) -> &[u32] {
    outcome.truth.as_ref().map_or(&[], |truth| &truth.targets)
}

/// A class by name.
pub(super) fn class_name(outcome: &Outcome, class: u32) -> &str {
    outcome.images.classes().get(class as usize).map_or("?", String::as_str)
}

/// The names of some classes in a sentence, not too many.
pub(super) fn class_list(outcome: &Outcome, classes: &[u32]) -> Markup {
    const MOST: usize = 4;
    html! {
        @for (at, &class) in classes.iter().take(MOST).enumerate() {
            @if at > 0 { ", " }
            b { (class_name(outcome, class)) }
        }
        @if classes.len() > MOST { " and " (classes.len() - MOST) " more" }
    }
}

/// The address of a detector's evidence on the page.
pub(super) fn anchor(detector: usize) -> String {
    format!("detector-{detector}")
}

/// Drawings that [`flag_mark`] refers to.
pub(super) fn symbols() -> Markup {
    html! {
        svg width="0" height="0" aria-hidden="true" focusable="false" class="symbols" {
            symbol id="flag" viewBox="0 0 12 12" { path d="M2 .5v11M2.6 1.2h8L8.4 3.9l2.2 2.7h-8z"; }
        }
    }
}

/// The mark of what an attack made of an image; clean images have none.
pub(super) fn truth_mark(role: Role) -> Markup {
    match role {
        Role::Clean => html! {},
        Role::Poison => html! { abbr.mark.poison title="poison" { "P" } },
        Role::Cover => html! { abbr.mark.cover title="cover: the trigger under its true label" { "C" } },
    }
}

/// The mark of a flagged image.
pub(super) fn flag_mark() -> Markup {
    html! { svg.mark.flag role="img" aria-label="flagged" { title { "flagged" } use href="#flag"; } }
}
