//! How well heatmaps find a trigger whose place is known.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use super::options::Options;
use crate::bezoar;
use crate::section::Section;

pub(super) const USAGE: &str = "localisation [--pipeline FILE] [--images N]";

const SECTION: Section = Section { name: "localisation", made_by: "cargo xtask bench localisation" };

/// Trains the pipeline's net if the cache does not have it, and asks it about its poisoned images in all ways.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut options = Options::of(options, USAGE);
    let (pipeline, images) = (options.or("--pipeline", "pipelines/gtsrb.yaml")?, options.or("--images", "300")?);
    options.end()?;
    let binary = bezoar::build_binary("bezoar-bench", "bezoar-localisation", None)?;
    let docs = crate::root().join("docs");
    let output =
        Command::new(&binary).arg(&pipeline).arg("--pictures").arg(&docs).args(["--images", &images]).current_dir(crate::root()).output();
    let output = output.with_context(|| format!("{} does not start", binary.display()))?;
    ensure!(output.status.success(), "{} failed:\n{}", binary.display(), String::from_utf8_lossy(&output.stderr));
    let tables = String::from_utf8(output.stdout)?;
    println!("{tables}");
    let [methods, targets] = tables.split("\n\n").take(2).collect::<Vec<_>>()[..] else { anyhow::bail!("no two tables:\n{tables}") };
    let content = format!(
        "\nMeasured by `cargo xtask bench localisation`: `{pipeline}`, its first {images} poisoned images or all.\n\n\
         Asked about the label, each method in the order of the picture's columns:\n\n{methods}\n\n\
         ![ten images under each method](localisation-methods.png)\n\n\
         Asked about each target, mass / rank / pointing in %; the picture's columns are the targets under epsilon-plus:\n\n{targets}\n\n\
         ![ten images under each target](localisation-targets.png)\n\n"
    );
    super::write("localisation.md", &SECTION, &content)
}
