use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};
use crate::{Corner, Place};

/// Small patterns in the corners that make pixels lighter and darker (label-consistent attacks).
///
/// With a low amplitude in training they are hard to see; used at full amplitude, they still work.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Pattern {
    /// Rows of `+`, `-` and `.` from the corner inwards: lighter, darker, as it was.
    pub rows: Vec<String>,
    /// By how much in training, of 255.
    #[schemars(range(min = 1, max = 255))]
    pub amplitude: u8,
    /// By how much when the backdoor is used.
    #[schemars(range(min = 1, max = 255))]
    pub test_amplitude: u8,
    /// Which corners.
    pub corners: Vec<Corner>,
    /// Pixels between the pattern and the image's sides.
    pub inset: usize,
}

impl Default for Pattern {
    fn default() -> Self {
        let rows = ["+-+", "-+-", "+--"].map(str::to_owned).to_vec();
        Self { rows, amplitude: 255, test_amplitude: 255, corners: Corner::ALL.to_vec(), inset: 0 }
    }
}

impl Plugin for Pattern {
    type Kind = dyn Trigger;
    const NAME: &'static str = "pattern";
    const PAPER: Option<&'static str> = Some("arXiv 1912.02771");

    fn example() -> Self {
        Self { amplitude: 64, ..Self::default() }
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        let width = self.rows.first().map_or(0, String::len);
        if width == 0 || self.corners.is_empty() {
            return Err(Error::request("the pattern has no pixel, or no corner"));
        }
        if let Some(row) = self.rows.iter().find(|row| row.len() != width || row.contains(|sign| !"+-.".contains(sign))) {
            return Err(Error::request(format!("{row:?} is no row of the pattern")).with_help("rows are equally long, of `+`, `-` and `.`"));
        }
        Ok(Arc::new(self))
    }
}

register!(Pattern);

impl Pattern {
    fn size(&self) -> [usize; 2] {
        [self.rows.len(), self.rows[0].len()]
    }
}

impl Trigger for Pattern {
    fn prepare(&self, shape: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        for &at in &self.corners {
            Place::Corner { at, inset: self.inset }.check_room(self.size(), shape)?;
        }
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for Pattern {
    fn stamp(&self, image: &mut Image, moment: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let amplitude = f64::from(if moment == Moment::Test { self.test_amplitude } else { self.amplitude });
        let [height, width] = self.size();
        let corner = |&at: &Corner| {
            let mask = Place::Corner { at, inset: self.inset }.draw([height, width], image.shape(), rng);
            let [bottom, right] = at.sides();
            for (i, row) in self.rows.iter().enumerate() {
                for (j, sign) in row.bytes().enumerate() {
                    let shift = match sign {
                        b'+' => amplitude,
                        b'-' => -amplitude,
                        _ => 0.0,
                    };
                    let y = mask.top + if bottom { height - 1 - i } else { i };
                    let x = mask.left + if right { width - 1 - j } else { j };
                    image.pixel_mut(y, x).iter_mut().for_each(|value| *value = pixel(f64::from(*value) + shift));
                }
            }
            mask
        };
        self.corners.iter().map(corner).collect()
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;

    use super::*;

    /// The lower right corner as the code of arXiv 1912.02771 writes it, row by row; the others are its mirror images.
    const PUBLISHED: [[i16; 3]; 3] = [[-1, -1, 1], [-1, 1, -1], [1, -1, 1]];

    #[test]
    fn each_corner_has_the_published_pattern() {
        let shape = ImageShape::rgb(12, 14);
        let mut rng = Context::quiet(0).rng("trigger");
        let stamp = Pattern { amplitude: 16, inset: 2, ..Pattern::default() }.prepare(shape, &mut rng).unwrap();
        for (moment, amplitude) in [(Moment::Poison, 16), (Moment::Cover, 16), (Moment::Test, 255)] {
            let mut image = Image::new(shape, vec![100; shape.len()]).unwrap();
            let masks = stamp.stamp(&mut image, moment, &mut rng);
            assert_eq!(masks.iter().map(|mask| [mask.top, mask.left]).collect::<Vec<_>>(), [[2, 2], [2, 9], [7, 2], [7, 9]]);
            for (mask, [bottom, right]) in masks.iter().zip(Corner::ALL.map(Corner::sides)) {
                for (i, row) in PUBLISHED.iter().enumerate() {
                    for (j, sign) in row.iter().enumerate() {
                        let [y, x] = [if bottom { i } else { 2 - i }, if right { j } else { 2 - j }];
                        let expected = (100 + sign * amplitude).clamp(0, 255) as u8;
                        assert_eq!(image.pixel_mut(mask.top + y, mask.left + x), [expected; 3], "{i} {j} of {mask:?}");
                    }
                }
            }
        }
    }
}
