//! Squares of images: covered where they are, pasted where they were elsewhere.

use std::ops::Range;

use bezoar_core::ImageShape;

/// A square of an image, cut where the image ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Square {
    y: usize,
    x: usize,
    height: usize,
    width: usize,
}

/// Sweeps over a covered square for each of its pixels; more change no pixel's rounded value.
const SWEEPS: usize = 4;

impl Square {
    /// From `[y, x, size, ..]`.
    pub(super) fn new(window: &[f32], shape: ImageShape) -> Self {
        let span = |from: f32, end: usize| {
            let from_pixel = (from as usize).min(end);
            (from_pixel, ((from + window[2]) as usize).min(end) - from_pixel)
        };
        let ((y, height), (x, width)) = (span(window[0], shape.height), span(window[1], shape.width));
        Self { y, x, height, width }
    }

    fn rows(&self) -> Range<usize> {
        self.y..self.y + self.height
    }

    fn columns(&self) -> Range<usize> {
        self.x..self.x + self.width
    }

    /// Puts the square of `from` at its own place onto `to`.
    pub(super) fn paste(&self, from: &[u8], to: &mut [u8], shape: ImageShape) {
        for y in self.rows() {
            let line = (y * shape.width + self.x) * shape.channels..(y * shape.width + (self.x + self.width)) * shape.channels;
            to[line.clone()].copy_from_slice(&from[line]);
        }
    }

    /// Fills the square with what its surroundings continue to: each pixel is the mean of its neighbours (Laplace's equation), so that
    /// nothing inside differs from what lies around.
    pub(super) fn cover(&self, image: &mut [u8], shape: ImageShape) {
        let around = grown(&self.rows(), shape.height).flat_map(|y| grown(&self.columns(), shape.width).map(move |x| (y, x)));
        let ring: Vec<(usize, usize)> = around.filter(|place| !self.holds(*place)).collect();
        for channel in 0..shape.channels {
            let at = |(y, x): (usize, usize)| (y * shape.width + x) * shape.channels + channel;
            let edge: f32 = ring.iter().map(|&place| f32::from(image[at(place)])).sum();
            let mut values = vec![edge / ring.len().max(1) as f32; self.height * self.width];
            for _ in 0..SWEEPS * values.len() {
                for place in self.places() {
                    let (mut sum, mut count) = (0.0, 0.0);
                    for neighbour in neighbours(place, shape) {
                        sum += if self.holds(neighbour) { values[self.index(neighbour)] } else { f32::from(image[at(neighbour)]) };
                        count += 1.0;
                    }
                    values[self.index(place)] = if count > 0.0 { sum / count } else { 0.0 };
                }
            }
            for place in self.places() {
                image[at(place)] = values[self.index(place)].round() as u8;
            }
        }
    }

    fn holds(&self, (y, x): (usize, usize)) -> bool {
        self.rows().contains(&y) && self.columns().contains(&x)
    }

    fn index(&self, (y, x): (usize, usize)) -> usize {
        (y - self.y) * self.width + x - self.x
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rows().flat_map(|y| self.columns().map(move |x| (y, x)))
    }
}

/// The range and what lies next to it.
fn grown(range: &Range<usize>, end: usize) -> Range<usize> {
    range.start.saturating_sub(1)..(range.end + 1).min(end)
}

fn neighbours((y, x): (usize, usize), shape: ImageShape) -> impl Iterator<Item = (usize, usize)> {
    let above = y.checked_sub(1).map(|y| (y, x));
    let left = x.checked_sub(1).map(|x| (y, x));
    let below = (y + 1 < shape.height).then_some((y + 1, x));
    let right = (x + 1 < shape.width).then_some((y, x + 1));
    [above, left, below, right].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(shape: ImageShape, value: impl Fn(usize, usize, usize) -> u8) -> Vec<u8> {
        let places = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x)));
        places
            .flat_map(|(y, x)| (0..shape.channels).map(move |channel| (y, x, channel)))
            .map(|(y, x, channel)| value(y, x, channel))
            .collect()
    }

    proptest! {
        /// A slope solves Laplace's equation, so that covering any of it changes nothing.
        #[test]
        fn a_slope_is_continued((y, x, size) in (1..6_usize, 1..6_usize, 1..4_usize)) {
            let shape = ImageShape { height: 10, width: 11, channels: 3 };
            let slope = image(shape, |y, x, channel| (20 * channel + 7 * y + 9 * x) as u8);
            let mut covered = slope.clone();
            let square = Square::new(&[y as f32, x as f32, size as f32], shape);
            for place in square.places() {
                covered[(place.0 * shape.width + place.1) * shape.channels] = 255;
            }
            square.cover(&mut covered, shape);
            prop_assert_eq!(covered, slope);
        }

        #[test]
        fn only_the_square_changes_and_stays_within_its_surroundings(
            (y, x, size) in (0..9_usize, 0..9_usize, 1..12_usize), pixels in proptest::collection::vec(0..=255_u8, 81)
        ) {
            let shape = ImageShape { height: 9, width: 9, channels: 1 };
            let square = Square::new(&[y as f32, x as f32, size as f32], shape);
            let mut covered = pixels.clone();
            square.cover(&mut covered, shape);
            let mut pasted = vec![0; 81];
            square.paste(&pixels, &mut pasted, shape);
            let outside: Vec<u8> = (0..81).filter(|&at| !square.holds((at / 9, at % 9))).map(|at| pixels[at]).collect();
            for at in 0..81 {
                if square.holds((at / 9, at % 9)) {
                    prop_assert_eq!(pasted[at], pixels[at]);
                    prop_assert!(outside.is_empty() || (outside.iter().min() <= Some(&covered[at]) && Some(&covered[at]) <= outside.iter().max()));
                } else {
                    prop_assert_eq!((covered[at], pasted[at]), (pixels[at], 0));
                }
            }
        }
    }
}
