use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use bezoar_config::Source;
use bezoar_core::Error;
use bezoar_engine::Study;
use clap::Args;
use serde_json::Value;

use crate::commands::dataset;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Init {
    /// The file to write; nothing is overwritten.
    #[arg(default_value = "pipeline.yaml")]
    file: PathBuf,
    /// The images: a folder with one folder a class, a Parquet file or a folder of them, or the name of a data set such as `gtsrb`. Asked for if left out.
    #[arg(long)]
    data: Option<String>,
    /// An attack to try the detectors with, such as `{ use: badnets, to: stop, share: 0.05 }`; none looks at the images as they are. Asked for if
    /// left out.
    #[arg(long)]
    attack: Option<String>,
    /// The net to train, such as `resnet`.
    #[arg(long, default_value = "compact-cnn")]
    model: String,
}

impl Init {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let answer = |given: Option<String>, question: &str, default: &str| match given {
            Some(given) => Ok(given),
            None if terminal.answers() => terminal.ask(question).map(|answer| if answer.is_empty() { default.to_owned() } else { answer }),
            None => Ok(default.to_owned()),
        };
        let data = answer(self.data, "Where are the images (a folder, a Parquet file, a data set's name) [signs]?", "signs")?;
        let attack =
            answer(self.attack, "Which attack shall be tried on them, such as { use: badnets, to: CLASS, share: 0.05 } [none]?", "none")?;
        let text = pipeline(&dataset(&data)?, &attack, &self.model, &name(&data));
        // What was answered has to make a pipeline before there is a file.
        Study::from_source(&Source::new("the new pipeline", text.clone()), &[])?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&self.file).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Error::request(format!("{} is there already", self.file.display())).with_help("name another file, or remove it")
            }
            _ => Error::io(&self.file, error),
        })?;
        file.write_all(text.as_bytes()).map_err(|error| Error::io(&self.file, error))?;
        terminal.result(&format!("wrote {}; next: bezoar eval {0}", self.file.display()));
        Ok(())
    }
}

/// The data set's block in one line, as people write it.
fn dataset(data: &str) -> Result<String, Error> {
    let block = dataset::block(data)?;
    let fields = block.as_object().into_iter().flatten();
    let words = fields.map(|(name, value)| match value {
        Value::String(plugin) if name == "use" => format!("use: {plugin}"),
        value => format!("{name}: {value}"),
    });
    Ok(format!("{{ {} }}", words.collect::<Vec<_>>().join(", ")))
}

/// A run's name made of what the data are called.
fn name(data: &str) -> String {
    let stem = Path::new(data).file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let letters: String = stem.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let name = letters.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    if name.is_empty() { "mine".to_owned() } else { name.chars().take(60).collect() }
}

fn pipeline(dataset: &str, attack: &str, model: &str, name: &str) -> String {
    let attack = match attack {
        "none" => {
            "# attack: { use: badnets, to: 0, share: 0.05 }    # poisons the first class, to see what detectors find; `bezoar list` names the attacks\n".to_owned()
        }
        attack => format!("attack: {attack}    # poisons the images first; without it they are taken as they are\n"),
    };
    format!(
        "\
# What to do with the images, from data to report. `bezoar check` finds mistakes, `bezoar eval` runs it.
version: 1
name: {name}
seed: 0              # everything random follows from it
dataset: {dataset}
{attack}model: {{ use: {model} }}
train:
  epochs: 10
  batch: 64
  augment: {{ use: affine, translate: [0.0625, 0.0625] }}    # shifts of up to a sixteenth of the image
detect:
  - {{ use: heatmap-clustering, preset: recommended }}       # triggers of a few pixels
  - {{ use: activation-clustering, preset: recommended }}    # triggers that fill the image
evaluate: [{{ use: attack-success }}, {{ use: detection }}]
report:
  - {{ use: html }}        # report.html: what was found and why
  - {{ use: list }}        # images.csv: keep, review or remove each image
  - {{ use: parquet }}     # scores.parquet: every score
# matrix:                # a study: a run for each combination
#   seed: [0, 1, 2]
"
    )
}
