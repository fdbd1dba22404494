use std::path::PathBuf;

use bezoar_core::{Distance, Part, Result};
use bezoar_formats::Values;
use clap::Args;

use crate::commands::block::part;
use crate::commands::rows::{Rows, read_rows, write};
use crate::terminal::Terminal;

/// Bytes that are worth a note.
const LARGE: usize = 256 << 20;

#[derive(Args)]
pub(crate) struct Distances {
    /// The heatmaps `[N, H, W]` or `[N, C, H, W]`, or for distances that need no places any rows; floats, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE")]
    heatmaps: PathBuf,
    /// The distance: a name, or a block as of `distance:` in a pipeline, such as `{ use: wasserstein, epsilon: 0.01 }`.
    #[arg(long, value_name = "NAME|BLOCK")]
    metric: String,
    /// The weight of the entropy: `--set epsilon=..`.
    #[arg(long)]
    epsilon: Option<f64>,
    /// The share of each heatmap's mass whose pixels are compared: `--set mass=..`.
    #[arg(long)]
    mass: Option<f64>,
    /// How Gromov-Wasserstein costs are found, `fast` or `reference`: `--set solver=..`.
    #[arg(long, value_name = "NAME")]
    solver: Option<String>,
    #[command(flatten)]
    rows: Rows,
}

impl Distances {
    /// Writes the distances of all rows to all rows, `[N, N]`.
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<()> {
        let fields = [
            ("epsilon", self.epsilon.map(|value| value.to_string())),
            ("mass", self.mass.map(|value| value.to_string())),
            ("solver", self.solver.clone()),
        ];
        let named = fields.into_iter().filter_map(|(field, value)| Some(format!("{field}={}", value?)));
        let settings: Vec<String> = named.chain(self.rows.set.iter().cloned()).collect();
        let distance: Part<dyn Distance> = part("--metric", &self.metric, &settings)?;
        let features = read_rows(&self.heatmaps)?;
        let cx = self.rows.context(terminal)?;
        let found = distance.blame(distance.between(&cx, &features))?;
        let rows = found.len();
        let bytes = rows * rows * size_of::<f32>();
        if bytes > LARGE {
            cx.note(&format!("the square of the distances between all {rows} rows takes {:.1} GB beside them", bytes as f64 / 1e9));
        }
        let square: Vec<f32> = (0..rows).flat_map(|row| found.row(row)).collect();
        write(&self.rows.output, vec![rows, rows], Values::F32(square))
    }
}
