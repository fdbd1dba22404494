use bezoar_core::{Error, Registry};
use bezoar_engine::Metrics;
use clap::{Args, ValueEnum};

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Schema {
    /// Of which files.
    #[arg(value_enum, default_value_t = File::Pipeline)]
    file: File,
}

#[derive(Clone, Copy, ValueEnum)]
enum File {
    /// Pipelines and studies, for editors.
    Pipeline,
    /// `metrics.json` of a run.
    Metrics,
    /// `study.json` of a study.
    Study,
}

impl Schema {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<(), Error> {
        let schema = match self.file {
            File::Pipeline => bezoar_engine::schema(Registry::global().map_err(Error::request)?),
            File::Metrics => schemars::schema_for!(Metrics).to_value(),
            File::Study => schemars::schema_for!(bezoar_engine::Results).to_value(),
        };
        terminal.result(&serde_json::to_string_pretty(&schema).map_err(Error::request)?);
        Ok(())
    }
}
