use std::path::PathBuf;

use bezoar_core::{Device, Error};
use bezoar_engine::{Conducted, Places, report, runs};
use bezoar_report::write_study_page;
use clap::Args;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Report {
    /// The folder of a run or of a study.
    run: PathBuf,
}

impl Report {
    /// What is in the cache is not made again; what is not there any more is.
    pub(crate) fn run(self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        let cx = terminal.context(0, Device::Cpu)?;
        if let Some(study) = Conducted::open(&cx, &self.run)? {
            terminal.result(&format!("{}", write_page(&study)?.display()));
            return Ok(());
        }
        let pipeline = runs::pipeline(&self.run)?;
        let cx = cx.of_run(pipeline.seed.into(), pipeline.device);
        terminal.result(&format!("{}", report(&cx, &pipeline, &self.run, &places.cache)?.folder.display()));
        Ok(())
    }
}

/// The name of a study's page.
pub(super) const PAGE: &str = "report.html";

/// Writes the page of a study, and says where it is.
pub(super) fn write_page(study: &Conducted) -> Result<PathBuf, Error> {
    write_study_page(&study.results, &study.costs(), &study.file, study.resolved().as_deref(), &study.folder)
}
