//! Gromov-Wasserstein costs beside Python Optimal Transport: ours and theirs in turn, on the same heatmaps.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::peers::python;
use crate::bezoar;

pub(super) const USAGE: &str = "gromov [--rounds N] [--heatmaps N]";

/// Each epsilon, the pairs of one round (POT takes tens of seconds a pair at the small one), and how near the values have to be.
const PAIRS: [(&str, &str, f64); 2] = [("0.1", "4", 1e-6), ("0.02", "1", 0.01)];

/// Prints a table: costs of pairs beside POT's, and what k-means of a class takes.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut rest: Vec<String> = options.iter().map(ToString::to_string).collect();
    let mut take = |name, default: &str| Ok::<_, anyhow::Error>(bezoar::take_option(&mut rest, name)?.unwrap_or_else(|| default.into()));
    let rounds: usize = take("--rounds", "3")?.parse().context("--rounds wants a number")?;
    let heatmaps = take("--heatmaps", "2463")?;
    ensure!(rest.is_empty() && rounds > 0, "usage: cargo xtask bench {USAGE}");
    let python = python()?;
    let file = std::env::temp_dir().join(format!("bezoar-heatmaps-{}.csv", std::process::id()));
    println!("| epsilon | ours, s a pair | POT, s a pair | ratio | least–greatest | largest difference |\n|---|---:|---:|---:|---:|---:|");
    for (epsilon, pairs, nearness) in PAIRS {
        let mut measured = Vec::new();
        for _ in 0..rounds {
            let theirs = peer(&python, epsilon, pairs, &file)?;
            let ours = ours(&["pairs", epsilon, &file.display().to_string()])?;
            let difference = difference(&ours, &theirs)?;
            ensure!(difference < nearness, "values differ by {difference:.1e} at epsilon {epsilon}: {ours} and {theirs}");
            measured.push([seconds(&ours)?, seconds(&theirs)?, difference]);
        }
        let sorted = |of: &dyn Fn(&[f64; 3]) -> f64| {
            let mut values: Vec<f64> = measured.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |values: &[f64]| values[values.len() / 2];
        let ratios = sorted(&|[ours, theirs, _]| theirs / ours);
        println!(
            "| {epsilon} | {:.4} | {:.2} | {:.0}x | {:.0}–{:.0} | {:.1e} |",
            median(&sorted(&|round| round[0])),
            median(&sorted(&|round| round[1])),
            median(&ratios),
            ratios[0],
            ratios[rounds - 1],
            sorted(&|round| round[2])[rounds - 1],
        );
    }
    std::fs::remove_file(&file).ok();
    for epsilon in ["0.1", "0.01"] {
        println!("k-means: {}", ours(&["k-means", epsilon, &heatmaps])?);
    }
    Ok(ExitCode::SUCCESS)
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

fn seconds(line: &Value) -> Result<f64> {
    line["s_per_pair"].as_f64().with_context(|| format!("no s_per_pair in {line}"))
}

/// The largest relative difference of two lines' values.
fn difference(ours: &Value, theirs: &Value) -> Result<f64> {
    let values = |line: &Value| line["values"].as_array().map(|values| values.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    let (ours, theirs) = (values(ours).context("no values")?, values(theirs).context("no values")?);
    ensure!(ours.len() == theirs.len(), "{} values beside {}", ours.len(), theirs.len());
    Ok(ours.iter().zip(theirs).map(|(ours, theirs)| (ours / theirs - 1.0).abs()).fold(0.0, f64::max))
}
