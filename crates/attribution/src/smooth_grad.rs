use std::sync::Arc;

use crate::heatmaps::{Heatmaps, Question, folded};
use crate::{Analysis, Channels, Composite, Explained, Target};
use bezoar_core::{Classifier, Context, Features, ImageSet, Plugin, Representation, Result, register};
use bezoar_nn::AtPlace;
use candle_core::{Device, Tensor};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Smoothed gradients: the mean gradient of many copies of an image, each with noise of its own on every pixel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SmoothGrad {
    /// Copies of each image.
    #[schemars(range(min = 1, max = 10_000))]
    pub samples: usize,
    /// Standard deviation of the noise; pixels are in 0..=1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub noise: f64,
    /// What is explained.
    pub target: Target,
    /// What becomes of the colours.
    pub channels: Channels,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { samples: 20, noise: 0.1, target: Target::Label, channels: Channels::Sum }
    }
}

register!(SmoothGrad);

impl Plugin for SmoothGrad {
    type Kind = dyn Representation;
    const NAME: &'static str = "smooth-grad";
    const PAPER: Option<&'static str> = Some("arXiv 1706.03825");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

impl Representation for SmoothGrad {
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let analysis = Analysis::new(folded(model)?, &Composite::gradient())?;
        let explain = |question: &Question<'_>| {
            let scores = analysis.network().forward(&question.pixels)?;
            let start = question.start(&scores, 0..question.samples.len())?;
            // Each image has a stream of its own, whatever its batch.
            let mut streams: Vec<_> = question.samples.iter().map(|sample| cx.rng(&format!("noise of {}", sample.id))).collect();
            let mut sum = question.pixels.zeros_like().at("input")?;
            for _ in 0..self.samples {
                let noise = self.noise(&mut streams, &question.pixels)?;
                let copies = (&question.pixels + noise).at("input")?;
                let gradient = analysis.explain(&copies, |_, rows| start.narrow(0, rows.start, rows.len()).at("target"))?.relevance;
                sum = (sum + gradient).at("input")?;
            }
            Ok(Explained { scores, relevance: (sum / self.samples as f64).at("input")? })
        };
        Heatmaps { cx, images, target: &self.target, channels: self.channels }.make(&analysis, explain, sink)
    }
}

impl SmoothGrad {
    /// Noise for images `[N, C, H, W]`, each from its stream.
    fn noise(&self, streams: &mut [impl Rng], pixels: &Tensor) -> Result<Tensor> {
        let width: usize = pixels.dims()[1..].iter().product();
        let mut values = Vec::with_capacity(width * streams.len());
        for stream in streams {
            values.extend((0..width).map(|_| {
                let normal: f64 = StandardNormal.sample(stream);
                normal * self.noise
            }));
        }
        let noise = Tensor::from_vec(values, pixels.dims(), &Device::Cpu);
        noise.and_then(|noise| noise.to_dtype(pixels.dtype())?.to_device(pixels.device())).at("input")
    }
}
