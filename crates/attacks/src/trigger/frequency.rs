use std::f64::consts::PI;
use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};

/// Waves in the image's colours, of which its brightness shows nothing (FTrojan, CTRL).
///
/// Adds `magnitude` to some coefficients of the discrete cosine transform of each square window, in the colour differences U and V of
/// ITU-R BT.601. Grey images take it in their brightness.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Frequency {
    /// What is added in training.
    #[schemars(range(min = -10_000.0, max = 10_000.0))]
    pub magnitude: f64,
    /// What is added when the backdoor is used; as in training, if nothing is given.
    #[schemars(range(min = -10_000.0, max = 10_000.0))]
    pub test_magnitude: Option<f64>,
    /// Pixels of a window each way. What is left over at the right and below stays.
    #[schemars(range(min = 2, max = 1024))]
    pub window: usize,
    /// Row and column of each coefficient, from 0.
    pub coefficients: Vec<[usize; 2]>,
}

impl Default for Frequency {
    fn default() -> Self {
        Self { magnitude: 30.0, test_magnitude: None, window: 32, coefficients: vec![[15, 15], [31, 31]] }
    }
}

impl Plugin for Frequency {
    type Kind = dyn Trigger;
    const NAME: &'static str = "frequency";
    const PAPER: Option<&'static str> = Some("arXiv 2111.10991");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        if self.coefficients.is_empty() {
            return Err(Error::request("no coefficient is named"));
        }
        if let Some(outside) = self.coefficients.iter().find(|place| place.iter().any(|at| *at >= self.window)) {
            let problem = format!("a window of {0}x{0} pixels has no coefficient {outside:?}", self.window);
            return Err(Error::request(problem).with_help(format!("they are numbered from 0 to {}", self.window - 1)));
        }
        Ok(Arc::new(self))
    }
}

register!(Frequency);

/// What a unit of U and V together is in red, green and blue: with R = Y + 1.14 V, G = Y - 0.395 U - 0.581 V, B = Y + 2.032 U.
const COLORS: [f64; 3] = [1.14, -0.395 - 0.581, 2.032];

impl Frequency {
    /// What a magnitude of 1 adds to the pixels of a window: the coefficients' waves, which are orthonormal.
    fn waves(&self) -> Vec<f64> {
        let size = self.window;
        let wave = |frequency: usize, at: usize| {
            let scale = if frequency == 0 { 1.0 } else { 2f64.sqrt() } / (size as f64).sqrt();
            scale * (PI * (2 * at + 1) as f64 * frequency as f64 / (2 * size) as f64).cos()
        };
        let places = (0..size).flat_map(|row| (0..size).map(move |column| (row, column)));
        places.map(|(row, column)| self.coefficients.iter().map(|[down, across]| wave(*down, row) * wave(*across, column)).sum()).collect()
    }
}

impl Trigger for Frequency {
    fn prepare(&self, shape: ImageShape, _: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        if self.window > shape.height.min(shape.width) {
            let problem = format!("a window of {0}x{0} pixels does not fit into images of {1}x{2}", self.window, shape.height, shape.width);
            return Err(Error::request(problem).with_help("choose a smaller `window`, and `coefficients` in it"));
        }
        Ok(Box::new(Waves { frequency: self.clone(), waves: self.waves() }))
    }
}

struct Waves {
    frequency: Frequency,
    waves: Vec<f64>,
}

impl Stamp for Waves {
    fn stamp(&self, image: &mut Image, moment: Moment, _: &mut dyn Rng) -> Vec<Mask> {
        let Frequency { magnitude, test_magnitude, window, .. } = self.frequency;
        let magnitude = test_magnitude.filter(|_| moment == Moment::Test).unwrap_or(magnitude);
        let ImageShape { height, width, .. } = image.shape();
        for row in 0..height / window * window {
            for column in 0..width / window * window {
                let shift = magnitude * self.waves[row % window * window + column % window];
                let values = image.pixel_mut(row, column);
                let parts = if values.len() == COLORS.len() { COLORS } else { [1.0; 3] };
                values.iter_mut().zip(parts).for_each(|(value, part)| *value = pixel(f64::from(*value) + shift * part));
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

    /// The orthonormal discrete cosine transform of a square plane, or its inverse, by its definition.
    fn transformed(plane: &[f64], size: usize, inverse: bool) -> Vec<f64> {
        let basis = |frequency: usize, at: usize| {
            let scale = if frequency == 0 { (1.0 / size as f64).sqrt() } else { (2.0 / size as f64).sqrt() };
            scale * ((at as f64 + 0.5) * frequency as f64 * PI / size as f64).cos()
        };
        let places = || (0..size).flat_map(|row| (0..size).map(move |column| (row, column)));
        let sum = |(u, v): (usize, usize)| {
            places().map(|(i, j)| plane[i * size + j] * if inverse { basis(i, u) * basis(j, v) } else { basis(u, i) * basis(v, j) }).sum()
        };
        places().map(sum).collect()
    }

    proptest! {
        #[test]
        fn waves_are_what_added_coefficients_are(
            (size, coefficients) in (2..12usize).prop_flat_map(|size| (Just(size), prop::collection::vec([0..size, 0..size], 1..4))),
            magnitude in -50.0..50.0f64,
        ) {
            let plane: Vec<f64> = (0..size * size).map(|place| (place * 37 % 251) as f64).collect();
            let mut spectrum = transformed(&plane, size, false);
            for [row, column] in &coefficients {
                spectrum[row * size + column] += magnitude;
            }
            let expected = transformed(&spectrum, size, true);
            let waves = Frequency { window: size, coefficients, ..Frequency::default() }.waves();
            for ((before, wave), after) in plane.iter().zip(waves).zip(expected) {
                prop_assert!((before + magnitude * wave - after).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn brightness_hardly_changes() {
        let shape = ImageShape::rgb(32, 32);
        let mut image = Image::new(shape, vec![128; shape.len()]).unwrap();
        let mut rng = Context::quiet(0).rng("trigger");
        let stamp = Frequency::default().prepare(shape, &mut rng).unwrap();
        stamp.stamp(&mut image, Moment::Poison, &mut rng);
        assert!(image.pixels().iter().any(|value| value.abs_diff(128) > 1));
        for rgb in image.pixels().chunks(3) {
            let brightness: f64 = rgb.iter().zip([0.299, 0.587, 0.114]).map(|(value, part)| f64::from(*value) * part).sum();
            assert!((brightness - 128.0).abs() < 1.0);
        }
    }

    #[test]
    fn coefficients_outside_the_window_are_refused() {
        let outside = Frequency { window: 8, coefficients: vec![[3, 8]], ..Frequency::default() };
        assert_eq!(outside.build().err().unwrap().to_string(), "a window of 8x8 pixels has no coefficient [3, 8]");
        let none = Frequency { coefficients: Vec::new(), ..Frequency::default() };
        assert!(none.build().is_err());
    }
}
