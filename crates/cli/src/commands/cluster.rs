use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use bezoar_core::{Clusterer, Error, Features, Part, Result};
use bezoar_formats::Values;
use clap::Args;
use serde_json::json;

use crate::commands::block::part;
use crate::commands::rows::{Rows, read_rows, write};
use crate::terminal::Terminal;

/// The part of two distances by which both ways between two rows may differ, as sums in another order do.
const SAME: f32 = 1e-5;

#[derive(Args)]
pub(crate) struct Cluster {
    /// The rows: `[N, ..]`, floats, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE", required_unless_present = "distances", conflicts_with = "distances")]
    features: Option<PathBuf>,
    /// Instead of the rows, the distances between them, as `bezoar distances` writes them: `[N, N]`, floats, the same both ways. They stand in
    /// the place of the clusterer's `distance`.
    #[arg(long, value_name = "FILE")]
    distances: Option<PathBuf>,
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
        let clusterer: Part<dyn Clusterer> = part("--use", &self.clusterer, &self.rows.set)?;
        let (clusterer, features) = match (&self.features, &self.distances) {
            (_, Some(distances)) => (by_distances(&clusterer)?, read_distances(distances)?),
            (Some(features), None) => (clusterer, read_rows(features)?),
            (None, None) => return Err(Error::request("neither --features nor --distances are given")),
        };
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

/// The clusterer with distances that are known.
fn by_distances(clusterer: &Part<dyn Clusterer>) -> Result<Part<dyn Clusterer>> {
    let mut block = clusterer.block();
    if block.get("distance").is_none() {
        return Err(Error::request(format!("`{}` takes no distances: it needs the rows themselves", clusterer.name()))
            .with_help("give it --features, or use a clusterer with a field `distance`, such as `hdbscan` or `k-medoids`"));
    }
    block["distance"] = json!({ "use": "precomputed" });
    Part::from_json(block)
}

/// Rows as the distance `precomputed` reads them, from a square of distances. Numbers are given in the order of what a row is far from, so that
/// clusters do not depend on the file's order.
fn read_distances(path: &Path) -> Result<Features> {
    let square = read_rows(path)?;
    let wrong = |problem: String| Error::data(path.display(), problem);
    let rows = square.len();
    if square.shape() != [rows] {
        return Err(wrong(format!("holds {rows} rows of {:?}, and distances are a square [N, N]", square.shape())));
    }
    for (row, distances) in square.rows().enumerate() {
        if distances[row].abs() > 0.0 {
            return Err(wrong(format!("row {row} is {} from itself, and not 0", distances[row])));
        }
        for (other, &there) in distances[..row].iter().enumerate() {
            let back = square.row(other)[row];
            if there < 0.0 || back < 0.0 {
                return Err(wrong(format!("rows {other} and {row} are {} apart, and distances are not negative", there.min(back))));
            }
            if (there - back).abs() > SAME * there.max(back) {
                return Err(wrong(format!("row {row} is {there} from row {other}, and {back} the other way")));
            }
        }
    }
    let order = order_by_distances(&square);
    let mut numbers = vec![0; rows];
    order.iter().enumerate().for_each(|(number, &row)| numbers[row] = number);
    let mut values = Vec::with_capacity(rows * (rows + 1));
    for (&number, distances) in numbers.iter().zip(square.rows()) {
        values.push(number as f32);
        values.extend(order.iter().map(|&other| distances[other]));
    }
    Features::new(vec![rows + 1], values)
}

/// The rows by their distances to all others, the least first.
fn order_by_distances(square: &Features) -> Vec<usize> {
    let sorted = |row: usize| {
        let mut distances = square.row(row).to_vec();
        distances.sort_by(f32::total_cmp);
        distances
    };
    // Nearly all rows differ in the sum already.
    let sums: Vec<f64> = (0..square.len()).map(|row| sorted(row).into_iter().map(f64::from).sum()).collect();
    let mut order: Vec<usize> = (0..square.len()).collect();
    order.sort_by(|&a, &b| {
        sums[a].total_cmp(&sums[b]).then_with(|| {
            let (a, b) = (sorted(a), sorted(b));
            a.iter().zip(&b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        })
    });
    order
}
