use std::sync::Arc;

use crate::heatmaps::{Heatmaps, Question, folded};
use crate::{Analysis, Channels, Composite, Explained, Target};
use bezoar_core::{Classifier, Context, Features, ImageSet, Plugin, Representation, Result, register};
use bezoar_nn::AtPlace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Integrated gradients: the mean gradient on the way from an image of one colour to the image, times how far each pixel went.
///
/// What all pixels have adds up to the score's change on the way, the better the more steps there are (equation 3, by the midpoint
/// rule).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct IntegratedGradients {
    /// Points on the way.
    #[schemars(range(min = 1, max = 10_000))]
    pub steps: usize,
    /// The value of all pixels of the image where the way begins; 0 is black, 1 white.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub baseline: f64,
    /// What is explained.
    pub target: Target,
    /// What becomes of the colours.
    pub channels: Channels,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 20, baseline: 0.0, target: Target::Label, channels: Channels::Sum }
    }
}

register!(IntegratedGradients);

impl Plugin for IntegratedGradients {
    type Kind = dyn Representation;
    const NAME: &'static str = "integrated-gradients";
    const PAPER: Option<&'static str> = Some("arXiv 1703.01365");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

impl Representation for IntegratedGradients {
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
            let way = (&question.pixels - self.baseline).at("input")?;
            let mut sum = way.zeros_like().at("input")?;
            for step in 0..self.steps {
                let share = (step as f64 + 0.5) / self.steps as f64;
                let point = way.affine(share, self.baseline).at("input")?;
                let gradient = analysis.explain(&point, |_, rows| start.narrow(0, rows.start, rows.len()).at("target"))?.relevance;
                sum = (sum + gradient).at("input")?;
            }
            let relevance = ((sum * way).at("input")? / self.steps as f64).at("input")?;
            Ok(Explained { scores, relevance })
        };
        Heatmaps { cx, images, target: &self.target, channels: self.channels }.make(&analysis, explain, sink)
    }
}
