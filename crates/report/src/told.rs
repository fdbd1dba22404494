//! What a detector was told, in few words beside its name.

use bezoar_core::Origin;
use bezoar_evaluation::repeats::Results;
use maud::{Markup, html};

/// Inputs by who said them: `given: suspects; estimated: share`. Empty where there are none.
pub(crate) fn words<'a>(inputs: impl Iterator<Item = (&'a str, Origin)>) -> String {
    let inputs: Vec<(&str, Origin)> = inputs.collect();
    let by = |origin: Origin, word: &str| {
        let names: Vec<&str> = inputs.iter().filter(|(_, said)| *said == origin).map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| format!("{word}: {}", names.join(", ")))
    };
    let parts = [by(Origin::Given, "given"), by(Origin::Oracle, "from the truth"), by(Origin::Estimated, "estimated")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What a detector was told in any run of a study.
pub(crate) fn in_study(results: &Results, detector: &str) -> String {
    words(results.told.iter().filter(|told| told.detector == detector).map(|told| (told.input.as_str(), told.origin)))
}

/// A detector by name, with what it was told behind it.
pub(crate) fn beside(detector: &str, told: &str) -> String {
    if told.is_empty() { detector.to_owned() } else { format!("{detector} ({told})") }
}

/// The same in a page.
pub(crate) fn named(detector: &str, told: &str) -> Markup {
    html! { (detector) @if !told.is_empty() { " " small.told { "(" (told) ")" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_stand_by_who_said_them() {
        let inputs = [("share", Origin::Estimated), ("suspects", Origin::Given), ("k", Origin::Given)];
        assert_eq!(words(inputs.into_iter()), "given: suspects, k; estimated: share");
        assert_eq!(words([("mask", Origin::Oracle)].into_iter()), "from the truth: mask");
        assert_eq!(words(std::iter::empty()), "");
    }
}
