//! Gromov-Wasserstein costs beside Python Optimal Transport: ours and theirs in turn, on the same heatmaps.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::options::Options;
use super::peers::{Program, Summary, python};
use crate::section::Section;

pub(super) const USAGE: &str = "gromov [--rounds N] [--heatmaps N]";

const SECTION: Section = Section { name: "gromov", made_by: "cargo xtask bench gromov" };

/// Each epsilon, the pairs of one round (POT takes seconds a pair at the small one), and how near the values have to be.
const PAIRS: [(&str, &str, f64); 2] = [("0.1", "16", 1e-6), ("0.02", "4", 0.01)];

/// Writes costs of pairs beside POT's, and what k-means of a class takes, to the page.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut options = Options::of(options, USAGE);
    let (rounds, heatmaps) = (options.number("--rounds", 5)?, options.or("--heatmaps", "2463")?);
    options.end()?;
    let python = python()?;
    let file = std::env::temp_dir().join(format!("bezoar-heatmaps-{}.csv", std::process::id()));
    let mut pairs = String::new();
    for (epsilon, number, nearness) in PAIRS {
        let rounds: Vec<Round> = (0..rounds).map(|_| Round::of(&python, epsilon, number, nearness, &file)).collect::<Result<_>>()?;
        writeln!(pairs, "{}", row(epsilon, number, &rounds))?;
    }
    std::fs::remove_file(&file).ok();
    let mut classes = String::new();
    for epsilon in ["0.1", "0.01"] {
        let found = ours(&["k-means", epsilon, &heatmaps])?;
        let (seconds, embedded) = (number(&found, "s")?, number(&found, "s_embeddings")?);
        let entries = entries(&found)?;
        writeln!(classes, "| {epsilon} | {heatmaps} | {seconds:.1} | {embedded:.1} | {} | {entries} |", found["iterations"])?;
    }
    let content = format!(
        "\nMeasured by `{}` on {}, {} rounds of ours and POT's in turn on the same heatmaps of 449 to 481 pixels, all cores to each: ours are\n\
         busy with a pair each, POT's with parts of one. Seconds are wall time for each pair, embeddings included; the ratio is the median of\n\
         the rounds' ratios, beside the least and the greatest. The bars are 20x and 100x. *Alone* is one pair after the other on one core of\n\
         ours, beside POT's on all.\n\n\
         | epsilon | pairs | ours, s a pair | POT, s a pair | ratio | least–greatest | ours alone, s a pair | ratio | largest difference |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n{pairs}\n\
         K-means of a class of heatmaps in two clusters, barycentres of 10 points:\n\n\
         | epsilon | heatmaps | seconds | of them embeddings | assignments | entries of its centres |\n|---|---:|---:|---:|---:|---:|\n{classes}\n",
        SECTION.made_by,
        crate::machine(),
        rounds,
    );
    super::write("gromov-wasserstein.md", &SECTION, &content)
}

/// POT's and ours on the same pairs.
struct Round {
    /// Seconds a pair, POT's and ours.
    seconds: [f64; 2],
    /// Ours one pair after the other, on one core.
    alone: f64,
    /// The largest relative difference of values.
    difference: f64,
}

impl Round {
    fn of(python: &Path, epsilon: &str, pairs: &str, nearness: f64, file: &Path) -> Result<Self> {
        let (script, file) = (crate::root().join("bench/peers/pot_distances.py").display().to_string(), file.display().to_string());
        let peer = [&script, epsilon, &file, "--pairs", pairs].map(str::to_owned).into();
        let theirs = Program { path: python.to_owned(), arguments: peer }.run()?;
        let ours = ours(&["pairs", epsilon, &file])?;
        let difference = difference(&ours, &theirs)?;
        ensure!(difference < nearness, "values differ by {difference:.1e} at epsilon {epsilon}: {ours} and {theirs}");
        let [theirs, alone] = [number(&theirs, "s_per_pair")?, number(&ours, "s_per_pair_alone")?];
        Ok(Self { seconds: [theirs, number(&ours, "s_per_pair")?], alone, difference })
    }
}

fn row(epsilon: &str, pairs: &str, rounds: &[Round]) -> String {
    let Summary { values: [theirs, ours], ratio, least, greatest } =
        Summary::of(&rounds.iter().map(|round| round.seconds).collect::<Vec<_>>());
    let alone = Summary::of(&rounds.iter().map(|round| [round.seconds[0], round.alone]).collect::<Vec<_>>());
    let (by_one, one) = (alone.ratio, alone.values[1]);
    let difference = rounds.iter().map(|round| round.difference).fold(0.0, f64::max);
    format!(
        "| {epsilon} | {pairs} | {ours:.4} | {theirs:.3} | {ratio:.0}x | {least:.0}–{greatest:.0} | {one:.4} | {by_one:.0}x | {difference:.1e} |"
    )
}

fn ours(arguments: &[&str]) -> Result<Value> {
    Program::bench("gromov", arguments).run()
}

fn number(line: &Value, field: &str) -> Result<f64> {
    line[field].as_f64().with_context(|| format!("no {field} in {line}"))
}

/// The least and the greatest entry of each centre.
fn entries(line: &Value) -> Result<String> {
    let of_centre = |centre: &Value| Some(format!("{:.3}–{:.3}", centre[0].as_f64()?, centre[1].as_f64()?));
    let centres = line["entries"].as_array().with_context(|| format!("no entries in {line}"))?;
    let entries: Option<Vec<String>> = centres.iter().map(of_centre).collect();
    Ok(entries.context("entries are no numbers")?.join(", "))
}

/// The largest relative difference of two lines' values.
fn difference(ours: &Value, theirs: &Value) -> Result<f64> {
    let values = |line: &Value| line["values"].as_array().map(|values| values.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    let (ours, theirs) = (values(ours).context("no values")?, values(theirs).context("no values")?);
    ensure!(ours.len() == theirs.len(), "{} values beside {}", ours.len(), theirs.len());
    Ok(ours.iter().zip(theirs).map(|(ours, theirs)| (ours / theirs - 1.0).abs()).fold(0.0, f64::max))
}
