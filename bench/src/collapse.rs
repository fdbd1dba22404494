//! What is left of the shape of real heatmaps in Gromov-Wasserstein barycentres, over epsilon. `cargo xtask bench collapse` puts what it prints
//! into `docs/gromov-wasserstein.md`, and its picture beside it.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

mod rows;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use bezoar_core::{Context, Features, Part, Transform};
use bezoar_engine::{Pipeline, Places, Trained, trained};
use bezoar_report::picture;
use bezoar_transport::Space;
use bezoar_transport::gromov::{Barycentre, Centre, Embedding, KMeans, barycentre, k_means};
use clap::Parser;
use image::RgbImage;
use image::imageops::{FilterType, replace, resize};
use rayon::prelude::*;
use serde_json::json;

use self::rows::represent;

/// Clusters the heatmaps of a pipeline's attacked class around Gromov-Wasserstein barycentres, over epsilon.
#[derive(Parser)]
struct Arguments {
    /// The pipeline whose attack and net are taken, from its cache if they are there.
    pipeline: PathBuf,
    /// Where the picture goes.
    #[arg(long)]
    picture: PathBuf,
    #[arg(long, default_value = "runs/cache")]
    cache: PathBuf,
    /// Weights of the entropy.
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005])]
    epsilon: Vec<f64>,
    /// Most heatmaps that are clustered.
    #[arg(long, default_value_t = usize::MAX)]
    heatmaps: usize,
}

/// What the clusterer `gromov-wasserstein-k-means` takes.
const MASS: f64 = 0.99;
const RANK: usize = 64;

/// Pixels for an entry of a barycentre.
const ZOOM: u32 = 8;
const GAP: u32 = 6;

fn main() -> Result<()> {
    bezoar_plugins::link();
    let arguments = Arguments::parse();
    let pipeline = Pipeline::read(&arguments.pipeline, &[])?;
    let cx = Context::quiet(pipeline.seed.into());
    let Trained { network, images, truth } = trained(&cx, &pipeline, &Places { cache: arguments.cache, runs: "runs".into() })?;
    let truth = truth.context("the pipeline has no attack, so no class is attacked")?;
    let poison = (0..images.len()).find(|&row| truth.is_poison(row)).context("the attack poisons no image")?;
    let rows: Vec<usize> = images.rows_of(images.label(poison)).into_iter().take(arguments.heatmaps).collect();
    let relevance = represent(&cx, &network, &images.select(&rows), json!({ "use": "lrp", "composite": "epsilon" }))?;
    let heatmaps = Part::<dyn Transform>::from_json(json!({ "use": "channel-sum" }))?.transform(&cx, relevance)?;
    let start = Instant::now();
    let class = Class::of(&heatmaps, rows.iter().map(|&row| truth.is_poison(row)).collect())?;
    let embedded = start.elapsed().as_secs_f64();
    println!(
        "{} heatmaps of {}–{} pixels, {} of them poisoned; m1 {:.3} ± {:.3}; embeddings took {embedded:.1} s.\n",
        class.spaces.len(),
        class.spaces.iter().map(Embedding::len).min().unwrap_or_default(),
        class.spaces.iter().map(Embedding::len).max().unwrap_or_default(),
        class.poison.iter().filter(|&&poison| poison).count(),
        mean(&class.m1),
        deviation(&class.m1),
    );
    println!(
        "| epsilon | entries of the barycentre | k-means, s | assignments | entries of its centres | rank correlation with m1 | TPR | FPR |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut columns = Vec::new();
    for &epsilon in &arguments.epsilon {
        columns.push(class.row(&cx, epsilon)?);
    }
    draw(&columns, &arguments.picture)
}

/// The heatmaps of one class.
struct Class {
    spaces: Vec<Embedding>,
    /// The mean distance between two pixels of each.
    m1: Vec<f64>,
    poison: Vec<bool>,
}

impl Class {
    fn of(heatmaps: &Features, poison: Vec<bool>) -> Result<Self> {
        let &[height, width] = heatmaps.shape() else { anyhow::bail!("rows of {:?} are no heatmaps", heatmaps.shape()) };
        let made = heatmaps.values().par_chunks_exact(height * width).map(|heat| {
            let space = Space::from_heatmap(height, width, heat, MASS)?;
            Ok((Embedding::of(&space, RANK)?, space.moments().0))
        });
        let (spaces, m1) = made.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Self { spaces, m1, poison })
    }

    /// Prints the row of one epsilon, and gives the barycentre of the class and the centres of its two clusters.
    fn row(&self, cx: &Context, epsilon: f64) -> Result<Vec<Centre>> {
        let mut rng = cx.rng("collapse");
        let all: Vec<&Embedding> = self.spaces.iter().collect();
        let centre = barycentre(Centre::random(10, &mut rng)?, &all, &Barycentre::between_assignments(epsilon))?;
        let settings = KMeans::new(2, Barycentre::between_assignments(epsilon));
        let start = Instant::now();
        let found = k_means(&self.spaces, &settings, &mut rng, &|_| true)?;
        let seconds = start.elapsed().as_secs_f64();
        let smaller = usize::from(2 * found.labels.iter().sum::<usize>() <= found.labels.len());
        let rate = |of: bool| {
            let accused = found.labels.iter().zip(&self.poison).filter(|&(_, &poison)| poison == of).map(|(&label, _)| label == smaller);
            let (hits, all) = accused.fold((0, 0), |(hits, all), hit| (hits + u32::from(hit), all + 1));
            100.0 * f64::from(hits) / f64::from(all)
        };
        let nearer: Vec<f64> = found.costs.iter().map(|costs| costs[1] - costs[0]).collect();
        println!(
            "| {epsilon} | {} | {seconds:.1} | {} | {} | {:.3} | {:.1} | {:.1} |",
            entries(&centre),
            found.iterations,
            found.centres.iter().map(entries).collect::<Vec<_>>().join(", "),
            rank_correlation(&nearer, &self.m1).abs(),
            rate(true),
            rate(false),
        );
        Ok([centre].into_iter().chain(found.centres).collect())
    }
}

/// The least and the greatest entry of a barycentre.
fn entries(centre: &Centre) -> String {
    let [least, greatest] =
        [f64::min, f64::max].map(|of: fn(f64, f64) -> f64| centre.distances.iter().copied().reduce(of).unwrap_or_default());
    format!("{least:.3}–{greatest:.3}")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// Spearman's correlation of the ranks.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let mut ranks = vec![0.0; values.len()];
        order.into_iter().enumerate().for_each(|(rank, at)| ranks[at] = rank as f64);
        ranks
    };
    let (a, b) = (ranks(a), ranks(b));
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let products = a.iter().zip(&b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / a.len() as f64;
    products / (deviation(&a) * deviation(&b))
}

/// An epsilon a column, a barycentre a row: its matrix, red for far.
fn draw(columns: &[Vec<Centre>], file: &Path) -> Result<()> {
    let rows = columns.first().map_or(0, Vec::len) as u32;
    let points = columns.iter().flatten().map(|centre| centre.distances.len().isqrt() as u32).max().context("no barycentres")?;
    let side = points * ZOOM;
    let mut picture = RgbImage::from_pixel((side + GAP) * columns.len() as u32, (side + GAP) * rows, image::Rgb([255; 3]));
    for (column, centres) in columns.iter().enumerate() {
        for (row, centre) in centres.iter().enumerate() {
            let points = centre.distances.len().isqrt();
            let values: Vec<f32> = centre.distances.iter().map(|&distance| distance as f32).collect();
            let large = resize(&picture::heatmap(&[points, points], &values), side, side, FilterType::Nearest);
            replace(&mut picture, &large, i64::from(side + GAP) * column as i64, i64::from(side + GAP) * row as i64);
        }
    }
    picture.save(file).with_context(|| file.display().to_string())
}
