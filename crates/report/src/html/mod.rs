//! The page. One file a section; [`selection`] chooses what to show, [`picture`] draws it.

mod album;
mod attack;
mod classes;
mod evidence;
mod figures;
mod making;
mod selection;
mod verdict;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Plugin, Report, Reporter, Result, register};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use album::Album;

const FILE: &str = "report.html";

/// Nothing is loaded from anywhere, nothing runs: a hostile text in the data could do nothing even if it were not escaped.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// One page that shows what was found and why; it opens without a network.
///
/// Writes `report.html`: the verdict in a sentence, the figures of net and detectors, and for each detector the images of the
/// attacked classes beside their heatmaps, ordered by score, with truth and flag marked. Without an attack it shows the
/// classes that each detector suspects most. Pictures are in the file itself, at most 96 pixels wide and high.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Html {
    /// Images shown of each class: those with the highest scores. A few misses, false alarms, middle and low scores come on top.
    #[serde(default = "default_samples")]
    #[schemars(range(min = 1, max = 1000))]
    pub samples: usize,
    /// Classes shown for each detector: the attacked ones, or without an attack any; those with the highest statistic first.
    #[serde(default = "default_classes")]
    #[schemars(range(min = 1, max = 100))]
    pub classes: usize,
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
        Self { samples: default_samples(), classes: default_classes() }
    }

    fn build(self) -> Result<Arc<dyn Reporter>> {
        Ok(Arc::new(self))
    }
}

register!(Html);

impl Reporter for Html {
    fn write(&self, cx: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let page = self.page(cx, report)?.into_string();
        Ok(vec![crate::file::write(folder, FILE, page.as_bytes())?])
    }
}

impl Html {
    fn page(&self, cx: &Context, report: &Report<'_>) -> Result<Markup> {
        let outcome = report.outcome;
        let mut album = Album::default();
        let evidence = evidence::section(self, cx, outcome, &mut album)?;
        Ok(html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (outcome.name) " · Bezoar" }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(include_str!("page.css"))) }
                    style { (PreEscaped(album.stylesheet())) }
                }
                body {
                    (words::symbols())
                    header { (verdict::section(report)) }
                    nav aria-label="Sections" {
                        a href="#figures" { "Figures" }
                        @if outcome.truth.is_some() { a href="#attack" { "Attack" } }
                        @if !outcome.detections.is_empty() {
                            a href="#evidence" { "Evidence" }
                            a href="#classes" { "Classes" }
                        }
                        a href="#making" { "How it was made" }
                    }
                    main {
                        (figures::section(report))
                        (attack::section(outcome))
                        @if !outcome.detections.is_empty() {
                            (evidence)
                            (classes::section(outcome))
                        }
                        (making::section(report))
                    }
                    footer { p { "Bezoar " (env!("CARGO_PKG_VERSION")) } }
                }
            }
        })
    }
}
