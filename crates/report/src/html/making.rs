//! How the result came about: version, machine, relevance, time, images left out, the pipeline.

use bezoar_core::{FinishedStage, Report, Skipped, hex};
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
            div.scroll tabindex="0" role="region" aria-label="Time a stage" { (timings(report.stages)) }
            (skipped(&report.outcome.skipped))
            details {
                summary { "The pipeline with all defaults" }
                pre tabindex="0" { code { (report.resolved) } }
            }
        }
    }
}

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

fn timings(stages: &[FinishedStage]) -> Markup {
    let total: f64 = stages.iter().map(|stage| stage.seconds).sum();
    html! {
        table.timings {
            caption { "Time a stage" }
            thead { tr { th scope="col" { "Stage" } th.number scope="col" { "Time" } th scope="col" { "Share" } th scope="col" { "Digest" } } }
            tbody {
                @for FinishedStage { name, seconds: duration, digest } in stages {
                    tr {
                        th scope="row" { (name) }
                        td.number { (seconds(*duration)) }
                        td.share { span.bar style={ "width:" (percent(if total > 0.0 { duration / total } else { 0.0 })) "%" } {} }
                        td title="Equal digests mean equal outputs." { @if let Some(digest) = digest { code { (digest.chars().take(DIGITS).collect::<String>()) } } }
                    }
                }
            }
            tfoot { tr { th scope="row" { "Total" } td.number { (seconds(total)) } td {} td {} } }
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
