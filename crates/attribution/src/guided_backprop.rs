use std::sync::Arc;

use crate::heatmaps::{Heatmaps, folded};
use crate::{Analysis, Channels, Composite, Target};
use bezoar_core::{Classifier, Context, Features, ImageSet, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Guided backpropagation: the gradient to the pixels, but activation functions hand on only what is positive.
///
/// Sharp, and hardly dependent on the class.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GuidedBackprop {
    /// What is explained.
    pub target: Target,
    /// What becomes of the colours.
    pub channels: Channels,
}

impl Default for GuidedBackprop {
    fn default() -> Self {
        Self { target: Target::Label, channels: Channels::Sum }
    }
}

register!(GuidedBackprop);

impl Plugin for GuidedBackprop {
    type Kind = dyn Representation;
    const NAME: &'static str = "guided-backprop";
    const PAPER: Option<&'static str> = Some("arXiv 1412.6806");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

impl Representation for GuidedBackprop {
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let analysis = Analysis::new(folded(model)?, &Composite::guided_backprop())?;
        let heatmaps = Heatmaps { cx, images, target: &self.target, channels: self.channels };
        heatmaps.make(&analysis, |question| analysis.explain(&question.pixels, |scores, rows| question.start(scores, rows)), sink)
    }
}
