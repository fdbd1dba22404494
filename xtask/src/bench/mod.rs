//! What things cost: the kernels, the stages of the GTSRB pipelines, and the nets beside their peers.

mod attacks;
mod calibration;
mod clusterers;
mod clustering;
mod collapse;
mod gromov;
mod localisation;
mod options;
mod peers;
mod pipelines;
mod recommended;
mod study;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::bezoar;
use crate::section::Section;

pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        ["kernels"] => kernels(),
        ["pipelines", options @ ..] => pipelines::run(options),
        ["peers", options @ ..] => peers::run(&peers::PEERS, options),
        ["composites", options @ ..] => peers::run(&peers::COMPOSITES, options),
        ["attacks", "shifted", options @ ..] => study::run(&attacks::SHIFTED, options),
        ["attacks", "paper-net", options @ ..] => study::run(&attacks::PAPER_NET, options),
        ["attacks", options @ ..] => study::run(&attacks::COMPACT, options),
        ["clusterers", options @ ..] => study::run(&clusterers::CLUSTERERS, options),
        ["recommended", options @ ..] => study::run(&recommended::RECOMMENDED, options),
        ["gromov", options @ ..] => gromov::run(options),
        ["calibration", options @ ..] => calibration::run(options),
        ["collapse", options @ ..] => collapse::run(options),
        ["clustering", options @ ..] => clustering::run(options),
        ["localisation", options @ ..] => localisation::run(options),
        [] => {
            let kernels = kernels()?;
            if kernels == ExitCode::SUCCESS { pipelines::run(&[]) } else { Ok(kernels) }
        }
        _ => bail!(
            "usage: cargo xtask bench [kernels | pipelines [--set PATH=VALUE..] | attacks [shifted | paper-net] {} | clusterers {} | recommended {} | \
             {} | {} | {} | {} | {} | {}]",
            study::USAGE,
            study::USAGE,
            study::USAGE,
            peers::USAGE,
            calibration::USAGE,
            gromov::USAGE,
            collapse::USAGE,
            clustering::USAGE,
            localisation::USAGE
        ),
    }
}

fn kernels() -> Result<ExitCode> {
    bezoar::cargo(&["bench", "--package", "bezoar-nn"])
}

/// Puts a section's new content into a page of docs.
fn write(page: &str, section: &Section, content: &str) -> Result<ExitCode> {
    let path = crate::root().join("docs").join(page);
    let place = || path.display().to_string();
    let text = section.replace(&fs::read_to_string(&path).with_context(place)?, content).with_context(place)?;
    fs::write(&path, text).with_context(place)?;
    println!("wrote the {} of docs/{page}", section.name);
    Ok(ExitCode::SUCCESS)
}
