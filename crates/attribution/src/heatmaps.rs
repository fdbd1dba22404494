//! From images to rows, a batch at a time: what all explanations by relevance or gradients have in common.

use bezoar_core::{Batch, Classifier, Context, Error, Features, ImageSet, Result, Sample};
use bezoar_nn::{AtPlace, Network, features};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Analysis, Explained, Start, Target};

/// Images that are read and handed on together.
const BATCH: usize = 64;

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

impl Channels {
    /// Relevance `[N, C, ...]` as rows. Vectors stay as they are.
    fn rows(self, relevance: &Tensor) -> Result<Features> {
        match self {
            Self::Sum if relevance.rank() > 2 => features(&relevance.sum(1).at("input")?),
            _ => features(relevance),
        }
    }
}

/// Some images and what is asked about them.
pub(crate) struct Question<'a> {
    /// `[N, C, H, W]`.
    pub(crate) pixels: Tensor,
    pub(crate) samples: &'a [Sample],
    batch: &'a Batch,
    target: Start,
}

impl Question<'_> {
    /// How much relevance the scores of the images in these rows start with.
    pub(crate) fn start(&self, scores: &Tensor, rows: std::ops::Range<usize>) -> Result<Tensor> {
        self.target.relevance(scores, &self.batch.labels[rows])
    }
}

/// What is made of images that pass through a net.
pub(crate) struct Heatmaps<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) images: &'a ImageSet,
    pub(crate) target: &'a Target,
    pub(crate) channels: Channels,
}

impl Heatmaps<'_> {
    /// Hands on a row for each image: what `explain` says of it.
    pub(crate) fn make(
        &self,
        analysis: &Analysis,
        explain: impl Fn(&Question<'_>) -> Result<Explained>,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let target = self.target.resolve(self.images.classes())?;
        let progress = self.cx.task("heatmaps", self.images.len() as u64);
        let mut done = 0;
        for batch in self.images.batches(BATCH) {
            self.cx.check()?;
            let batch = batch?;
            let samples = &self.images.samples()[done..done + batch.len()];
            let question = Question { pixels: analysis.network().images(&batch)?, samples, batch: &batch, target };
            let explained = explain(&question)?;
            let rows = self.channels.rows(&explained.relevance)?;
            if let Some(row) = features(&explained.scores)?.first_not_finite().or_else(|| rows.first_not_finite()) {
                let image = question.pixels.narrow(0, row, 1).at("input")?;
                return Err(analysis.diagnose(&samples[row].id, &image, |scores| question.start(scores, row..row + 1)));
            }
            sink(rows)?;
            done += batch.len();
            progress.advance(batch.len() as u64);
        }
        Ok(())
    }
}

/// The net behind a classifier, batch norm merged into the layers before it.
pub(crate) fn folded(model: &dyn Classifier) -> Result<Network> {
    let network = model.as_any().downcast_ref::<Network>().ok_or_else(|| {
        Error::request("only nets of Bezoar's own layer graph can be explained, and this model is none")
            .with_help("choose another representation, such as `{ use: activations }`")
    })?;
    network.fold_batch_norm()
}
