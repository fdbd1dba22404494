use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};
use crate::sampling::Sampled;

/// The image turned, or moved, by always the same (BATT).
///
/// Bilinear; what comes from outside is black.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Affine {
    /// Degrees, against the clock.
    #[schemars(range(min = -180.0, max = 180.0))]
    pub rotation: f64,
    /// Down and to the right, in parts of the image's height and width.
    #[schemars(inner(range(min = -1.0, max = 1.0)))]
    pub shift: [f64; 2],
}

impl Default for Affine {
    fn default() -> Self {
        Self { rotation: 16.0, shift: [0.0; 2] }
    }
}

impl Plugin for Affine {
    type Kind = dyn Trigger;
    const NAME: &'static str = "affine";
    const PAPER: Option<&'static str> = Some("arXiv 2211.01806");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        if self.rotation.abs() + self.shift[0].abs() + self.shift[1].abs() > 0.0 {
            Ok(Arc::new(self))
        } else {
            Err(Error::request("the trigger leaves images as they are").with_help("set `rotation` or `shift`"))
        }
    }
}

register!(Affine);

impl Trigger for Affine {
    fn prepare(&self, _: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for Affine {
    fn stamp(&self, image: &mut Image, _: Moment, _: &mut dyn Rng) -> Vec<Mask> {
        let ImageShape { height, width, .. } = image.shape();
        let source = Sampled::new(image);
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        let middle = [height, width].map(|size| (size as f64 - 1.0) / 2.0);
        let moved = [self.shift[0] * height as f64, self.shift[1] * width as f64];
        for row in 0..height {
            for column in 0..width {
                let (y, x) = (row as f64 - middle[0] - moved[0], column as f64 - middle[1] - moved[1]);
                let (from_row, from_column) = (middle[0] + cos * y + sin * x, middle[1] - sin * y + cos * x);
                for (channel, value) in image.pixel_mut(row, column).iter_mut().enumerate() {
                    *value = pixel(source.at(from_row, from_column, channel));
                }
            }
        }
        Vec::new()
    }
}
