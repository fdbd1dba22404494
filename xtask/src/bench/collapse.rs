//! What is left of the shape of real heatmaps in Gromov-Wasserstein barycentres.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use super::options::Options;
use crate::bezoar;
use crate::section::Section;

pub(super) const USAGE: &str = "collapse [--pipeline FILE] [--epsilon E,E,..]";

const SECTION: Section = Section { name: "collapse", made_by: "cargo xtask bench collapse" };

/// Trains the pipeline's net if the cache does not have it, and clusters the heatmaps of its attacked class.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut options = Options::of(options, USAGE);
    let (pipeline, epsilon) = (options.or("--pipeline", "pipelines/gtsrb.yaml")?, options.given("--epsilon")?);
    options.end()?;
    let binary = bezoar::build_binary("bezoar-bench", "bezoar-collapse", None)?;
    let picture = crate::root().join("docs/gromov-wasserstein.png");
    let mut measure = Command::new(&binary);
    measure.arg(&pipeline).arg("--picture").arg(&picture).current_dir(crate::root());
    if let Some(epsilon) = epsilon {
        measure.args(["--epsilon", &epsilon]);
    }
    let output = measure.output().with_context(|| format!("{} does not start", binary.display()))?;
    ensure!(output.status.success(), "{} failed:\n{}", binary.display(), String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout)?;
    println!("{table}");
    let content = format!(
        "\nMeasured by `cargo xtask bench collapse` with the net and the attacked class of `{pipeline}`, on {}.\n\n{table}\n\
         ![barycentres of the class and of its two clusters, an epsilon a column](gromov-wasserstein.png)\n\n",
        crate::machine()
    );
    super::write("gromov-wasserstein.md", &SECTION, &content)
}
