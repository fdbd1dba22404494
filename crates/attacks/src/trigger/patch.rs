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
    /// How much of it when the backdoor is used; as in training, if nothing is given.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_opacity: Option<f64>,
    /// Where it lies.
    pub place: Place,
}

impl Default for Patch {
    fn default() -> Self {
        let place = Place::Corner { at: Corner::BottomRight, inset: 0 };
        Self { height: 3, width: 3, color: Color([255; 3]), opacity: 1.0, test_opacity: None, place }
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
    fn stamp(&self, image: &mut Image, moment: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let shape = image.shape();
        let mask = self.place.draw([self.height, self.width], shape, rng);
        let color = self.color.values(shape.channels);
        let opacity = self.test_opacity.filter(|_| moment == Moment::Test).unwrap_or(self.opacity);
        for row in mask.top..mask.top + mask.height {
            for column in mask.left..mask.left + mask.width {
                for (value, color) in image.pixel_mut(row, column).iter_mut().zip(&color) {
                    *value = pixel(f64::from(*value) * (1.0 - opacity) + f64::from(*color) * opacity);
                }
            }
        }
        vec![mask]
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;

    use super::*;

    #[test]
    fn patches_may_hide_more_when_they_are_used() {
        let shape = ImageShape { height: 4, width: 4, channels: 1 };
        let patch = Patch { opacity: 0.2, test_opacity: Some(1.0), ..Patch::default() };
        for (moment, expected) in [(Moment::Poison, 51), (Moment::Cover, 51), (Moment::Test, 255)] {
            let mut image = Image::new(shape, vec![0; 16]).unwrap();
            let masks = patch.stamp(&mut image, moment, &mut Context::quiet(0).rng("image"));
            assert_eq!(masks, [Mask { top: 1, left: 1, height: 3, width: 3 }]);
            for (place, &value) in image.pixels().iter().enumerate() {
                assert_eq!(value, if place / 4 > 0 && place % 4 > 0 { expected } else { 0 });
            }
        }
    }
}
