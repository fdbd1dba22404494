use std::path::PathBuf;

use bezoar_attribution::{Absorbed, Analysis, Balance, Composite, Limits, Preset, STABILIZER, Target};
use bezoar_config::{Source, parse};
use bezoar_core::{ClassRef, Error, Result};
use bezoar_nn::AtPlace;
use clap::Args;
use serde_json::json;

use crate::commands::arrays::{Arrays, read_classes};
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Attribute {
    #[command(flatten)]
    arrays: Arrays,
    /// The class of each image, whole numbers; without it the class that the net gives it.
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// Which rule is for which layer: epsilon, epsilon-plus, epsilon-plus-flat, epsilon-gamma-box, epsilon-alpha2-beta1,
    /// epsilon-alpha2-beta1-flat or excitation-backprop; or rows of your own as in a pipeline, such as
    /// `{ rows: [{ kind: convolution, rule: z-plus }, { kind: linear, rule: { epsilon: 1e-6 } }] }`.
    #[arg(long, value_name = "NAME|ROWS", default_value = "epsilon-plus")]
    composite: String,
    /// The ε of the ε-rule.
    #[arg(long, default_value_t = STABILIZER)]
    epsilon: f64,
    /// The γ of the γ-rule.
    #[arg(long, default_value_t = 0.25)]
    gamma: f64,
    /// What is explained: label (1 for the score of the image's class), predicted, logit, runner-up, softmax-gradient, class:K or
    /// against:K.
    #[arg(long)]
    target: Option<String>,
    /// The layer whose outputs get the relevance, instead of the image.
    #[arg(long, value_name = "LAYER")]
    at: Option<String>,
    /// The least value that images can have, one number or one a channel; the z-box rule asks.
    #[arg(long, value_name = "LIMIT", value_delimiter = ',', allow_hyphen_values = true, default_value = "0")]
    low: Vec<f64>,
    /// The most.
    #[arg(long, value_name = "LIMIT", value_delimiter = ',', allow_hyphen_values = true, default_value = "1")]
    high: Vec<f64>,
    /// Print what became of relevance at each layer.
    #[arg(long)]
    check: bool,
}

impl Attribute {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<()> {
        let images = self.arrays.images()?;
        let network = self.arrays.network(&images)?.fold_batch_norm()?;
        let channels = network.graph().input()[0];
        let spread = |limits: &[f64]| if let [all] = limits { vec![*all; channels] } else { limits.to_vec() };
        let limits = Limits { low: spread(&self.low), high: spread(&self.high) };
        let composite = self.composite()?;
        let analysis = Analysis::within(network, &composite, &limits)?;
        let analysis = if let Some(layer) = &self.at { analysis.at(layer)? } else { analysis };
        let classes: Vec<String> = (0..analysis.network().graph().classes()).map(|class| class.to_string()).collect();
        let labels = self.labels(images.dim(0).at("images")?)?;
        let target = match &self.target {
            Some(target) => parse_target(target)?,
            None if labels.is_some() => Target::Label,
            None => Target::Predicted,
        };
        let start = target.resolve(&classes)?;
        let mut balances: Vec<Balance> = Vec::new();
        self.arrays.through(terminal, analysis.network(), &images, "heatmaps", |images, rows| {
            let labels = match &labels {
                Some(labels) => &labels[rows],
                None if target == Target::Predicted || matches!(target, Target::Class(_)) => &vec![0; rows.len()],
                None => return Err(Error::request("this target asks for the images' classes").with_help("name their file with --targets")),
            };
            let question = |scores: &candle_core::Tensor, own: std::ops::Range<usize>| start.relevance(scores, &labels[own]);
            if self.check {
                add(&mut balances, analysis.balance(images, question)?);
            }
            Ok(analysis.explain(images, question)?.relevance)
        })?;
        if self.check {
            terminal.result(&table(&balances));
        }
        Ok(())
    }
}

impl Attribute {
    fn composite(&self) -> Result<Composite> {
        let wrong = |error| Error::request(format!("--composite: {error}"));
        let preset: Preset =
            serde_json::from_value(parse(&Source::new("--composite", self.composite.as_str()))?.to_json()).map_err(wrong)?;
        let composite = preset.of(self.epsilon, self.gamma);
        composite.check()?;
        Ok(composite)
    }

    /// The given classes of so many images.
    fn labels(&self, images: usize) -> Result<Option<Vec<u32>>> {
        let Some(path) = &self.targets else { return Ok(None) };
        let labels = read_classes(path)?;
        if labels.len() != images {
            return Err(Error::data(path.display(), format!("holds {} classes, and there are {images} images", labels.len())));
        }
        Ok(Some(labels))
    }
}

/// A target by its name, its class after a colon.
fn parse_target(text: &str) -> Result<Target> {
    let class =
        |index: &str| index.parse().map(ClassRef::Index).map_err(|_| Error::request(format!("--target: `{index}` is no class index")));
    match text.split_once(':') {
        Some(("class", index)) => Ok(Target::Class(class(index)?)),
        Some(("against", index)) => Ok(Target::Against(class(index)?)),
        _ => serde_json::from_value(json!(text)).map_err(|error| Error::request(format!("--target: {error}"))),
    }
}

fn add(sums: &mut Vec<Balance>, more: Vec<Balance>) {
    if sums.is_empty() {
        *sums = more;
        return;
    }
    for (sum, more) in sums.iter_mut().zip(more) {
        sum.add(&more);
    }
}

/// What became of relevance at each layer, from the last to the first, in parts of what arrived there.
fn table(balances: &[Balance]) -> String {
    let width = balances.iter().map(|balance| balance.layer.chars().count()).max().unwrap_or_default().max(5);
    let mut text =
        format!("{:width$} {:>12} {:>12} {:>10} {:>10} {:>10}  rule\n", "layer", "arrived", "handed on", "bias", "epsilon", "lost");
    for Balance { layer, rule, arrived, handed_on, absorbed: Absorbed { bias, epsilon, lost } } in balances {
        let numbers = [bias, epsilon, lost].map(|value| format!("{value:>10.3e}")).join(" ");
        text += &format!("{layer:width$} {arrived:>12.5} {handed_on:>12.5} {numbers}  {rule:?}\n");
    }
    text
}
