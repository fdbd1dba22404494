//! A convolution of stride 1, or its transpose, with fewer multiplications (Winograd 1980; Lavin and Gray, arXiv 1509.09308).
//!
//! Four neighbouring values and a kernel of `taps` of them give `step = 5 - taps` values of the result with 4 multiplications:
//! `y = Aᵀ ((G g) ⊙ (Bᵀ d))`, with the points 0, 1, -1 and ∞, whose matrices hold nothing but 0, ±1 and ½. In two dimensions,
//! tiles of 4x4 values take 16 products each. Those of all tiles and channels are 16 matrix products, one for each
//! *coefficient*. A larger kernel is cut into pieces, which count as channels of their own.

mod transform;

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use self::transform::{Back, Forward};

use super::super::tasks::{Pieces, threads};
use super::super::tile::{LANES, SLACK, correlate, panels};
use super::super::{Element, each};
use super::{Finish, Grid, Shape, Source};
use crate::array::Memory;
use crate::window::Window;

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
    border: [isize; 2],
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
        let Window { kernel: [rows, columns], stride, dilation, .. } = shape.window;
        let is_dense = rows == columns && rows > 1 && stride == [1; 2] && dilation == [1; 2];
        is_dense && shape.groups == 1 && shape.input[0].min(shape.output[0]) >= CHANNELS
    }

    pub(super) fn forward(shape: &Shape) -> Self {
        let Window { kernel: [kernel, _], before, .. } = shape.window;
        Self::new(shape.input, shape.output, kernel, before.map(|before| before as isize), false)
    }

    /// The same with the kernel turned round.
    pub(super) fn transposed(shape: &Shape) -> Self {
        let Window { kernel: [kernel, _], before, .. } = shape.window;
        Self::new(shape.output, shape.input, kernel, before.map(|before| kernel as isize - 1 - before as isize), true)
    }

    fn new(source: [usize; 3], target: [usize; 3], kernel: usize, border: [isize; 2], is_transposed: bool) -> Self {
        let step = if kernel.is_multiple_of(2) && !kernel.is_multiple_of(3) { 3 } else { 2 };
        Self { source, target, border, step, pieces: kernel.div_ceil(TILE + 1 - step), kernel, is_transposed }
    }

    /// How many of `count` images are worked on together.
    fn block(&self, count: usize) -> usize {
        let count = count.max(1);
        let tiles = self.tiles().iter().product::<usize>();
        let blocks = count.div_ceil(BAND.div_ceil(tiles));
        let shared = blocks.next_multiple_of(threads());
        count.div_ceil(if count * tiles / shared < BAND / 3 { blocks } else { shared })
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

    /// Transforms the weights `[O, C, kernel, kernel]`, and orders them by coefficient, panel, channel and row.
    pub(super) fn pack<T: Element>(&self, weights: &[T], packed: &mut [T]) {
        let channels = self.channels();
        let mut coefficients: Vec<_> =
            packed.chunks_exact_mut(self.target[0] * channels).map(|all| all.chunks_mut(ROWS * channels)).collect();
        let tasks: Vec<Vec<&mut [T]>> =
            (0..self.target[0].div_ceil(ROWS)).map(|_| coefficients.iter_mut().filter_map(Iterator::next).collect()).collect();
        tasks.into_par_iter().enumerate().tasks_of(1).for_each(|(task, mut packed)| {
            let first = task * ROWS;
            for (panel, width) in panels(ROWS.min(self.target[0] - first)) {
                for channel in 0..channels {
                    let place = panel * channels + channel * width;
                    let transformed = self.transformed(weights, first + panel..first + panel + width, channel);
                    for (packed, values) in packed.iter_mut().zip(transformed) {
                        match packed[place..].first_chunk_mut() {
                            Some(whole) if width == ROWS => *whole = values,
                            _ => packed[place..place + width].copy_from_slice(&values[..width]),
                        }
                    }
                }
            }
        });
    }

    /// `G g Gᵀ` of the piece of the kernel between channels of the target and one of the source.
    fn transformed<T: Element>(&self, weights: &[T], rows: Range<usize>, channel: usize) -> [[T; ROWS]; COEFFICIENTS] {
        let (taps, kernel) = (self.taps(), self.kernel);
        let (piece, channel) = (channel % (self.pieces * self.pieces), channel / (self.pieces * self.pieces));
        let first = [piece / self.pieces, piece % self.pieces].map(|piece| piece * taps);
        let mut pixels = [[[T::ZERO; ROWS]; 3]; 3];
        for (i, line) in pixels.iter_mut().enumerate().take(taps.min(kernel - first[0])) {
            for (j, values) in line.iter_mut().enumerate().take(taps.min(kernel - first[1])) {
                let cell = (first[0] + i) * kernel + first[1] + j;
                for (value, row) in values.iter_mut().zip(rows.clone()) {
                    *value = weights[if self.is_transposed {
                        (channel * self.target[0] + row) * kernel * kernel + kernel * kernel - 1 - cell
                    } else {
                        (row * self.source[0] + channel) * kernel * kernel + cell
                    }];
                }
            }
        }
        let half = pixels.map(|line| spread_weights(taps, line));
        let mut all = [[T::ZERO; ROWS]; COEFFICIENTS];
        for column in 0..TILE {
            let own = spread_weights(taps, [half[0][column], half[1][column], half[2][column]]);
            own.into_iter().enumerate().for_each(|(row, values)| all[row * TILE + column] = values);
        }
        all
    }

    pub(super) fn run<T: Element>(&self, source: Source<'_, T>, packed: &[T], finish: Finish<'_, T>, target: &mut [T], memory: &Memory) {
        let [rows, columns] = self.tiles();
        let block = self.block(target.len() / Self::image(self.target));
        let (from, to) = (Self::image(self.source), Self::image(self.target));
        let (channels, outputs) = (self.channels(), self.target[0]);
        let most = BAND + columns + LANES + SLACK;
        let scratch = || {
            let lines = memory.lease((self.step * rows + self.reach()) * self.step * self.line());
            (
                lines,
                memory.lease(self.source[2]),
                memory.lease(COEFFICIENTS * Self::apart(channels, most)),
                memory.lease(COEFFICIENTS * Self::apart(outputs, most)),
            )
        };
        target.par_chunks_mut(block * to).enumerate().tasks_of(1).for_each_init(
            scratch,
            |(lines, room, values, products), (number, target)| {
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
            },
        );
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
        ((channels * stride / LANES) | 1) * LANES
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
        let first = (rows.start * self.step) as isize - self.border[0];
        let seen = (rows.len() - 1) * self.step + self.reach();
        for row in (-first).clamp(0, seen as isize) as usize..(height as isize - first).clamp(0, seen as isize) as usize {
            let start = plane + (first + row as isize) as usize * width;
            let pixels = source.row(start..start + width, room);
            let lines = &mut lines[row * self.step * self.line()..][..self.step * self.line()];
            if let (2, Ok(border)) = (self.step, usize::try_from(self.border[1])) {
                part(pixels, border, lines);
                continue;
            }
            for (phase, line) in lines.chunks_exact_mut(self.line()).enumerate() {
                let grid = Grid { first: [0, phase as isize - self.border[1]], step: [self.step; 2] };
                let columns = grid.inside(1, width, line.len());
                if !columns.is_empty() {
                    each(line[columns.clone()].iter_mut(), &pixels[grid.place(0, columns.start, width)..], self.step, |to, from| {
                        *to = from;
                    });
                }
            }
        }
    }
}

/// Copies pixels to two lines in turn, the first `border` places of which are before them.
fn part<T: Element>(pixels: &[T], border: usize, lines: &mut [T]) {
    let (even, odd) = lines.split_at_mut(lines.len() / 2);
    let (first, second) = if border.is_multiple_of(2) { (even, odd) } else { (odd, even) };
    let (first, second) = (&mut first[border / 2..], &mut second[border.div_ceil(2)..]);
    let (pairs, last) = pixels.as_chunks::<2>();
    for ((first, second), pair) in first.iter_mut().zip(second).zip(pairs) {
        (*first, *second) = (pair[0], pair[1]);
    }
    if let (Some(first), [last]) = (first.get_mut(pairs.len()), last) {
        *first = *last;
    }
}

/// `G g` of the values of a piece of the kernel, for several rows at once.
fn spread_weights<T: Element>(taps: usize, [a, b, c]: [[T; ROWS]; 3]) -> [[T; ROWS]; TILE] {
    let half = T::from_f64(0.5);
    let mut spread = [[T::ZERO; ROWS]; TILE];
    for row in 0..ROWS {
        let [last, even, odd] = if taps == 2 { [b[row], a[row], b[row]] } else { [c[row], a[row] + c[row], b[row]] };
        spread[0][row] = a[row];
        spread[1][row] = (even + odd) * half;
        spread[2][row] = (even - odd) * half;
        spread[3][row] = last;
    }
    spread
}
