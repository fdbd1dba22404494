use bezoar_evaluation::repeats::Costs;
use maud::{Markup, html};

use crate::format::count;

/// What each stage took, over all runs; a stage that several runs share counts in each of them.
pub(super) fn section(Costs { stages, machines }: &Costs) -> Markup {
    html! {
        section #costs {
            h2 { "What it cost" }
            p.note {
                "Wall time of each stage when it was made, and the most memory that the process held meanwhile. Runs at once share both. On "
                @for (at, machine) in machines.iter().enumerate() { @if at > 0 { "; " } (machine) }
                "."
            }
            div.scroll tabindex="0" role="region" aria-label="Costs" {
                table.figures {
                    thead { tr { th scope="col" { "Stage" } @for head in ["Runs", "Seconds, mean", "Slowest", "Peak MB"] { th scope="col" { (head) } } } }
                    tbody {
                        @for cost in stages {
                            tr {
                                th scope="row" { (cost.stage) }
                                td { (count(cost.runs)) }
                                td { (format!("{:.1}", cost.seconds)) }
                                td { (format!("{:.1}", cost.slowest)) }
                                td { (cost.peak_bytes.map_or_else(|| "–".to_owned(), |bytes| count((bytes / 1_000_000) as usize))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
