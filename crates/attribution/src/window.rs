//! The small square of a heatmap that holds the most relevance.

use bezoar_core::{Error, Features, ImageShape, Result};

/// The square of a heatmap that speaks most for the image's class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// The upper left pixel.
    pub(crate) y: usize,
    pub(crate) x: usize,
    /// Pixels a side.
    pub(crate) size: usize,
    /// The share of all positive relevance that lies in it, 0 to 1.
    pub(crate) mass: f64,
}

impl Window {
    /// The square that this one of a heatmap of `plane` (height and width) covers in the image, of at least a pixel; where it covers no
    /// square, its side is the longer one.
    pub(crate) fn in_image(self, plane: (usize, usize), image: ImageShape) -> Self {
        let span = |from: usize, cells: usize, pixels: usize| (pixel(from, cells, pixels), pixel(from + self.size, cells, pixels));
        let ((y, bottom), (x, right)) = (span(self.y, plane.0, image.height), span(self.x, plane.1, image.width));
        Self { y, x, size: (bottom - y).max(right - x).max(1), ..self }
    }
}

/// The first of `pixels` in a row or column of the image that the heatmap's `cell` stands for: a heatmap of an inner layer is coarser than the
/// image.
pub(crate) fn pixel(cell: usize, cells: usize, pixels: usize) -> usize {
    cell * pixels / cells
}

/// A heatmap as a distribution: positive relevance, summed over channels, of sum 1.
#[derive(Clone)]
pub(crate) struct Mass {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Row after row; all 0 where there is no positive relevance.
    pub(crate) values: Vec<f64>,
}

/// Height and width of the rows of `heatmaps`.
///
/// # Errors
/// When they are no heatmaps.
pub(crate) fn plane(heatmaps: &Features) -> Result<(usize, usize)> {
    match *heatmaps.shape() {
        [height, width] | [_, height, width] => Ok((height, width)),
        ref shape => Err(Error::request(format!("windows are looked for in heatmaps [H, W] or [C, H, W], and these rows are {shape:?}"))
            .with_help("name a representation that gives heatmaps in `of:`, such as `{ use: lrp }`")),
    }
}

impl Mass {
    pub(crate) fn of(height: usize, width: usize, heatmap: &[f32]) -> Self {
        let channels = heatmap.chunks_exact(height * width);
        let mut values: Vec<f64> =
            (0..height * width).map(|pixel| channels.clone().map(|channel| f64::from(channel[pixel])).sum::<f64>().max(0.0)).collect();
        let sum: f64 = values.iter().sum();
        if sum > 0.0 {
            for value in &mut values {
                *value /= sum;
            }
        }
        Self { height, width, values }
    }

    /// The square with the most mass; of several sizes the one whose mass is largest beside what a square of its area holds on average,
    /// to the power of one half, so that neither the smallest nor the largest always wins. Of equal squares the first in reading order.
    pub(crate) fn strongest(&self, sizes: &[usize]) -> Window {
        let integral = self.integral();
        let at = |y: usize, x: usize| integral[y * (self.width + 1) + x];
        let mut best = Window { y: 0, x: 0, size: 1, mass: 0.0 };
        let mut most = f64::NEG_INFINITY;
        for &size in sizes {
            let size = size.min(self.height).min(self.width);
            for y in 0..=self.height - size {
                for x in 0..=self.width - size {
                    let mass = at(y + size, x + size) - at(y, x + size) - at(y + size, x) + at(y, x);
                    let strength = mass / size as f64;
                    if strength > most {
                        (best, most) = (Window { y, x, size, mass: mass.clamp(0.0, 1.0) }, strength);
                    }
                }
            }
        }
        best
    }

    /// The strongest squares in turn, each of what those before leave.
    pub(crate) fn strongest_few(&self, sizes: &[usize], count: usize) -> Vec<Window> {
        let (mut left, mut found) = (self.clone(), Vec::with_capacity(count));
        for _ in 0..count {
            let window = left.strongest(sizes);
            for y in window.y..window.y + window.size {
                left.values[y * left.width + window.x..][..window.size].fill(0.0);
            }
            found.push(window);
        }
        found
    }

    /// The mass above and left of each corner between pixels.
    fn integral(&self) -> Vec<f64> {
        let stride = self.width + 1;
        let mut sums = vec![0.0; (self.height + 1) * stride];
        for (y, row) in self.values.chunks_exact(self.width).enumerate() {
            let mut along = 0.0;
            for (x, value) in row.iter().enumerate() {
                along += value;
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + along;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_spot_is_found_where_it_is() {
        let mut heatmap = vec![0.1; 12 * 10];
        for (y, x) in [(4, 6), (4, 7), (5, 6), (5, 7)] {
            heatmap[y * 10 + x] = 3.0;
        }
        heatmap[0] = -100.0;
        let found = Mass::of(12, 10, &heatmap).strongest(&[2]);
        assert_eq!((found.y, found.x, found.size), (4, 6, 2));
        assert!((found.mass - 12.0 / (12.0 + 11.5)).abs() < 1e-6, "negative relevance has no mass: {}", found.mass);
        assert_eq!(Mass::of(12, 10, &heatmap).strongest(&[1, 2, 5]).size, 2, "the size of the spot");
    }

    #[test]
    fn spots_are_found_in_turn() {
        let mut heatmap = vec![0.0; 9 * 9];
        for (place, value) in [((1, 1), 2.0), ((7, 2), 5.0), ((4, 8), 3.0)] {
            heatmap[place.0 * 9 + place.1] = value;
        }
        let found = Mass::of(9, 9, &heatmap).strongest_few(&[1], 4);
        let places: Vec<_> = found.iter().map(|window| (window.y, window.x, (window.mass * 100.0).round())).collect();
        assert_eq!(places, [(7, 2, 50.0), (4, 8, 30.0), (1, 1, 20.0), (0, 0, 0.0)], "the last one has nothing left");
    }

    #[test]
    fn heatmaps_without_relevance_and_small_ones_have_a_window_too() {
        let nothing = Mass::of(4, 4, &[-1.0; 16]).strongest(&[3]);
        assert_eq!((nothing.y, nothing.x, nothing.size, nothing.mass), (0, 0, 3, 0.0));
        assert_eq!(Mass::of(2, 3, &[1.0; 6]).strongest(&[5]).size, 2, "no larger than the heatmap");
    }

    proptest! {
        #[test]
        fn no_other_square_holds_more((height, width, values, size) in (1..9_usize, 1..9_usize).prop_flat_map(|(height, width)| {
            (Just(height), Just(width), proptest::collection::vec(-1.0..1.0_f32, height * width), 1..5_usize)
        })) {
            let mass = Mass::of(height, width, &values);
            let found = mass.strongest(&[size]);
            let held = |y: usize, x: usize| -> f64 {
                (y..y + found.size).flat_map(|y| (x..x + found.size).map(move |x| (y, x))).map(|(y, x)| mass.values[y * width + x]).sum()
            };
            prop_assert!((held(found.y, found.x) - found.mass).abs() < 1e-9);
            for y in 0..=height - found.size {
                for x in 0..=width - found.size {
                    prop_assert!(held(y, x) <= found.mass + 1e-9);
                }
            }
        }
    }
}
