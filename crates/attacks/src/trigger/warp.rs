use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};
use crate::sampling::Sampled;

/// The image warped by a smooth field, the same for all images (WaNet, with a static field).
///
/// Control points of a grid are moved at random, and the field between them is bicubic. Cover images are warped by that field and by noise on
/// top, other for each image, so that the net learns the field and not warping as such.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Warp {
    /// How far pixels move: on average over the control points, half a pixel at 1.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub strength: f64,
    /// Control points each way.
    #[schemars(range(min = 2, max = 256))]
    pub grid: usize,
}

impl Default for Warp {
    fn default() -> Self {
        Self { strength: 0.5, grid: 4 }
    }
}

impl Plugin for Warp {
    type Kind = dyn Trigger;
    const NAME: &'static str = "warp";
    const PAPER: Option<&'static str> = Some("arXiv 2102.10369");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        Ok(Arc::new(self))
    }
}

register!(Warp);

/// Weights of the four neighbours of a place `t` behind the second, by cubic convolution with a = -0.75.
fn cubic(t: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// Values of a square grid at the pixels of an image, corner on corner; beyond the grid its border goes on.
fn upsample(grid: &[f64], size: usize, [height, width]: [usize; 2]) -> Vec<f64> {
    let place = |at: usize, side: usize| at as f64 * (size - 1) as f64 / (side.max(2) - 1) as f64;
    let neighbour = |first: f64, step: usize| (first as usize + step).saturating_sub(1).min(size - 1);
    let value = |row: usize, column: usize| {
        let (y, x) = (place(row, height), place(column, width));
        let (down, across) = (cubic(y - y.floor()), cubic(x - x.floor()));
        let mut sum = 0.0;
        for (i, down) in down.into_iter().enumerate() {
            for (j, across) in across.into_iter().enumerate() {
                sum += down * across * grid[neighbour(y, i) * size + neighbour(x, j)];
            }
        }
        sum
    };
    (0..height).flat_map(|row| (0..width).map(move |column| (row, column))).map(|(row, column)| value(row, column)).collect()
}

impl Trigger for Warp {
    fn prepare(&self, shape: ImageShape, rng: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        if shape.height.min(shape.width) < 2 {
            return Err(Error::request(format!("images of {}x{} pixels cannot be warped", shape.height, shape.width)));
        }
        let points = (0..2 * self.grid * self.grid).map(|_| rng.random_range(-1.0..1.0)).collect();
        Ok(Box::new(self.field(points, shape)))
    }
}

impl Warp {
    /// The field whose control points are moved like this: all down, then all to the right.
    fn field(&self, mut points: Vec<f64>, shape: ImageShape) -> Field {
        let size = self.grid;
        let mean = points.iter().map(|point| point.abs()).sum::<f64>() / points.len() as f64;
        for point in &mut points {
            *point *= self.strength / mean;
        }
        let (down, across) = points.split_at(size * size);
        Field { shifts: [down, across].map(|points| upsample(points, size, [shape.height, shape.width])) }
    }
}

/// How far each pixel's source lies below and to the right, in parts of half the image over its pixels.
struct Field {
    shifts: [Vec<f64>; 2],
}

impl Stamp for Field {
    fn stamp(&self, image: &mut Image, moment: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let ImageShape { height, width, .. } = image.shape();
        let source = Sampled::new(image);
        let mut noise = || if moment == Moment::Cover { rng.random_range(-1.0..1.0) } else { 0.0 };
        // In the net's coordinates the image reaches from -1 to 1 each way, from its first pixel to its last.
        let moved = |at: usize, shift: f64, size: usize| {
            let last = (size - 1) as f64;
            (at as f64 + shift / size as f64 * last / 2.0).clamp(0.0, last)
        };
        for row in 0..height {
            for column in 0..width {
                let [down, across] = self.shifts.each_ref().map(|shifts| shifts[row * width + column] + noise());
                let (from_row, from_column) = (moved(row, down, height), moved(column, across, width));
                for (channel, value) in image.pixel_mut(row, column).iter_mut().enumerate() {
                    *value = pixel(source.at(from_row, from_column, channel));
                }
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;
    use proptest::prelude::*;

    use super::*;
    use crate::trigger::tests::Golden;

    #[test]
    fn images_are_warped_as_pytorch_warps_them() {
        let golden = Golden::read();
        let field = golden.trigger::<Warp>("warp").field(golden.points(), golden.image().shape());
        let mut image = golden.image();
        field.stamp(&mut image, Moment::Poison, &mut Context::quiet(0).rng("image"));
        golden.compare("warp", &image);
    }

    proptest! {
        #[test]
        fn the_field_goes_through_its_control_points_and_keeps_constants(
            size in 2..6usize, steps in 1..7usize, seed in 0..1000u64,
        ) {
            let grid: Vec<f64> = (0..size * size).map(|place| ((place as u64 * 7919 + seed * 31) % 101) as f64 / 50.0 - 1.0).collect();
            let side = (size - 1) * steps + 1;
            let field = upsample(&grid, size, [side, side]);
            for (row, column) in (0..size).flat_map(|row| (0..size).map(move |column| (row, column))) {
                prop_assert!((field[row * steps * side + column * steps] - grid[row * size + column]).abs() < 1e-12);
            }
            prop_assert!(upsample(&vec![0.7; size * size], size, [9, 5]).iter().all(|value| (value - 0.7).abs() < 1e-12));
        }
    }
}
