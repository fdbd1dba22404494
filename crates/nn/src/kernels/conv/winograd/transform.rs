//! From pixels to coefficients and back, many tiles at once.
#![expect(unsafe_code, reason = "vectors are read and written through pointers, their bounds checked once a row of tiles")]
#![expect(clippy::needless_range_loop, reason = "the second pass goes over what is a column of the first")]

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::super::super::Element;
use super::super::{Finish, Source};
use super::{COEFFICIENTS, Stretch, TILE, Winograd};

/// `Bᵀ d` of four values.
#[inline(always)]
fn spread<T: Element, S: Simd>(simd: S, d: [T::Vector<S>; TILE]) -> [T::Vector<S>; TILE] {
    [T::minus(simd, d[0], d[2]), T::plus(simd, d[1], d[2]), T::minus(simd, d[2], d[1]), T::minus(simd, d[1], d[3])]
}

/// `Aᵀ m` of four products.
#[inline(always)]
fn gather<T: Element, S: Simd, const STEP: usize>(simd: S, m: [T::Vector<S>; TILE]) -> [T::Vector<S>; STEP] {
    let (sum, difference) = (T::plus(simd, m[1], m[2]), T::minus(simd, m[1], m[2]));
    let mut values = [T::plus(simd, m[0], sum); STEP];
    values[1] = difference;
    values[STEP - 1] = T::minus(simd, if STEP == 2 { difference } else { sum }, m[3]);
    values
}

/// From pixels to coefficients.
pub(super) struct Forward<'a, T> {
    pub(super) winograd: &'a Winograd,
    pub(super) source: Source<'a, T>,
    pub(super) stretches: &'a [Stretch],
    pub(super) lines: &'a mut [T],
    /// For a row of pixels.
    pub(super) room: &'a mut [T],
    /// By coefficient, channel and tile.
    pub(super) values: &'a mut [T],
    /// From a channel to the next.
    pub(super) stride: usize,
}

impl<T: Element> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.winograd.step {
            2 => self.transform::<S, 2>(simd),
            _ => self.transform::<S, 3>(simd),
        }
    }
}

impl<T: Element> Forward<'_, T> {
    #[inline(always)]
    fn transform<S: Simd, const STEP: usize>(self, simd: S) {
        let Self { winograd, source, stretches, lines, room, values, stride } = self;
        let ([channels, height, width], pieces, line) = (winograd.source, winograd.pieces, winograd.line());
        let ([_, columns], lanes, apart) = (winograd.tiles(), T::lanes::<S>(), Winograd::apart(winograd.channels(), stride));
        for Stretch { image, rows, first } in stretches {
            lines.fill(T::ZERO);
            for channel in 0..channels {
                winograd.lay(source, (image * channels + channel) * height * width, rows, lines, room);
                for piece in 0..pieces * pieces {
                    let seen = [piece / pieces, piece % pieces].map(|piece| piece * winograd.taps());
                    let places: [usize; COEFFICIENTS] = from_fn(|place| {
                        let [i, j] = [seen[0] + place / TILE, seen[1] + place % TILE];
                        (i * STEP + j % STEP) * line + j / STEP
                    });
                    let furthest = places.into_iter().fold(0, usize::max);
                    for row in 0..rows.len() {
                        for column in (0..columns).step_by(lanes) {
                            let from = row * STEP * STEP * line + column;
                            let to = (channel * pieces * pieces + piece) * stride + first + row * columns + column;
                            assert!(from + furthest + lanes <= lines.len(), "a tile beyond its lines");
                            assert!(to + (COEFFICIENTS - 1) * apart + lanes <= values.len(), "a tile beyond the values");
                            // SAFETY: lines and values have room for these vectors, as asserted; vectors are plain numbers, and read
                            // and written unaligned.
                            unsafe {
                                let read = |place: usize| lines.as_ptr().add(from + places[place]).cast::<T::Vector<S>>().read_unaligned();
                                let mut half = [[T::splat(simd, T::ZERO); TILE]; TILE];
                                for (j, half) in half.iter_mut().enumerate() {
                                    *half = spread::<T, S>(simd, [read(j), read(TILE + j), read(2 * TILE + j), read(3 * TILE + j)]);
                                }
                                for i in 0..TILE {
                                    let own = spread::<T, S>(simd, [half[0][i], half[1][i], half[2][i], half[3][i]]);
                                    for (j, value) in own.into_iter().enumerate() {
                                        values.as_mut_ptr().add(to + (i * TILE + j) * apart).cast::<T::Vector<S>>().write_unaligned(value);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// From products back to pixels.
pub(super) struct Back<'a, T> {
    pub(super) winograd: &'a Winograd,
    pub(super) stretches: &'a [Stretch],
    /// By coefficient, channel and tile.
    pub(super) products: &'a [T],
    /// From a channel to the next.
    pub(super) stride: usize,
    pub(super) lines: &'a mut [T],
    pub(super) finish: Finish<'a, T>,
    pub(super) target: &'a mut [T],
}

impl<T: Element> WithSimd for Back<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.winograd.step {
            2 => self.transform::<S, 2>(simd),
            _ => self.transform::<S, 3>(simd),
        }
    }
}

impl<T: Element> Back<'_, T> {
    #[inline(always)]
    fn transform<S: Simd, const STEP: usize>(self, simd: S) {
        let Self { winograd, stretches, products, stride, lines, finish, target } = self;
        let ([channels, height, width], line) = (winograd.target, winograd.line());
        let ([_, columns], lanes, apart) = (winograd.tiles(), T::lanes::<S>(), Winograd::apart(channels, stride));
        let (phases, pixels) = lines.split_at_mut(STEP * STEP * line);
        let pixels = &mut pixels[..columns * STEP];
        for channel in 0..channels {
            for Stretch { image, rows, first } in stretches {
                let plane = (image * channels + channel) * height * width;
                for (number, row) in rows.clone().enumerate() {
                    for column in (0..columns).step_by(lanes) {
                        let place = channel * stride + first + number * columns + column;
                        assert!(
                            place + (COEFFICIENTS - 1) * apart + lanes <= products.len() && column + lanes <= line,
                            "a tile beyond its lines"
                        );
                        // SAFETY: products and lines have room for these vectors, as asserted; vectors are plain numbers, and read and
                        // written unaligned.
                        unsafe {
                            let read = |i: usize, j: usize| {
                                let place = place + (i * TILE + j) * apart;
                                products.as_ptr().add(place).cast::<T::Vector<S>>().read_unaligned()
                            };
                            let mut half = [[T::splat(simd, T::ZERO); STEP]; TILE];
                            for (j, half) in half.iter_mut().enumerate() {
                                *half = gather::<T, S, STEP>(simd, [read(0, j), read(1, j), read(2, j), read(3, j)]);
                            }
                            for i in 0..STEP {
                                let own = gather::<T, S, STEP>(simd, [half[0][i], half[1][i], half[2][i], half[3][i]]);
                                for (j, value) in own.into_iter().enumerate() {
                                    let place = (i * STEP + j) * line + column;
                                    phases.as_mut_ptr().add(place).cast::<T::Vector<S>>().write_unaligned(value);
                                }
                            }
                        }
                    }
                    for i in 0..STEP.min(height - row * STEP) {
                        let phases: [&[T]; STEP] = from_fn(|j| &phases[(i * STEP + j) * line..][..columns]);
                        for (column, pixels) in pixels.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
                            *pixels = from_fn(|j| phases[j][column]);
                        }
                        finish.write(channel, &pixels[..width], plane + (row * STEP + i) * width, 1, target);
                    }
                }
            }
        }
    }
}
