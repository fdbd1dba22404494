use bezoar_core::{Batch, Classifier, Context, Error, Image, ImageSet, Part, Result};
use bezoar_nn::{Architecture, Network, TrainConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Ascent;

/// Images made hard to recognise before they are marked, so that a net leans on the trigger.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Craft {
    /// How.
    pub ascent: Ascent,
    /// The net that they are hard to recognise for.
    pub surrogate: Surrogate,
}

/// A net that is trained on the clean images.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Surrogate {
    /// Its architecture.
    pub model: Part<dyn Architecture>,
    /// How it is trained.
    #[serde(default)]
    pub train: TrainConfig,
}

impl Craft {
    /// The images of some rows, crafted on the surrogate.
    pub(crate) fn images(&self, cx: &Context, surrogate: Option<&dyn Classifier>, set: &ImageSet, rows: &[usize]) -> Result<Vec<Image>> {
        let net = surrogate.and_then(|net| net.as_any().downcast_ref::<Network>());
        let net = net.ok_or_else(|| Error::request("the attack crafts images on a net of Bezoar's own layer graph, and there is none"))?;
        let Batch { shape, pixels, .. } = self.ascent.climb(cx, net, &set.batch(rows)?)?;
        pixels.chunks_exact(shape.len()).map(|pixels| Image::new(shape, pixels.to_vec())).collect()
    }
}
