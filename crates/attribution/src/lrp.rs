use std::sync::Arc;

use bezoar_core::{Classifier, Context, Error, Features, ImageSet, Plugin, Representation, Result, register};
use bezoar_nn::{AtPlace, Network, features};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Analysis, Composite, STABILIZER, Target};

/// Heatmaps by layer-wise relevance propagation: how much each pixel spoke for a class.
///
/// The net's score for the class starts with relevance 1. Each layer, from last to first, hands its relevance on to its
/// inputs in proportion to what they contributed, until it has reached the pixels (Bach et al. 2015). Batch norm
/// is merged into the layers before it first. Works for nets of Bezoar's own layers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lrp {
    /// Which rule is for which layer.
    #[serde(default)]
    pub composite: Preset,
    /// The ε of the ε-rule. More of it drops weak and contradictory evidence.
    #[serde(default = "default_epsilon")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// The score that is explained.
    #[serde(default)]
    pub target: Target,
    /// What becomes of the colours.
    #[serde(default)]
    pub channels: Channels,
}

/// A composite by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The ε-rule on every layer with weights.
    #[default]
    Epsilon,
    /// The z⁺-rule on convolutions, the ε-rule on linear layers: smoother, and never negative from the first convolution on.
    EpsilonPlus,
}

/// What becomes of the relevance of a pixel's colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// One number a pixel: rows `[H, W]`.
    #[default]
    Sum,
    /// One number a colour: rows `[C, H, W]`.
    Keep,
}

fn default_epsilon() -> f64 {
    STABILIZER
}

impl Plugin for Lrp {
    type Kind = dyn Representation;
    const NAME: &'static str = "lrp";
    const PAPER: Option<&'static str> = Some("doi 10.1371/journal.pone.0130140");

    fn example() -> Self {
        Self { composite: Preset::Epsilon, epsilon: default_epsilon(), target: Target::Label, channels: Channels::Sum }
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

register!(Lrp);

impl Lrp {
    fn composite(&self) -> Composite {
        match self.composite {
            Preset::Epsilon => Composite::epsilon(self.epsilon),
            Preset::EpsilonPlus => Composite::epsilon_plus(self.epsilon),
        }
    }

    fn rows(&self, relevance: &Tensor) -> Result<Features> {
        match self.channels {
            Channels::Sum => features(&relevance.sum(1).at("input")?),
            Channels::Keep => features(relevance),
        }
    }
}

impl Representation for Lrp {
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let network = model.as_any().downcast_ref::<Network>().ok_or_else(|| {
            Error::request("LRP explains nets of Bezoar's own layer graph, and this model is none")
                .with_help("choose another representation, such as `{ use: activations }`")
        })?;
        let analysis = Analysis::new(network.fold_batch_norm()?, &self.composite())?;
        let progress = cx.task("heatmaps", images.len() as u64);
        let mut done = 0;
        for batch in images.batches(BATCH) {
            cx.check()?;
            let batch = batch?;
            let pixels = analysis.network().images(&batch)?;
            let explained = analysis.explain(&pixels, |scores, rows| self.target.relevance(scores, &batch.labels[rows]))?;
            let rows = self.rows(&explained.relevance)?;
            if let Some(row) = features(&explained.scores)?.first_not_finite().or_else(|| rows.first_not_finite()) {
                let image = pixels.narrow(0, row, 1).at("input")?;
                let target = |scores: &Tensor| self.target.relevance(scores, &batch.labels[row..=row]);
                return Err(analysis.diagnose(&images.samples()[done + row].id, &image, target));
            }
            sink(rows)?;
            done += batch.len();
            progress.advance(batch.len() as u64);
        }
        Ok(())
    }
}

/// Images that are read and handed on together.
const BATCH: usize = 64;
