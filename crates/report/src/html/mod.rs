//! The page. One file a section; [`selection`] chooses what to show, [`album`] draws it, and [`script`] makes it answer to the reader.

mod album;
mod attack;
mod average;
mod budget;
mod class_page;
mod classes;
mod clusters;
mod conservation;
mod curves;
mod data;
mod evidence;
mod figures;
mod making;
mod membership;
mod scatter;
mod script;
mod selection;
mod tiles;
mod trigger;
mod verdict;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Part, Plugin, Report, Reporter, Result, Transform, register};
use maud::{DOCTYPE, Markup, html};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use album::{Album, Picture};
use curves::Curves;
use data::Data;

use crate::chart;
use crate::embedding::default_embed;
use crate::file::free_name;
use crate::page::head;

const FILE: &str = "report.html";

/// One page that shows what was found and why; it opens without a network.
///
/// Writes `report.html`: the verdict in a sentence, the figures of net and detectors, ROC curve and histogram of the scores, and for each detector
/// the attacked classes: a map whose marks show their images, means over clusters, the trigger as recovered, and the images beside their heatmaps,
/// ordered by score, with truth and flag marked. Without an attack it shows the classes that each detector suspects most. Pictures are in the file
/// itself, at most 96 pixels wide and high, and the whole is kept to some 12 MB: where detectors and classes are many, each has fewer. The page is
/// whole without its script, which only makes it answer: point at a mark, select marks and list them, sort images, lay heatmaps over them.
///
/// Curves and maps are also files of their own: `figures/NAME-roc.svg`, `figures/NAME-scores.svg` and `figures/NAME_CLASS-map.svg` for the
/// detector NAME and the class CLASS. Beside them are `figures/NAME_CLASS-cluster-0-heatmap.png`, the mean heatmap of a cluster or of what is flagged,
/// and `figures/NAME_CLASS-trigger.png`, the trigger as recovered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Html {
    /// Images shown of each class: those with the highest scores. A few misses, false alarms, middle and low scores come on top.
    #[serde(default = "default_samples")]
    #[schemars(range(min = 1, max = 1000))]
    pub samples: usize,
    /// Classes shown for each detector: the attacked ones, or without an attack any; those with a flagged image first, then by p-value and
    /// statistic.
    #[serde(default = "default_classes")]
    #[schemars(range(min = 1, max = 100))]
    pub classes: usize,
    /// What places the images of a class on their map, by the detector's features; its first two dimensions count. `null` for no map.
    #[serde(default = "default_embed")]
    pub embed: Option<Part<dyn Transform>>,
}

fn default_samples() -> usize {
    60
}

fn default_classes() -> usize {
    3
}

impl Plugin for Html {
    type Kind = dyn Reporter;
    const NAME: &'static str = "html";

    fn example() -> Self {
        Self { samples: default_samples(), classes: default_classes(), embed: default_embed() }
    }

    fn build(self) -> Result<Arc<dyn Reporter>> {
        Ok(Arc::new(self))
    }
}

register!(Html);

impl Reporter for Html {
    fn write(&self, cx: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut taken = BTreeSet::new();
        let names: Vec<String> = report.outcome.detections.iter().map(|detection| free_name(&detection.detector, &mut taken)).collect();
        let curves = curves::draw(report.outcome, &names);
        let mut assets = Assets::default();
        let page = self.page(cx, report, &curves, &names, &mut assets)?.into_string();
        let mut files = vec![crate::file::write(folder, FILE, page.as_bytes())?];
        let of_curves = curves.iter().flat_map(|curves| &curves.drawings).map(|drawing| (drawing.name.as_str(), &drawing.chart));
        let of_maps = assets.maps.iter().map(|(name, map)| (name.as_str(), map));
        files.extend(chart::write(of_curves.chain(of_maps), folder)?);
        files.extend(assets.album.write(&assets.pictures, &folder.join(chart::FOLDER))?);
        Ok(files)
    }
}

/// What sections leave for the page's head and end, and for files beside it.
#[derive(Default)]
struct Assets<'a> {
    album: Album,
    data: Data<'a>,
    /// The map of each class by the name of its file.
    maps: Vec<(String, Markup)>,
    /// Pictures that are files as well, by their names.
    pictures: Vec<(String, Picture)>,
}

impl Assets<'_> {
    /// Bytes that they take in the page.
    fn size(&self) -> usize {
        self.album.size() + self.data.size()
    }
}

impl Html {
    fn page<'a>(
        &'a self,
        cx: &'a Context,
        report: &Report<'a>,
        curves: &[Curves<'_>],
        names: &[String],
        assets: &mut Assets<'a>,
    ) -> Result<Markup> {
        let outcome = report.outcome;
        let before = html! { (figures::section(report)) (curves::section(outcome, curves)) (attack::section(outcome)) };
        let after = html! { @if !outcome.detections.is_empty() { (classes::section(outcome)) } (making::section(report)) };
        let evidence = evidence::section(self, cx, outcome, names, before.0.len() + after.0.len(), assets)?;
        Ok(html! {
            (DOCTYPE)
            html lang="en" {
                (head(&outcome.name, &script::policy(), &assets.album.stylesheet()))
                body {
                    (words::symbols())
                    header { (verdict::section(report)) }
                    nav aria-label="Sections" {
                        a href="#figures" { "Figures" }
                        @if !curves.is_empty() { a href="#curves" { "Scores" } }
                        @if outcome.truth.is_some() { a href="#attack" { "Attack" } }
                        @if !outcome.detections.is_empty() {
                            a href="#evidence" { "Evidence" }
                            a href="#classes" { "Classes" }
                        }
                        a href="#making" { "How it was made" }
                    }
                    main {
                        (before)
                        @if !outcome.detections.is_empty() { (evidence) }
                        (after)
                    }
                    footer { p { "Bezoar " (env!("CARGO_PKG_VERSION")) } }
                    (script::elements(&assets.data)?)
                }
            }
        })
    }
}
