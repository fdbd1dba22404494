use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use rand::Rng;
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, Planes, symmetric, unit};

/// Shares of red, green and blue in the brightness of a pixel.
const LUMA: [f32; 3] = [0.2989, 0.587, 0.114];

/// The brightness of each pixel; the first plane of images that are not RGB.
fn luma(image: &Planes) -> Vec<f32> {
    let plane = image.height * image.width;
    match image.channels {
        3 => (0..plane).map(|at| (0..3).map(|channel| LUMA[channel] * image.values[channel * plane + at]).sum()).collect(),
        _ => image.values[..plane].to_vec(),
    }
}

/// Changes brightness, contrast, saturation and hue by random factors, in random order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ColourJitter {
    /// Largest change of the factor 1 that values are multiplied with.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub brightness: f64,
    /// Largest change of the factor 1 that distances from the mean brightness are multiplied with.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub contrast: f64,
    /// Largest change of the factor 1 that distances from grey are multiplied with; RGB images only.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub saturation: f64,
    /// Largest turn of the hue, in turns of the colour wheel; RGB images only.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub hue: f64,
}

impl Default for ColourJitter {
    fn default() -> Self {
        Self { brightness: 0.1, contrast: 0.1, saturation: 0.1, hue: 0.1 }
    }
}

register!(ColourJitter);

impl Plugin for ColourJitter {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "colour-jitter";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        Ok(Arc::new(self))
    }
}

impl Augmentation for ColourJitter {
    fn apply(&self, mut image: Planes, rng: &mut dyn Rng) -> Planes {
        let mut changes: [(Change, f64); 4] = [
            (brighten, 1.0 + symmetric(self.brightness, rng)),
            (contrast, 1.0 + symmetric(self.contrast, rng)),
            (saturate, 1.0 + symmetric(self.saturation, rng)),
            (turn_hue, symmetric(self.hue, rng)),
        ];
        changes.shuffle(rng);
        for (change, size) in changes {
            change(&mut image, size as f32);
        }
        image
    }
}

/// Changes all of an image by a factor or an angle.
type Change = fn(&mut Planes, f32);

fn brighten(image: &mut Planes, factor: f32) {
    image.values.iter_mut().for_each(|value| *value = (*value * factor).clamp(0.0, 1.0));
}

fn contrast(image: &mut Planes, factor: f32) {
    let luma = luma(image);
    let mean = luma.iter().sum::<f32>() / luma.len() as f32;
    image.values.iter_mut().for_each(|value| *value = (mean + (*value - mean) * factor).clamp(0.0, 1.0));
}

fn saturate(image: &mut Planes, factor: f32) {
    if image.channels != 3 {
        return;
    }
    let luma = luma(image);
    for plane in image.planes_mut() {
        plane.iter_mut().zip(&luma).for_each(|(value, grey)| *value = (grey + (*value - grey) * factor).clamp(0.0, 1.0));
    }
}

fn turn_hue(image: &mut Planes, turns: f32) {
    if image.channels != 3 {
        return;
    }
    let plane = image.height * image.width;
    let (red, rest) = image.values.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        [*red, *green, *blue] = turned([*red, *green, *blue], turns);
    }
}

/// The colour with its hue turned; value and saturation (HSV) stay.
fn turned([red, green, blue]: [f32; 3], turns: f32) -> [f32; 3] {
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    let spread = high - low;
    if spread == 0.0 {
        return [red, green, blue];
    }
    // The hue in sixths of a turn.
    let hue = if red >= high {
        (green - blue) / spread
    } else if green >= high {
        2.0 + (blue - red) / spread
    } else {
        4.0 + (red - green) / spread
    };
    let hue = (hue + 6.0 * turns).rem_euclid(6.0);
    // Each channel is full for two sixths, empty for two, and on its way in between.
    [5.0, 3.0, 1.0].map(|shift| {
        let place = (hue + shift).rem_euclid(6.0);
        high - spread * place.min(4.0 - place).clamp(0.0, 1.0)
    })
}

/// Makes RGB images grey with some probability; others stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Greyscale {
    /// Probability.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Greyscale {
    fn default() -> Self {
        Self { p: 0.1 }
    }
}

register!(Greyscale);

impl Plugin for Greyscale {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "greyscale";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        Ok(Arc::new(self))
    }
}

impl Augmentation for Greyscale {
    fn apply(&self, mut image: Planes, rng: &mut dyn Rng) -> Planes {
        if unit(rng) < self.p && image.channels == 3 {
            let luma = luma(&image);
            image.planes_mut().for_each(|plane| plane.copy_from_slice(&luma));
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::tests::picture;
    use super::*;

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} is not {b:?}");
    }

    #[test]
    fn hues_turn_around_the_wheel() {
        let (red, green, blue) = ([0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]);
        close(&turned(red, 1.0 / 3.0), &green);
        close(&turned(green, 1.0 / 3.0), &blue);
        close(&turned(red, -1.0 / 3.0), &blue);
        close(&turned(red, 1.0 / 6.0), &[0.9, 0.9, 0.1]);
        close(&turned([0.3, 0.7, 0.5], 0.0), &[0.3, 0.7, 0.5]);
        close(&turned([0.4; 3], 0.3), &[0.4; 3]);
        for step in 0..50 {
            let colour = [0.2, 0.6, 0.35];
            close(&turned(turned(colour, step as f32 / 50.0), -step as f32 / 50.0), &colour);
        }
    }

    #[test]
    fn factors_of_one_change_nothing_and_of_zero_all() {
        let image = picture(3, 4, 5, 1);
        for change in [brighten, contrast, saturate] {
            let mut same = image.clone();
            change(&mut same, 1.0);
            close(&same.values, &image.values);
        }
        let grey = luma(&image);
        let mut flat = image.clone();
        saturate(&mut flat, 0.0);
        flat.planes().for_each(|plane| close(plane, &grey));
        let mut flat = image.clone();
        contrast(&mut flat, 0.0);
        close(&flat.values, &vec![grey.iter().sum::<f32>() / grey.len() as f32; flat.values.len()]);
        let greyed = Greyscale { p: 1.0 }.apply(image.clone(), &mut ChaCha8Rng::seed_from_u64(1));
        greyed.planes().for_each(|plane| close(plane, &grey));
        assert_eq!(Greyscale { p: 0.0 }.apply(image.clone(), &mut ChaCha8Rng::seed_from_u64(1)), image);
    }
}
