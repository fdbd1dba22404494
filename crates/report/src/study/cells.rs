use bezoar_evaluation::repeats::Results;
use maud::{Markup, html};

/// Every run, with a link to its report, which lies beside the study's folder.
pub(super) fn section(results: &Results) -> Markup {
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
                                td {
                                    @match &cell.problem {
                                        Some(problem) => { span.warning { "failed: " (problem) } }
                                        None => { a href={ "../" (cell.run) "/report.html" } { (cell.run) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
