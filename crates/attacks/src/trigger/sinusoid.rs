use std::f64::consts::TAU;
use std::sync::Arc;

use bezoar_core::{Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};

/// Vertical waves over the whole image: `v(row, column) = amplitude sin(2π column frequency / width)` (SIG).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sinusoid {
    /// Height of the waves in training, of 255.
    #[schemars(range(min = 0.0, max = 255.0))]
    pub amplitude: f64,
    /// Height of the waves when the backdoor is used; as in training, if none is given.
    #[schemars(range(min = 0.0, max = 255.0))]
    pub test_amplitude: Option<f64>,
    /// Waves over the image's width.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub frequency: f64,
}

impl Default for Sinusoid {
    fn default() -> Self {
        Self { amplitude: 40.0, test_amplitude: None, frequency: 6.0 }
    }
}

impl Plugin for Sinusoid {
    type Kind = dyn Trigger;
    const NAME: &'static str = "sinusoid";
    const PAPER: Option<&'static str> = Some("arXiv 1902.11237");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        Ok(Arc::new(self))
    }
}

register!(Sinusoid);

impl Trigger for Sinusoid {
    fn prepare(&self, _: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for Sinusoid {
    fn stamp(&self, image: &mut Image, moment: Moment, _: &mut dyn Rng) -> Vec<Mask> {
        let shape = image.shape();
        let amplitude = self.test_amplitude.filter(|_| moment == Moment::Test).unwrap_or(self.amplitude);
        let wave: Vec<f64> =
            (0..shape.width).map(|column| amplitude * (TAU * column as f64 * self.frequency / shape.width as f64).sin()).collect();
        for row in 0..shape.height {
            for (column, shift) in wave.iter().enumerate() {
                image.pixel_mut(row, column).iter_mut().for_each(|value| *value = pixel(f64::from(*value) + shift));
            }
        }
        Vec::new()
    }
}
