use std::path::PathBuf;

use bezoar_core::Error;
use bezoar_engine::Study;
use clap::Args;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Check {
    /// The pipeline, YAML.
    file: PathBuf,
    /// Change a value of the file first, as `eval` would.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Print the pipeline with all defaults filled in; of a study, each cell's.
    #[arg(long)]
    resolved: bool,
}

impl Check {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let study = Study::read(&self.file, &self.set)?;
        if self.resolved {
            for cell in &study.cells {
                terminal.result(&cell.pipeline.resolved_yaml()?);
            }
            return Ok(());
        }
        let cells = match study.cells.len() {
            _ if study.axes.is_empty() => String::new(),
            1 => ", 1 cell".to_owned(),
            cells => format!(", {cells} cells"),
        };
        terminal.result(&format!("{}: no mistakes{cells}", self.file.display()));
        Ok(())
    }
}
