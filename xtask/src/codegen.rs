//! What is made from the registered plugins and committed: the schema, the reference, the README's table.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::bezoar;
use crate::section::Section;

/// The README's table of plugins.
const TABLE: Section = Section { name: "plugins", made_by: "cargo xtask codegen" };

pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let check = match arguments {
        [] => false,
        ["--check"] => true,
        _ => bail!("usage: cargo xtask codegen [--check]"),
    };
    let schema = |of| bezoar::output(&["schema", of]);
    let files = [
        ("schemas/pipeline.schema.json", schema("pipeline")?),
        ("schemas/metrics.schema.json", schema("metrics")?),
        ("schemas/study.schema.json", schema("study")?),
        ("docs/plugins.md", reference()?),
        ("README.md", readme()?),
    ];
    let mut stale = Vec::new();
    for (name, content) in files {
        let path = crate::root().join(name);
        if fs::read_to_string(&path).ok().as_deref() == Some(&content) {
            continue;
        }
        stale.push(name);
        if !check {
            fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))?;
            println!("wrote {name}");
        }
    }
    if check && !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask codegen`", stale.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn reference() -> Result<String> {
    Ok(format!(
        "# Plugins\n\nMade by `cargo xtask codegen` from the plugins' own documentation.\n\n{}",
        bezoar::output(&["describe", "--all"])?
    ))
}

fn readme() -> Result<String> {
    let text = fs::read_to_string(crate::root().join("README.md"))?;
    TABLE.replace(&text, &bezoar::output(&["list", "--format", "markdown"])?).context("README.md")
}
