use bezoar_core::{Result, Transform};
use bezoar_formats::Values;
use clap::Args;

use crate::commands::block::part;
use crate::commands::rows::{Rows, write};
use crate::commands::rows_or_distances::RowsOrDistances;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Reduce {
    #[command(flatten)]
    given: RowsOrDistances,
    /// The transform: a name, or a block as of `reduce:` in a pipeline, such as `{ use: pca, dimensions: 2 }`.
    #[arg(long = "use", value_name = "NAME|BLOCK")]
    transform: String,
    #[command(flatten)]
    rows: Rows,
}

impl Reduce {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<()> {
        let (transform, features) = self.given.read(part::<dyn Transform>("--use", &self.transform, &self.rows.set)?)?;
        let reduced = transform.blame(transform.transform(&self.rows.context(terminal)?, features))?;
        let shape = [&[reduced.len()], reduced.shape()].concat();
        write(&self.rows.output, shape, Values::F32(reduced.into_values()))
    }
}
