//! Images beside what the detector saw of them.

use std::collections::BTreeMap;

use bezoar_core::{Context, Detection, Features, Origin, Outcome, Result, Role};
use maud::{Markup, html};

use super::Html;
use super::album::{Album, Picture, explain};
use super::selection::{Group, Kind, groups, ranked};
use super::words::{anchor, class_name, flag_mark, targets, truth_mark};
use crate::colormap::gradient;
use crate::format::{count, counted, number};
use crate::tally::Tally;

pub(super) fn section(page: &Html, cx: &Context, outcome: &Outcome, album: &mut Album) -> Result<Markup> {
    let evidence = Evidence { page, cx, outcome };
    let mut detectors = Vec::new();
    for (at, detection) in outcome.detections.iter().enumerate() {
        detectors.push(evidence.detector(at, detection, album)?);
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

impl Evidence<'_> {
    fn detector(&self, at: usize, detection: &Detection, album: &mut Album) -> Result<Markup> {
        let outcome = self.outcome;
        let shown = self.classes(detection);
        let tallies = Tally::by_class(outcome, &detection.verdict);
        let mut sheets = Vec::new();
        for &class in &shown {
            let tally = tallies.get(class as usize).copied().unwrap_or_default();
            sheets.push(self.sheet(detection, class, tally, album)?);
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
                @for sheet in sheets { (sheet) }
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

    fn sheet(&self, detection: &Detection, class: u32, tally: Tally, album: &mut Album) -> Result<Markup> {
        let outcome = self.outcome;
        let ranked = ranked(&outcome.images.rows_of(class), &detection.verdict);
        let truth = outcome.truth.as_ref();
        let groups = groups(&ranked, &detection.verdict, truth, self.page.samples);
        let tiles = Tiles::draw(self.cx, outcome, detection, &ranked, &groups, album)?;
        let verdict = detection.verdict.classes.iter().find(|verdict| verdict.class == class);
        Ok(html! {
            section.class {
                h4 { (class_name(outcome, class)) }
                p {
                    (counted(tally.samples, "image"))
                    @if truth.is_some() {
                        ", " (count(tally.poison)) " of them poison. Flagged " (count(tally.flagged)) ": "
                        (counted(tally.hits, "hit")) " and " (counted(tally.false_alarms(), "false alarm")) ". Missed " (count(tally.misses())) "."
                    } @else {
                        ", flagged " (count(tally.flagged)) "."
                    }
                }
                @if let Some(verdict) = verdict {
                    p.note {
                        @if let Some(statistic) = verdict.statistic { (verdict.statistic_name) " " (number(statistic)) " · " }
                        @if let Some(p) = verdict.p_value { "p " (number(p)) " · " }
                        (verdict.reason)
                    }
                }
                @for group in &groups {
                    h5 { (title(group.kind)) small { " " (count(group.rows.len())) " of " (count(group.total)) } }
                    ul.sheet { @for &row in &group.rows { (tiles.tile(row)) } }
                }
                @if groups.is_empty() { p.note { "This detector has no scores for this class." } }
            }
        })
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Estimated => "estimated from data and model",
        Origin::Given => "given by the pipeline",
        Origin::Oracle => "taken from the ground truth",
    }
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Highest => "Highest scores",
        Kind::Misses => "Misses: poison that is not flagged",
        Kind::FalseAlarms => "False alarms: flagged though not poison",
        Kind::Hits => "Hits: flagged poison",
        Kind::LeftAlone => "Rightly left alone",
        Kind::Flagged => "Flagged",
        Kind::NotFlagged => "Not flagged",
        Kind::Middle => "From the middle",
        Kind::Lowest => "Lowest scores",
    }
}

/// The pictures of all images of a sheet.
struct Tiles<'a> {
    outcome: &'a Outcome,
    detection: &'a Detection,
    /// Position in the order by score, from 1, and pictures: the image, then one for each representation.
    drawn: BTreeMap<usize, (usize, Vec<Picture>)>,
}

impl<'a> Tiles<'a> {
    fn draw(
        cx: &Context,
        outcome: &'a Outcome,
        detection: &'a Detection,
        ranked: &[usize],
        groups: &[Group],
        album: &mut Album,
    ) -> Result<Self> {
        let wanted = |row: &usize| groups.iter().any(|group| group.rows.contains(row));
        let (ranks, rows): (Vec<usize>, Vec<usize>) = ranked.iter().copied().enumerate().filter(|(_, row)| wanted(row)).unzip();
        let features: Vec<Features> = detection.features.iter().map(|(_, source)| source.select(&rows)).collect::<Result<_>>()?;
        let mut drawn = BTreeMap::new();
        for (at, (&row, &rank)) in rows.iter().zip(&ranks).enumerate() {
            cx.check()?;
            let mut pictures = vec![album.photo(&outcome.images.image(row)?)?];
            for features in &features {
                pictures.push(album.heatmap(features.shape(), features.row(at))?);
            }
            drawn.insert(row, (rank + 1, pictures));
        }
        Ok(Self { outcome, detection, drawn })
    }

    fn tile(&self, row: usize) -> Markup {
        let sample = &self.outcome.images.samples()[row];
        let (rank, pictures) = &self.drawn[&row];
        let flagged = self.detection.verdict.flagged[row];
        let names = std::iter::once("image").chain(self.detection.features.iter().map(|(name, _)| name.as_str()));
        html! {
            li.tile.flagged[flagged] {
                div.pictures { @for (picture, name) in pictures.iter().zip(names) { span class={ "picture " (picture) } role="img" aria-label={ (name) " of " (sample.id) } {} } }
                p.caption {
                    span.marks { @if let Some(truth) = &self.outcome.truth { (truth_mark(truth.roles[row])) } @if flagged { (flag_mark()) } }
                    span.score { @if let Some(score) = self.detection.verdict.scores[row] { (number(score)) } }
                    span.rank { "#" (count(*rank)) }
                }
                p.path title={ (sample.id) " · " (sample.path) } { bdi dir="ltr" { (sample.path) } }
            }
        }
    }
}
