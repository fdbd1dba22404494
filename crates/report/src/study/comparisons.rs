use bezoar_evaluation::repeats::{Ranking, Results};
use maud::{Markup, html};

use super::{UNMEASURED, compared};
use crate::chart::{Drawing, lines};
use crate::format::{counted, number};
use crate::metric::lookup;
use crate::told;

/// Differences below this p-value are marked.
pub(super) const LEVEL: f64 = 0.05;

pub(super) fn section(results: &Results, ranks: &[Drawing]) -> Markup {
    html! {
        section #comparisons {
            h2 { "Detectors compared" }
            @if results.comparisons.is_empty() { p.note { "Two detectors were measured on no net" (compared(results)) "." } }
            @else {
                p.note {
                    @if results.success_measured { "Over the nets" (compared(results)) ". " } @else { (UNMEASURED) " " }
                    (shared(results))
                    "The difference is the first detector’s figure less the second’s, in points, with its 95\u{a0}% \
                     bootstrap interval; p is that of Wilcoxon’s signed-rank test, corrected for all pairs (Holm)."
                }
                div.scroll tabindex="0" role="region" aria-label="Pairs of detectors" { (pairs(results)) }
                div.charts { @for drawing in ranks { (drawing.figure()) } }
            }
        }
    }
}

/// Where several runs have one net, what its figure is.
fn shared(results: &Results) -> Markup {
    html! {
        @if !results.axes_after_net().is_empty() {
            "Runs that differ in "
            @for (at, axis) in results.axes_after_net().into_iter().enumerate() { @if at > 0 { ", " } b { (axis) } }
            " alone share a net, which counts once: its figure of a detector is the mean over these runs. "
        }
    }
}

fn pairs(results: &Results) -> Markup {
    html! {
        table.figures {
            thead { tr { @for name in ["Figure", "First", "Second", "Nets", "Difference", "p"] { th scope="col" { (name) } } } }
            tbody {
                @for one in &results.comparisons {
                    tr {
                        th scope="row" { (lookup(&one.metric).heading) }
                        th scope="row" { (told::named(&one.first, &told::in_study(results, &one.first))) }
                        th scope="row" { (told::named(&one.second, &told::in_study(results, &one.second))) }
                        td { (one.paired.nets) }
                        td {
                            (points(one.paired.difference))
                            @if let Some((low, high)) = one.paired.interval { " " small { (points(low)) " to " (points(high)) } }
                        }
                        td { @if one.corrected < LEVEL { strong.best { (number(one.corrected)) } } @else { (number(one.corrected)) } }
                    }
                }
            }
        }
    }
}

/// A difference of rates in points.
pub(super) fn points(difference: f64) -> String {
    format!("{:+.2}", 100.0 * difference)
}

const WIDTH: f64 = 360.0;
const MARGIN: f64 = 24.0;
const LINE: f64 = 18.0;
const GAP: f64 = 4.0;
const TOP: f64 = 44.0;

/// The detectors of a ranking, the best first.
pub(super) fn order(Ranking { ranks, .. }: &Ranking) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ranks.ranks.len()).collect();
    order.sort_by(|&a, &b| ranks.ranks[a].total_cmp(&ranks.ranks[b]));
    order
}

/// All rankings, each as [`ranks`] draws it.
pub(super) fn drawings(results: &Results) -> Vec<Drawing> {
    results.rankings.iter().map(ranks).collect()
}

/// A critical-difference diagram (Demšar 2006, figure 1): mean ranks along a line, and bars over detectors that do not differ.
fn ranks(ranking: &Ranking) -> Drawing {
    let Ranking { metric, detectors, ranks, .. } = ranking;
    let most = detectors.len() as f64;
    let place = |rank: f64| MARGIN + (rank - 1.0) / (most - 1.0).max(1.0) * (WIDTH - 2.0 * MARGIN);
    let order = order(ranking);
    let sorted: Vec<f64> = order.iter().map(|&at| ranks.ranks[at]).collect();
    let bars = ranks.critical_difference.map(|critical| alike(&sorted, critical)).unwrap_or_default();
    // Each name stands on the side that has more room.
    let mut bottom = TOP + bars.len() as f64 * 6.0;
    let names: Vec<(usize, f64, Vec<String>)> = order
        .iter()
        .map(|&at| {
            let x = place(ranks.ranks[at]);
            let name = lines(&format!("{} {:.2}", detectors[at], ranks.ranks[at]), x.max(WIDTH - x) - GAP);
            let top = bottom;
            bottom += LINE * name.len() as f64;
            (at, top, name)
        })
        .collect();
    let height = bottom + 8.0;
    let label = format!("Mean ranks by {}", lookup(metric).heading);
    let chart = html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(label) {
            title { (label) }
            path.axis d={ "M" (MARGIN) " 24H" (WIDTH - MARGIN) } {}
            @for rank in 1..=detectors.len() {
                path.axis d={ "M" (format!("{:.1}", place(rank as f64))) " 20V28" } {}
                text x=(format!("{:.1}", place(rank as f64))) y="14" text-anchor="middle" { (rank) }
            }
            @for (at, (first, last)) in bars.iter().enumerate() {
                path.line d={ "M" (format!("{:.1}", place(sorted[*first]) - 3.0)) " " (TOP - 10.0 + 6.0 * at as f64) "H" (format!("{:.1}", place(sorted[*last]) + 3.0)) } {}
            }
            @for (at, top, name) in &names {
                @let x = place(ranks.ranks[*at]);
                @let (side, anchor) = if x > WIDTH / 2.0 { (x - GAP, "end") } else { (x + GAP, "start") };
                path.axis d={ "M" (format!("{x:.1}")) " 24V" (format!("{:.1}", top + LINE / 2.0)) } {}
                @for (line, text) in name.iter().enumerate() {
                    text x=(format!("{side:.1}")) y=(format!("{:.1}", top + LINE * (line as f64 + 0.5))) text-anchor=(anchor) { (text) }
                }
            }
        }
    };
    let caption = html! {
        b { (label) } " over " (counted(ranks.nets, "net"))
        @if let Some(critical) = ranks.critical_difference { "; below " (format!("{critical:.2}")) ", joined by a bar, they do not differ (Nemenyi, 5\u{a0}%)" }
    };
    Drawing { name: format!("ranks by {metric}"), chart, caption }
}

/// The longest runs of ascending ranks whose ends lie nearer than the critical difference.
fn alike(sorted: &[f64], critical: f64) -> Vec<(usize, usize)> {
    let last_of = |first: usize| (first..sorted.len()).rev().find(|&last| sorted[last] - sorted[first] < critical).unwrap_or(first);
    let mut bars: Vec<(usize, usize)> = Vec::new();
    for first in 0..sorted.len() {
        let last = last_of(first);
        if last > first && bars.last().is_none_or(|(_, before)| last > *before) {
            bars.push((first, last));
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_join_what_does_not_differ_and_none_lies_within_another() {
        assert_eq!(alike(&[1.0, 1.4, 2.1, 3.5], 1.0), [(0, 1), (1, 2)]);
        assert_eq!(alike(&[1.0, 1.2, 1.4], 1.0), [(0, 2)]);
        assert!(alike(&[1.0, 3.0], 1.0).is_empty());
    }
}
