//! Images beside what a detector saw of them, as tiles of a contact sheet.

use std::collections::BTreeMap;

use bezoar_core::{Context, Detection, Features, Outcome, Result};
use maud::{Markup, html};

use super::album::{Album, Picture};
use super::words::{flag_mark, truth_mark};
use crate::format::{count, number};

/// The pictures of some images.
pub(super) struct Tiles<'a> {
    outcome: &'a Outcome,
    detection: &'a Detection,
    /// By row: the image, then one for each representation.
    drawn: BTreeMap<usize, Vec<Picture>>,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(outcome: &'a Outcome, detection: &'a Detection) -> Self {
        Self { outcome, detection, drawn: BTreeMap::new() }
    }

    /// Draws those of these rows that are not drawn yet.
    pub(super) fn draw(&mut self, cx: &Context, rows: &[usize], album: &mut Album) -> Result<()> {
        let mut rows: Vec<usize> = rows.iter().copied().filter(|row| !self.drawn.contains_key(row)).collect();
        rows.sort_unstable();
        rows.dedup();
        let features: Vec<Features> = self.detection.features.iter().map(|seen| seen.rows.select(&rows)).collect::<Result<_>>()?;
        for (at, &row) in rows.iter().enumerate() {
            cx.check()?;
            let mut pictures = vec![album.photo(&self.outcome.images.image(row)?)?];
            for features in &features {
                pictures.push(album.heatmap(features.shape(), features.row(at))?);
            }
            self.drawn.insert(row, pictures);
        }
        Ok(())
    }

    pub(super) fn into_pictures(self) -> BTreeMap<usize, Vec<Picture>> {
        self.drawn
    }

    /// One image; `rank` is its place in the order by score.
    pub(super) fn tile(&self, row: usize, rank: usize) -> Markup {
        let sample = &self.outcome.images.samples()[row];
        let flagged = self.detection.verdict.flagged[row];
        html! {
            li.tile.flagged[flagged] data-rank=(rank) data-id=(sample.id) {
                div.pictures { @if let Some((photo, heatmaps)) = self.drawn.get(&row).and_then(|pictures| pictures.split_first()) { (self.pictures(&sample.id, *photo, heatmaps)) } }
                p.caption {
                    span.marks { @if let Some(truth) = &self.outcome.truth { (truth_mark(truth.roles[row])) } @if flagged { (flag_mark()) } }
                    span.score { @if let Some(score) = self.detection.verdict.scores[row] { (number(score)) } }
                    span.rank { "#" (count(rank)) }
                }
                p.path title={ (sample.id) " · " (sample.path) } { bdi dir="ltr" { (sample.path) } }
            }
        }
    }

    /// The image beside its heatmaps. One that lies over the image has the image below it, to be seen when wanted.
    fn pictures(&self, id: &str, photo: Picture, heatmaps: &[Picture]) -> Markup {
        html! {
            span.picture.(photo) role="img" aria-label={ "image of " (id) } {}
            @for (heatmap, seen) in heatmaps.iter().zip(&self.detection.features) {
                @if self.outcome.images.shape().carries(seen.rows.shape()) {
                    span.picture.(photo) { span.picture.heatmap.(heatmap) role="img" aria-label={ (seen.name) " of " (id) } {} }
                } @else {
                    span.picture.(heatmap) role="img" aria-label={ (seen.name) " of " (id) } {}
                }
            }
        }
    }
}
