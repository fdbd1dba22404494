use std::path::Path;

use bezoar_evaluation::repeats::{Cell, Results};
use maud::{Markup, html};

use super::FILE;

/// Every run; those that have a report beside the study's folder link to it.
pub(super) fn section(results: &Results, folder: &Path) -> Markup {
    html! {
        section #cells {
            h2 { "Cells" }
            div.scroll tabindex="0" role="region" aria-label="Cells" {
                table.figures {
                    thead { tr { @for axis in &results.axes { th scope="col" { (axis) } } th scope="col" { "Run" } } }
                    tbody {
                        @for cell in &results.cells {
                            tr {
                                @for value in &cell.settings { th scope="row" { (value) } }
                                td { (run(cell, folder)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn run(Cell { run, problem, .. }: &Cell, folder: &Path) -> Markup {
    let page = format!("../{run}/{FILE}");
    html! {
        @if let Some(problem) = problem { span.warning { "failed: " (problem) } }
        @else if folder.join(&page).is_file() { a href=(page) { (run) } }
        @else { (run) }
    }
}
