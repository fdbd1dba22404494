//! What happened, in sentences.

use bezoar_core::{Detection, GroundTruth, Outcome, Report, Scope};
use bezoar_evaluation::{ATTACK_SUCCESS, figure, success_missed};
use maud::{Markup, html};

use super::words::{anchor, class_list};
use crate::format::{UNDEFINED, count, counted, percent};
use crate::tally::Tally;

/// From this attack success on, the backdoor took hold.
const WORKS: f64 = 0.9;

pub(super) fn section(report: &Report<'_>) -> Markup {
    let outcome = report.outcome;
    html! {
        p.brand { "Bezoar report" }
        h1 { (outcome.name) }
        p.lead { @if let Some(truth) = &outcome.truth { (attack(report, truth)) } @else { (no_attack(report)) } }
        p.note { (outcome.counts.coverage()) "." }
        ul.findings {
            @for (at, detection) in outcome.detections.iter().enumerate() {
                li { a href={ "#" (anchor(at)) } { (detection.detector) } " " (finding(outcome, detection)) }
            }
        }
    }
}

fn attack(report: &Report<'_>, truth: &GroundTruth) -> Markup {
    let outcome = report.outcome;
    if truth.targets.is_empty() {
        return clean_control(report);
    }
    let size = outcome.images.samples().iter().filter(|sample| truth.targets.contains(&sample.label)).count();
    let share = if size > 0 { percent(truth.poisoned() as f64 / size as f64) } else { UNDEFINED.to_owned() };
    let success = figure(report.measurements, ATTACK_SUCCESS, None, &Scope::All);
    html! {
        "The attack put " (counted(truth.poisoned(), "poison image")) " into "
        @if truth.targets.len() == 1 { "the class " } @else { (counted(truth.targets.len(), "class")) ": " }
        (class_list(outcome, &truth.targets)) ", " (share) "\u{a0}% of its " (counted(size, "image")) ". "
        @match success {
            Some(success) => {
                strong {
                    @if success >= WORKS { "The backdoor works" }
                    @else if success_missed(report.measurements).is_none() { "The backdoor works in part" }
                    @else { "The attack failed" }
                }
                ": the net takes " (percent(success)) "\u{a0}% of the triggered test images for the attacker’s class"
            }
            None => "Whether the backdoor works was not measured",
        }
        @if let Some(accuracy) = figure(report.measurements, "accuracy", None, &Scope::All) { ", and " (percent(accuracy)) "\u{a0}% of the clean ones for what they are" }
        "."
    }
}

/// An attack that poisons nothing.
fn clean_control(report: &Report<'_>) -> Markup {
    html! {
        strong { "Nothing was poisoned" } " among these " (counted(report.outcome.images.len(), "image"))
        ": whatever is flagged is a false alarm."
        @if let Some(accuracy) = figure(report.measurements, "accuracy", None, &Scope::All) { " The net takes " (percent(accuracy)) "\u{a0}% of the test images for what they are." }
    }
}

fn no_attack(report: &Report<'_>) -> Markup {
    html! {
        strong { "No attack was made" } " on these " (counted(report.outcome.images.len(), "image"))
        " of " (counted(report.outcome.images.classes().len(), "class")) ", so there is no truth to compare with."
        @if let Some(accuracy) = figure(report.measurements, "accuracy", None, &Scope::All) { " The net takes " (percent(accuracy)) "\u{a0}% of the test images for what they are." }
    }
}

/// What one detector found, after its name.
fn finding(outcome: &Outcome, detection: &Detection) -> Markup {
    let tallies = Tally::by_class(outcome, &detection.verdict);
    let whole: Tally = tallies.iter().copied().sum();
    if outcome.truth.as_ref().is_some_and(|truth| truth.targets.is_empty()) {
        return html! {
            @if whole.flagged == 0 { "flagged nothing, rightly." } @else { "flagged " (counted(whole.flagged, "clean image")) ", wrongly." }
        };
    }
    if outcome.truth.is_some() {
        let poison = counted(whole.poison, "poison image");
        return html! {
            @match (whole.hits, whole.misses()) {
                (0, _) => { "flagged none of the " (poison) }
                (_, 0) => { "flagged all " (poison) }
                (hits, _) => { "flagged " (count(hits)) " of " (poison) }
            }
            @if whole.false_alarms() == 0 { " and nothing else." } @else { " and " (counted(whole.false_alarms(), "other")) "." }
        };
    }
    let accused: Vec<u32> = (0..).zip(&tallies).filter(|(_, tally)| tally.flagged > 0).map(|(class, _)| class).collect();
    html! {
        @if accused.is_empty() { "flagged nothing." }
        @else { "flagged " (counted(whole.flagged, "image")) " in " (counted(accused.len(), "class")) ": " (class_list(outcome, &accused)) "." }
    }
}
