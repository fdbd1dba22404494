use std::sync::Arc;

use crate::heatmaps::{Heatmaps, Question, folded};
use crate::{Analysis, Channels, Composite, Explained, Target};
use bezoar_core::Error;
use bezoar_core::{Classifier, Context, Features, ImageSet, Plugin, Representation, Result, register};
use bezoar_nn::{AtPlace, Graph};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Grad-CAM: where a layer's channels are active that speak for the class.
///
/// Each channel counts as much as its mean gradient says. Rows are of the image's size, and never negative.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GradCam {
    /// The layer; if none is named, the last whose outputs have a height and a width of more than one pixel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// What is explained.
    pub target: Target,
}

impl Default for GradCam {
    fn default() -> Self {
        Self { layer: None, target: Target::Label }
    }
}

register!(GradCam);

impl Plugin for GradCam {
    type Kind = dyn Representation;
    const NAME: &'static str = "grad-cam";
    const PAPER: Option<&'static str> = Some("arXiv 1610.02391");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

impl Representation for GradCam {
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let network = folded(model)?;
        let layer = self.layer.clone().map_or_else(|| last_map(network.graph()), Ok)?;
        let analysis = Analysis::new(network, &Composite::gradient())?.at(&layer)?;
        let graph = analysis.network().graph();
        let id = graph.find(&layer).filter(|id| graph.shape(*id).len() == 3);
        let id = id.ok_or_else(|| Error::request(format!("layer `{layer}` has no maps: its outputs have no height and width")))?;
        let [_, height, width] = graph.input();
        let explain = |question: &Question<'_>| {
            let explained = analysis.explain(&question.pixels, |scores, rows| question.start(scores, rows))?;
            let maps = analysis.network().forward_to(&question.pixels, id)?;
            let map = explained.relevance.mean_keepdim((2, 3)).and_then(|weight| maps.broadcast_mul(&weight)?.sum_keepdim(1)?.relu());
            let relevance = map.and_then(|map| map.upsample_bilinear2d(height, width, false)).at(&layer)?;
            Ok(Explained { relevance, ..explained })
        };
        Heatmaps { cx, images, target: &self.target, channels: Channels::Sum }.make(&analysis, explain, sink)
    }
}

/// The last layer whose outputs are maps.
fn last_map(graph: &Graph) -> Result<String> {
    let is_map = |shape: &[usize]| matches!(*shape, [_, height, width] if height * width > 1);
    let last = graph.ids().skip(1).rev().find(|id| is_map(graph.shape(*id)));
    let last = last.ok_or_else(|| Error::request("the net has no layer whose outputs have a height and a width"))?;
    Ok(graph.node(last).name.clone())
}
