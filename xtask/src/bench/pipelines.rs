//! What the stages of the GTSRB pipelines cost.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::bezoar;
use crate::outcome::Run;
use crate::section::Section;

const SECTION: Section = Section { name: "pipelines", made_by: "cargo xtask bench pipelines" };

/// The pipelines whose stages are measured.
const PIPELINES: [&str; 2] = ["gtsrb", "gtsrb-paper-net"];

/// Runs the pipelines with an empty cache and writes what each stage cost to docs/benchmarks.md.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut content = format!(
        "\nMeasured by `cargo xtask bench pipelines{}`: each pipeline with an empty cache, on {}.\n\
         Seconds are wall time; the peak is the most memory that the process held during the stage.\n",
        options.iter().map(|option| format!(" {option}")).collect::<String>(),
        crate::machine()
    );
    let binary = bezoar::build(None)?;
    let scratch = crate::root().join("target/bench");
    for name in PIPELINES {
        let _ = fs::remove_dir_all(&scratch);
        let file = crate::root().join("pipelines").join(name).with_extension("yaml");
        let mut eval = Command::new(&binary);
        eval.arg("eval").arg(&file).args(options).arg("--cache").arg(scratch.join("cache")).arg("--runs").arg(scratch.join("runs"));
        let status = eval.status()?;
        if !status.success() {
            bail!("{} failed", file.display());
        }
        write!(content, "\n### {name}.yaml\n\n{}", table(&scratch.join("runs"))?)?;
    }
    super::write("benchmarks.md", &SECTION, &content)
}

/// The stages of the one run in a folder of runs.
fn table(runs: &Path) -> Result<String> {
    let mut table = "| stage | images | seconds | images/s | peak MB |\n|---|---:|---:|---:|---:|\n".to_owned();
    for stage in Run::only(runs)?.stages() {
        let (images, seconds) = (stage["images"].as_f64().unwrap_or(0.0), stage["seconds"].as_f64().unwrap_or(0.0));
        let rate = if images > 0.0 { format!("{:.0}", images / seconds) } else { "–".to_owned() };
        let peak = stage["peak_bytes"].as_f64().map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes / 1e6));
        writeln!(table, "| {} | {images} | {seconds:.1} | {rate} | {peak} |", stage["stage"].as_str().unwrap_or("?"))?;
    }
    Ok(table)
}
