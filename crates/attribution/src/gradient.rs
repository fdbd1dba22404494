use std::sync::Arc;

use crate::heatmaps::{Heatmaps, Question, folded};
use crate::{Analysis, Channels, Composite, Explained, Target};
use bezoar_core::{Classifier, Context, Features, ImageSet, Plugin, Representation, Result, register};
use bezoar_nn::AtPlace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gradient of a class's score to the pixels: how the score would change with each.
///
/// With `times-input`, each pixel's gradient times its value: to first order, what the pixel adds to the score. For a net of
/// rectifiers without biases that is LRP-0.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Gradient {
    /// Whether each gradient is multiplied by the pixel's value.
    pub times_input: bool,
    /// What is explained.
    pub target: Target,
    /// What becomes of the colours.
    pub channels: Channels,
}

impl Default for Gradient {
    fn default() -> Self {
        Self { times_input: false, target: Target::Label, channels: Channels::Sum }
    }
}

register!(Gradient);

impl Plugin for Gradient {
    type Kind = dyn Representation;
    const NAME: &'static str = "gradient";
    const PAPER: Option<&'static str> = Some("arXiv 1312.6034");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

impl Representation for Gradient {
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let analysis = Analysis::new(folded(model)?, &Composite::gradient())?;
        let explain = |question: &Question<'_>| {
            let explained = analysis.explain(&question.pixels, |scores, rows| question.start(scores, rows))?;
            let relevance = if self.times_input { (explained.relevance * &question.pixels).at("input")? } else { explained.relevance };
            Ok(Explained { relevance, ..explained })
        };
        Heatmaps { cx, images, target: &self.target, channels: self.channels }.make(&analysis, explain, sink)
    }
}
