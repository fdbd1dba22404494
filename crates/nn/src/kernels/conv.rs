//! 2-d convolution and its two gradients, each as sums over taps (see [`tile`](super::tile)).
//!
//! For the taps to be plain offsets, planes are copied to *sheets* first: the border becomes zeros, and with a stride the pixels
//! that a weight meets come to lie side by side, one sheet for each remainder by the stride. The sheets of some small images lie one
//! after the other, so that vectors are full.

use std::ops::Range;

use rayon::prelude::*;

use super::elementwise::stabilized_ratio;
use super::tile::{LANES, Positions, SLACK, accumulate, correlate, panels};
use super::{Element, GRAIN, each};
use crate::array::{Lease, Memory};
use crate::graph::Window;

/// Positions that are worth working on together: small images share a block.
const BLOCK: usize = 512;

/// Pieces into which a batch's weight gradient is cut at most; each is summed in order, then all are.
const PIECES: usize = 8;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) images: usize,
    /// Channels, height and width of an input image.
    pub(crate) input: [usize; 3],
    /// Channels, height and width of an output image.
    pub(crate) output: [usize; 3],
    pub(crate) groups: usize,
    pub(crate) window: Window,
}

impl Shape {
    fn input_image(&self) -> usize {
        self.input.iter().product()
    }

    fn output_image(&self) -> usize {
        self.output.iter().product()
    }

    /// Input channels of a group.
    fn group_inputs(&self) -> usize {
        self.input[0] / self.groups
    }

    /// Output channels of a group.
    fn group_outputs(&self) -> usize {
        self.output[0] / self.groups
    }

    fn cells(&self) -> usize {
        self.window.kernel * self.window.kernel
    }

    fn weights(&self) -> usize {
        self.output[0] * self.group_inputs() * self.cells()
    }
}

/// Every `step`th pixel of a plane both ways, from a first one on that may lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    first: [isize; 2],
    step: usize,
}

impl Grid {
    const WHOLE: Self = Self { first: [0, 0], step: 1 };

    /// The numbers of the grid's rows (`side` 0) or columns (1) that are inside a plane, of the first `count`.
    fn inside(&self, side: usize, size: usize, count: usize) -> Range<usize> {
        let step = self.step as isize;
        let before = |pixel: isize| ((pixel - self.first[side] + step - 1).div_euclid(step)).clamp(0, count as isize) as usize;
        before(0)..before(size as isize)
    }

    /// The place in a plane of `columns` columns of a pixel of the grid that is inside.
    fn place(&self, row: usize, column: usize, columns: usize) -> usize {
        let at = |side: usize, number: usize| (self.first[side] + (number * self.step) as isize) as usize;
        at(0, row) * columns + at(1, column)
    }
}

/// Channels of planes, and the grids by which their pixels come to lie on sheets.
#[derive(Clone, Debug)]
struct Side {
    channels: usize,
    plane: [usize; 2],
    grids: Vec<Grid>,
}

impl Side {
    fn image(&self) -> usize {
        self.channels * self.plane[0] * self.plane[1]
    }
}

/// One value that a sum takes: which weight meets which pixel, seen from a position.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Of the source, in its group.
    channel: usize,
    /// Cell of the kernel.
    cell: usize,
    /// Which of the source's grids.
    grid: usize,
    /// From the position to the pixel, on the sheet.
    offset: usize,
}

/// A convolution or its transpose, as sums over taps.
#[derive(Clone, Debug)]
pub(crate) struct Correlation {
    source: Side,
    target: Side,
    groups: usize,
    /// Rows and columns of a sheet.
    sheet: [usize; 2],
    /// Rows and columns of positions.
    positions: [usize; 2],
    /// The taps of each of the target's grids.
    taps: Vec<Vec<Tap>>,
    /// From the weights of one channel of the target, and of the source, to those of the next.
    weight_steps: [usize; 2],
}

impl Correlation {
    /// The convolution: `y[n, o] = b[o] + Σ w[o, c, i, j] x[n, c, ..]`.
    pub(crate) fn forward(shape: &Shape) -> Self {
        let Window { kernel, stride, padding, dilation } = shape.window;
        let [_, height, width] = shape.output;
        let ahead = (kernel - 1) * dilation / stride;
        let sheet = [height + ahead, width + ahead];
        let mut grids = Vec::new();
        let mut taps = Vec::new();
        for channel in 0..shape.group_inputs() {
            for cell in 0..shape.cells() {
                let steps = [cell / kernel, cell % kernel].map(|step| step * dilation);
                let grid = Grid { first: steps.map(|step| (step % stride) as isize - padding as isize), step: stride };
                let known = grids.iter().position(|other| *other == grid).unwrap_or_else(|| {
                    grids.push(grid);
                    grids.len() - 1
                });
                taps.push(Tap { channel, cell, grid: known, offset: steps[0] / stride * sheet[1] + steps[1] / stride });
            }
        }
        Self {
            source: Side { channels: shape.input[0], plane: [shape.input[1], shape.input[2]], grids },
            target: Side { channels: shape.output[0], plane: [height, width], grids: vec![Grid::WHOLE] },
            groups: shape.groups,
            sheet,
            positions: [height, width],
            taps: vec![taps],
            weight_steps: [shape.group_inputs() * shape.cells(), shape.cells()],
        }
    }

    /// The transposed convolution: from a loss's gradient to the output, that to the input.
    ///
    /// A pixel of the input meets the cells whose remainder by the stride is its own; so each remainder is a grid with taps of its
    /// own.
    pub(crate) fn transposed(shape: &Shape) -> Self {
        let Window { kernel, stride, padding, dilation } = shape.window;
        let [_, height, width] = shape.input;
        let (skipped, back) = (padding / stride, (kernel - 1) * dilation / stride);
        let border = back.saturating_sub(skipped);
        let positions = [height, width].map(|size| (size - 1 + padding) / stride - skipped + 1);
        let sheet = positions.map(|positions| positions + skipped + border);
        let remainders = (0..stride).flat_map(|row| (0..stride).map(move |column| [row, column]));
        let (grids, taps) = remainders
            .map(|remainder| {
                let first = remainder.map(|remainder| (skipped * stride + remainder) as isize - padding as isize);
                let taps = (0..shape.group_outputs()).flat_map(|channel| (0..shape.cells()).map(move |cell| (channel, cell)));
                let taps = taps.filter_map(|(channel, cell)| {
                    let steps = [cell / kernel, cell % kernel].map(|step| step * dilation);
                    let [row, column] = steps.map(|step| skipped + border - step / stride);
                    let meets = steps.map(|step| step % stride) == remainder;
                    meets.then(|| Tap { channel, cell, grid: 0, offset: row * sheet[1] + column })
                });
                (Grid { first, step: stride }, taps.collect())
            })
            .unzip();
        let grid = Grid { first: [-(border as isize); 2], step: 1 };
        Self {
            source: Side { channels: shape.output[0], plane: [shape.output[1], shape.output[2]], grids: vec![grid] },
            target: Side { channels: shape.input[0], plane: [height, width], grids },
            groups: shape.groups,
            sheet,
            positions,
            taps,
            weight_steps: [shape.cells(), shape.group_inputs() * shape.cells()],
        }
    }

    fn sheet_len(&self) -> usize {
        self.sheet[0] * self.sheet[1]
    }

    /// Images of a block.
    fn block(&self) -> usize {
        BLOCK.div_ceil(self.sheet_len())
    }

    /// Positions of a block of `images`, from the first to the last.
    fn span(&self, images: usize) -> usize {
        (images - 1) * self.sheet_len() + (self.positions[0] - 1) * self.sheet[1] + self.positions[1]
    }

    /// Values from the sums of one channel to the next.
    fn sums_stride(&self, images: usize) -> usize {
        self.span(images) + SLACK
    }

    fn source_channels(&self) -> usize {
        self.source.channels / self.groups
    }

    fn target_channels(&self) -> usize {
        self.target.channels / self.groups
    }

    /// The taps of one of the target's grids as offsets into the sheets of a block of `images`.
    fn offsets(&self, grid: usize, images: usize) -> Vec<usize> {
        let sheets = self.source.grids.len();
        let place = |tap: &Tap| (tap.channel * sheets + tap.grid) * self.stride(images) + tap.offset;
        self.taps[grid].iter().map(place).collect()
    }

    /// Copies the weights `[O, C / groups, k, k]` into the order in which [`run`](Self::run) takes them: by group, grid, panel, tap and
    /// row. The order does not depend on the size of the images.
    pub(crate) fn pack<T: Element>(&self, weights: &[T], packed: &mut [T]) {
        let [row_step, channel_step] = self.weight_steps;
        let groups = weights.chunks_exact(weights.len() / self.groups);
        let grids = groups.flat_map(|weights| self.taps.iter().map(move |taps| (weights, taps)));
        let sources = grids.flat_map(|(weights, taps)| {
            panels(self.target_channels()).flat_map(move |(row, width)| {
                let places = taps.iter().map(move |tap| row * row_step + tap.channel * channel_step + tap.cell);
                places.flat_map(move |place| (0..width).map(move |row| weights[place + row * row_step]))
            })
        });
        packed.iter_mut().zip(sources).for_each(|(to, from)| *to = from);
    }

    /// Values from the sheets of one channel and grid to the next, for blocks of `images`.
    fn stride(&self, images: usize) -> usize {
        (images * self.sheet_len()).next_multiple_of(LANES)
    }

    /// Values of the sheets of a group.
    fn sheets_len(&self, images: usize) -> usize {
        self.source_channels() * self.source.grids.len() * self.stride(images) + SLACK
    }

    /// Copies the source's channels of a group to sheets.
    fn spread<T: Element>(&self, source: Source<'_, T>, group: usize, sheets: &mut [T]) {
        let images = source.values;
        let count = images.len() / self.source.image();
        let [height, width] = self.source.plane;
        let (grids, stride) = (&self.source.grids, self.stride(count));
        for (number, sheets) in sheets.chunks_exact_mut(stride).take(self.source_channels() * grids.len()).enumerate() {
            let (channel, grid) = (group * self.source_channels() + number / grids.len(), grids[number % grids.len()]);
            let (rows, columns) = (grid.inside(0, height, self.sheet[0]), grid.inside(1, width, self.sheet[1]));
            let (sheets, gap) = sheets.split_at_mut(count * self.sheet_len());
            gap.fill(T::ZERO);
            for (image, sheet) in sheets.chunks_exact_mut(self.sheet_len()).enumerate() {
                let plane = image * self.source.image() + channel * height * width;
                for (row, line) in sheet.chunks_exact_mut(self.sheet[1]).enumerate() {
                    if !rows.contains(&row) || columns.is_empty() {
                        line.fill(T::ZERO);
                        continue;
                    }
                    line[..columns.start].fill(T::ZERO);
                    line[columns.end..].fill(T::ZERO);
                    let line = &mut line[columns.clone()];
                    let pixels = plane + grid.place(row, columns.start, width)..;
                    each(line, &images[pixels.clone()], grid.step, |to, from| *to = from);
                    if let Some((divisors, epsilon)) = source.divisor {
                        each(line, &divisors[pixels], grid.step, |to, divisor| *to = stabilized_ratio(*to, divisor, epsilon));
                    }
                }
            }
        }
    }

    /// Copies sums back to the planes of the target's channels of a group.
    fn collect<T: Element>(&self, sums: &[T], stride: usize, group: usize, grid: usize, finish: Finish<'_, T>, images: &mut [T]) {
        let [height, width] = self.target.plane;
        let grid = self.target.grids[grid];
        let (rows, columns) = (grid.inside(0, height, self.positions[0]), grid.inside(1, width, self.positions[1]));
        if columns.is_empty() {
            return;
        }
        let least = if finish.rectified { T::ZERO } else { T::LOWEST };
        for image in 0..images.len() / self.target.image() {
            for own in 0..self.target_channels() {
                let channel = group * self.target_channels() + own;
                let plane = (image * self.target.channels + channel) * height * width;
                let sums = &sums[own * stride + image * self.sheet_len()..];
                let bias = finish.bias.map_or(T::ZERO, |bias| bias[channel]);
                let end = |sum: T| if sum + bias < least { least } else { sum + bias };
                for row in rows.clone() {
                    let sums = &sums[row * self.sheet[1]..][columns.clone()];
                    let pixels = plane + grid.place(row, columns.start, width)..;
                    match (finish.factor, grid.step) {
                        (None, 1) => images[pixels].iter_mut().zip(sums).for_each(|(to, sum)| *to = end(*sum)),
                        (None, step) => images[pixels].iter_mut().step_by(step).zip(sums).for_each(|(to, sum)| *to = end(*sum)),
                        (Some(factors), 1) => {
                            let pairs = images[pixels.clone()].iter_mut().zip(&factors[pixels]);
                            pairs.zip(sums).for_each(|((to, factor), sum)| *to = end(*sum) * *factor);
                        }
                        (Some(factors), step) => {
                            let pairs = images[pixels.clone()].iter_mut().zip(&factors[pixels]).step_by(step);
                            pairs.zip(sums).for_each(|((to, factor), sum)| *to = end(*sum) * *factor);
                        }
                    }
                }
            }
        }
    }

    /// Weights of a group and one of the target's grids.
    fn packed_len(&self, grid: usize) -> usize {
        self.target_channels() * self.taps[grid].len()
    }

    /// All images' sums, from packed weights.
    pub(crate) fn run<T: Element>(&self, source: Source<'_, T>, weights: &[T], finish: Finish<'_, T>, target: &mut [T], memory: &Memory) {
        let most = self.block().min(target.len() / self.target.image()).max(1);
        let scratch = || (memory.lease(self.sheets_len(most)), memory.lease(self.target_channels() * self.sums_stride(most)));
        let blocks = target.par_chunks_mut(self.block() * self.target.image()).enumerate();
        blocks.for_each_init(scratch, |(sheets, sums), (block, target)| {
            let (first, images) = (block * self.block(), target.len() / self.target.image());
            let (source, finish) = (source.part(first, images, self.source.image()), finish.part(first, images, self.target.image()));
            let (span, stride) = (self.span(images), self.sums_stride(images));
            let sums = &mut sums[..self.target_channels() * stride];
            let offsets: Vec<Vec<usize>> = (0..self.taps.len()).map(|grid| self.offsets(grid, images)).collect();
            let mut weights = weights;
            for group in 0..self.groups {
                self.spread(source, group, sheets);
                for (grid, offsets) in offsets.iter().enumerate() {
                    let (own, rest) = weights.split_at(self.packed_len(grid));
                    weights = rest;
                    correlate(own, sheets, offsets, span, sums, stride);
                    self.collect(sums, stride, group, grid, finish, target);
                }
            }
        });
    }
}

/// What a correlation takes its sums of.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) values: &'a [T],
    /// What each value is divided by first, and ε; see [`stabilized_ratio`].
    pub(crate) divisor: Option<(&'a [T], T)>,
}

impl<'a, T: Element> Source<'a, T> {
    pub(crate) fn plain(values: &'a [T]) -> Self {
        Self { values, divisor: None }
    }

    fn part(self, first: usize, images: usize, image: usize) -> Self {
        let part = |values: &'a [T]| &values[first * image..][..images * image];
        Self { values: part(self.values), divisor: self.divisor.map(|(values, epsilon)| (part(values), epsilon)) }
    }
}

/// What is done to each sum on its way back.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a, T> {
    /// Added to each channel.
    pub(crate) bias: Option<&'a [T]>,
    /// Whether negative values become zero then.
    pub(crate) rectified: bool,
    /// What each value is multiplied by then.
    pub(crate) factor: Option<&'a [T]>,
}

impl<T: Element> Finish<'_, T> {
    /// Nothing.
    pub(crate) const NONE: Self = Self { bias: None, rectified: false, factor: None };

    fn part(self, first: usize, images: usize, image: usize) -> Self {
        Self { factor: self.factor.map(|values| &values[first * image..][..images * image]), ..self }
    }
}

/// The gradient of a loss to the weights, summed over the images.
pub(crate) fn backward_weight<T: Element>(shape: &Shape, x: &[T], dy: &[T], memory: &Memory) -> Vec<T> {
    let correlation = Correlation::forward(shape);
    let piece = shape.images.div_ceil(PIECES).max(1).next_multiple_of(correlation.block());
    let pieces = x.par_chunks(piece * shape.input_image()).zip(dy.par_chunks(piece * shape.output_image()));
    let mut totals: Vec<Lease<T>> = pieces.map(|(x, dy)| correlation.products(x, dy, memory)).collect();
    let mut dw = vec![T::ZERO; shape.weights()];
    let Some((total, rest)) = totals.split_first_mut() else { return dw };
    total.par_chunks_mut(GRAIN).enumerate().for_each(|(number, total)| {
        for part in rest.iter() {
            total.iter_mut().zip(&part[number * GRAIN..]).for_each(|(total, part)| *total += *part);
        }
    });
    let (outputs, weights) = (shape.group_outputs(), shape.weights() / shape.output[0]);
    dw.par_chunks_mut(weights).enumerate().for_each(|(output, dw)| {
        let (group, row) = (output / outputs, output % outputs);
        let (panel, width) = lane_panels(outputs).take_while(|(first, _)| *first <= row).last().unwrap_or_default();
        let sums = &total[group * correlation.padded_len() + panel * weights + row - panel..];
        dw.iter_mut().zip(sums.iter().step_by(width)).for_each(|(dw, sum)| *dw = *sum);
    });
    dw
}

/// The rows of a matrix in panels of whole vectors, the last with room to spare: the first row of each, and how many.
fn lane_panels(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(2 * LANES).map(move |row| (row, if rows - row > LANES { 2 * LANES } else { LANES }))
}

impl Correlation {
    /// The weight gradients of a group, with the rows that its panels have to spare.
    fn padded_len(&self) -> usize {
        self.target_channels().next_multiple_of(LANES) * self.taps[0].len()
    }

    /// The weight gradient of some images: by group, panel, tap and row.
    fn products<T: Element>(&self, x: &[T], dy: &[T], memory: &Memory) -> Lease<T> {
        let most = self.block().min(x.len() / self.source.image());
        let [rows, columns] = self.positions;
        let (mut sheets, mut left) = (memory.lease(self.sheets_len(most)), memory.lease(most * rows * columns * 2 * LANES));
        let mut sums = memory.lease(self.groups * self.padded_len());
        sums.fill(T::ZERO);
        for (x, dy) in x.chunks(self.block() * self.source.image()).zip(dy.chunks(self.block() * self.target.image())) {
            let images = x.len() / self.source.image();
            let positions = Positions { images, sheet: self.sheet_len(), rows, columns, stride: self.sheet[1] };
            let taps = self.offsets(0, images);
            for (group, sums) in sums.chunks_exact_mut(self.padded_len()).enumerate() {
                self.spread(Source::plain(x), group, &mut sheets);
                for (row, width) in lane_panels(self.target_channels()) {
                    let channels = group * self.target_channels() + row..(group + 1) * self.target_channels();
                    let left = &mut left[..images * rows * columns * width];
                    self.interleave(dy, channels, width, left);
                    accumulate(left, width, &sheets, &taps, positions, &mut sums[row * taps.len()..][..width * taps.len()]);
                }
            }
        }
        sums
    }

    /// At most `width` of some channels of the target's images, position by position; zeros stand for those missing.
    fn interleave<T: Element>(&self, images: &[T], channels: Range<usize>, width: usize, to: &mut [T]) {
        let plane: usize = self.target.plane.iter().product();
        let count = channels.len().min(width);
        for (to, image) in to.chunks_exact_mut(plane * width).zip(images.chunks_exact(self.target.image())) {
            let planes = &image[channels.start * plane..][..count * plane];
            for (position, to) in to.chunks_exact_mut(width).enumerate() {
                let (values, spare) = to.split_at_mut(count);
                values.iter_mut().zip(planes[position..].iter().step_by(plane)).for_each(|(to, from)| *to = *from);
                spare.fill(T::ZERO);
            }
        }
    }
}
