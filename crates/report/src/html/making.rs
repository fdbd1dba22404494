//! How the result came about: version, machine, relevance, time, images left out, the pipeline.

use bezoar_core::{Report, Skipped, hex};
use maud::{Markup, html};
use sha2::{Digest, Sha256};

use super::conservation;
use crate::format::{counted, percent, seconds};

/// More skipped images than these are counted, not listed.
const LISTED: usize = 200;

pub(super) fn section(report: &Report<'_>) -> Markup {
    html! {
        section #making {
            h2 { "How it was made" }
            dl.facts {
                div { dt { "Bezoar" } dd { (env!("CARGO_PKG_VERSION")) } }
                div { dt { "Machine" } dd { (report.machine) } }
                div { dt { "Digest of the pipeline" } dd title="SHA-256 of the resolved YAML below" { code { (hex(&Sha256::digest(report.resolved))) } } }
            }
            (conservation::section(report.balances))
            (timings(report.timings))
            (skipped(&report.outcome.skipped))
            details {
                summary { "The pipeline with all defaults" }
                pre tabindex="0" { code { (report.resolved) } }
            }
        }
    }
}

fn timings(timings: &[(String, f64)]) -> Markup {
    let total: f64 = timings.iter().map(|(_, duration)| duration).sum();
    html! {
        table.timings {
            caption { "Time a stage" }
            thead { tr { th scope="col" { "Stage" } th.number scope="col" { "Time" } th scope="col" { "Share" } } }
            tbody {
                @for (stage, duration) in timings {
                    tr {
                        th scope="row" { (stage) }
                        td.number { (seconds(*duration)) }
                        td.share { span.bar style={ "width:" (percent(if total > 0.0 { duration / total } else { 0.0 })) "%" } {} }
                    }
                }
            }
            tfoot { tr { th scope="row" { "Total" } td.number { (seconds(total)) } td {} } }
        }
    }
}

fn skipped(skipped: &[Skipped]) -> Markup {
    if skipped.is_empty() {
        return html! { p { "No image was left out." } };
    }
    html! {
        details {
            summary { "Left out: " (counted(skipped.len(), "image")) }
            dl.skipped {
                @for image in skipped.iter().take(LISTED) { div { dt { (image.path) } dd { (image.problem) } } }
            }
            @if skipped.len() > LISTED { p.note { "and " (counted(skipped.len() - LISTED, "other")) "." } }
        }
    }
}
