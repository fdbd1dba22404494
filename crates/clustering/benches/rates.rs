//! One piece of work on made clusters, as one line of JSON: `rates WORK ROWS WIDTH`. `bench/peers/clustering_rates.py` does the same with
//! scikit-learn and hdbscan on the same rows; `cargo xtask bench clustering` compares.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bezoar_clustering::clusterers::{Hdbscan, KMeans};
use bezoar_clustering::transforms::Pca;
use bezoar_core::{Clusterer, Clustering, Context, Features, Plugin, Transform};

const CLUSTERS: usize = 20;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [work, rows, width] = &arguments[..] else { bail!("usage: rates k-means|pca|hdbscan ROWS WIDTH") };
    let rows = made(rows.parse()?, width.parse()?)?;
    let cx = Context::quiet(0);
    let start = Instant::now();
    let quality = match work.as_str() {
        "k-means" => inertia(&rows, &KMeans { k: CLUSTERS.into(), restarts: 1, ..KMeans::example() }.cluster(&cx, &rows)?),
        "pca" => {
            let reduced = Pca { dimensions: 10, whiten: false }.transform(&cx, rows)?;
            reduced.values().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / (reduced.len() - 1) as f64
        }
        "hdbscan" => {
            let settings = Hdbscan { min_cluster_size: 50, min_samples: Some(5), ..Hdbscan::example() };
            settings.cluster(&cx, &rows)?.sizes().iter().sum::<usize>() as f64
        }
        _ => bail!("{work} is not measured here"),
    };
    let seconds = start.elapsed().as_secs_f64();
    let line = serde_json::json!({ "by": "Bezoar", "seconds": seconds, "quality": quality, "peak_bytes": peak_bytes()? });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Clusters whose values are about normal: sums of the four quarters of a scrambled counter, the same in any language.
fn made(count: usize, width: usize) -> Result<Features> {
    let normal = |counter: usize| {
        let mut bits = (counter as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        let sum: u64 = (0..4).map(|quarter| (bits >> (16 * quarter)) & 0xFFFF).sum();
        (sum as f64 - 131_070.0) / 37_837.0
    };
    let value = |row: usize, column: usize| {
        let cluster = row % CLUSTERS;
        let centre = normal((count + cluster) * width + column) * 1.5;
        (centre + normal(row * width + column) * (0.5 + 0.05 * cluster as f64)) as f32
    };
    let values = (0..count).flat_map(|row| (0..width).map(move |column| value(row, column))).collect();
    Ok(Features::new(vec![width], values)?)
}

fn inertia(rows: &Features, clustering: &Clustering) -> f64 {
    let mut means = vec![vec![0.0; rows.width()]; clustering.sizes().len()];
    let sizes = clustering.sizes();
    let labelled = || rows.rows().zip(&clustering.labels).filter_map(|(row, label)| Some((row, (*label)? as usize)));
    for (row, label) in labelled() {
        for (mean, &value) in means[label].iter_mut().zip(row) {
            *mean += f64::from(value) / sizes[label] as f64;
        }
    }
    let squared =
        |(row, label): (&[f32], usize)| row.iter().zip(&means[label]).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum::<f64>();
    labelled().map(squared).sum()
}

fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { return Ok(0) };
    let kilobytes: u64 = line.trim_end_matches("kB").trim().parse().context("VmHWM is no number")?;
    Ok(kilobytes * 1024)
}
