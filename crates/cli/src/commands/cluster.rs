use std::path::PathBuf;

use bezoar_core::{Clusterer, Error, Result};
use bezoar_formats::Values;
use clap::Args;

use crate::commands::block::part;
use crate::commands::rows::{Rows, write};
use crate::commands::rows_or_distances::RowsOrDistances;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Cluster {
    #[command(flatten)]
    given: RowsOrDistances,
    /// The clusterer: a name, or a block as of `cluster:` in a pipeline, such as `{ use: k-means, k: 3 }`.
    #[arg(long = "use", value_name = "NAME|BLOCK")]
    clusterer: String,
    #[command(flatten)]
    rows: Rows,
    /// Where to write how firmly each row belongs to its cluster, 0 to 1, if the clusterer says so.
    #[arg(long, value_name = "FILE")]
    strengths: Option<PathBuf>,
    /// Where to write how far out each row lies, 0 to 1, if the clusterer says so.
    #[arg(long, value_name = "FILE")]
    outliers: Option<PathBuf>,
}

impl Cluster {
    /// Writes the cluster of each row, numbered by size from 0; -1 is noise.
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<()> {
        let (clusterer, features) = self.given.read(part::<dyn Clusterer>("--use", &self.clusterer, &self.rows.set)?)?;
        let found = clusterer.blame(clusterer.cluster(&self.rows.context(terminal)?, &features))?;
        let wanted = [&self.strengths, &self.outliers].map(Option::as_deref);
        if let Some(membership) = &found.membership {
            for (path, values) in wanted.into_iter().zip([&membership.strengths, &membership.outliers]) {
                if let Some(path) = path {
                    write(path, vec![values.len()], Values::F64(values.clone()))?;
                }
            }
        } else if wanted.iter().any(Option::is_some) {
            return Err(Error::request(format!("`{}` does not say how firmly rows belong", clusterer.name()))
                .with_help("`hdbscan` does; leave --strengths and --outliers out otherwise"));
        }
        let labels: Vec<i64> = found.labels.iter().map(|label| label.map_or(-1, i64::from)).collect();
        let noise = labels.iter().filter(|&&label| label < 0).count();
        write(&self.rows.output, vec![labels.len()], Values::I64(labels))?;
        let sizes: Vec<String> = found.sizes().iter().map(usize::to_string).collect();
        let clusters = if sizes.is_empty() { "no clusters".to_owned() } else { format!("rows of each cluster: {}", sizes.join(", ")) };
        terminal.result(&format!("{clusters}; noise: {noise}\n"));
        Ok(())
    }
}
