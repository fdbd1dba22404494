//! The figures of a study: [`study_table`] for a terminal, [`write_study_page`] for a browser. One file a section of the page.

mod cells;
mod charts;
mod comparisons;
mod costs;
mod tables;
mod terminal;
mod verdict;

pub use terminal::study_table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bezoar_core::{Result, Scope, hex};
use bezoar_evaluation::repeats::{Costs, Figure, Group, Results, SEED};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

use crate::chart::{self, Drawing};
use crate::each_once::each_once;
use crate::file::free_name;
use crate::format::counted;
use crate::page::head;

/// Nothing is loaded from anywhere and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const FILE: &str = "report.html";

/// Writes the page of a study into its folder and says where it is: `report.html`, one file that opens without a network, with which detector does
/// best, the figures with intervals, the best of each row marked, detection over each axis of numbers, detectors compared over the same nets, every
/// cell with a link to its own report beside the folder, and what the stages cost on which machines. The charts are files as well, in `figures/`.
/// `file` is the study as YAML, `resolved` the pipeline of its first cell with all defaults.
///
/// # Errors
/// When a file cannot be written.
pub fn write_study_page(results: &Results, costs: &Costs, file: &str, resolved: Option<&str>, folder: &Path) -> Result<PathBuf> {
    let (mut charts, mut ranks) = (charts::drawings(results), comparisons::drawings(results));
    let mut taken = BTreeSet::new();
    for drawing in charts.iter_mut().chain(&mut ranks) {
        drawing.name = free_name(&drawing.name, &mut taken);
    }
    chart::write(charts.iter().chain(&ranks).map(|drawing| (drawing.name.as_str(), &drawing.chart)), folder)?;
    let making = making(file, resolved);
    let page = page(results, costs, &making, folder, &charts, &ranks);
    crate::file::write(folder, FILE, page.into_string().as_bytes())
}

fn page(results: &Results, costs: &Costs, making: &Markup, folder: &Path, charts: &[Drawing], ranks: &[Drawing]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{} · study", results.name), POLICY, ""))
            body {
                header {
                    p.brand { "Bezoar study" }
                    h1 { (results.name) }
                    p.lead { (verdict::section(results)) }
                    p.note { (extent(results)) }
                }
                nav aria-label="Sections" {
                    a href="#figures" { "Figures" }
                    a href="#axes" { "Over each axis" }
                    a href="#comparisons" { "Detectors compared" }
                    a href="#cells" { "Cells" }
                    @if !costs.stages.is_empty() { a href="#costs" { "Costs" } }
                    a href="#making" { "How it was made" }
                }
                main {
                    (tables::section(results))
                    (charts::section(charts))
                    (comparisons::section(results, ranks))
                    (cells::section(results, folder))
                    @if !costs.stages.is_empty() { (costs::section(costs)) }
                    (making)
                }
                footer { p { "Bezoar " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    }
}

fn making(file: &str, resolved: Option<&str>) -> Markup {
    html! {
        section #making {
            h2 { "How it was made" }
            dl.facts {
                div { dt { "Bezoar" } dd { (env!("CARGO_PKG_VERSION")) } }
                div { dt { "Digest of the study" } dd title="SHA-256 of the YAML below" { code { (hex(&Sha256::digest(file))) } } }
            }
            details { summary { "The study" } pre tabindex="0" { code { (file) } } }
            @if let Some(resolved) = resolved {
                details { summary { "The first cell with all defaults" } pre tabindex="0" { code { (resolved) } } }
            }
        }
    }
}

/// Where nobody measured whether the attacks worked.
const UNMEASURED: &str =
    "Whether the attacks worked was not measured: detectors are compared over all nets. Add attack-success to evaluate: to know.";

/// What is said of the nets that detectors are compared over.
fn compared(results: &Results) -> &'static str {
    if results.success_measured { " on which the attack worked" } else { "" }
}

fn extent(results: &Results) -> Markup {
    let failed = results.cells.iter().filter(|cell| cell.problem.is_some()).count();
    html! {
        strong { (counted(results.cells.len(), "run")) } " of " (counted(results.groups.len(), "setting"))
        @if failed > 0 { ", of which " strong { (counted(failed, "run")) " failed" } }
        ", on " (counted(results.nets(), "net"))
        ". They differ in "
        @for (at, axis) in results.axes.iter().enumerate() { @if at > 0 { ", " } b { (axis) } }
        "."
    }
}

/// The axes that groups differ in: all but the seed.
fn axes(results: &Results) -> Vec<usize> {
    (0..results.axes.len()).filter(|&axis| results.axes[axis] != SEED).collect()
}

/// The detectors of a study, in the order in which they come.
fn detectors<'a>(groups: impl IntoIterator<Item = &'a Group>) -> Vec<&'a str> {
    each_once(groups.into_iter().flat_map(|group| &group.figures).filter_map(|figure| figure.detector.as_deref()))
}

/// A figure of a group; none where it was not measured or is undefined in all of its runs.
fn figure<'a>(group: &'a Group, metric: &str, detector: Option<&str>, scope: &Scope) -> Option<&'a Figure> {
    group.figures.iter().find(|figure| (figure.metric.as_str(), figure.detector.as_deref(), &figure.scope) == (metric, detector, scope))
}
