//! The figures of a study: [`study_table`] for a terminal, [`study_page`] for a browser. One file a section of the page.

mod cells;
mod charts;
mod comparisons;
mod costs;
mod tables;
mod terminal;

pub use terminal::study_table;

use std::path::{Path, PathBuf};

use bezoar_core::{Result, Scope};
use bezoar_evaluation::repeats::{Figure, Group, Results, SEED, StageSummary};
use maud::{DOCTYPE, Markup, html};

use crate::format::counted;
use crate::page::head;

/// Nothing is loaded from anywhere and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const FILE: &str = "report.html";

/// Writes [`study_page`] into the study's folder and says where it is.
///
/// # Errors
/// When it cannot be written.
pub fn write_study_page(results: &Results, costs: &[StageSummary], file: &str, folder: &Path) -> Result<PathBuf> {
    crate::file::write(folder, FILE, study_page(results, costs, file).as_bytes())
}

/// The page of a study, one file that opens without a network: its figures with intervals, the best of each row marked, detection over each axis
/// of numbers, detectors compared over the same cells, every cell with a link to its own report beside it, and what the stages cost. `file` is the study as YAML.
pub fn study_page(results: &Results, costs: &[StageSummary], file: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{} · study", results.name), POLICY, ""))
            body {
                header {
                    p.brand { "Bezoar study" }
                    h1 { (results.name) }
                    p.lead { (lead(results)) }
                }
                nav aria-label="Sections" {
                    a href="#figures" { "Figures" }
                    a href="#axes" { "Over each axis" }
                    a href="#comparisons" { "Detectors compared" }
                    a href="#cells" { "Cells" }
                    @if !costs.is_empty() { a href="#costs" { "Costs" } }
                    a href="#making" { "How it was made" }
                }
                main {
                    (tables::section(results))
                    (charts::section(results))
                    (comparisons::section(results))
                    (cells::section(results))
                    @if !costs.is_empty() { (costs::section(costs)) }
                    section #making {
                        h2 { "How it was made" }
                        details { summary { "The study" } pre tabindex="0" { code { (file) } } }
                    }
                }
                footer { p { "Bezoar " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    };
    page.into_string()
}

fn lead(results: &Results) -> Markup {
    let failed = results.cells.iter().filter(|cell| cell.problem.is_some()).count();
    html! {
        strong { (counted(results.cells.len(), "run")) } " of " (counted(results.groups.len(), "setting"))
        @if failed > 0 { ", of which " strong { (counted(failed, "run")) " failed" } }
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
    let mut detectors = Vec::new();
    for detector in groups.into_iter().flat_map(|group| &group.figures).filter_map(|figure| figure.detector.as_deref()) {
        if !detectors.contains(&detector) {
            detectors.push(detector);
        }
    }
    detectors
}

/// A figure of a group; none where it was not measured or is undefined in all of its runs.
fn figure<'a>(group: &'a Group, metric: &str, detector: Option<&str>, scope: &Scope) -> Option<&'a Figure> {
    group.figures.iter().find(|figure| (figure.metric.as_str(), figure.detector.as_deref(), &figure.scope) == (metric, detector, scope))
}
