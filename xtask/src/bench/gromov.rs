//! Gromov-Wasserstein costs beside Python Optimal Transport: ours and theirs in turn, on the same heatmaps.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::peers::python;
use crate::bezoar;
use crate::section::Section;

pub(super) const USAGE: &str = "gromov [--rounds N] [--heatmaps N]";

const SECTION: Section = Section { name: "gromov", made_by: "cargo xtask bench gromov" };

/// Each epsilon, the pairs of one round (POT takes seconds a pair at the small one), and how near the values have to be.
const PAIRS: [(&str, &str, f64); 2] = [("0.1", "16", 1e-6), ("0.02", "4", 0.01)];

/// Writes costs of pairs beside POT's, and what k-means of a class takes, to the page.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut rest: Vec<String> = options.iter().map(ToString::to_string).collect();
    let mut take = |name, default: &str| Ok::<_, anyhow::Error>(bezoar::take_option(&mut rest, name)?.unwrap_or_else(|| default.into()));
    let rounds: usize = take("--rounds", "5")?.parse().context("--rounds wants a number")?;
    let heatmaps = take("--heatmaps", "2463")?;
    ensure!(rest.is_empty() && rounds > 0, "usage: cargo xtask bench {USAGE}");
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
        writeln!(classes, "| {epsilon} | {heatmaps} | {seconds:.1} | {embedded:.1} | {} |", found["iterations"])?;
    }
    let content = format!(
        "\nMeasured by `{}` on {}, {} rounds of ours and POT's in turn on the same heatmaps of 449 to 481 pixels, all cores to each: ours are\n\
         busy with a pair each, POT's with parts of one. Seconds are wall time for each pair, embeddings included; the ratio is the median of\n\
         the rounds' ratios, beside the least and the greatest. The bars are 20x and 100x.\n\n\
         | epsilon | pairs | ours, s a pair | POT, s a pair | ratio | least–greatest | largest difference |\n\
         |---|---:|---:|---:|---:|---:|---:|\n{pairs}\n\
         K-means of a class of heatmaps in two clusters, barycentres of 10 points:\n\n\
         | epsilon | heatmaps | seconds | of them embeddings | assignments |\n|---|---:|---:|---:|---:|\n{classes}\n",
        SECTION.made_by,
        crate::machine(),
        rounds,
    );
    super::write("gromov-wasserstein.md", &SECTION, &content)
}

/// Ours and POT's on the same pairs.
struct Round {
    ours: f64,
    theirs: f64,
    /// The largest relative difference of values.
    difference: f64,
}

impl Round {
    fn of(python: &Path, epsilon: &str, pairs: &str, nearness: f64, file: &Path) -> Result<Self> {
        let theirs = peer(python, epsilon, pairs, file)?;
        let ours = ours(&["pairs", epsilon, &file.display().to_string()])?;
        let difference = difference(&ours, &theirs)?;
        ensure!(difference < nearness, "values differ by {difference:.1e} at epsilon {epsilon}: {ours} and {theirs}");
        Ok(Self { ours: number(&ours, "s_per_pair")?, theirs: number(&theirs, "s_per_pair")?, difference })
    }
}

fn row(epsilon: &str, pairs: &str, rounds: &[Round]) -> String {
    let sorted = |of: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |values: &[f64]| values[values.len() / 2];
    let ratios = sorted(&|round| round.theirs / round.ours);
    format!(
        "| {epsilon} | {pairs} | {:.4} | {:.3} | {:.0}x | {:.0}–{:.0} | {:.1e} |",
        median(&sorted(&|round| round.ours)),
        median(&sorted(&|round| round.theirs)),
        median(&ratios),
        ratios[0],
        ratios[rounds.len() - 1],
        sorted(&|round| round.difference)[rounds.len() - 1],
    )
}

fn peer(python: &Path, epsilon: &str, pairs: &str, file: &Path) -> Result<Value> {
    let script = crate::root().join("bench/peers/pot_distances.py");
    line(Command::new(python).arg(script).arg(epsilon).arg(file).args(["--pairs", pairs]))
}

fn ours(arguments: &[&str]) -> Result<Value> {
    let mut bench = Command::new("cargo");
    bench.current_dir(crate::root()).args(["bench", "--quiet", "--workspace", "--bench", "gromov", "--"]).args(arguments);
    line(&mut bench)
}

/// The last line that a command prints, which is JSON.
fn line(command: &mut Command) -> Result<Value> {
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().with_context(|| format!("{command:?} does not start"))?;
    ensure!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(|| format!("{command:?} did not print a line of JSON"))
}

fn number(line: &Value, field: &str) -> Result<f64> {
    line[field].as_f64().with_context(|| format!("no {field} in {line}"))
}

/// The largest relative difference of two lines' values.
fn difference(ours: &Value, theirs: &Value) -> Result<f64> {
    let values = |line: &Value| line["values"].as_array().map(|values| values.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    let (ours, theirs) = (values(ours).context("no values")?, values(theirs).context("no values")?);
    ensure!(ours.len() == theirs.len(), "{} values beside {}", ours.len(), theirs.len());
    Ok(ours.iter().zip(theirs).map(|(ours, theirs)| (ours / theirs - 1.0).abs()).fold(0.0, f64::max))
}
