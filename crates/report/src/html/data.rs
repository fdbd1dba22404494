//! What the script is told: the samples on the page and the marks of each map.

use std::collections::BTreeMap;

use bezoar_core::{Outcome, Result};
use serde::Serialize;

use super::album::Picture;
use super::script::json;
use crate::format::role_name;

/// All of it.
#[derive(Default, Serialize)]
pub(super) struct Data<'a> {
    /// By row of the training set.
    samples: BTreeMap<usize, Sample<'a>>,
    plots: Vec<Plot<'a>>,
    #[serde(skip)]
    size: usize,
}

#[derive(Serialize)]
struct Sample<'a> {
    id: &'a str,
    path: &'a str,
    truth: Option<&'static str>,
}

/// A map of one class, its marks in columns, highest score first.
#[derive(Serialize)]
pub(super) struct Plot<'a> {
    pub(super) rows: Vec<usize>,
    /// Places in the drawing's own units.
    pub(super) x: Vec<f32>,
    pub(super) y: Vec<f32>,
    /// As they are shown elsewhere.
    pub(super) scores: Vec<String>,
    pub(super) flagged: Vec<bool>,
    /// The cluster of each, in words.
    pub(super) memberships: Vec<String>,
    /// What pictures show beside the image itself.
    pub(super) maps: Vec<Map<'a>>,
    /// By row, for those that have any: the image, then its heatmaps.
    pub(super) pictures: BTreeMap<usize, Vec<Picture>>,
}

/// What a detector looks at.
#[derive(Serialize)]
pub(super) struct Map<'a> {
    pub(super) name: &'a str,
    /// Whether it can lie over the image.
    pub(super) spatial: bool,
}

impl<'a> Data<'a> {
    /// Adds a map and says its number.
    pub(super) fn add(&mut self, outcome: &'a Outcome, plot: Plot<'a>) -> Result<usize> {
        for &row in &plot.rows {
            let sample = &outcome.images.samples()[row];
            let truth = outcome.truth.as_ref().map(|truth| role_name(truth.roles[row]));
            let sample = Sample { id: &sample.id, path: &sample.path, truth };
            if !self.samples.contains_key(&row) {
                // With the row's number as its key.
                self.size += json(&sample)?.len() + json(&row)?.len() + r#""":,"#.len();
                self.samples.insert(row, sample);
            }
        }
        self.size += json(&plot)?.len();
        self.plots.push(plot);
        Ok(self.plots.len() - 1)
    }

    /// Bytes that it takes in the page.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}
