//! Random changes to training images, as torchvision makes them, on values in 0..=1.

mod colour;
mod geometry;

use std::sync::Arc;

use bezoar_core::{Image, ImageShape, Kind, Part, Plugin, Result, register};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use colour::{ColourJitter, Greyscale};
pub use geometry::{Affine, Flip, ResizedCrop};

/// An image on its way into the net: planes of values in 0..=1, `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// Number of planes.
    pub channels: usize,
    /// Rows of a plane.
    pub height: usize,
    /// Columns of a plane.
    pub width: usize,
    /// The values, plane after plane.
    pub values: Vec<f32>,
}

impl Planes {
    /// An 8-bit image with 255 as 1.
    pub fn new(image: &Image) -> Self {
        let ImageShape { height, width, channels } = image.shape();
        let mut values = vec![0.0; image.shape().len()];
        to_planes(image.pixels(), channels, &mut values);
        Self { channels, height, width, values }
    }

    /// The planes in order.
    pub fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.height * self.width)
    }

    /// The planes in order, for change.
    pub fn planes_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.height * self.width)
    }
}

/// 8-bit pixels with interleaved channels as planes of values in 0..=1.
pub(crate) fn to_planes(pixels: &[u8], channels: usize, planes: &mut [f32]) {
    let plane = pixels.len() / channels;
    for (place, pixel) in pixels.chunks_exact(channels).enumerate() {
        for (channel, &value) in pixel.iter().enumerate() {
            planes[channel * plane + place] = f32::from(value) / 255.0;
        }
    }
}

/// Changes a training image at random and keeps its shape.
pub trait Augmentation: Send + Sync {
    /// The image, changed; all chance comes from `rng`.
    fn apply(&self, image: Planes, rng: &mut dyn Rng) -> Planes;
}

impl Kind for dyn Augmentation {
    const NAME: &'static str = "augmentation";
    const SUMMARY: &'static str = "changes training images at random";
}

/// A uniform number of `0.0..1.0`.
fn unit(rng: &mut dyn Rng) -> f64 {
    rng.random()
}

/// A uniform number of `-limit..limit`.
fn symmetric(limit: f64, rng: &mut dyn Rng) -> f64 {
    (2.0 * unit(rng) - 1.0) * limit
}

/// Leaves images as they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NoAugmentation {}

register!(NoAugmentation);

impl Plugin for NoAugmentation {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "none";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        Ok(Arc::new(self))
    }
}

impl Augmentation for NoAugmentation {
    fn apply(&self, image: Planes, _: &mut dyn Rng) -> Planes {
        image
    }
}

/// What the heatmap clustering paper trains with.
///
/// A random crop of 60 to 100 % of the area resized to the whole, a rotation up to 15 degrees, jitter of brightness, contrast,
/// saturation and hue by 0.1, another rotation up to 15 degrees, and greyscale for one image in ten.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Paper {}

register!(Paper);

impl Plugin for Paper {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "paper";
    const PAPER: Option<&'static str> = Some("arXiv 2204.12848");

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        Ok(Arc::new(self))
    }
}

impl Augmentation for Paper {
    fn apply(&self, image: Planes, rng: &mut dyn Rng) -> Planes {
        let crop = ResizedCrop { scale: [0.6, 1.0], ..ResizedCrop::default() };
        let turn = Affine { degrees: 15.0, ..Affine::default() };
        let steps: [&dyn Augmentation; 5] = [&crop, &turn, &ColourJitter::default(), &turn, &Greyscale::default()];
        steps.into_iter().fold(image, |image, step| step.apply(image, rng))
    }
}

/// Several augmentations, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chain {
    /// The augmentations in order.
    pub steps: Vec<Part<dyn Augmentation>>,
}

register!(Chain);

impl Plugin for Chain {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "chain";

    fn example() -> Self {
        let blocks = [serde_json::json!({ "use": "resized-crop" }), serde_json::json!({ "use": "flip" })];
        Self { steps: blocks.into_iter().flat_map(Part::from_json).collect() }
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        Ok(Arc::new(self))
    }
}

impl Augmentation for Chain {
    fn apply(&self, image: Planes, rng: &mut dyn Rng) -> Planes {
        self.steps.iter().fold(image, |image, step| step.apply(image, rng))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    pub(super) fn picture(channels: usize, height: usize, width: usize, seed: u64) -> Planes {
        let values = crate::testing::values(seed, channels * height * width);
        Planes { channels, height, width, values: values.into_iter().map(|value| value.abs() as f32).collect() }
    }

    proptest! {
        #[test]
        fn images_keep_their_shape_and_range(seed: u64, channels in prop_oneof![Just(1usize), Just(3), Just(4)], height in 1usize..20, width in 1usize..20) {
            let image = picture(channels, height, width, seed);
            let all: [&dyn Augmentation; 6] = [
                &Paper {},
                &ResizedCrop { scale: [0.01, 1.0], ratio: [0.2, 5.0] },
                &Affine { degrees: 180.0, translate: [0.5, 0.5], scale: [0.5, 2.0] },
                &ColourJitter { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.5 },
                &Greyscale { p: 1.0 },
                &Flip { p: 1.0 },
            ];
            for augmentation in all {
                let out = augmentation.apply(image.clone(), &mut ChaCha8Rng::seed_from_u64(seed));
                prop_assert_eq!((out.channels, out.height, out.width, out.values.len()), (channels, height, width, image.values.len()));
                prop_assert!(out.values.iter().all(|value| (0.0..=1.0).contains(value)), "{:?}", out);
                let again = augmentation.apply(image.clone(), &mut ChaCha8Rng::seed_from_u64(seed));
                prop_assert_eq!(out, again);
            }
        }
    }

    #[test]
    fn pixels_become_planes() {
        let image = Image::new(ImageShape::rgb(1, 2), vec![0, 51, 255, 102, 0, 204]).unwrap();
        assert_eq!(Planes::new(&image).values, [0.0, 0.4, 0.2, 0.0, 1.0, 0.8]);
    }
}
