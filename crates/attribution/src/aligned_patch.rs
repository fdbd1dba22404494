use std::sync::Arc;

use bezoar_core::{Batch, Classifier, Context, Features, ImageSet, Part, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::strongest_window::{Side, sides};
use crate::window::{Mass, Window, pixel, plane};

/// What an image's strongest spot looks like, wherever it lies: what surrounds the square with the most relevance.
///
/// A trigger at several places makes several clusters of whole heatmaps; aligned at their strongest squares, all its heatmaps are alike.
/// Positive relevance is brought to the sum 1; around the square, its square root is taken, and the image's colours times that. Rows are
/// `[count * maps, side, side]`, the strongest spot first; beyond the image's border they are 0. Triggers that fill the image have no such spot: represent those by
/// `activations`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlignedPatch {
    /// The heatmaps.
    pub of: Part<dyn Representation>,
    /// Sides of squares to look for, in pixels of the heatmap. Of several the one that holds most beside its side wins.
    pub sizes: Vec<Side>,
    /// So many spots of each image, each the strongest of the relevance outside the squares before.
    #[schemars(range(min = 1, max = 1024))]
    pub count: usize,
    /// Side of what is seen around the square's middle, in pixels of the heatmap.
    #[schemars(range(min = 1, max = 1024))]
    pub side: usize,
    /// What is seen there.
    pub show: Show,
}

/// What is seen around the strongest square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Show {
    /// The square root of the relevance: one map.
    Relevance,
    /// The colours, each times the square root of the relevance: a map a colour.
    Pixels,
    /// Both, the relevance first.
    Both,
}

impl Plugin for AlignedPatch {
    type Kind = dyn Representation;
    const NAME: &'static str = "aligned-patch";

    fn defaults() -> Value {
        json!({ "of": { "use": "lrp", "composite": "epsilon-gamma-box" }, "sizes": [3], "count": 1, "side": 9, "show": "both" })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("this crate has the representation that it is made of")
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        sides(&self.sizes)?;
        Ok(Arc::new(self))
    }
}

register!(AlignedPatch);

impl Representation for AlignedPatch {
    fn is_relevance(&self) -> bool {
        false
    }

    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let sizes = sides(&self.sizes)?;
        let mut done = 0;
        self.of.represent(cx, model, images, &mut |heatmaps| {
            let (height, width) = plane(&heatmaps)?;
            let batch = images.batch(&(done..done + heatmaps.len()).collect::<Vec<_>>())?;
            done += heatmaps.len();
            let mut patches = Patches { side: self.side, show: self.show, batch: &batch, values: Vec::new() };
            for (image, heatmap) in heatmaps.rows().enumerate() {
                let mass = Mass::of(height, width, heatmap);
                for window in mass.strongest_few(&sizes, self.count) {
                    patches.add(image, &mass, window);
                }
            }
            sink(Features::new(vec![self.count * self.show.maps(batch.shape.channels), self.side, self.side], patches.values)?)
        })
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        self.of.fingerprint()
    }
}

impl Show {
    fn maps(self, colours: usize) -> usize {
        match self {
            Self::Relevance => 1,
            Self::Pixels => colours,
            Self::Both => 1 + colours,
        }
    }
}

struct Patches<'a> {
    side: usize,
    show: Show,
    batch: &'a Batch,
    values: Vec<f32>,
}

impl Patches<'_> {
    /// Adds the maps around a window of an image.
    fn add(&mut self, image: usize, mass: &Mass, window: Window) {
        if self.show != Show::Pixels {
            self.map(mass, window, |_| 1.0);
        }
        if self.show != Show::Relevance {
            let shape = self.batch.shape;
            let pixels = &self.batch.pixels[image * shape.len()..(image + 1) * shape.len()];
            for colour in 0..shape.channels {
                self.map(mass, window, |(y, x)| {
                    let (y, x) = (pixel(y, mass.height, shape.height), pixel(x, mass.width, shape.width));
                    f64::from(pixels[(y * shape.width + x) * shape.channels + colour]) / 255.0
                });
            }
        }
    }

    /// One map: the square root of the mass, times what `of` says of the place.
    fn map(&mut self, mass: &Mass, window: Window, of: impl Fn((usize, usize)) -> f64) {
        let start = |from: usize| (2 * from + window.size) as isize - self.side as isize;
        for row in 0..self.side as isize {
            for column in 0..self.side as isize {
                // Halves of odd sums are rounded down, for a window of even size.
                let (y, x) = ((start(window.y)).div_euclid(2) + row, (start(window.x)).div_euclid(2) + column);
                let inside = (0..mass.height as isize).contains(&y) && (0..mass.width as isize).contains(&x);
                let place = (y.max(0) as usize, x.max(0) as usize);
                self.values.push(if inside { (mass.values[place.0 * mass.width + place.1].sqrt() * of(place)) as f32 } else { 0.0 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::ImageShape;
    use proptest::prelude::*;

    use super::*;

    /// The maps around a window of an image of one colour, and the image.
    fn patch(show: Show, side: usize, heatmap: &[f32], pixels: &[u8], window: Window) -> Vec<f32> {
        let shape = ImageShape { height: 4, width: 5, channels: 1 };
        let batch = Batch { shape, labels: vec![0], pixels: pixels.to_vec() };
        let mut patches = Patches { side, show, batch: &batch, values: Vec::new() };
        patches.add(0, &Mass::of(4, 5, heatmap), window);
        patches.values
    }

    #[test]
    fn the_window_lies_in_the_middle_and_the_border_is_zero() {
        let mut heatmap = [0.0; 20];
        (heatmap[0], heatmap[1]) = (3.0, 1.0);
        let window = Window { y: 0, x: 0, size: 1, mass: 0.75 };
        let found = patch(Show::Both, 3, &heatmap, &[51; 20], window);
        let (strong, weak) = (0.75_f32.sqrt(), 0.5);
        let relevance = [0.0, 0.0, 0.0, 0.0, strong, weak, 0.0, 0.0, 0.0];
        for (found, right) in found.iter().zip(relevance.into_iter().chain(relevance.map(|value| value * 0.2))) {
            assert!((found - right).abs() < 1e-6, "{found} and {right}");
        }
        assert_eq!(found.len(), 18);
        assert_eq!(patch(Show::Relevance, 3, &heatmap, &[51; 20], window).len(), 9);
    }

    proptest! {
        /// What lies in the patch is the same wherever the spot lies, as long as all of it is inside.
        #[test]
        fn a_spot_looks_the_same_everywhere(spot in proptest::array::uniform4(0.1..1.0_f32), grey in 1..255_u8, (y, x) in (0..3_usize, 0..4_usize)) {
            let at = |y: usize, x: usize| {
                let mut heatmap = [0.0; 20];
                for (index, value) in spot.iter().enumerate() {
                    heatmap[(y + index / 2) * 5 + x + index % 2] = *value;
                }
                let window = Mass::of(4, 5, &heatmap).strongest(&[2]);
                patch(Show::Both, 2, &heatmap, &[grey; 20], window)
            };
            prop_assert_eq!(at(y, x), at(0, 0));
        }
    }
}
