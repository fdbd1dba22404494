//! Images beside what the detector saw of them.

use std::collections::BTreeSet;

use bezoar_core::{Context, Detection, Origin, Outcome, Result, Role, Verdict};
use maud::{Markup, html};

use super::album::explain;
use super::budget::Budget;
use super::class_page::ClassPage;
use super::words::{anchor, class_name, flag_mark, targets, truth_mark};
use super::{Assets, Html};
use crate::colormap::gradient;
use crate::file::free_name;
use crate::format::counted;
use crate::tally::Tally;

/// `names` are those of the detectors in the names of files, `others` the bytes of the page's other sections.
pub(super) fn section<'a>(
    page: &'a Html,
    cx: &'a Context,
    outcome: &'a Outcome,
    names: &[String],
    others: usize,
    assets: &mut Assets<'a>,
) -> Result<Markup> {
    let evidence = Evidence { page, cx, outcome };
    let tallies: Vec<Vec<Tally>> = outcome.detections.iter().map(|detection| Tally::by_class(outcome, &detection.verdict)).collect();
    let shown: Vec<Vec<u32>> =
        outcome.detections.iter().zip(&tallies).map(|(detection, tallies)| evidence.classes(detection, tallies)).collect();
    let mut budget = Budget::new(others, shown.iter().map(Vec::len).sum());
    let mut detectors = Vec::new();
    for (at, name) in names.iter().enumerate() {
        detectors.push(evidence.detector(at, &shown[at], &tallies[at], name, &mut budget, assets)?);
    }
    Ok(html! {
        section #evidence {
            h2 { "Evidence" }
            p.note {
                @if !targets(outcome).is_empty() { "The attacked class as each detector saw it, the most suspicious images first. " }
                @else { "The classes that each detector suspects most, the most suspicious images first. " }
                "The order is that of the score; flags follow a rule of their own, which may judge whole clusters, so that an image may "
                "be flagged below others that are not."
            }
            (legend(outcome))
            @if outcome.detections.iter().flat_map(|detection| &detection.features).any(|seen| outcome.images.shape().carries(seen.rows.shape())) {
                p.tools hidden { button type="button" #overlay aria-pressed="false" { "Lay heatmaps over images" } }
            }
            @for detector in detectors { (detector) }
        }
    })
}

fn legend(outcome: &Outcome) -> Markup {
    html! {
        ul.legend aria-label="Legend" {
            @if let Some(truth) = &outcome.truth {
                li { (truth_mark(Role::Poison)) " poison" }
                @if truth.roles.contains(&Role::Cover) { li { (truth_mark(Role::Cover)) " cover" } }
                li { "no letter: clean" }
            }
            li { (flag_mark()) " flagged" }
            li { span.ramp style={ "background-image:" (gradient()) } role="img" aria-label="from blue over white to red" {} " negative, zero, positive; each map by its own largest value" }
        }
    }
}

/// What the section is made from.
struct Evidence<'a> {
    page: &'a Html,
    cx: &'a Context,
    outcome: &'a Outcome,
}

impl<'a> Evidence<'a> {
    /// The classes of the detector at a place that are `shown`; `name` is the detector's in the names of files.
    fn detector(
        &self,
        at: usize,
        shown: &[u32],
        tallies: &[Tally],
        name: &str,
        budget: &mut Budget,
        assets: &mut Assets<'a>,
    ) -> Result<Markup> {
        let (outcome, detection) = (self.outcome, &self.outcome.detections[at]);
        let (mut pages, mut taken) = (Vec::new(), BTreeSet::new());
        for &class in shown {
            let tally = tallies.get(class as usize).copied().unwrap_or_default();
            let file = format!("{name}_{}", free_name(class_name(outcome, class), &mut taken));
            let page = ClassPage { page: self.page, cx: self.cx, outcome, detection, class, tally, allowance: budget.share(), file };
            let before = assets.size();
            let section = page.section(assets)?;
            budget.spend(section.0.len() + assets.size() - before);
            pages.push(section);
        }
        let targets = targets(outcome).len();
        Ok(html! {
            article #(anchor(at)) {
                h3 { (detection.detector) }
                @for input in &detection.verdict.inputs {
                    p.input { "Was told " b { (input.name) " = " (input.value) } " (" (origin(input.origin)) ")." }
                }
                @if !detection.features.is_empty() {
                    p.note {
                        "Beside each image: "
                        @for (at, seen) in detection.features.iter().enumerate() {
                            @if at > 0 { "; " }
                            b { (seen.name) } ", " (explain(seen.rows.shape()))
                        }
                        "."
                    }
                }
                @for page in pages { (page) }
                @if shown.len() < targets {
                    p.note { "Shown are " (shown.len()) " of " (counted(targets, "attacked class")) "." }
                }
            }
        })
    }

    /// The attacked classes, or where none was attacked all that have a score; the most suspicious first, not too many.
    fn classes(&self, detection: &Detection, tallies: &[Tally]) -> Vec<u32> {
        let verdict = &detection.verdict;
        let mut classes = targets(self.outcome).to_vec();
        if classes.is_empty() {
            classes.extend(verdict.scanned(&self.outcome.images));
        }
        let mut classes = by_suspicion(classes, verdict, tallies);
        classes.truncate(self.page.classes);
        classes
    }
}

/// Classes with a flagged image first, then by p-value, the least first, then by statistic, the highest first; what a class lacks ranks last.
fn by_suspicion(mut classes: Vec<u32>, verdict: &Verdict, tallies: &[Tally]) -> Vec<u32> {
    let rank = |class: u32| {
        let judged = verdict.classes.iter().find(|judged| judged.class == class);
        let flagged = tallies.get(class as usize).is_some_and(|tally| tally.flagged > 0);
        let p_value = judged.and_then(|judged| judged.p_value).unwrap_or(f64::INFINITY);
        (flagged, p_value, judged.and_then(|judged| judged.statistic).unwrap_or(f64::NEG_INFINITY))
    };
    classes.sort_by(|&a, &b| {
        let ((flagged, p, statistic), (other_flagged, other_p, other_statistic)) = (rank(a), rank(b));
        other_flagged.cmp(&flagged).then(p.total_cmp(&other_p)).then(other_statistic.total_cmp(&statistic)).then(a.cmp(&b))
    });
    classes
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Estimated => "estimated from data and model",
        Origin::Given => "given by the pipeline",
        Origin::Oracle => "taken from the ground truth",
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::ClassVerdict;

    use super::*;

    #[test]
    fn an_accused_class_comes_first_whatever_its_statistic() {
        let judged = |class, statistic, p_value| ClassVerdict {
            class,
            statistic,
            statistic_name: "silhouette".into(),
            p_value,
            reason: String::new(),
        };
        let verdict = Verdict {
            classes: vec![
                judged(0, Some(0.9), None),
                judged(1, Some(0.1), Some(0.5)),
                judged(2, None, Some(0.01)),
                judged(3, Some(0.2), Some(0.5)),
                judged(4, None, None),
            ],
            ..Verdict::empty(0)
        };
        let tallies: Vec<Tally> = [0, 0, 0, 0, 1].map(|flagged| Tally { flagged, ..Tally::default() }).into();
        assert_eq!(by_suspicion(vec![0, 1, 2, 3, 4], &verdict, &tallies), [4, 2, 3, 1, 0]);
    }
}
