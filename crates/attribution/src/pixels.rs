use std::sync::Arc;

use bezoar_core::{Batch, Classifier, Context, Features, ImageSet, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The image itself, without asking the net: what heatmaps and activations have to be better than.
///
/// Rows are `[C, H, W]`, from 0 to 1. The thesis behind arXiv 2204.12848 clusters them, in grey, as its weakest baseline.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Pixels {
    /// Whether RGB images are taken in grey, as one channel: the luma of ITU-R BT.601, 0.299 red + 0.587 green + 0.114 blue. Other images stay as they are.
    pub grey: bool,
}

impl Plugin for Pixels {
    type Kind = dyn Representation;
    const NAME: &'static str = "pixels";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

register!(Pixels);

/// Images that are read together.
const BATCH: usize = 256;

impl Representation for Pixels {
    fn is_relevance(&self) -> bool {
        false
    }

    fn represent(&self, cx: &Context, _: &dyn Classifier, images: &ImageSet, sink: &mut dyn FnMut(Features) -> Result<()>) -> Result<()> {
        let progress = cx.task("pixels", images.len() as u64);
        for batch in images.batches(BATCH) {
            cx.check()?;
            let batch = batch?;
            sink(self.rows(&batch)?)?;
            progress.advance(batch.len() as u64);
        }
        Ok(())
    }
}

impl Pixels {
    fn rows(&self, batch: &Batch) -> Result<Features> {
        if self.grey && batch.shape.channels == 3 { luma(batch) } else { planes(batch) }
    }
}

/// Images whose channels follow each other pixel by pixel, as planes.
fn planes(batch: &Batch) -> Result<Features> {
    let (shape, area) = (batch.shape, batch.shape.height * batch.shape.width);
    let images = batch.pixels.chunks_exact(area * shape.channels);
    let planes = images.flat_map(|image| (0..shape.channels).flat_map(move |channel| image.iter().skip(channel).step_by(shape.channels)));
    Features::new(vec![shape.channels, shape.height, shape.width], planes.map(|&value| f32::from(value) / 255.0).collect())
}

/// RGB images as one plane of their brightness.
fn luma(batch: &Batch) -> Result<Features> {
    let brightness =
        |rgb: &[u8]| rgb.iter().zip([0.299, 0.587, 0.114]).map(|(&value, share)| f32::from(value) * share).sum::<f32>() / 255.0;
    let values = batch.pixels.chunks_exact(3).map(brightness).collect();
    Features::new(vec![1, batch.shape.height, batch.shape.width], values)
}

#[cfg(test)]
mod tests {
    use bezoar_core::ImageShape;

    use super::*;

    #[test]
    fn channels_become_planes() {
        let batch = Batch { shape: ImageShape::rgb(1, 2), labels: vec![0, 0], pixels: (0..12).map(|value| value * 17).collect() };
        let features = planes(&batch).unwrap();
        assert_eq!(features.shape(), [3, 1, 2]);
        let expected = [0_u8, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11].map(|value| f32::from(value * 17) / 255.0);
        assert_eq!(features.values(), expected);
    }

    #[test]
    fn grey_is_the_luma_of_rgb_and_leaves_other_images_as_they_are() {
        let grey = |shape, pixels: &[u8]| {
            let features = Pixels { grey: true }.rows(&Batch { shape, labels: vec![0], pixels: pixels.to_vec() }).unwrap();
            (features.shape().to_vec(), features.values().iter().map(|value| (value * 1000.0).round() as u32).collect::<Vec<_>>())
        };
        let colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
        assert_eq!(grey(ImageShape::rgb(2, 2), &colours), (vec![1, 2, 2], vec![299, 587, 114, 1000]));
        assert_eq!(grey(ImageShape { channels: 1, ..ImageShape::rgb(1, 2) }, &[0, 255]), (vec![1, 1, 2], vec![0, 1000]));
    }
}
