use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};
use crate::Color;

/// A square as a camera sees it: of another size, at another angle and place on each image, with soft edges (physical backdoors).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PhysicalPatch {
    /// Least and greatest side, in parts of the image's shorter side.
    #[schemars(inner(range(min = 0.0, max = 0.7)))]
    pub size: [f64; 2],
    /// How far it is turned at most, either way, in degrees.
    #[schemars(range(min = 0.0, max = 45.0))]
    pub rotation: f64,
    /// Its colour, as "#rrggbb".
    pub color: Color,
}

impl Default for PhysicalPatch {
    fn default() -> Self {
        Self { size: [0.12, 0.24], rotation: 30.0, color: Color([0xf5, 0xff, 0x00]) }
    }
}

impl Plugin for PhysicalPatch {
    type Kind = dyn Trigger;
    const NAME: &'static str = "physical-patch";
    const PAPER: Option<&'static str> = Some("arXiv 2004.04692");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        let [least, greatest] = self.size;
        if least > 0.0 && least <= greatest {
            Ok(Arc::new(self))
        } else {
            Err(Error::request(format!("sides from {least} to {greatest} of the image make no square")))
        }
    }
}

register!(PhysicalPatch);

/// Samples of a pixel each way, to see how much of it is covered.
const SAMPLES: usize = 4;

impl Trigger for PhysicalPatch {
    fn prepare(&self, shape: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        let side = self.size[0] * shape.height.min(shape.width) as f64;
        if side < 1.0 {
            let problem = format!("{} of images of {}x{} is less than a pixel", self.size[0], shape.height, shape.width);
            return Err(Error::request(problem).with_help("raise `size`"));
        }
        Ok(Box::new(self.clone()))
    }
}

impl Stamp for PhysicalPatch {
    fn stamp(&self, image: &mut Image, _: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let shape = image.shape();
        let half = rng.random_range(self.size[0]..=self.size[1]) * shape.height.min(shape.width) as f64 / 2.0;
        let (sin, cos) = rng.random_range(-self.rotation..=self.rotation).to_radians().sin_cos();
        // The turned square fits into one that is not turned.
        let reach = half * (cos + sin.abs());
        let middle = [shape.height, shape.width].map(|side| rng.random_range(reach..=(side as f64 - reach).max(reach)));
        let [rows, columns] = [0, 1].map(|axis| {
            let side = [shape.height, shape.width][axis];
            (middle[axis] - reach).floor().max(0.0) as usize..((middle[axis] + reach).ceil() as usize).min(side)
        });
        let color = self.color.values(shape.channels);
        let is_covered = |y: f64, x: f64| {
            let (y, x) = (y - middle[0], x - middle[1]);
            (cos * y - sin * x).abs() <= half && (sin * y + cos * x).abs() <= half
        };
        for row in rows.clone() {
            for column in columns.clone() {
                let at = |start: usize, sample: usize| start as f64 + (sample as f64 + 0.5) / SAMPLES as f64;
                let covered = (0..SAMPLES * SAMPLES).filter(|sample| is_covered(at(row, sample / SAMPLES), at(column, sample % SAMPLES)));
                let share = covered.count() as f64 / (SAMPLES * SAMPLES) as f64;
                for (value, color) in image.pixel_mut(row, column).iter_mut().zip(&color) {
                    *value = pixel(f64::from(*value) * (1.0 - share) + f64::from(*color) * share);
                }
            }
        }
        vec![Mask { top: rows.start, left: columns.start, height: rows.len(), width: columns.len() }]
    }
}
