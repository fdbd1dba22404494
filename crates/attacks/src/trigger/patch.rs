use std::sync::Arc;

use bezoar_core::{Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};
use crate::{Color, Corner, Place};

/// A small rectangle of one colour (BadNets).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Patch {
    /// Rows of pixels.
    #[schemars(range(min = 1))]
    pub height: usize,
    /// Columns of pixels.
    #[schemars(range(min = 1))]
    pub width: usize,
    /// Its colour, as "#rrggbb".
    pub color: Color,
    /// How much of the image it hides, of 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub opacity: f64,
    /// Where it lies.
    pub place: Place,
}

impl Default for Patch {
    fn default() -> Self {
        Self { height: 3, width: 3, color: Color([255; 3]), opacity: 1.0, place: Place::Corner { at: Corner::BottomRight, inset: 0 } }
    }
}

impl Plugin for Patch {
    type Kind = dyn Trigger;
    const NAME: &'static str = "patch";
    const PAPER: Option<&'static str> = Some("arXiv 1708.06733");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        self.place.check()?;
        Ok(Arc::new(self))
    }
}

register!(Patch);

impl Trigger for Patch {
    fn prepare(&self, shape: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        self.place.check_room([self.height, self.width], shape)?;
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for Patch {
    fn stamp(&self, image: &mut Image, _: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let shape = image.shape();
        let mask = self.place.draw([self.height, self.width], shape, rng);
        let color = self.color.values(shape.channels);
        for row in mask.top..mask.top + mask.height {
            for column in mask.left..mask.left + mask.width {
                for (value, color) in image.pixel_mut(row, column).iter_mut().zip(&color) {
                    *value = pixel(f64::from(*value) * (1.0 - self.opacity) + f64::from(*color) * self.opacity);
                }
            }
        }
        vec![mask]
    }
}
