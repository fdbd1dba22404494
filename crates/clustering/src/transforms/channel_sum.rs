use std::sync::Arc;

use bezoar_core::{Context, Error, Features, Plugin, Result, Transform, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sums the channels of each row: `[C, H, W]` becomes `[H, W]`.
///
/// The first step of Heatmap Clustering (arXiv 2204.12848), where the relevance of a pixel is the sum over its three colours. Signs
/// are kept. Rows of shape `[H, W]` have one channel and stay as they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChannelSum {}

impl Plugin for ChannelSum {
    type Kind = dyn Transform;
    const NAME: &'static str = "channel-sum";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(ChannelSum);

impl Transform for ChannelSum {
    fn transform(&self, _: &Context, features: Features) -> Result<Features> {
        let (height, width) = match *features.shape() {
            [_, height, width] => (height, width),
            [_, _] => return Ok(features),
            ref shape => {
                return Err(Error::request(format!("channel-sum takes rows of shape [C, H, W], and these are {shape:?}"))
                    .with_help("leave channel-sum out"));
            }
        };
        let mut sums = Vec::with_capacity(features.len() * height * width);
        for row in features.rows() {
            let channels = row.chunks_exact(height * width);
            sums.extend((0..height * width).map(|pixel| channels.clone().map(|channel| f64::from(channel[pixel])).sum::<f64>() as f32));
        }
        Features::new(vec![height, width], sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_added_pixel_by_pixel() {
        let rows = Features::new(vec![2, 1, 3], vec![1.0, 2.0, 3.0, 10.0, -20.0, 30.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0]).unwrap();
        let sums = ChannelSum {}.transform(&Context::quiet(0), rows).unwrap();
        assert_eq!(sums.shape(), [1, 3]);
        assert_eq!(sums.values(), [11.0, -18.0, 33.0, 0.0, 0.0, 0.0]);
        assert_eq!(ChannelSum {}.transform(&Context::quiet(0), sums.clone()).unwrap(), sums, "one channel");
        let flat = Features::new(vec![6], sums.into_values()).unwrap();
        assert!(ChannelSum {}.transform(&Context::quiet(0), flat).is_err(), "no image");
    }
}
