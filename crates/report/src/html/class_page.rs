//! One class as one detector saw it: its map, its clusters, the trigger, and contact sheets of its images.

use bezoar_core::{ClassVerdict, Context, Detection, Features, Outcome, Result, Role};
use maud::{Markup, html};

use super::clusters::Groups;
use super::data::{Map, Plot};
use super::membership::Membership;
use super::scatter::{self, Mark, example, sample_mark};
use super::selection::{Group, Kind, evenly, groups};
use super::tiles::Tiles;
use super::trigger;
use super::words::class_name;
use super::{Assets, Html};
use crate::chart::Key;
use crate::format::{count, counted, number, role_name};
use crate::tally::Tally;

/// Images of a class that its map, its clusters and its trigger are made from, at most.
const LOOKED_AT: usize = 4000;

/// Bytes that a mark takes in the drawing and in the script's data, beside the image's id and path.
const MARK: usize = 160;

/// Images that are drawn to see what one takes.
const PROBED: usize = 8;

/// What the page of a class is made from.
pub(super) struct ClassPage<'a> {
    pub(super) page: &'a Html,
    pub(super) cx: &'a Context,
    pub(super) outcome: &'a Outcome,
    pub(super) detection: &'a Detection,
    pub(super) class: u32,
    pub(super) tally: Tally,
    /// Bytes that it may take: half of them for contact sheets, at most a quarter for marks, the rest for pictures of marks.
    pub(super) allowance: usize,
    /// What the names of its files begin with.
    pub(super) file: String,
}

impl<'a> ClassPage<'a> {
    pub(super) fn section(&self, assets: &mut Assets<'a>) -> Result<Markup> {
        let Self { outcome, detection, .. } = *self;
        let before = assets.size();
        let ranked = detection.verdict.ranked(&outcome.images.rows_of(self.class));
        let mut tiles = Tiles::new(outcome, detection);
        let probed = evenly(&ranked, PROBED);
        tiles.draw(self.cx, &probed, &mut assets.album)?;
        let pictures = (assets.size() - before).div_ceil(probed.len().max(1));
        let tile = pictures + probed.first().map_or(0, |&row| tiles.tile(row, ranked.len()).0.len());
        let groups = self.groups(&ranked, self.allowance / 2 / tile.max(1));
        let shown: Vec<usize> = groups.iter().flat_map(|group| &group.rows).copied().collect();
        tiles.draw(self.cx, &shown, &mut assets.album)?;
        let sheets = html! {
            @if !groups.is_empty() { (order()) }
            @for group in &groups { (sheet(group, &ranked, &tiles)) }
            @if groups.is_empty() { p.note { "This detector has no scores for this class." } }
        };
        let rows = evenly(&ranked, LOOKED_AT);
        let (map, findings) = match detection.features.first() {
            Some(seen) if !rows.is_empty() => {
                let features = seen.rows.select(&rows)?;
                let findings = self.findings(&rows, &features, assets)?;
                let sheets = assets.size() - before + shown.len() * (tile - pictures);
                let drawable = self.allowance.saturating_sub(sheets);
                (self.map(rows, features, ranked.len(), tiles, (drawable, pictures), assets)?, findings)
            }
            _ => (html! {}, html! {}),
        };
        Ok(html! { section.class { (self.facts()) (map) (findings) (sheets) } })
    }

    /// The groups to show: as many samples as wanted, or fewer, so that no more than `affordable` images are shown.
    fn groups(&self, ranked: &[usize], affordable: usize) -> Vec<Group> {
        let of = |samples: usize| groups(ranked, &self.detection.verdict, self.outcome.truth.as_ref(), samples);
        let mut samples = self.page.samples;
        let mut chosen = of(samples);
        while samples > 1 && chosen.iter().map(|group| group.rows.len()).sum::<usize>() > affordable {
            samples -= samples.div_ceil(8);
            chosen = of(samples);
        }
        chosen
    }

    fn facts(&self) -> Markup {
        let Self { outcome, tally, .. } = *self;
        let verdict = self.detection.verdict.classes.iter().find(|verdict| verdict.class == self.class);
        html! {
            h4 { (class_name(outcome, self.class)) }
            p {
                (counted(tally.samples, "image"))
                @if outcome.truth.is_some() {
                    ", " (count(tally.poison)) " of them poison. Flagged " (count(tally.flagged)) ": "
                    (counted(tally.hits, "hit")) " and " (counted(tally.false_alarms(), "false alarm")) ". Missed " (count(tally.misses())) "."
                } @else {
                    ", flagged " (count(tally.flagged)) "."
                }
            }
            @if let Some(ClassVerdict { statistic, statistic_name, p_value, reason, .. }) = verdict {
                p.note {
                    @if let Some(statistic) = statistic { (statistic_name) " " (number(*statistic)) " · " }
                    @if let Some(p) = p_value { "p " (number(*p)) " · " }
                    (reason)
                }
            }
        }
    }

    /// What clusters have in common, and the trigger.
    fn findings(&self, rows: &[usize], features: &Features, assets: &mut Assets<'a>) -> Result<Markup> {
        let Self { outcome, detection, .. } = *self;
        let groups = Groups::of(self.cx, outcome, &detection.verdict, rows, features)?;
        let means = groups.section(outcome.images.shape(), features, &self.file, assets)?;
        let (trigger, picture) = trigger::section(outcome, &detection.verdict, rows, features, &mut assets.album)?;
        assets.pictures.extend(picture.map(|picture| (format!("{}-trigger", self.file), picture)));
        Ok(html! { div.findings-of-class { div { (trigger) } div { (means) } } })
    }

    /// The map of these rows, and what the script needs to know of it. It may take `drawable` bytes, and the `pictures` of a mark are of so many.
    fn map(
        &self,
        mut rows: Vec<usize>,
        mut features: Features,
        of: usize,
        mut tiles: Tiles<'a>,
        (drawable, pictures): (usize, usize),
        assets: &mut Assets<'a>,
    ) -> Result<Markup> {
        let Self { outcome, detection, .. } = *self;
        let verdict = &detection.verdict;
        let Some(embed) = &self.page.embed else { return Ok(html! {}) };
        let named = |row: usize| outcome.images.samples()[row].id.len() + outcome.images.samples()[row].path.len();
        let mark = MARK + rows.iter().map(|&row| named(row)).sum::<usize>() / rows.len();
        let places: Vec<usize> = evenly(&(0..rows.len()).collect::<Vec<_>>(), (drawable.min(self.allowance / 4) / mark).max(1));
        if places.len() < rows.len() {
            (rows, features) = (places.iter().map(|&place| rows[place]).collect(), features.select(&places));
        }
        let Some(places) = scatter::places(&self.cx.stage("map"), &**embed, features)? else { return Ok(html! {}) };
        let affordable = drawable.saturating_sub(rows.len() * mark) / pictures.max(1);
        tiles.draw(self.cx, &evenly(&rows, affordable), &mut assets.album)?;

        let role = |row: usize| outcome.truth.as_ref().map_or(Role::Clean, |truth| truth.roles[row]);
        let membership = |row: usize| Membership::of(verdict, row);
        let marked = |(&row, &place)| Mark { place, role: role(row), flagged: verdict.flagged[row], membership: membership(row) };
        let marks: Vec<Mark> = rows.iter().zip(&places).map(marked).collect();
        let label = format!("The images of {} as {} sees them", class_name(outcome, self.class), detection.detector);
        let drawing = scatter::draw(&label, &marks, &[]);
        assets.maps.push((format!("{}-map", self.file), scatter::draw(&label, &marks, &keys(outcome, &marks))));
        let legend = legend(outcome, &marks);
        let shown = rows.len();
        let plot = Plot {
            x: places.iter().map(|place| place[0]).collect(),
            y: places.iter().map(|place| place[1]).collect(),
            scores: rows.iter().map(|&row| verdict.scores[row].map(number).unwrap_or_default()).collect(),
            flagged: rows.iter().map(|&row| verdict.flagged[row]).collect(),
            memberships: rows.iter().map(|&row| membership(row).name()).collect(),
            maps: detection
                .features
                .iter()
                .map(|seen| Map { name: &seen.name, spatial: outcome.images.shape().carries(seen.rows.shape()) })
                .collect(),
            pictures: tiles.into_pictures(),
            rows,
        };
        let represented = &detection.features[0].name;
        Ok(html! {
            div.map data-plot=(assets.data.add(outcome, plot)?) {
                figure {
                    (drawing)
                    (legend)
                    figcaption {
                        "Each mark is an image, placed by " (embed.name()) " of " (represented) ": near each other is what the detector sees as alike. "
                        "The axes are stretched to the drawing."
                        @if shown < of { " Shown are " (count(shown)) " of " (count(of)) ", evenly from the highest score to the lowest." }
                    }
                }
                (inspector())
            }
        })
    }
}

/// The colours of marks, by class of the stylesheet, and what they mean.
fn colors(marks: &[Mark]) -> Vec<(String, String)> {
    let mut memberships: Vec<Membership> =
        marks.iter().map(|mark| mark.membership).filter(|&other| other != Membership::Unclustered).collect();
    memberships.sort_unstable();
    let mut colors: Vec<(String, String)> = memberships.into_iter().map(|membership| (membership.class(), membership.legend())).collect();
    colors.dedup();
    colors
}

/// The shapes of marks, by role and flag, and what they mean.
fn shapes(outcome: &Outcome, marks: &[Mark]) -> Vec<(Role, bool, &'static str)> {
    let has = |role: Role| role == Role::Clean || marks.iter().any(|mark| mark.role == role);
    let roles = [Role::Clean, Role::Poison, Role::Cover].into_iter().filter(|&role| outcome.truth.is_some() && has(role));
    roles.map(|role| (role, false, role_name(role))).chain([(Role::Clean, true, "flagged: outlined")]).collect()
}

/// What the marks mean, in the page.
fn legend(outcome: &Outcome, marks: &[Mark]) -> Markup {
    html! {
        ul.legend aria-label="Marks" {
            @for (class, name) in colors(marks) { li { span.swatch.(class) {} (name) } }
            @for (role, flagged, name) in shapes(outcome, marks) { li { (sample_mark(role, flagged)) (name) } }
        }
    }
}

/// What the marks mean, in a file.
fn keys(outcome: &Outcome, marks: &[Mark]) -> Vec<Key> {
    let colors = colors(marks).into_iter().map(|(class, text)| Key { sample: example(Role::Clean, false, &class), text });
    let shape = |(role, flagged, text): (Role, bool, &str)| Key {
        sample: html! { g.sample { (example(role, flagged, &Membership::Noise.class())) } },
        text: text.to_owned(),
    };
    colors.chain(shapes(outcome, marks).into_iter().map(shape)).collect()
}

/// What the script fills in: the image under the pointer, and those that are selected.
fn inspector() -> Markup {
    html! {
        div.inspector hidden {
            p.note.hint {
                "Point at a mark to see its image; drag a rectangle to select, with Shift to add. By keyboard: focus the map, walk from score to "
                "score with ← and →, select with Enter, and let go with Escape."
            }
            div.seen aria-live="polite" {
                div.pictures {}
                dl.facts { @for name in ["Id", "Path", "Score", "Flagged", "Cluster", "Truth"] { div { dt { (name) } dd data-fact=(name.to_lowercase()) {} } } }
            }
        }
        div.selected hidden {
            p.tools {
                output { "Nothing is selected." }
                button type="button" data-do="copy" disabled { "Copy ids" }
                button type="button" data-do="clear" disabled { "Clear" }
            }
            div.scroll.list tabindex="0" role="region" aria-label="Selected images" hidden {
                table {
                    thead { tr { th scope="col" { "Id" } @for name in ["Image", "Path", "Score", "Flagged", "Truth"] { th.number[name == "Score"] scope="col" { (name) } } } }
                    tbody {}
                }
            }
        }
    }
}

/// Buttons that sort the contact sheets of a class.
fn order() -> Markup {
    html! {
        p.tools.order hidden {
            span { "Order" }
            button type="button" data-order="score" aria-pressed="true" { "by score" }
            button type="button" data-order="id" aria-pressed="false" { "by id" }
            button type="button" data-order="flagged" aria-pressed="false" { "flagged first" }
        }
    }
}

fn sheet(group: &Group, ranked: &[usize], tiles: &Tiles<'_>) -> Markup {
    let rank = |row: usize| 1 + ranked.iter().position(|&other| other == row).unwrap_or_default();
    html! {
        h5 { (title(group.kind)) small { " " (count(group.rows.len())) " of " (count(group.total)) } }
        ul.sheet { @for &row in &group.rows { (tiles.tile(row, rank(row))) } }
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
