//! Measures how well each way to explain a net finds the trigger of an attack whose place is known. `cargo xtask bench localisation`
//! puts what it prints into `docs/localisation.md`, and its pictures beside it.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

mod rows;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bezoar_core::{Context, Features, ImageSet, Mask};
use bezoar_engine::{Pipeline, Places, Trained, trained};
use bezoar_evaluation::Localisation;
use bezoar_nn::Network;
use bezoar_report::picture;
use clap::Parser;
use image::RgbImage;
use image::imageops::{FilterType, replace, resize};
use serde_json::{Value, json};

use self::rows::represent;

/// Measures how well each way to explain a net finds the trigger of an attack whose place is known.
#[derive(Parser)]
struct Arguments {
    /// The pipeline whose attack and net are taken, from its cache if they are there.
    pipeline: PathBuf,
    /// Where the pictures go.
    #[arg(long)]
    pictures: PathBuf,
    #[arg(long, default_value = "runs/cache")]
    cache: PathBuf,
    /// Poisoned images that are explained, at most.
    #[arg(long, default_value_t = 300)]
    images: usize,
}

/// Images in a picture.
const SHOWN: usize = 10;
/// How many times as large as they are.
const ZOOM: u32 = 2;
const GAP: u32 = 4;

fn main() -> Result<()> {
    bezoar_plugins::link();
    let Arguments { pipeline, pictures, cache, images } = Arguments::parse();
    let pipeline = Pipeline::read(&pipeline, &[])?;
    let cx = Context::quiet(pipeline.seed.into());
    let Trained { network, images: all, truth } = trained(&cx, &pipeline, &Places { cache, runs: "runs".into() })?;
    let truth = truth.context("the pipeline has no attack, so no place is known")?;
    let rows: Vec<usize> = (0..all.len()).filter(|row| truth.is_poison(*row) && !truth.masks[*row].is_empty()).take(images).collect();
    ensure!(!rows.is_empty(), "the attack's trigger has no place");
    let study = Study { cx, network, images: all.select(&rows), masks: rows.iter().map(|row| truth.masks[*row].clone()).collect() };
    let against = pipeline.attack.as_ref().map(|attack| attack.block()["from"].clone()).context("no attack")?;
    println!("{}", study.methods(&pictures)?);
    println!("{}", study.targets(&against, &pictures)?);
    Ok(())
}

/// Poisoned images, the net that learnt from them, and where their triggers are.
struct Study {
    cx: Context,
    network: Network,
    images: ImageSet,
    masks: Vec<Vec<Mask>>,
}

const COMPOSITES: [&str; 7] = [
    "epsilon",
    "epsilon-plus",
    "epsilon-plus-flat",
    "epsilon-gamma-box",
    "epsilon-alpha2-beta1",
    "epsilon-alpha2-beta1-flat",
    "excitation-backprop",
];

impl Study {
    /// Each method, asked about the label.
    fn methods(&self, pictures: &Path) -> Result<String> {
        let mut methods: Vec<(String, Value)> =
            COMPOSITES.iter().map(|name| ((*name).to_owned(), json!({ "use": "lrp", "composite": name }))).collect();
        methods.extend(
            [
                json!({ "use": "gradient" }),
                json!({ "use": "gradient", "times-input": true }),
                json!({ "use": "integrated-gradients" }),
                json!({ "use": "smooth-grad" }),
                json!({ "use": "guided-backprop" }),
                json!({ "use": "grad-cam" }),
            ]
            .map(|block| {
                (if block["times-input"] == true { "gradient x input" } else { block["use"].as_str().unwrap_or("?") }.to_owned(), block)
            }),
        );
        let mut table = "| method | mass % | rank % | pointing % |\n|---|---:|---:|---:|\n".to_owned();
        let mut columns = Vec::new();
        for (name, block) in &methods {
            let (features, found) = self.ask(block)?;
            writeln!(table, "| {name} | {} |", figures(found))?;
            columns.push(features);
        }
        self.draw(&columns, &pictures.join("localisation-methods.png"))?;
        Ok(table)
    }

    /// Each target under each composite, by relevance mass.
    fn targets(&self, against: &Value, pictures: &Path) -> Result<String> {
        let targets = [json!("label"), json!("logit"), json!("runner-up"), json!({ "against": against }), json!("softmax-gradient")];
        let name = |target: &Value| target.as_str().map_or_else(|| format!("against {}", against.as_str().unwrap_or("?")), str::to_owned);
        let mut table = format!("| composite | {} |\n|---|{}\n", targets.each_ref().map(name).join(" | "), "---:|".repeat(targets.len()));
        let mut columns = Vec::new();
        for composite in COMPOSITES {
            write!(table, "| {composite} |")?;
            for target in &targets {
                let (features, found) = self.ask(&json!({ "use": "lrp", "composite": composite, "target": target }))?;
                write!(table, " {} |", figures(found).replace(" | ", " / "))?;
                if composite == "epsilon-plus" {
                    columns.push(features);
                }
            }
            table.push('\n');
        }
        self.draw(&columns, &pictures.join("localisation-targets.png"))?;
        Ok(table)
    }

    fn ask(&self, block: &Value) -> Result<(Features, Localisation)> {
        let features = represent(&self.cx, &self.network, &self.images, block.clone())?;
        let found: Vec<_> =
            features.rows().zip(&self.masks).map(|(row, masks)| Localisation::of(row, features.shape()[1], masks)).collect();
        Ok((features, Localisation::mean(&found)))
    }

    /// An image a row: the photo, then its heatmaps.
    fn draw(&self, columns: &[Features], file: &Path) -> Result<()> {
        let shape = self.images.shape();
        let (width, height) = (shape.width as u32 * ZOOM + GAP, shape.height as u32 * ZOOM + GAP);
        let shown = SHOWN.min(self.images.len());
        let mut picture = RgbImage::from_pixel(width * (columns.len() as u32 + 1), height * shown as u32, image::Rgb([255; 3]));
        let mut put = |small: &RgbImage, column: usize, row: usize| {
            let large = resize(small, width - GAP, height - GAP, FilterType::Nearest);
            replace(&mut picture, &large, i64::from(width) * column as i64, i64::from(height) * row as i64);
        };
        for row in 0..shown {
            put(&picture::photo(&self.images.image(row)?).into_rgb8(), 0, row);
            for (column, features) in columns.iter().enumerate() {
                let values = features.rows().nth(row).context("no such row")?;
                put(&picture::heatmap(features.shape(), values), column + 1, row);
            }
        }
        picture.save(file).with_context(|| file.display().to_string())
    }
}

fn figures(Localisation { mass, rank, pointing }: Localisation) -> String {
    [mass, rank, pointing].map(|value| format!("{:.1}", 100.0 * value)).join(" | ")
}
