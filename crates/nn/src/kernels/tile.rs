//! The innermost loops of convolutions, on the widest vectors that the processor has.
//!
//! A convolution is a sum of shifted planes: position `p` of an output plane is `Σ_t w_t x[o_t + p]`, where the *tap* `o_t` says how
//! far the `t`-th weight looks from the position. Planes lie row after row, so that one vector holds neighbouring positions and a
//! tap is an offset, whatever the kernel's size. Several rows of the result are worked out together, so that each value that is
//! loaded serves several products, and all sums stay in registers.
#![expect(unsafe_code, reason = "vectors are read and written through pointers, their bounds checked once for all taps")]

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

use super::Element;

/// Vectors of positions that are worked on together, at most.
const VECTORS: usize = 3;

/// The same where there are 16 registers: the sums of three vectors by four rows, three vectors of values and a weight take all of them, and
/// compilers then spill a sum at every tap.
const FEWER_VECTORS: usize = 2;

/// Numbers in the longest vector.
pub(crate) const LANES: usize = 16;

/// Values that a plane must have beyond its last position: vectors may reach that far.
pub(crate) const SLACK: usize = VECTORS * LANES;

/// Cuts the rows of a matrix into panels of 8, 4, 2 or 1: the first row of each, and how many.
pub(crate) fn panels(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let width = [8, 4, 2, 1].into_iter().find(|width| start + width <= rows)?;
        start += width;
        Some((start - width, width))
    })
}

/// `target[i][p] = Σ_t weights[i][t] source[taps[t] + p]` for each position `p`; rows of the target are `stride` values apart.
///
/// Weights lie panel by panel, in a panel tap by tap. Up to [`SLACK`] values beyond the positions are overwritten. Each sum adds
/// its taps in order, so that its rounding depends on nothing else.
pub(crate) fn correlate<T: Element>(weights: &[T], source: &[T], taps: &[usize], positions: usize, target: &mut [T], stride: usize) {
    let rows = target.len() / stride;
    assert!(weights.len() == rows * taps.len(), "not a weight for each row and tap");
    assert!(reach(taps, positions) <= source.len(), "a tap beyond the source");
    assert!(positions + SLACK <= stride, "positions beyond the target");
    Arch::new().dispatch(Correlate { weights, source, taps, rows, positions, target, stride });
}

/// Where the positions of a block of images lie on their sheets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positions {
    pub(crate) images: usize,
    /// Values from one image's sheet to the next.
    pub(crate) sheet: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Values from one row to the next.
    pub(crate) stride: usize,
}

/// `sums[t][i] += Σ_p left[p][i] right[taps[t] + p]` for the `width` rows `i` of a panel.
///
/// Here a vector holds neighbouring rows, so that small planes fill it as well, and nothing is added up across lanes.
pub(crate) fn accumulate<T: Element>(left: &[T], width: usize, right: &[T], taps: &[usize], positions: Positions, sums: &mut [T]) {
    let Positions { images, sheet, rows, columns, stride } = positions;
    let last = (images - 1) * sheet + (rows - 1) * stride + columns - 1;
    assert!(taps.iter().all(|tap| tap.checked_add(last).is_some_and(|place| place < right.len())), "a tap beyond the right side");
    assert!(images * rows * columns * width <= left.len() && taps.len() * width <= sums.len(), "positions or sums beyond their slices");
    assert!(width.is_multiple_of(LANES), "panels are whole vectors");
    Arch::new().dispatch(Accumulate { left, width, right, taps, positions, sums });
}

/// How many values the taps of all positions may touch.
fn reach(taps: &[usize], positions: usize) -> usize {
    taps.iter().max().map_or(0, |tap| tap.saturating_add(positions + SLACK))
}

struct Correlate<'a, T> {
    weights: &'a [T],
    source: &'a [T],
    taps: &'a [usize],
    rows: usize,
    positions: usize,
    target: &'a mut [T],
    stride: usize,
}

impl<T: Element> WithSimd for Correlate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = T::lanes::<S>();
        let vectors = if S::REGISTER_COUNT < 32 { FEWER_VECTORS } else { VECTORS };
        for position in (0..self.positions).step_by(vectors * lanes) {
            // SAFETY: `correlate` saw to it that source and target hold all vectors of all positions, for each tap and row.
            unsafe {
                match (self.positions - position).div_ceil(lanes).min(vectors) {
                    1 => self.column::<S, 1>(simd, position),
                    FEWER_VECTORS => self.column::<S, FEWER_VECTORS>(simd, position),
                    _ => self.column::<S, VECTORS>(simd, position),
                }
            }
        }
    }
}

impl<T: Element> Correlate<'_, T> {
    /// Writes the sums of all rows at the positions of `WIDE` vectors.
    ///
    /// # Safety
    /// Source and target hold these vectors, for each tap and row.
    #[inline(always)]
    unsafe fn column<S: Simd, const WIDE: usize>(&mut self, simd: S, position: usize) {
        for (row, width) in panels(self.rows) {
            let weights = &self.weights[row * self.taps.len()..][..width * self.taps.len()];
            let tile = Weighted { taps: self.taps, weights, width, source: &self.source[position..] };
            let target = &mut self.target[row * self.stride + position..];
            // SAFETY: the caller's promise.
            unsafe {
                match width {
                    8 if S::REGISTER_COUNT < 32 => {
                        tile.sum::<S, 4, WIDE>(simd, 0, target, self.stride);
                        tile.sum::<S, 4, WIDE>(simd, 4, &mut target[4 * self.stride..], self.stride);
                    }
                    8 => tile.sum::<S, 8, WIDE>(simd, 0, target, self.stride),
                    4 => tile.sum::<S, 4, WIDE>(simd, 0, target, self.stride),
                    2 => tile.sum::<S, 2, WIDE>(simd, 0, target, self.stride),
                    _ => tile.sum::<S, 1, WIDE>(simd, 0, target, self.stride),
                }
            }
        }
    }
}

/// A panel of weights over some positions of a source.
#[derive(Clone, Copy)]
struct Weighted<'a, T> {
    taps: &'a [usize],
    weights: &'a [T],
    width: usize,
    source: &'a [T],
}

impl<T: Element> Weighted<'_, T> {
    /// Writes `ROWS` rows of sums, from the panel's row `first` on.
    ///
    /// # Safety
    /// From each tap on, the source has `WIDE` vectors, and so has each row of the target; `first + ROWS <= width`, and the
    /// panel has `width` weights a tap.
    #[inline(always)]
    unsafe fn sum<S: Simd, const ROWS: usize, const WIDE: usize>(self, simd: S, first: usize, target: &mut [T], stride: usize) {
        let lanes = T::lanes::<S>();
        let mut sums = [[T::splat(simd, T::ZERO); WIDE]; ROWS];
        let mut weight = self.weights.as_ptr().wrapping_add(first);
        for &tap in self.taps {
            // SAFETY: the caller's promise; vectors are plain numbers, and read and written unaligned.
            unsafe {
                let source = self.source.as_ptr().add(tap);
                let values: [T::Vector<S>; WIDE] = from_fn(|vector| source.add(vector * lanes).cast::<T::Vector<S>>().read_unaligned());
                for (row, sums) in sums.iter_mut().enumerate() {
                    let weight = T::splat(simd, *weight.add(row));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = T::multiply_add(simd, weight, value, *sum);
                    }
                }
            }
            weight = weight.wrapping_add(self.width);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { target.as_mut_ptr().add(row * stride + vector * lanes).cast::<T::Vector<S>>().write_unaligned(sum) };
            }
        }
    }
}

/// Positions whose taps are compared together.
const COMPARED: usize = 32;

/// `target[p]` becomes the largest of `source[taps[t] + p]`, or a NaN if one is.
pub(crate) fn maximum<T: Element>(source: &[T], taps: &[usize], target: &mut [T]) {
    Arch::new().dispatch(Maximum { source, taps, target });
}

struct Maximum<'a, T> {
    source: &'a [T],
    taps: &'a [usize],
    target: &'a mut [T],
}

impl<T: Element> WithSimd for Maximum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (chunk, target) in self.target.as_chunks_mut::<COMPARED>().0.iter_mut().enumerate() {
            let mut best = [T::LOWEST; COMPARED];
            for values in self.taps.iter().filter_map(|tap| self.source[tap + chunk * COMPARED..].first_chunk::<COMPARED>()) {
                for (best, value) in best.iter_mut().zip(values) {
                    #[expect(clippy::eq_op, reason = "only a NaN differs from itself")]
                    let is_nan = *value != *value;
                    *best = if *value > *best || is_nan { *value } else { *best };
                }
            }
            *target = best;
        }
    }
}

/// `winners[p]` becomes the first `t` whose `source[taps[t] + p]` is the largest; it stays where all are the lowest number or no numbers.
pub(crate) fn win<T: Element>(source: &[T], taps: &[usize], winners: &mut [u32]) {
    Arch::new().dispatch(Win { source, taps, winners });
}

struct Win<'a, T> {
    source: &'a [T],
    taps: &'a [usize],
    winners: &'a mut [u32],
}

impl<T: Element> WithSimd for Win<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (chunk, winners) in self.winners.as_chunks_mut::<COMPARED>().0.iter_mut().enumerate() {
            let (mut best, mut own) = ([T::LOWEST; COMPARED], *winners);
            for (number, tap) in self.taps.iter().enumerate() {
                let Some(values) = self.source[tap + chunk * COMPARED..].first_chunk::<COMPARED>() else { continue };
                for ((best, winner), value) in best.iter_mut().zip(&mut own).zip(values) {
                    let wins = *value > *best;
                    *best = if wins { *value } else { *best };
                    *winner = if wins { number as u32 } else { *winner };
                }
            }
            *winners = own;
        }
    }
}

struct Accumulate<'a, T> {
    left: &'a [T],
    width: usize,
    right: &'a [T],
    taps: &'a [usize],
    positions: Positions,
    sums: &'a mut [T],
}

impl<T: Element> WithSimd for Accumulate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = T::lanes::<S>();
        let pairs = (self.width / lanes).is_multiple_of(2);
        for row in (0..self.width).step_by(if pairs { 2 * lanes } else { lanes }) {
            // SAFETY: `accumulate` saw to it that the left side has `width` values for each position, the right side one for each tap
            // and position, the sums `width` for each tap; and `row` leaves room for the vectors.
            unsafe {
                match (pairs, S::REGISTER_COUNT >= 32) {
                    (true, true) => self.panel::<S, 12, 2>(simd, row),
                    (true, false) => self.panel::<S, 6, 2>(simd, row),
                    (false, true) => self.panel::<S, 12, 1>(simd, row),
                    (false, false) => self.panel::<S, 6, 1>(simd, row),
                }
            }
        }
    }
}

impl<T: Element> Accumulate<'_, T> {
    /// Adds to the sums of `ROWS` vectors of rows and all taps, `TAPS` at once; at the end the last tap stands in for those missing.
    ///
    /// # Safety
    /// `row` and `ROWS` vectors are within the panel's width; every tap of every position is within the right side.
    #[inline(always)]
    unsafe fn panel<S: Simd, const TAPS: usize, const ROWS: usize>(&mut self, simd: S, row: usize) {
        let Positions { images, sheet, rows, columns, stride } = self.positions;
        let lanes = T::lanes::<S>();
        for first in (0..self.taps.len()).step_by(TAPS) {
            let taps: [usize; TAPS] = from_fn(|tap| self.taps[(first + tap).min(self.taps.len() - 1)]);
            let mut sums = [[T::splat(simd, T::ZERO); ROWS]; TAPS];
            let mut left = self.left.as_ptr().wrapping_add(row);
            for line in (0..images).flat_map(|image| (0..rows).map(move |row| image * sheet + row * stride)) {
                let right = self.right.as_ptr().wrapping_add(line);
                for column in 0..columns {
                    // SAFETY: the caller's promise; vectors are plain numbers, and read unaligned.
                    unsafe {
                        let values: [T::Vector<S>; ROWS] =
                            from_fn(|vector| left.add(vector * lanes).cast::<T::Vector<S>>().read_unaligned());
                        for (sums, tap) in sums.iter_mut().zip(taps) {
                            let right = T::splat(simd, *right.add(tap + column));
                            for (sum, value) in sums.iter_mut().zip(values) {
                                *sum = T::multiply_add(simd, right, value, *sum);
                            }
                        }
                    }
                    left = left.wrapping_add(self.width);
                }
            }
            for (tap, sums) in sums.into_iter().enumerate().take(self.taps.len() - first) {
                for (vector, sum) in sums.into_iter().enumerate() {
                    // SAFETY: the caller's promise; vectors are read and written unaligned.
                    unsafe {
                        let total = self.sums.as_mut_ptr().add((first + tap) * self.width + row + vector * lanes).cast::<T::Vector<S>>();
                        total.write_unaligned(T::plus(simd, total.read_unaligned(), sum));
                    }
                }
            }
        }
    }
}
