//! Rows of features from a file through a plugin, and back to a file: what `cluster`, `distances` and `reduce` share.

use std::path::{Path, PathBuf};

use bezoar_core::{Context, Device, Error, Features, Result};
use bezoar_formats::{Array, Values, read_array, write_array};
use clap::Args;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Rows {
    /// Change a field, as in `--set k=3`. May be given several times.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Where the result goes, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

impl Rows {
    pub(crate) fn context(&self, terminal: &Terminal) -> Result<Context> {
        terminal.context(self.seed.into(), Device::Cpu)
    }
}

/// The rows of an array of two dimensions or more.
pub(crate) fn read_rows(path: &Path) -> Result<Features> {
    let array = read_array(path)?;
    let wrong = |problem: String| Error::data(path.display(), problem);
    let shape = array.shape().to_vec();
    let [rows, row @ ..] = shape.as_slice() else {
        return Err(wrong("holds a single number, and rows are wanted".into()));
    };
    if row.is_empty() || shape.contains(&0) {
        return Err(wrong(format!("holds {shape:?}, and rows are [N, ..] with values in each")));
    }
    let values = array.to_floats().ok_or_else(|| wrong("holds whole numbers, and features are floats".into()))?;
    let features = Features::new(row.to_vec(), values)?;
    debug_assert_eq!(features.len(), *rows);
    match features.first_not_finite() {
        Some(row) => Err(wrong(format!("row {row} holds a NaN or an infinity"))),
        None => Ok(features),
    }
}

/// Writes one array.
pub(crate) fn write(path: &Path, shape: Vec<usize>, values: Values) -> Result<()> {
    write_array(path, &Array::new(shape, values).map_err(Error::request)?)
}
