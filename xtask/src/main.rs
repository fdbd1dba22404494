//! The project's own commands. Thin: it builds and calls the release `bezoar`, so that nobody runs numerics unoptimised.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod bench;
mod bezoar;
mod codegen;
mod machine;
mod new_plugin;
mod outcome;
mod reproduce;
mod section;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::machine::machine;

const HELP: &str = "\
cargo xtask COMMAND

  eval FILE [OPTION..]      run a pipeline with the release build (options as of `bezoar eval`)
  data ACTION [OPTION..]    list, fetch, verify or import data sets (as `bezoar data`)
  run ARGUMENT..            run the release build with any arguments
  test                      run all tests, as the README says
  new-plugin KIND NAME      make a plugin crate under plugins/ and register it
  codegen [--check]         write (or check) what is made from the plugins: schema, reference, README table
  bench [NAME]              measure; `pipelines`, `peers` (PyTorch and zennit), `composites` (zennit) and `clustering` (scikit-learn and
                            hdbscan) each write their part of docs/benchmarks.md, `localisation`, `attacks`, `recommended`, `calibration`,
                            `clusterers`, `collapse` and `gromov` (POT) that of a page of their own; `kernels` prints
  reproduce                 run the thesis' tables and set ours beside them in docs/reproduction.md: all training, or with `--effort budget` less;
                            `--budget MINUTES` ends in time, and trains less where no effort is named; `--binary PATH` takes a built bezoar

  --features LIST           after COMMAND: build bezoar with these features, such as cuda
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Vec<String>) -> Result<ExitCode> {
    if arguments.is_empty() {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    }
    let command = arguments.remove(0);
    let features = bezoar::take_option(&mut arguments, "--features")?;
    match command.as_str() {
        "eval" | "data" => bezoar::run(features.as_deref(), &[vec![command], arguments].concat()),
        "run" => bezoar::run(features.as_deref(), &arguments),
        "test" => bezoar::cargo(&[&["test", "--workspace", "--quiet"][..], &refs(&arguments)].concat()),
        "new-plugin" => new_plugin::run(&refs(&arguments)),
        "codegen" => codegen::run(&refs(&arguments)),
        "bench" => bench::run(&refs(&arguments)),
        "reproduce" => reproduce::run(arguments, features.as_deref()),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}

fn refs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The root of the repository: that which this program was built in or, on a machine that it was carried to, the current folder.
fn root() -> PathBuf {
    let here = Path::new(".");
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|root| root.is_dir()).unwrap_or(here).to_owned()
}
