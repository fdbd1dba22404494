//! Clustering beside scikit-learn and hdbscan: ours and theirs in turn, on the same made rows.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::options::Options;
use super::peers::{Program, Summary, python};
use crate::section::Section;

pub(super) const USAGE: &str = "clustering [--rounds N] [--rows N] [--what WHAT] [--width N]";

const SECTION: Section = Section { name: "clustering", made_by: "cargo xtask bench clustering" };

/// The page of docs that has the section.
const PAGE: &str = "benchmarks.md";

const WORK: [&str; 3] = ["k-means", "pca", "hdbscan"];

const WIDTHS: [&str; 2] = ["128", "512"];

/// The most that our inertia may be of the peer's, and its kept variance or number of rows in clusters of ours.
const WORSE: f64 = 1.01;

/// Measures what the options ask for; other rows of the page stay as they are.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut options = Options::of(options, USAGE);
    let (what, width, rows) = (options.or("--what", "")?, options.or("--width", "")?, options.or("--rows", "50000")?);
    let rounds = options.number("--rounds", 3)?;
    options.end()?;
    let every: Vec<(&str, &str)> = WORK.iter().flat_map(|work| WIDTHS.iter().map(|width| (*work, *width))).collect();
    let is_asked = |(work, of): &(&str, &str)| (what.is_empty() || what == *work) && (width.is_empty() || width == *of);
    ensure!(every.iter().any(is_asked), "nothing of this name is compared");

    let python = python()?;
    let script = crate::root().join("bench/peers/clustering_rates.py").display().to_string();
    let page = crate::root().join("docs").join(PAGE);
    let old = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let kept = |(work, width): &(&str, &str)| {
        let start = format!("| {work} | {rows} x {width} |");
        SECTION.content(&old).map(|content| content.lines().find(|line| line.starts_with(&start)).map(|line| format!("{line}\n")))
    };
    let mut table: Vec<Option<String>> = every.iter().map(kept).collect::<Result<_>>()?;
    for (place, (work, width)) in every.iter().enumerate().filter(|(_, one)| is_asked(one)) {
        let settings = [*work, rows.as_str(), *width];
        let peers = [&[script.as_str()], &settings[..]].concat().into_iter().map(str::to_owned).collect();
        let (ours, peer) = (Program::bench("rates", &settings), Program { path: python.clone(), arguments: peers });
        let measured: Vec<[Value; 2]> = (0..rounds).map(|_| Ok([ours.run()?, peer.run()?])).collect::<Result<_>>()?;
        for round in &measured {
            let [found, theirs] = [&round[0], &round[1]].map(|line| line["quality"].as_f64().unwrap_or(f64::NAN));
            let worse = if *work == "k-means" { found / theirs } else { theirs / found };
            ensure!(worse <= WORSE, "{work} of {rows} x {width}: our quality is {found}, the peer's {theirs}");
        }
        let row = row(work, &format!("{rows} x {width}"), &measured)?;
        println!("{row}");
        table[place] = Some(row + "\n");
        super::write(PAGE, &SECTION, &section(&table))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A row of the table from its rounds, ours and the peer's.
fn row(work: &str, rows: &str, measured: &[[Value; 2]]) -> Result<String> {
    let number = |line: &Value, field: &str| line[field].as_f64().with_context(|| format!("no {field} in {line}"));
    let seconds: Vec<[f64; 2]> =
        measured.iter().map(|[ours, peer]| Ok([number(peer, "seconds")?, number(ours, "seconds")?])).collect::<Result<_>>()?;
    let Summary { values: [theirs, own], ratio, least, greatest } = Summary::of(&seconds);
    let [memory, peers] = [0, 1].map(|at| measured[0][at]["peak_bytes"].as_f64().unwrap_or_default() / 1e6);
    let (peer, rounds) = (measured[0][1]["by"].as_str().unwrap_or("?"), measured.len());
    Ok(format!(
        "| {work} | {rows} | {peer} | {rounds} | {own:.2} | {theirs:.2} | {ratio:.1}x | {least:.1}–{greatest:.1} | {memory:.0} | {peers:.0} |"
    ))
}

fn section(rows: &[Option<String>]) -> String {
    format!(
        "\nMeasured by `{}` on {}: so many rounds of ours and the peer's in turn, each in a process of its own, on rows of 20 made clusters.\n\
         The ratio is the median of the rounds' ratios, beside the least and the greatest; the bar is 1x and the aim 3x. A round counts if\n\
         our inertia, kept variance, or number of rows in clusters is worse by 1 % at most.\n\n\
         | what | rows | peer | rounds | ours, s | peer, s | ratio | least–greatest | memory, MB | peer's |\n\
         |---|---|---|---:|---:|---:|---:|---:|---:|---:|\n{}\n",
        SECTION.made_by,
        crate::machine(),
        rows.iter().flatten().map(String::as_str).collect::<String>(),
    )
}
