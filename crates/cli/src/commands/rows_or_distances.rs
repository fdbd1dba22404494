//! Rows from a file, or the distances between them in the place of a plugin's own.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Features, Kind, Part, Result};
use clap::Args;
use serde_json::json;

use crate::commands::rows::read_rows;

/// The part of two distances by which both ways between two rows may differ, as sums in another order do.
const SAME: f32 = 1e-5;

#[derive(Args)]
pub(crate) struct RowsOrDistances {
    /// The rows: `[N, ..]`, floats, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE", required_unless_present = "distances", conflicts_with = "distances")]
    features: Option<PathBuf>,
    /// Instead of the rows, the distances between them, as `bezoar distances` writes them: `[N, N]`, floats, the same both ways. They stand in
    /// the place of the plugin's `distance`.
    #[arg(long, value_name = "FILE")]
    distances: Option<PathBuf>,
}

impl RowsOrDistances {
    /// What was given, and the part that takes it.
    pub(crate) fn read<K: Kind + ?Sized>(&self, part: Part<K>) -> Result<(Part<K>, Features)> {
        match (&self.features, &self.distances) {
            (_, Some(distances)) => Ok((by_distances(&part)?, read_distances(distances)?)),
            (Some(features), None) => Ok((part, read_rows(features)?)),
            (None, None) => Err(Error::request("neither --features nor --distances are given")),
        }
    }
}

/// The part with distances that are known.
fn by_distances<K: Kind + ?Sized>(part: &Part<K>) -> Result<Part<K>> {
    let mut block = part.block();
    if block.get("distance").is_none() {
        return Err(Error::request(format!("`{}` takes no distances: it needs the rows themselves", part.name()))
            .with_help("give it --features, or use what has a field `distance`, such as `hdbscan`, `k-medoids` or `diffusion-map`"));
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
