use std::path::PathBuf;

use bezoar_core::{Cancel, Context, Error};
use bezoar_engine::{Places, report, results, runs, stage_costs};
use bezoar_report::write_study_page;
use clap::Args;

use crate::commands::cancel_on_interrupt;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Report {
    /// The folder of a run or of a study.
    run: PathBuf,
}

impl Report {
    /// What is in the cache is not made again; what is not there any more is.
    pub(crate) fn run(self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        if let Some((study, file)) = results(&self.run)? {
            terminal.result(&format!("{}", write_study_page(&study, &stage_costs(&study, &self.run), &file, &self.run)?.display()));
            return Ok(());
        }
        let pipeline = runs::pipeline(&self.run)?;
        let cancel = Cancel::default();
        cancel_on_interrupt(&cancel)?;
        let cx = Context::new(pipeline.seed.into(), pipeline.device, terminal.progress(), cancel);
        // The run's folder says where the runs are.
        let beside = self.run.parent().filter(|parent| !parent.as_os_str().is_empty()).map(PathBuf::from);
        let places = Places { runs: beside.unwrap_or_else(|| places.runs.clone()), ..places.clone() };
        terminal.result(&format!("{}", report(&cx, &pipeline, &places)?.folder.display()));
        Ok(())
    }
}
