//! Images beside what the detector saw of them.

use bezoar_core::{Context, Detection, Origin, Outcome, Result, Role};
use maud::{Markup, html};

use super::Html;
use super::album::{Album, explain};
use super::class_page::ClassPage;
use super::data::Data;
use super::words::{anchor, flag_mark, targets, truth_mark};
use crate::colormap::gradient;
use crate::format::counted;
use crate::tally::Tally;

/// Bytes of pictures for the marks on maps, beside what contact sheets show anyway. In the page they take a third more.
const ALLOWANCE: usize = 6 << 20;

pub(super) fn section<'a>(page: &'a Html, cx: &'a Context, outcome: &'a Outcome, album: &mut Album, data: &mut Data<'a>) -> Result<Markup> {
    let mut evidence = Evidence { page, cx, outcome, allowance: 0 };
    let maps: usize = outcome.detections.iter().map(|detection| evidence.classes(detection).len()).sum();
    evidence.allowance = ALLOWANCE / maps.max(1);
    let mut detectors = Vec::new();
    for (at, detection) in outcome.detections.iter().enumerate() {
        detectors.push(evidence.detector(at, detection, album, data)?);
    }
    Ok(html! {
        section #evidence {
            h2 { "Evidence" }
            p.note {
                @if outcome.truth.is_some() { "The attacked class as each detector saw it, the most suspicious images first. " }
                @else { "The classes that each detector suspects most, the most suspicious images first. " }
                "The order is that of the score; flags follow a rule of their own, which may judge whole clusters, so that an image may "
                "be flagged below others that are not."
            }
            (legend(outcome))
            p.tools hidden { button type="button" #overlay aria-pressed="false" { "Lay heatmaps over images" } }
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
    /// Bytes that the map of each class may spend on pictures.
    allowance: usize,
}

impl<'a> Evidence<'a> {
    fn detector(&self, at: usize, detection: &'a Detection, album: &mut Album, data: &mut Data<'a>) -> Result<Markup> {
        let outcome = self.outcome;
        let shown = self.classes(detection);
        let tallies = Tally::by_class(outcome, &detection.verdict);
        let mut pages = Vec::new();
        for &class in &shown {
            let tally = tallies.get(class as usize).copied().unwrap_or_default();
            let page = ClassPage { page: self.page, cx: self.cx, outcome, detection, class, tally, allowance: self.allowance };
            pages.push(page.section(album, data)?);
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
                        @for (at, (name, source)) in detection.features.iter().enumerate() {
                            @if at > 0 { "; " }
                            b { (name) } ", " (explain(source.shape()))
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

    /// The attacked classes, or without an attack all that were scanned; those with the highest statistic first, not too many.
    fn classes(&self, detection: &Detection) -> Vec<u32> {
        let statistic = |class: u32| detection.verdict.classes.iter().find(|verdict| verdict.class == class)?.statistic;
        let mut classes: Vec<u32> = if let Some(truth) = &self.outcome.truth {
            truth.targets.clone()
        } else {
            detection.verdict.classes.iter().map(|verdict| verdict.class).filter(|&class| statistic(class).is_some()).collect()
        };
        let rank = |class: u32| statistic(class).unwrap_or(f64::NEG_INFINITY);
        classes.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)).then(a.cmp(&b)));
        classes.truncate(self.page.classes);
        classes
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Estimated => "estimated from data and model",
        Origin::Given => "given by the pipeline",
        Origin::Oracle => "taken from the ground truth",
    }
}
