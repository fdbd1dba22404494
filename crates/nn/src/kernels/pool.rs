//! Max-pool, average pool, and their gradients, parallel over planes.
//!
//! An output row is worked out one cell of the window at a time, over all its positions, so that the processor can take many
//! positions at once.

use std::ops::Range;

use rayon::prelude::*;

use super::{Element, chunks_a_task, each, reachable};
use crate::graph::Window;

/// The sizes of a pool; planes are all channels of all images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Height and width of the input.
    pub(crate) input: [usize; 2],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
    pub(crate) window: Window,
}

/// What one cell of the window sees from a row of positions.
struct Line {
    /// The cell's number in row-major order.
    cell: u32,
    /// The positions from which it sees the image and not the border.
    positions: Range<usize>,
    /// The place that it sees from the first of them; from each next one, a stride further.
    first: usize,
}

impl Shape {
    fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The place in the image that a cell sees from a position.
    fn place(&self, row: usize, column: usize, cell: u32) -> usize {
        let Window { kernel, stride, padding, .. } = self.window;
        let (cell_row, cell_column) = (cell as usize / kernel, cell as usize % kernel);
        (row * stride + cell_row - padding) * self.input[1] + column * stride + cell_column - padding
    }

    /// What each cell of the window sees from a row of positions, in row-major order of the cells.
    fn lines(&self, row: usize) -> impl Iterator<Item = Line> + use<> {
        let (shape, Window { kernel, stride, padding, .. }) = (*self, self.window);
        let rows = (0..kernel).filter(move |cell| (padding..padding + shape.input[0]).contains(&(row * stride + cell)));
        rows.flat_map(move |cell_row| {
            (0..kernel).filter_map(move |cell_column| {
                let cell = (cell_row * kernel + cell_column) as u32;
                let positions = reachable(cell_column, padding, stride, shape.input[1], shape.output[1]);
                (!positions.is_empty()).then(|| Line { cell, first: shape.place(row, positions.start, cell), positions })
            })
        })
    }

    /// Shows each value that a row of positions sees of the plane `x` to the position's state.
    fn scan<T: Copy, S>(&self, row: usize, x: &[T], states: &mut [S], visit: impl Fn(&mut S, T, u32)) {
        for Line { cell, positions, first } in self.lines(row) {
            each(&mut states[positions], &x[first..], self.window.stride, |state, value| visit(state, value, cell));
        }
    }

    /// Fills each output plane, row by row, from its input plane.
    fn map<T: Element>(&self, x: &[T], y: &mut [T], start: T, visit: impl Fn(&mut T, T) + Sync) {
        let planes = y.par_chunks_mut(self.output_plane()).zip(x.par_chunks(self.input_plane()));
        planes.with_min_len(chunks_a_task(self.input_plane())).for_each(|(y, x)| {
            y.fill(start);
            let rows = y.chunks_exact_mut(self.output[1]).enumerate();
            rows.for_each(|(row, y)| self.scan(row, x, y, |y, value, _| visit(y, value)));
        });
    }
}

/// The largest value under each window; a NaN counts as larger than every number.
pub(crate) fn max_forward<T: Element>(shape: &Shape, x: &[T], y: &mut [T]) {
    shape.map(x, y, T::LOWEST, |best, value| {
        #[expect(clippy::eq_op, reason = "only a NaN differs from itself")]
        let is_nan = value != value;
        *best = if value > *best || is_nan { value } else { *best };
    });
}

/// Gives each output's share `dy` to the input that won; shares of overlapping windows add up.
pub(crate) fn max_backward<T: Element>(shape: &Shape, x: &[T], dy: &[T], dx: &mut [T]) {
    let width = shape.output[1];
    let planes = dx.par_chunks_mut(shape.input_plane()).zip(x.par_chunks(shape.input_plane())).zip(dy.par_chunks(shape.output_plane()));
    planes.with_min_len(chunks_a_task(shape.input_plane())).for_each_init(Vec::new, |winners, ((dx, x), dy)| {
        dx.fill(T::ZERO);
        for (row, dy) in dy.chunks_exact(width).enumerate() {
            winners.clear();
            winners.resize(width, (T::NAN, 0));
            shape.scan(row, x, winners, |(best, winner), value, cell| {
                #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "anything beats the NaN that the best begins as")]
                let wins = !(value <= *best);
                (*best, *winner) = if wins { (value, cell) } else { (*best, *winner) };
            });
            for (column, ((_, winner), dy)) in winners.iter().zip(dy).enumerate() {
                dx[shape.place(row, column, *winner)] += *dy;
            }
        }
    });
}

/// The mean under each window; the border counts as zeros.
pub(crate) fn avg_forward<T: Element>(shape: &Shape, x: &[T], y: &mut [T]) {
    let area = T::from_f64(1.0 / (shape.window.kernel * shape.window.kernel) as f64);
    shape.map(x, y, T::ZERO, |mean, value| *mean += value * area);
}

/// Gives each output's share `dy` in equal parts to the inputs under its window.
pub(crate) fn avg_backward<T: Element>(shape: &Shape, dy: &[T], dx: &mut [T]) {
    let area = T::from_f64(1.0 / (shape.window.kernel * shape.window.kernel) as f64);
    let planes = dx.par_chunks_mut(shape.input_plane()).zip(dy.par_chunks(shape.output_plane()));
    planes.with_min_len(chunks_a_task(shape.input_plane())).for_each(|(dx, dy)| {
        dx.fill(T::ZERO);
        for (row, dy) in dy.chunks_exact(shape.output[1]).enumerate() {
            for Line { positions, first, .. } in shape.lines(row) {
                let seen = dx[first..].iter_mut().step_by(shape.window.stride);
                seen.zip(&dy[positions]).for_each(|(dx, dy)| *dx += *dy * area);
            }
        }
    });
}
