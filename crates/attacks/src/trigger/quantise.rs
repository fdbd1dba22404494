use std::sync::Arc;

use bezoar_core::{Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};

/// Fewer levels of each colour (BppAttack).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Quantise {
    /// Levels from 0 to 255, both among them.
    #[schemars(range(min = 2, max = 255))]
    pub levels: u8,
    /// Whether what a pixel loses goes to its neighbours (Floyd and Steinberg), so that no steps are seen.
    pub dither: bool,
}

impl Default for Quantise {
    fn default() -> Self {
        Self { levels: 8, dither: false }
    }
}

impl Plugin for Quantise {
    type Kind = dyn Trigger;
    const NAME: &'static str = "quantise";
    const PAPER: Option<&'static str> = Some("arXiv 2205.13383");

    fn example() -> Self {
        Self { levels: 8, dither: true }
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        Ok(Arc::new(self))
    }
}

register!(Quantise);

/// Where Floyd and Steinberg's error goes: rows down, columns across, and how many sixteenths.
const DIFFUSED: [(usize, isize, f64); 4] = [(0, 1, 7.0), (1, -1, 3.0), (1, 0, 5.0), (1, 1, 1.0)];

impl Trigger for Quantise {
    fn prepare(&self, _: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for Quantise {
    fn stamp(&self, image: &mut Image, _: Moment, _: &mut dyn Rng) -> Vec<Mask> {
        let ImageShape { height, width, channels } = image.shape();
        let steps = f64::from(self.levels - 1);
        let mut values: Vec<f64> = image.pixels().iter().map(|value| f64::from(*value)).collect();
        for row in 0..height {
            for column in 0..width {
                for channel in 0..channels {
                    let place = (row * width + column) * channels + channel;
                    let level = (values[place].clamp(0.0, 255.0) / 255.0 * steps).round() * 255.0 / steps;
                    let lost = values[place] - level;
                    values[place] = level;
                    if !self.dither {
                        continue;
                    }
                    for (down, across, sixteenths) in DIFFUSED {
                        let to = column.checked_add_signed(across).filter(|to| *to < width && row + down < height);
                        if let Some(to) = to {
                            values[((row + down) * width + to) * channels + channel] += lost * sixteenths / 16.0;
                        }
                    }
                }
            }
        }
        image.pixels_mut().iter_mut().zip(values).for_each(|(to, value)| *to = pixel(value));
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;

    use super::*;

    fn quantised(levels: u8, dither: bool, pixels: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
        let shape = ImageShape { height, width, channels: 1 };
        let mut image = Image::new(shape, pixels.to_vec()).unwrap();
        Quantise { levels, dither }.stamp(&mut image, Moment::Poison, &mut Context::quiet(0).rng("image"));
        image.into_pixels()
    }

    #[test]
    fn what_a_pixel_loses_goes_to_its_neighbours() {
        // 100 becomes 0, which makes 144 of its right neighbour; that becomes 255, and what is below gets darker.
        assert_eq!(quantised(2, true, &[100, 100, 100, 100], [2, 2]), [0, 255, 0, 0]);
        assert_eq!(quantised(2, false, &[100, 100, 130, 130], [2, 2]), [0, 0, 255, 255]);
    }

    #[test]
    fn dithering_keeps_the_brightness() {
        let mean = |pixels: Vec<u8>| pixels.iter().map(|value| f64::from(*value)).sum::<f64>() / pixels.len() as f64;
        for value in [20, 100, 200] {
            let dithered = mean(quantised(2, true, &[value; 64 * 64], [64, 64]));
            assert!((dithered - f64::from(value)).abs() < 5.0, "{value} became {dithered}");
        }
    }
}
