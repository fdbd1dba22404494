use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Plugin, Result, register};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Stamp, Trigger, pixel};

/// A picture that shines through the whole image (Blended); in pieces, some of which are left out in training (Adaptive-Blend).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Blend {
    /// The picture.
    pub picture: Picture,
    /// Its part of each pixel in training.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub alpha: f64,
    /// Its part of each pixel when the backdoor is used; as in training, if none is given.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_alpha: Option<f64>,
    /// Pieces that are left out in training, other ones of each image.
    pub pieces: Option<Pieces>,
}

/// Pictures of Bezoar's own, of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Picture {
    /// A random colour for each pixel.
    Noise,
    /// Eight by eight squares in two random colours.
    Checkers,
    /// Rings around the middle, in random colours.
    Rings,
}

/// A picture cut into squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pieces {
    /// Pieces each way.
    #[schemars(range(min = 1, max = 1024))]
    pub grid: usize,
    /// The share of them that is shown in training.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub shown: f64,
}

impl Default for Blend {
    fn default() -> Self {
        Self { picture: Picture::Rings, alpha: 0.2, test_alpha: None, pieces: None }
    }
}

impl Plugin for Blend {
    type Kind = dyn Trigger;
    const NAME: &'static str = "blend";
    const PAPER: Option<&'static str> = Some("arXiv 1712.05526");

    fn example() -> Self {
        Self { pieces: Some(Pieces { grid: 4, shown: 0.5 }), ..Self::default() }
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        match self.pieces {
            Some(Pieces { grid, shown }) if (shown * (grid * grid) as f64).round() < 1.0 => {
                Err(Error::request(format!("{shown} of {grid}x{grid} pieces is no piece at all")))
            }
            _ => Ok(Arc::new(self)),
        }
    }
}

register!(Blend);

impl Picture {
    /// Its values, `[height, width, channels]`.
    fn paint(self, ImageShape { height, width, channels }: ImageShape, rng: &mut dyn Rng) -> Vec<u8> {
        let mut color = || (0..channels).map(|_| rng.random()).collect::<Vec<u8>>();
        let palette: Vec<Vec<u8>> = (0..8).map(|_| color()).collect();
        let places = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let across = |at: usize, size: usize| (2 * at + 1) as f64 / size as f64 - 1.0;
        let paint = |(row, column): (usize, usize)| match self {
            Self::Noise => color(),
            Self::Checkers => palette[(row * 8 / height + column * 8 / width) % 2].clone(),
            Self::Rings => palette[(across(row, height).hypot(across(column, width)) * 6.0) as usize % palette.len()].clone(),
        };
        places.flat_map(paint).collect()
    }
}

impl Trigger for Blend {
    fn prepare(&self, shape: ImageShape, rng: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        if let Some(Pieces { grid, .. }) = self.pieces
            && grid > shape.height.min(shape.width)
        {
            let problem = format!("images of {}x{} pixels cannot be cut into {grid}x{grid} pieces", shape.height, shape.width);
            return Err(Error::request(problem));
        }
        Ok(Box::new(Painted { blend: self.clone(), values: self.picture.paint(shape, rng) }))
    }
}

struct Painted {
    blend: Blend,
    values: Vec<u8>,
}

impl Stamp for Painted {
    fn stamp(&self, image: &mut Image, moment: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let Blend { alpha, test_alpha, pieces, .. } = self.blend;
        let alpha = test_alpha.filter(|_| moment == Moment::Test).unwrap_or(alpha);
        let ImageShape { height, width, channels } = image.shape();
        let pieces = pieces.filter(|_| moment != Moment::Test);
        let shown = pieces.map(|Pieces { grid, shown }| {
            let all = grid * grid;
            let mut is_shown = vec![false; all];
            let count = ((shown * all as f64).round() as usize).min(all);
            rand::seq::index::sample(rng, all, count).into_iter().for_each(|piece| is_shown[piece] = true);
            (grid, is_shown)
        });
        for row in 0..height {
            for column in 0..width {
                let hidden = shown.as_ref().is_some_and(|(grid, shown)| !shown[row * grid / height * grid + column * grid / width]);
                if hidden {
                    continue;
                }
                let own = &self.values[(row * width + column) * channels..][..channels];
                for (value, own) in image.pixel_mut(row, column).iter_mut().zip(own) {
                    *value = pixel(f64::from(*value) * (1.0 - alpha) + f64::from(*own) * alpha);
                }
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;

    use super::*;

    /// Black images, so that what they become is the picture.
    fn blended(blend: &Blend, moment: Moment, seed: u64) -> Image {
        let shape = ImageShape::rgb(16, 16);
        let mut image = Image::new(shape, vec![0; shape.len()]).unwrap();
        let stamp = blend.prepare(shape, &mut Context::quiet(0).rng("trigger")).unwrap();
        stamp.stamp(&mut image, moment, &mut Context::quiet(seed).rng("image"));
        image
    }

    #[test]
    fn the_picture_has_its_part_of_each_pixel() {
        let picture = Blend { picture: Picture::Noise, alpha: 1.0, ..Blend::default() };
        let whole = blended(&picture, Moment::Poison, 0);
        let weak = Blend { alpha: 0.25, test_alpha: Some(0.5), ..picture };
        for (moment, alpha) in [(Moment::Poison, 0.25), (Moment::Cover, 0.25), (Moment::Test, 0.5)] {
            let expected: Vec<u8> = whole.pixels().iter().map(|value| pixel(f64::from(*value) * alpha)).collect();
            assert_eq!(blended(&weak, moment, 1).pixels(), expected);
        }
    }

    #[test]
    fn pieces_are_left_out_in_training_alone() {
        let whole = Blend { picture: Picture::Noise, alpha: 1.0, ..Blend::default() };
        let pieces = Blend { pieces: Some(Pieces { grid: 4, shown: 0.5 }), ..whole.clone() };
        let shown = |moment, seed| {
            let image = blended(&pieces, moment, seed);
            let is_black = |piece: usize| {
                let mut pixels = (0..16).map(|at| (piece / 4 * 4 + at / 4) * 16 + piece % 4 * 4 + at % 4);
                pixels.all(|place| image.pixels()[place * 3..place * 3 + 3] == [0; 3])
            };
            (0..16).filter(|piece| !is_black(*piece)).collect::<Vec<_>>()
        };
        assert_eq!([shown(Moment::Poison, 1).len(), shown(Moment::Cover, 2).len()], [8; 2]);
        assert_ne!(shown(Moment::Poison, 1), shown(Moment::Poison, 2), "each image has other pieces");
        assert_eq!(blended(&pieces, Moment::Test, 1), blended(&whole, Moment::Test, 2));
    }
}
