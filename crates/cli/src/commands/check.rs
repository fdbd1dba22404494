use std::path::PathBuf;

use bezoar_core::Error;
use bezoar_engine::Pipeline;
use clap::Args;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Check {
    /// The pipeline, YAML.
    file: PathBuf,
    /// Change a value of the file first, as `eval` would.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Print the pipeline with all defaults filled in.
    #[arg(long)]
    resolved: bool,
}

impl Check {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let pipeline = Pipeline::read(&self.file, &self.set)?;
        terminal.result(&if self.resolved { pipeline.resolved_yaml()? } else { format!("{}: no mistakes", self.file.display()) });
        Ok(())
    }
}
