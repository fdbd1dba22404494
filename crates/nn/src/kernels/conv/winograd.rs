//! A convolution of stride 1, or its transpose, with fewer multiplications (Winograd 1980; Lavin and Gray, arXiv 1509.09308).
//!
//! Four neighbouring values and a kernel of `taps` of them give `step = 5 - taps` values of the result with 4 multiplications:
//! `y = Aᵀ ((G g) ⊙ (Bᵀ d))`, with the points 0, 1, -1 and ∞, whose matrices hold nothing but 0, ±1 and ½. In two dimensions,
//! tiles of 4x4 values take 16 products each. Those of all tiles and channels are 16 matrix products, one for each
//! *coefficient*. A larger kernel is cut into pieces, which count as channels of their own.
#![expect(unsafe_code, reason = "vectors are read and written through pointers, their bounds checked once a row of tiles")]
#![expect(clippy::inline_always, reason = "vector code is compiled into the caller that knows the processor")]

use std::array::from_fn;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::{Element, each};
use super::super::tile::{LANES, SLACK, correlate, panels};
use super::{Finish, Grid, Shape, Source};
use crate::array::Memory;
use crate::graph::Window;

/// Values of a tile each way.
const TILE: usize = 4;

/// Products of a tile.
const COEFFICIENTS: usize = TILE * TILE;

/// Tiles that are worth working on together.
const BAND: usize = 144;

/// Channels on either side below which the transforms cost more than the products that they save.
const CHANNELS: usize = 8;

/// Rows of weights that one task brings into form.
const ROWS: usize = 8;

/// The tiles of a convolution or its transpose.
#[derive(Clone, Debug)]
pub(crate) struct Winograd {
    /// Channels, height and width of an image.
    source: [usize; 3],
    target: [usize; 3],
    /// Places before the first pixel at which the first tile begins.
    border: isize,
    /// Values of the target that a tile gives each way.
    step: usize,
    /// Pieces of the kernel each way.
    pieces: usize,
    kernel: usize,
    is_transposed: bool,
}

/// Rows of tiles of one image.
#[derive(Clone, Debug)]
struct Stretch {
    image: usize,
    rows: Range<usize>,
    /// The number of its first tile in the band.
    first: usize,
}

impl Winograd {
    /// Whether this is less work than sums over taps.
    pub(super) fn suits(shape: &Shape) -> bool {
        let Window { kernel, stride, dilation, .. } = shape.window;
        stride == 1 && dilation == 1 && shape.groups == 1 && kernel > 1 && shape.input[0].min(shape.output[0]) >= CHANNELS
    }

    pub(super) fn forward(shape: &Shape) -> Self {
        Self::new(shape.input, shape.output, shape.window.kernel, shape.window.padding as isize, false)
    }

    /// The same with the kernel turned round.
    pub(super) fn transposed(shape: &Shape) -> Self {
        let Window { kernel, padding, .. } = shape.window;
        Self::new(shape.output, shape.input, kernel, kernel as isize - 1 - padding as isize, true)
    }

    fn new(source: [usize; 3], target: [usize; 3], kernel: usize, border: isize, is_transposed: bool) -> Self {
        let step = if kernel.is_multiple_of(2) && !kernel.is_multiple_of(3) { 3 } else { 2 };
        Self { source, target, border, step, pieces: kernel.div_ceil(TILE + 1 - step), kernel, is_transposed }
    }

    /// Values of a piece of the kernel each way.
    fn taps(&self) -> usize {
        TILE + 1 - self.step
    }

    /// Rows and columns of an image's tiles.
    fn tiles(&self) -> [usize; 2] {
        [self.target[1], self.target[2]].map(|size| size.div_ceil(self.step))
    }

    /// Channels of the source, for each piece of the kernel.
    fn channels(&self) -> usize {
        self.source[0] * self.pieces * self.pieces
    }

    fn image(size: [usize; 3]) -> usize {
        size.iter().product()
    }

    pub(super) fn packed_len(&self) -> usize {
        COEFFICIENTS * self.target[0] * self.channels()
    }

    /// Transforms the weights `[O, C, k, k]`, and orders them by coefficient, panel, channel and row.
    pub(super) fn pack<T: Element>(&self, weights: &[T], packed: &mut [T]) {
        let channels = self.channels();
        let mut coefficients: Vec<_> = packed.chunks_exact_mut(self.target[0] * channels).map(|all| all.chunks_mut(ROWS * channels)).collect();
        let tasks: Vec<Vec<&mut [T]>> = (0..self.target[0].div_ceil(ROWS)).map(|_| coefficients.iter_mut().filter_map(Iterator::next).collect()).collect();
        tasks.into_par_iter().enumerate().for_each(|(task, mut packed)| {
            let first = task * ROWS;
            for (panel, width) in panels(ROWS.min(self.target[0] - first)) {
                for channel in 0..channels {
                    for row in panel..panel + width {
                        let place = panel * channels + channel * width + row - panel;
                        let transformed = self.transformed(weights, first + row, channel);
                        packed.iter_mut().zip(transformed).for_each(|(packed, value)| packed[place] = value);
                    }
                }
            }
        });
    }

    /// `G g Gᵀ` of the piece of the kernel between a channel of the target and one of the source.
    fn transformed<T: Element>(&self, weights: &[T], row: usize, channel: usize) -> [T; COEFFICIENTS] {
        let (taps, kernel) = (self.taps(), self.kernel);
        let (piece, channel) = (channel % (self.pieces * self.pieces), channel / (self.pieces * self.pieces));
        let place = if self.is_transposed { channel * self.target[0] + row } else { row * self.source[0] + channel };
        let weights = &weights[place * kernel * kernel..][..kernel * kernel];
        let weight = |i: usize, j: usize| {
            let (i, j) = (piece / self.pieces * taps + i, piece % self.pieces * taps + j);
            match (i.max(j) < kernel, self.is_transposed) {
                (false, _) => T::ZERO,
                (true, false) => weights[i * kernel + j],
                (true, true) => weights[(kernel - i) * kernel - 1 - j],
            }
        };
        let half = T::from_f64(0.5);
        let spread = |values: [T; 3]| {
            let [a, b, c] = values;
            if taps == 2 { [a, (a + b) * half, (a - b) * half, b] } else { [a, (a + b + c) * half, (a - b + c) * half, c] }
        };
        let values = |get: &dyn Fn(usize) -> T| from_fn(|tap| if tap < taps { get(tap) } else { T::ZERO });
        let rows: [[T; TILE]; 3] = from_fn(|i| if i < taps { spread(values(&|j| weight(i, j))) } else { [T::ZERO; TILE] });
        let mut all = [T::ZERO; COEFFICIENTS];
        for column in 0..TILE {
            let own = spread(values(&|i| rows[i][column]));
            own.into_iter().enumerate().for_each(|(row, value)| all[row * TILE + column] = value);
        }
        all
    }

    pub(super) fn run<T: Element>(&self, source: Source<'_, T>, packed: &[T], finish: Finish<'_, T>, target: &mut [T], memory: &Memory) {
        let [rows, columns] = self.tiles();
        let block = BAND.div_ceil(rows * columns);
        let (from, to) = (Self::image(self.source), Self::image(self.target));
        let (channels, outputs) = (self.channels(), self.target[0]);
        let most = BAND + columns + LANES + SLACK;
        let scratch = || {
            let lines = memory.lease((self.step * rows + self.reach()) * self.step * self.line());
            (lines, memory.lease(self.source[2]), memory.lease(COEFFICIENTS * Self::apart(channels, most)), memory.lease(COEFFICIENTS * Self::apart(outputs, most)))
        };
        target.par_chunks_mut(block * to).enumerate().for_each_init(scratch, |(lines, room, values, products), (number, target)| {
            let images = target.len() / to;
            let (source, finish) = (source.part(number * block, images, from), finish.part(number * block, images, to));
            let bands = (images * rows * columns).div_ceil(BAND);
            let height = (images * rows).div_ceil(bands);
            for start in (0..images * rows).step_by(height) {
                let band = start..(start + height).min(images * rows);
                let stretches = self.stretches(band.clone());
                let tiles = band.len() * columns;
                let stride = tiles.next_multiple_of(LANES) + SLACK;
                let taps: Vec<usize> = (0..channels).map(|channel| channel * stride).collect();
                let [inputs_apart, outputs_apart] = [channels, outputs].map(|channels| Self::apart(channels, stride));
                let (values, products) = (&mut values[..COEFFICIENTS * inputs_apart], &mut products[..COEFFICIENTS * outputs_apart]);
                Arch::new().dispatch(Forward { winograd: self, source, stretches: &stretches, lines, room, values, stride });
                let coefficients = values.chunks_exact(inputs_apart).zip(products.chunks_exact_mut(outputs_apart));
                for ((values, products), weights) in coefficients.zip(packed.chunks_exact(outputs * channels)) {
                    correlate(weights, values, &taps, tiles, &mut products[..outputs * stride], stride);
                }
                Arch::new().dispatch(Back { winograd: self, stretches: &stretches, products, stride, lines, finish, target });
            }
        });
    }

    /// Pixels that a tile sees each way, with all pieces of the kernel.
    fn reach(&self) -> usize {
        TILE + (self.pieces - 1) * self.taps()
    }

    /// Values of a line: what the tiles of a row see of a row of pixels in steps.
    fn line(&self) -> usize {
        (self.tiles()[1] + self.reach() / self.step).next_multiple_of(LANES) + LANES
    }

    /// Values from a coefficient to the next. An odd number of vectors, so that the coefficients of a tile do not contend for the same
    /// places of the cache.
    fn apart(channels: usize, stride: usize) -> usize {
        (channels * stride / LANES | 1) * LANES
    }

    /// The images that rows of tiles belong to.
    fn stretches(&self, band: Range<usize>) -> Vec<Stretch> {
        let [rows, columns] = self.tiles();
        let images = band.start / rows..band.end.div_ceil(rows);
        images
            .map(|image| {
                let (start, end) = (band.start.max(image * rows), band.end.min((image + 1) * rows));
                Stretch { image, rows: start - image * rows..end - image * rows, first: (start - band.start) * columns }
            })
            .collect()
    }

    /// Copies what tiles see of a plane to lines: by row of pixels, one for each remainder of their columns by the step. The border
    /// stays as it is.
    fn lay<T: Element>(&self, source: Source<'_, T>, plane: usize, rows: &Range<usize>, lines: &mut [T], room: &mut [T]) {
        let [_, height, width] = self.source;
        let first = (rows.start * self.step) as isize - self.border;
        let seen = (rows.len() - 1) * self.step + self.reach();
        for row in (-first).clamp(0, seen as isize) as usize..(height as isize - first).clamp(0, seen as isize) as usize {
            let start = plane + (first + row as isize) as usize * width;
            let pixels = source.row(start..start + width, room);
            let lines = lines[row * self.step * self.line()..].chunks_exact_mut(self.line()).take(self.step);
            for (phase, line) in lines.enumerate() {
                let grid = Grid { first: [0, phase as isize - self.border], step: self.step };
                let columns = grid.inside(1, width, line.len());
                if !columns.is_empty() {
                    each(line[columns.clone()].iter_mut(), &pixels[grid.place(0, columns.start, width)..], self.step, |to, from| *to = from);
                }
            }
        }
    }
}

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
struct Forward<'a, T> {
    winograd: &'a Winograd,
    source: Source<'a, T>,
    stretches: &'a [Stretch],
    lines: &'a mut [T],
    /// For a row of pixels.
    room: &'a mut [T],
    /// By coefficient, channel and tile.
    values: &'a mut [T],
    /// From a channel to the next.
    stride: usize,
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
                    for row in 0..rows.len() {
                        for column in (0..columns).step_by(lanes) {
                            let from = row * STEP * STEP * line + column;
                            let to = (channel * pieces * pieces + piece) * stride + first + row * columns + column;
                            assert!(from + winograd.reach() * STEP * line + lanes <= lines.len() + line, "a tile beyond its lines");
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
struct Back<'a, T> {
    winograd: &'a Winograd,
    stretches: &'a [Stretch],
    /// By coefficient, channel and tile.
    products: &'a [T],
    /// From a channel to the next.
    stride: usize,
    lines: &'a mut [T],
    finish: Finish<'a, T>,
    target: &'a mut [T],
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
                        assert!(place + (COEFFICIENTS - 1) * apart + lanes <= products.len() && column + lanes <= line, "a tile beyond its lines");
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
