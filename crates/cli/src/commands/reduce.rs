use std::path::PathBuf;

use bezoar_core::{Part, Result, Transform};
use bezoar_formats::Values;
use clap::Args;

use crate::commands::block::part;
use crate::commands::rows::{Rows, read_rows, write};
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Reduce {
    /// The rows: `[N, ..]`, floats, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// The transform: a name, or a block as of `reduce:` in a pipeline, such as `{ use: pca, dimensions: 2 }`.
    #[arg(long = "use", value_name = "NAME|BLOCK")]
    transform: String,
    #[command(flatten)]
    rows: Rows,
}

impl Reduce {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<()> {
        let transform: Part<dyn Transform> = part("--use", &self.transform, &self.rows.set)?;
        let features = read_rows(&self.features)?;
        let reduced = transform.blame(transform.transform(&self.rows.context(terminal)?, features))?;
        let shape = [&[reduced.len()], reduced.shape()].concat();
        write(&self.rows.output, shape, Values::F32(reduced.into_values()))
    }
}
