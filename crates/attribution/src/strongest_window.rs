use std::sync::Arc;

use bezoar_core::{Classifier, Context, Features, ImageSet, Part, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::window::{Mass, plane};

/// Where the small squares lie that speak most for an image's class: rows of `[count, 4]`, each `[y, x, size, mass]`.
///
/// `y` and `x` are the square's upper left pixel in the image, `size` its side there, `mass` the share of the positive relevance in it, 0 to 1. The strongest
/// comes first, each next one is the strongest of the relevance outside those before. A sticker that a net decides by is such a square.
/// What `causal` covers, and pastes onto other images.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StrongestWindow {
    /// The heatmaps.
    pub of: Part<dyn Representation>,
    /// Sides of squares to look for, in pixels of the heatmap. Of several the one that holds most beside its side wins.
    pub sizes: Vec<Side>,
    /// So many squares of each image.
    #[schemars(range(min = 1, max = 1024))]
    pub count: usize,
}

/// The side of a square in pixels of the heatmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Side(#[schemars(range(min = 1, max = 1024))] pub usize);

impl Plugin for StrongestWindow {
    type Kind = dyn Representation;
    const NAME: &'static str = "strongest-window";

    fn defaults() -> Value {
        json!({ "of": { "use": "lrp", "composite": "epsilon-plus" }, "sizes": [3], "count": 1 })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("this crate has the representation that it is made of")
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        sides(&self.sizes)?;
        Ok(Arc::new(self))
    }
}

register!(StrongestWindow);

/// The sides as numbers.
///
/// # Errors
/// When there are none.
pub(crate) fn sides(sizes: &[Side]) -> Result<Vec<usize>> {
    if sizes.is_empty() {
        return Err(
            bezoar_core::Error::request("`sizes` is empty: a window has a side").with_help("leave `sizes` out, or write `sizes: [3]`")
        );
    }
    Ok(sizes.iter().map(|side| side.0).collect())
}

impl Representation for StrongestWindow {
    fn is_relevance(&self) -> bool {
        false
    }

    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let sizes = sides(&self.sizes)?;
        self.of.represent(cx, model, images, &mut |heatmaps| {
            let (height, width) = plane(&heatmaps)?;
            let windows = heatmaps.rows().flat_map(|heatmap| {
                let found = Mass::of(height, width, heatmap).strongest_few(&sizes, self.count);
                let found = found.into_iter().map(|window| window.in_image((height, width), images.shape()));
                found.flat_map(|found| [found.y as f32, found.x as f32, found.size as f32, found.mass as f32])
            });
            sink(Features::new(vec![self.count, 4], windows.collect())?)
        })
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        self.of.fingerprint()
    }
}
