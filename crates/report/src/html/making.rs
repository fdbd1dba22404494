//! How the result came about: versions, machine, relevance, time, images left out, the pipeline.

use bezoar_core::{FinishedStage, Report, Skipped, hex};
use maud::{Markup, html};
use sha2::{Digest, Sha256};

use super::conservation;
use crate::format::{UNDEFINED, count, counted, percent, seconds};

/// More skipped images than these are counted, not listed.
const LISTED: usize = 200;

pub(super) fn section(report: &Report<'_>) -> Markup {
    html! {
        section #making {
            h2 { "How it was made" }
            dl.facts {
                div { dt { "Bezoar" } dd { (env!("CARGO_PKG_VERSION")) } }
                div { dt { "Machine" } dd { (report.machine) } }
                @for (package, names) in report.plugins {
                    div { dt { (package) } dd { @for (at, name) in names.iter().enumerate() { @if at > 0 { ", " } (name) } } }
                }
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
            caption { "Time a stage, and the most memory that the process held meanwhile; a stage from the cache has what it once took" }
            thead { tr { th scope="col" { "Stage" } th.number scope="col" { "Time" } th scope="col" { "Share" } th.number scope="col" { "Peak MB" } th scope="col" { "Digest" } } }
            tbody {
                @for FinishedStage { name, seconds: duration, peak_bytes, reused, digest } in stages {
                    tr {
                        th scope="row" { (name) @if *reused { " " small { "from the cache" } } }
                        td.number { (seconds(*duration)) }
                        td.share { span.bar style={ "width:" (percent(if total > 0.0 { duration / total } else { 0.0 })) "%" } {} }
                        td.number { (peak_bytes.map_or_else(|| UNDEFINED.to_owned(), |bytes| count((bytes / 1_000_000) as usize))) }
                        td title="Equal digests mean equal outputs." { @if let Some(digest) = digest { code { (digest.chars().take(DIGITS).collect::<String>()) } } }
                    }
                }
            }
            tfoot { tr { th scope="row" { "Total" } td.number { (seconds(total)) } td {} td {} td {} } }
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
