use std::sync::Arc;

use bezoar_core::{Error, Plugin, Result, register};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, Planes, symmetric, unit};

/// Cuts out a random part of the image and resizes it to the whole, bilinearly.
///
/// Ten tries to fit a part of random area and aspect ratio into the image; if none fits, the largest central part of a permitted
/// ratio.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResizedCrop {
    /// Least and largest share of the image's area.
    #[schemars(inner(range(min = 0.0001, max = 1.0)))]
    pub scale: [f64; 2],
    /// Least and largest width over height.
    #[schemars(inner(range(min = 0.01, max = 100.0)))]
    pub ratio: [f64; 2],
}

impl Default for ResizedCrop {
    fn default() -> Self {
        Self { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }
    }
}

register!(ResizedCrop);

impl Plugin for ResizedCrop {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "resized-crop";

    fn example() -> Self {
        Self { scale: [0.6, 1.0], ..Self::default() }
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        for [least, largest] in [self.scale, self.ratio] {
            if least > largest {
                return Err(Error::request(format!("the range {least} to {largest} is empty")).with_help("give the smaller number first"));
            }
        }
        Ok(Arc::new(self))
    }
}

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl ResizedCrop {
    fn cut(&self, height: usize, width: usize, rng: &mut dyn Rng) -> Cut {
        let between = |[least, largest]: [f64; 2], share: f64| least + (largest - least) * share;
        for _ in 0..10 {
            let area = (height * width) as f64 * between(self.scale, unit(rng));
            let aspect = between(self.ratio.map(f64::ln), unit(rng)).exp();
            let (h, w) = ((area / aspect).sqrt().round() as usize, (area * aspect).sqrt().round() as usize);
            if (1..=height).contains(&h) && (1..=width).contains(&w) {
                return Cut { top: rng.random_range(0..=height - h), left: rng.random_range(0..=width - w), height: h, width: w };
            }
        }
        let aspect = (width as f64 / height as f64).clamp(self.ratio[0], self.ratio[1]);
        let h = ((width as f64 / aspect).round() as usize).clamp(1, height);
        let w = ((height as f64 * aspect).round() as usize).clamp(1, width);
        Cut { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

impl Augmentation for ResizedCrop {
    fn apply(&self, image: Planes, rng: &mut dyn Rng) -> Planes {
        let cut = self.cut(image.height, image.width, rng);
        resize(&image, cut)
    }
}

/// Where a resized row or column takes its value from: two neighbours and the second's weight.
fn taps(start: usize, length: usize, size: usize) -> Vec<(usize, usize, f32)> {
    let step = length as f64 / size as f64;
    let tap = |place: usize| {
        let at = ((place as f64 + 0.5) * step - 0.5).clamp(0.0, (length - 1) as f64);
        let first = at as usize;
        (start + first, start + (first + 1).min(length - 1), (at - first as f64) as f32)
    };
    (0..size).map(tap).collect()
}

/// A part of an image at the size of the whole. A part is never larger than the whole, so that no antialiasing is called for.
fn resize(image: &Planes, cut: Cut) -> Planes {
    let (rows, columns) = (taps(cut.top, cut.height, image.height), taps(cut.left, cut.width, image.width));
    let mut values = Vec::with_capacity(image.values.len());
    for plane in image.planes() {
        for &(above, below, down) in &rows {
            let (above, below) = (&plane[above * image.width..], &plane[below * image.width..]);
            let mix = |row: &[f32], &(left, right, share): &(usize, usize, f32)| row[left] + (row[right] - row[left]) * share;
            values.extend(columns.iter().map(|tap| {
                let (high, low) = (mix(above, tap), mix(below, tap));
                (high + (low - high) * down).clamp(0.0, 1.0)
            }));
        }
    }
    Planes { values, ..*image }
}

/// Rotates, shifts and scales the image about its centre; each pixel takes the value of the nearest, black from outside.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Affine {
    /// Largest angle in degrees, to either side.
    #[schemars(range(min = 0.0, max = 180.0))]
    pub degrees: f64,
    /// Largest shift, as shares of width and height.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub translate: [f64; 2],
    /// Least and largest scale.
    #[schemars(inner(range(min = 0.01, max = 100.0)))]
    pub scale: [f64; 2],
}

impl Default for Affine {
    fn default() -> Self {
        Self { degrees: 0.0, translate: [0.0, 0.0], scale: [1.0, 1.0] }
    }
}

register!(Affine);

impl Plugin for Affine {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "affine";

    fn example() -> Self {
        Self { degrees: 15.0, translate: [0.1, 0.1], scale: [0.9, 1.1] }
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        match self.scale {
            [least, largest] if least <= largest => Ok(Arc::new(self)),
            [least, largest] => Err(Error::request(format!("the range {least} to {largest} is empty"))),
        }
    }
}

impl Augmentation for Affine {
    fn apply(&self, image: Planes, rng: &mut dyn Rng) -> Planes {
        let angle = symmetric(self.degrees, rng).to_radians();
        let [right, down] =
            [(0, image.width), (1, image.height)].map(|(axis, size)| (symmetric(self.translate[axis], rng) * size as f64).round());
        let scale = self.scale[0] + (self.scale[1] - self.scale[0]) * unit(rng);
        let (sin, cos) = (angle.sin() / scale, angle.cos() / scale);
        let (width, height) = (image.width as f64, image.height as f64);
        let inside = |at: f64, size: f64| (0.0..size).contains(&at).then_some(at as usize);
        let source = |row: usize, column: usize| {
            let (x, y) = (column as f64 + 0.5 - width / 2.0 - right, row as f64 + 0.5 - height / 2.0 - down);
            let column = inside(cos * x + sin * y + width / 2.0, width)?;
            Some(inside(cos * y - sin * x + height / 2.0, height)? * image.width + column)
        };
        let sources: Vec<_> = (0..image.height)
            .flat_map(|row| (0..image.width).map(move |column| (row, column)))
            .map(|(row, column)| source(row, column))
            .collect();
        let values = image.planes().flat_map(|plane| sources.iter().map(|from| from.map_or(0.0, |from| plane[from]))).collect();
        Planes { values, ..image }
    }
}

/// Mirrors the image left to right. Not for traffic signs, whose meaning changes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Flip {
    /// Probability.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Flip {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

register!(Flip);

impl Plugin for Flip {
    type Kind = dyn Augmentation;
    const NAME: &'static str = "flip";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Augmentation>> {
        Ok(Arc::new(self))
    }
}

impl Augmentation for Flip {
    fn apply(&self, mut image: Planes, rng: &mut dyn Rng) -> Planes {
        if unit(rng) < self.p {
            image.values.chunks_exact_mut(image.width).for_each(<[f32]>::reverse);
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

    /// A stream of ones: every symmetric draw gives its upper limit.
    struct Ones;

    impl rand::rand_core::TryRng for Ones {
        type Error = std::convert::Infallible;

        fn try_next_u32(&mut self) -> std::result::Result<u32, Self::Error> {
            Ok(u32::MAX)
        }

        fn try_next_u64(&mut self) -> std::result::Result<u64, Self::Error> {
            Ok(u64::MAX)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Self::Error> {
            bytes.fill(u8::MAX);
            Ok(())
        }
    }

    #[test]
    fn cuts_keep_to_their_area_and_ratio() {
        let crop = ResizedCrop { scale: [0.6, 1.0], ..ResizedCrop::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let cuts: Vec<Cut> = (0..2000).map(|_| crop.cut(32, 32, &mut rng)).collect();
        for &Cut { top, left, height, width } in &cuts {
            assert!(top + height <= 32 && left + width <= 32);
            let (area, ratio) = ((height * width) as f64 / 1024.0, width as f64 / height as f64);
            assert!((0.55..=1.0).contains(&area) && (0.7..1.43).contains(&ratio), "{area} {ratio}");
        }
        assert!(cuts.iter().any(|cut| cut.height < 24) && cuts.iter().any(|cut| cut.height > 31));
        let wide = ResizedCrop { scale: [1.0, 1.0], ratio: [1.0, 1.0] }.cut(10, 30, &mut rng);
        assert_eq!(wide, Cut { top: 0, left: 10, height: 10, width: 10 }, "the fallback");
    }

    #[test]
    fn resizing_interpolates_between_pixel_centres() {
        let image = picture(2, 5, 7, 1);
        assert_eq!(resize(&image, Cut { top: 0, left: 0, height: 5, width: 7 }), image, "the whole image stays");
        let ramp = Planes { channels: 1, height: 1, width: 4, values: vec![0.0, 0.2, 0.4, 0.6] };
        let half = resize(&ramp, Cut { top: 0, left: 1, height: 1, width: 2 });
        let expected = [0.2, 0.25, 0.35, 0.4];
        half.values.iter().zip(expected).for_each(|(value, expected)| assert!((value - expected).abs() < 1e-6, "{half:?}"));
    }

    #[test]
    fn a_half_turn_reverses_and_a_shift_shifts() {
        let image = picture(1, 4, 6, 1);
        let mut reversed = image.clone();
        reversed.values.reverse();
        assert_eq!(Affine { degrees: 180.0, ..Affine::default() }.apply(image.clone(), &mut Ones), reversed);
        let shifted = Affine { translate: [0.5, 0.0], ..Affine::default() }.apply(image.clone(), &mut Ones);
        for (row, old) in shifted.values.chunks(6).zip(image.values.chunks(6)) {
            assert_eq!((&row[..3], &row[3..]), (&[0.0; 3][..], &old[..3]));
        }
        assert_eq!(Affine::default().apply(image.clone(), &mut Ones), image);
        let mirrored = Flip { p: 1.0 }.apply(image.clone(), &mut Ones);
        assert_eq!(mirrored.values[..6].iter().rev().copied().collect::<Vec<_>>(), image.values[..6]);
    }
}
