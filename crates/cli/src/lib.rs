//! The `bezoar` command as a library: a program that links plugins of its own calls [`main`] and has them all.
//!
//! ```no_run
//! // use my_detector as _;
//! bezoar_cli::main();
//! ```
//!
//! One file a command in `commands`; `terminal` is the only place that prints.

mod commands;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use bezoar_core::Error;
use clap::{Parser, Subcommand};

use crate::terminal::{Manner, Terminal};

/// Finds poisoned training images.
#[derive(Parser)]
#[command(name = "bezoar", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Threads to compute with; the results do not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Where finished stages are kept.
    #[arg(long, global = true, value_name = "DIR", env = "BEZOAR_CACHE", default_value = "runs/cache")]
    cache: PathBuf,
    /// Where the results of runs go.
    #[arg(long, global = true, value_name = "DIR", env = "BEZOAR_RUNS", default_value = "runs")]
    runs: PathBuf,
    /// Say results and errors, and nothing on the way.
    #[arg(long, short, global = true, conflicts_with = "json_lines")]
    quiet: bool,
    /// Say everything as lines of JSON on stdout: begin, progress, end, note, result, error.
    #[arg(long, global = true)]
    json_lines: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run a pipeline: poison, train, explain, cluster, flag, score.
    Eval(commands::eval::Eval),
    /// Check a pipeline and report all its mistakes, without running it.
    Check(commands::check::Check),
    /// List the plugins.
    List(commands::list::List),
    /// Explain a plugin: what it does, its fields, an example, where its source is.
    Describe(commands::describe::Describe),
    /// Print the JSON Schema of a kind of files.
    Schema(commands::schema::Schema),
    /// List, fetch, verify or import data sets.
    Data(commands::data::Data),
    /// Explain arrays of images by layer-wise relevance propagation.
    Attribute(commands::attribute::Attribute),
    /// Give arrays of images to a net, for its scores.
    Infer(commands::infer::Infer),
    /// Give arrays of images to a net, for what one of its layers gives.
    Activations(commands::activations::Activations),
    /// Group the rows of an array.
    Cluster(commands::cluster::Cluster),
    /// Measure how far heatmaps are from each other, by Gromov-Wasserstein and other distances.
    Distances(commands::distances::Distances),
    /// Reduce or normalise the rows of an array.
    Reduce(commands::reduce::Reduce),
    /// Describe a net, or write it as an ONNX model.
    Model(commands::model::Model),
    /// Poison a data set and write it for any tool, with a manifest of what was done to each image.
    Poison(commands::poison::Poison),
    /// Check a data set that `poison` wrote against its manifest.
    Verify(commands::verify::Verify),
    /// Show what attacks do to images, as one picture.
    Gallery(commands::gallery::Gallery),
    /// List the runs.
    Runs,
    /// Say what a pipeline would do: its cells, the stages of each, what is there already, and what the rest will take.
    Plan(commands::plan::Plan),
    /// Write the report of a finished run or study again.
    Report(commands::report::Report),
    /// Set the figures of several runs side by side.
    Compare(commands::compare::Compare),
    /// Write a pipeline to start from.
    Init(commands::init::Init),
    /// See or clear what finished stages left.
    Cache(commands::cache::Cache),
    /// Print the completions of a shell.
    Completions(commands::completions::Completions),
}

/// Why a command did not do what was asked, as the program's exit code.
mod exit {
    /// Something went wrong on the way.
    pub(crate) const FAILED: u8 = 1;
    /// The request itself is wrong. The same code that a wrong option gets.
    pub(crate) const REFUSED: u8 = 2;
    /// The user stopped it.
    pub(crate) const STOPPED: u8 = 130;
}

/// Runs the command that the program's arguments ask for.
pub fn main() -> ExitCode {
    bezoar_plugins::link();
    let arguments = Arguments::parse();
    let terminal = Terminal::new(match (arguments.quiet, arguments.json_lines) {
        (_, true) => Manner::JsonLines,
        (true, false) => Manner::Quiet,
        (false, false) => Manner::Full,
    });
    match arguments.run(&terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error);
            ExitCode::from(match error {
                Error::Config(_) => exit::REFUSED,
                Error::Cancelled => exit::STOPPED,
                _ => exit::FAILED,
            })
        }
    }
}

impl Arguments {
    fn run(self, terminal: &Terminal) -> Result<(), Error> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global().map_err(Error::request)?;
        }
        let places = bezoar_engine::Places { cache: self.cache, runs: self.runs };
        match self.command {
            Command::Eval(eval) => eval.run(terminal, &places),
            Command::Check(check) => check.run(terminal),
            Command::List(list) => list.run(terminal),
            Command::Describe(describe) => describe.run(terminal),
            Command::Schema(schema) => schema.run(terminal),
            Command::Data(data) => data.run(terminal),
            Command::Attribute(attribute) => attribute.run(terminal),
            Command::Infer(infer) => infer.run(terminal),
            Command::Activations(activations) => activations.run(terminal),
            Command::Cluster(cluster) => cluster.run(terminal),
            Command::Distances(distances) => distances.run(terminal),
            Command::Reduce(reduce) => reduce.run(terminal),
            Command::Model(model) => model.run(terminal),
            Command::Poison(poison) => poison.run(terminal, &places),
            Command::Verify(verify) => verify.run(terminal),
            Command::Gallery(gallery) => gallery.run(terminal, &places),
            Command::Plan(plan) => plan.run(terminal, &places),
            Command::Report(report) => report.run(terminal, &places),
            Command::Compare(compare) => compare.run(terminal),
            Command::Init(init) => init.run(terminal),
            Command::Runs => commands::runs::run(terminal, &places),
            Command::Cache(cache) => cache.run(terminal, &places),
            Command::Completions(completions) => {
                completions.run(terminal);
                Ok(())
            }
        }
    }
}
