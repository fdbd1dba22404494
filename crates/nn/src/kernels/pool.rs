//! Max-pool, average pool, and their gradients, parallel over planes.
//!
//! As in a convolution, the cells of the window are taps on [`sheets`](super::conv::sheets), so that the processor can take many positions
//! at once.

use std::array::from_fn;

use rayon::prelude::*;

use super::conv::sheets::Sheets;
use super::conv::{self, Finish, Source};
use super::tasks::Pieces;
use super::tile::{maximum, win};
use super::{Element, chunks_a_task};
use crate::array::Memory;
use crate::window::{Border, Window};

/// The sizes of a pool; planes are all channels of all images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Height and width of the input.
    pub(crate) input: [usize; 2],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
    pub(crate) window: Window,
}

impl Shape {
    fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The planes as images of one channel, and the pool as a convolution of them.
    fn planes(&self) -> conv::Shape {
        let plane = |[rows, columns]: [usize; 2]| [1, rows, columns];
        let Window { stride, kernel, .. } = self.window;
        // A single position needs no room for others.
        let stride = from_fn(|side| if self.output[side] == 1 { kernel[side] } else { stride[side] });
        let window = Window { stride, ..self.window };
        conv::Shape { images: 1, input: plane(self.input), output: plane(self.output), groups: 1, window }
    }

    /// From the first pixel of an image with its border to the image's own.
    fn border(&self) -> usize {
        self.window.before[0] * self.input[1] + self.window.before[1]
    }

    /// How far the pixel that a cell of the window sees is from that of the first cell, in values of an image.
    fn cells(&self) -> Vec<usize> {
        let [rows, columns] = self.window.kernel;
        (0..rows).flat_map(|row| (0..columns).map(move |column| row * self.input[1] + column)).collect()
    }

    /// For each place of a sheet that is a position, the first cell of the window that sees the image.
    fn first_seen(&self, sheets: &Sheets) -> Vec<u32> {
        let Window { kernel, stride, before, .. } = self.window;
        let mut first = vec![0; sheets.sheet_len()];
        for row in 0..self.output[0] {
            for column in 0..self.output[1] {
                let cell = before[0].saturating_sub(row * stride[0]) * kernel[1] + before[1].saturating_sub(column * stride[1]);
                first[row * sheets.sheet[1] + column] = cell as u32;
            }
        }
        first
    }
}

/// The largest value under each window; a NaN counts as larger than every number.
pub(crate) fn max_forward<T: Element>(shape: &Shape, x: &[T], y: &mut [T], memory: &Memory) {
    let sheets = Sheets::forward(&shape.planes());
    let most = sheets.block().min(x.len() / shape.input_plane()).max(1);
    let [inputs, outputs] = [shape.input_plane(), shape.output_plane()].map(|plane| sheets.block() * plane);
    let blocks = y.par_chunks_mut(outputs).zip(x.par_chunks(inputs));
    let scratch = || (memory.lease(sheets.sheets_len(most)), memory.lease(sheets.sums_stride(most)));
    blocks.tasks_of(chunks_a_task(inputs)).for_each_init(scratch, |(spread, largest), (y, x)| {
        let planes = x.len() / shape.input_plane();
        sheets.spread(Source::plain(x), 0, T::LOWEST, spread, &mut []);
        maximum(spread, &sheets.offsets(0, planes), &mut largest[..sheets.sums_stride(planes)]);
        sheets.collect(largest, sheets.sums_stride(planes), 0, 0, Finish::NONE, y);
    });
}

/// Gives each output's share `dy` to the input that won, the first of equal ones in row-major order; shares of overlapping windows add
/// up. A NaN loses against every number.
pub(crate) fn max_backward<T: Element>(shape: &Shape, x: &[T], dy: &[T], dx: &mut [T], memory: &Memory) {
    let sheets = Sheets::forward(&shape.planes());
    let most = sheets.block().min(x.len() / shape.input_plane()).max(1);
    let first = shape.first_seen(&sheets);
    let cells = shape.cells();
    let [inputs, outputs] = [shape.input_plane(), shape.output_plane()].map(|plane| sheets.block() * plane);
    let blocks = dx.par_chunks_mut(inputs).zip(x.par_chunks(inputs)).zip(dy.par_chunks(outputs));
    let scratch = || (memory.lease(sheets.sheets_len(most)), vec![0; sheets.sums_stride(most)]);
    blocks.tasks_of(chunks_a_task(inputs)).for_each_init(scratch, |(spread, winners), ((dx, x), dy)| {
        let planes = x.len() / shape.input_plane();
        sheets.spread(Source::plain(x), 0, T::LOWEST, spread, &mut []);
        let winners = &mut winners[..sheets.sums_stride(planes)];
        winners.chunks_mut(first.len()).for_each(|winners| winners.copy_from_slice(&first[..winners.len()]));
        win(spread, &sheets.offsets(0, planes), winners);
        dx.fill(T::ZERO);
        let planes = dx.chunks_exact_mut(shape.input_plane()).zip(dy.chunks_exact(shape.output_plane()));
        for ((dx, dy), winners) in planes.zip(winners.chunks(sheets.sheet_len())) {
            for (row, dy) in dy.chunks_exact(shape.output[1]).enumerate() {
                let start = row * shape.window.stride[0] * shape.input[1];
                for (column, (winner, dy)) in winners[row * sheets.sheet[1]..].iter().zip(dy).enumerate() {
                    dx[start + column * shape.window.stride[1] + cells[*winner as usize] - shape.border()] += *dy;
                }
            }
        }
    });
}

/// What the sum under each window is divided by: the rows that count times the columns that count.
struct Counts<T> {
    /// For each position of a plane.
    positions: Vec<T>,
}

impl<T: Element> Counts<T> {
    fn new(shape: &Shape, border: Border) -> Self {
        let Window { kernel, stride, before, .. } = shape.window;
        let seen = |side: usize, position: usize| {
            let start = position * stride[side];
            let end = (start + kernel[side]).min(before[side] + shape.input[side]);
            if border == Border::Counted { kernel[side] } else { end - start.max(before[side]) }
        };
        let rows = (0..shape.output[0]).flat_map(|row| (0..shape.output[1]).map(move |column| [row, column]));
        Self { positions: rows.map(|[row, column]| T::from_f64((seen(0, row) * seen(1, column)) as f64)).collect() }
    }

    /// Divides the values of some planes.
    fn divide(&self, planes: &mut [T]) {
        planes.par_chunks_mut(self.positions.len()).tasks_of(chunks_a_task(self.positions.len())).for_each(|plane| {
            plane.iter_mut().zip(&self.positions).for_each(|(value, count)| *value /= *count);
        });
    }
}

/// The mean under each window.
pub(crate) fn avg_forward<T: Element>(shape: &Shape, border: Border, x: &[T], y: &mut [T], memory: &Memory) {
    let sheets = Sheets::forward(&shape.planes().cropped().1);
    sheets.run(Source::plain(x), &vec![T::ONE; sheets.packed_len()], Finish::NONE, y, memory);
    Counts::new(shape, border).divide(y);
}

/// Gives each output's share `dy` in equal parts to the inputs that its mean is of.
pub(crate) fn avg_backward<T: Element>(shape: &Shape, border: Border, dy: &[T], dx: &mut [T], memory: &Memory) {
    let sheets = Sheets::transposed(&shape.planes().cropped().1);
    let mut parts = memory.lease(dy.len());
    parts.copy_from_slice(dy);
    Counts::new(shape, border).divide(&mut parts);
    sheets.run(Source::plain(&parts), &vec![T::ONE; sheets.packed_len()], Finish::NONE, dx, memory);
}
