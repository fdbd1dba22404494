use std::path::PathBuf;

use bezoar_core::{Error, Measurement};
use bezoar_engine::runs;
use clap::Args;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Compare {
    /// The folders of the runs.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    folders: Vec<PathBuf>,
}

impl Compare {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let named = |run: &PathBuf| {
            let name = run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned());
            Ok((name, runs::metrics(run)?.measurements))
        };
        let all: Vec<(String, Vec<Measurement>)> = self.folders.iter().map(named).collect::<Result<_, Error>>()?;
        terminal.outcome(&bezoar_report::compare(&all, terminal.colors_results()), || {
            serde_json::json!({ "runs": all.iter().map(|(name, measurements)| serde_json::json!({ "run": name, "measurements": measurements })).collect::<Vec<_>>() })
        });
        Ok(())
    }
}
