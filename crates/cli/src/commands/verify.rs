use std::path::PathBuf;

use bezoar_core::{Device, Error};
use bezoar_data::verify_export;
use clap::Args;

use crate::commands::poison::summary;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Verify {
    /// A folder that `poison` wrote.
    folder: PathBuf,
}

impl Verify {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<(), Error> {
        /// Problems that are told one by one.
        const TOLD: usize = 20;
        let checked = verify_export(&terminal.context(0, Device::Cpu)?, &self.folder)?;
        terminal.result(&summary(&checked.manifest));
        if checked.problems.is_empty() {
            terminal.result(&format!("all {} images are as the manifest says", checked.manifest.samples.len()));
            return Ok(());
        }
        for problem in checked.problems.iter().take(TOLD) {
            terminal.result(&format!("{}: {}", problem.path, problem.problem));
        }
        let places = match checked.problems.len() {
            1 => "1 place".to_owned(),
            many => format!("{many} places"),
        };
        Err(Error::data(self.folder.display(), format!("it differs from its manifest in {places}")))
    }
}
