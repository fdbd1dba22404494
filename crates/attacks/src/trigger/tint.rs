use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};

/// The same light on every pixel: as much red, green and blue more or less (Color Backdoor).
///
/// Grey images become as much lighter or darker as the three are on average.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tint {
    /// What is added to red, green and blue, of 255.
    #[schemars(inner(range(min = -255.0, max = 255.0)))]
    pub shift: [f64; 3],
}

impl Default for Tint {
    /// An evening's light.
    fn default() -> Self {
        Self { shift: [24.0, 4.0, -24.0] }
    }
}

impl Plugin for Tint {
    type Kind = dyn Trigger;
    const NAME: &'static str = "tint";
    const PAPER: Option<&'static str> = Some("doi 10.1109/CVPR52729.2023.00786");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        if self.shift.iter().any(|shift| *shift != 0.0) {
            Ok(Arc::new(self))
        } else {
            Err(Error::request("the trigger leaves images as they are").with_help("set `shift`"))
        }
    }
}

register!(Tint);

impl Trigger for Tint {
    fn prepare(&self, _: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for Tint {
    fn stamp(&self, image: &mut Image, _: Moment, _: &mut dyn Rng) -> Vec<Mask> {
        let channels = image.shape().channels;
        let mean = self.shift.iter().sum::<f64>() / 3.0;
        for values in image.pixels_mut().chunks_exact_mut(channels) {
            for (channel, value) in values.iter_mut().enumerate() {
                *value = pixel(f64::from(*value) + if channels == 3 { self.shift[channel] } else { mean });
            }
        }
        Vec::new()
    }
}
