//! Which detector does best, in a sentence or two.

use bezoar_core::Scope;
use bezoar_evaluation::repeats::{Comparison, Ranking, Results};
use maud::{Markup, html};

use super::comparisons::{LEVEL, order, points};
use super::{UNMEASURED, compared};
use crate::format::{counted, number};
use crate::metric::lookup;
use crate::told;

/// By mean rank in the first figure that detectors are compared by and that was measured.
pub(super) fn section(results: &Results) -> Markup {
    let Some(ranking) = results.rankings.first() else { return none(results) };
    let order = order(ranking);
    let [best, next, ..] = order[..] else { return none(results) };
    let rank = |at: usize| ranking.ranks.ranks[at];
    let name = |at: usize| told::named(&ranking.detectors[at], &told::in_study(results, &ranking.detectors[at]));
    let rank_text = |at: usize| format!("{:.2}", rank(at));
    html! {
        "By " (lookup(&ranking.metric).heading) " over the " (place(&ranking.scope)) ", "
        @if rank(best) < rank(next) {
            strong { (name(best)) } " does best of " (counted(order.len(), "detector")) ": mean rank " (rank_text(best))
            " over " (counted(ranking.ranks.nets, "net")) (compared(results)) ". "
            (lead(results, ranking, best, next)) " over the next, " b { (name(next)) } ", mean rank " (rank_text(next)) "."
        } @else {
            strong { (name(best)) } " and " strong { (name(next)) } " do equally well: mean rank " (rank_text(best))
            " of " (counted(order.len(), "detector")) " over " (counted(ranking.ranks.nets, "net")) (compared(results)) "."
        }
        @if !results.success_measured { " " (UNMEASURED) }
    }
}

fn none(results: &Results) -> Markup {
    html! { "No detector comes out best: two were measured on no net" (compared(results)) "." }
}

/// Whether the first of two detectors is significantly better.
fn lead(results: &Results, ranking: &Ranking, best: usize, next: usize) -> Markup {
    let (best, next) = (ranking.detectors[best].as_str(), ranking.detectors[next].as_str());
    let by_this = |one: &&Comparison| (&one.metric, &one.scope) == (&ranking.metric, &ranking.scope);
    let paired = results.comparisons.iter().filter(by_this).find_map(|one| match (one.first.as_str(), one.second.as_str()) {
        pair if pair == (best, next) => Some((one.paired.difference, one.corrected)),
        pair if pair == (next, best) => Some((-one.paired.difference, one.corrected)),
        _ => None,
    });
    html! {
        "It has " @if paired.is_some_and(|(difference, p)| difference > 0.0 && p < LEVEL) { "a significant lead" } @else { "no significant lead" }
        @if let Some((difference, p)) = paired { " (" (points(difference)) " points, p\u{a0}" (number(p)) ")" }
    }
}

fn place(scope: &Scope) -> &str {
    match scope {
        Scope::Attacked => "attacked classes",
        Scope::All => "whole set",
        Scope::Class(name) => name,
    }
}
