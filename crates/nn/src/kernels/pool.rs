//! Max-pool, average pool, and their gradients, parallel over planes.
//!
//! An output row is worked out one cell of the window at a time, over all its positions, so that the processor can take many
//! positions at once.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::tasks::Pieces;
use super::{Element, chunks_a_task, each, reachable};
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

/// What one column of the window sees from a row of positions.
struct Column {
    number: usize,
    /// The positions from which it sees the image and not the border.
    positions: Range<usize>,
    /// The column of the image that it sees from the first of them; from each next one, a stride further.
    first: usize,
}

impl Shape {
    fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// What the window's columns see.
    fn columns(&self) -> Vec<Column> {
        let Window { kernel: [_, columns], stride: [_, stride], before: [_, left], .. } = self.window;
        let seen = |number| {
            let positions = reachable(number, left, stride, self.input[1], self.output[1]);
            (!positions.is_empty()).then(|| Column { number, first: positions.start * stride + number - left, positions })
        };
        (0..columns).filter_map(seen).collect()
    }

    /// The rows of the window that see the image from a row of positions.
    fn rows(&self, row: usize) -> Range<usize> {
        let Window { kernel: [rows, _], stride: [stride, _], before: [above, _], .. } = self.window;
        above.saturating_sub(row * stride)..rows.min((self.input[0] + above).saturating_sub(row * stride))
    }

    /// Where a row of the image begins that a row of the window sees from a row of positions.
    fn line(&self, row: usize, window_row: usize) -> usize {
        (row * self.window.stride[0] + window_row - self.window.before[0]) * self.input[1]
    }

    /// The values that a column of the window sees, side by side: in `room`, unless they are so already.
    fn seen<'a, T: Element>(&self, line: &'a [T], column: &Column, room: &'a mut [T]) -> &'a [T] {
        let values = &line[column.first..];
        if self.window.stride[1] == 1 {
            return &values[..column.positions.len()];
        }
        let room = &mut room[..column.positions.len()];
        each(room.iter_mut(), values, self.window.stride[1], |to, from| *to = from);
        room
    }

    /// Fills each output plane, row by row, from its input plane, and finishes each row by its number.
    fn map<T: Element>(&self, x: &[T], y: &mut [T], start: T, visit: impl Fn(&mut T, T) + Sync, finish: impl Fn(usize, &mut [T]) + Sync) {
        let columns = self.columns();
        let planes = y.par_chunks_mut(self.output_plane()).zip(x.par_chunks(self.input_plane()));
        planes.tasks_of(chunks_a_task(self.input_plane())).for_each_init(
            || vec![start; self.output[1]],
            |room, (y, x)| {
                y.fill(start);
                for (row, y) in y.chunks_exact_mut(self.output[1]).enumerate() {
                    for line in self.rows(row).map(|window_row| &x[self.line(row, window_row)..]) {
                        for column in &columns {
                            let seen = self.seen(line, column, room);
                            y[column.positions.clone()].iter_mut().zip(seen).for_each(|(y, x)| visit(y, *x));
                        }
                    }
                    finish(row, y);
                }
            },
        );
    }
}

/// The largest value under each window; a NaN counts as larger than every number.
pub(crate) fn max_forward<T: Element>(shape: &Shape, x: &[T], y: &mut [T]) {
    let compete = |best: &mut T, value| {
        #[expect(clippy::eq_op, reason = "only a NaN differs from itself")]
        let is_nan = value != value;
        *best = if value > *best || is_nan { value } else { *best };
    };
    shape.map(x, y, T::LOWEST, compete, |_, _| ());
}

/// Gives each output's share `dy` to the input that won; shares of overlapping windows add up.
pub(crate) fn max_backward<T: Element>(shape: &Shape, x: &[T], dy: &[T], dx: &mut [T]) {
    let (columns, width) = (shape.columns(), shape.output[1]);
    let Window { stride: [_, stride], before: [_, left], .. } = shape.window;
    let planes = dx.par_chunks_mut(shape.input_plane()).zip(x.par_chunks(shape.input_plane())).zip(dy.par_chunks(shape.output_plane()));
    let state = || (vec![T::NAN; width], vec![0; width], vec![T::ZERO; width]);
    planes.tasks_of(chunks_a_task(shape.input_plane())).for_each_init(state, |(best, winners, room), ((dx, x), dy)| {
        dx.fill(T::ZERO);
        for (row, dy) in dy.chunks_exact(width).enumerate() {
            best.fill(T::NAN);
            for line in shape.rows(row).map(|window_row| shape.line(row, window_row)) {
                for column in &columns {
                    // From where the window's first column would lie.
                    let place = (line + column.number) as u32;
                    let seen = shape.seen(&x[line..], column, room);
                    let (best, winners) = (&mut best[column.positions.clone()], &mut winners[column.positions.clone()]);
                    Arch::new().dispatch(Compete { best, winners, values: seen, place });
                }
            }
            for (column, (winner, dy)) in winners.iter().zip(dy).enumerate() {
                dx[*winner as usize + column * stride - left] += *dy;
            }
        }
    });
}

/// Puts values in the place of those that they beat, and notes where they come from. Anything beats a NaN.
struct Compete<'a, T> {
    best: &'a mut [T],
    winners: &'a mut [u32],
    values: &'a [T],
    place: u32,
}

impl<T: Element> WithSimd for Compete<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((best, winner), value) in self.best.iter_mut().zip(self.winners).zip(self.values) {
            #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "anything beats a NaN")]
            let wins = !(*value <= *best);
            *best = if wins { *value } else { *best };
            *winner = if wins { self.place } else { *winner };
        }
    }
}

/// What the sum under each window is divided by: the rows that count times the columns that count.
struct Counts<T> {
    border: Border,
    /// For each position of a row.
    columns: Vec<T>,
}

impl<T: Element> Counts<T> {
    fn new(shape: &Shape, border: Border, columns: &[Column]) -> Self {
        let seen = |position| columns.iter().filter(|column| column.positions.contains(&position)).count();
        let counted = |position| if border == Border::Counted { shape.window.kernel[1] } else { seen(position) };
        Self { border, columns: (0..shape.output[1]).map(|position| T::from_f64(counted(position) as f64)).collect() }
    }

    /// Divides the values of a row of positions.
    fn divide(&self, shape: &Shape, row: usize, values: &mut [T]) {
        let rows = if self.border == Border::Counted { shape.window.kernel[0] } else { shape.rows(row).len() };
        let rows = T::from_f64(rows as f64);
        values.iter_mut().zip(&self.columns).for_each(|(value, columns)| *value /= rows * *columns);
    }
}

/// The mean under each window.
pub(crate) fn avg_forward<T: Element>(shape: &Shape, border: Border, x: &[T], y: &mut [T]) {
    let counts = Counts::new(shape, border, &shape.columns());
    shape.map(x, y, T::ZERO, |sum, value| *sum += value, |row, y| counts.divide(shape, row, y));
}

/// Gives each output's share `dy` in equal parts to the inputs that its mean is of.
pub(crate) fn avg_backward<T: Element>(shape: &Shape, border: Border, dy: &[T], dx: &mut [T]) {
    let columns = shape.columns();
    let counts = Counts::new(shape, border, &columns);
    let planes = dx.par_chunks_mut(shape.input_plane()).zip(dy.par_chunks(shape.output_plane()));
    planes.tasks_of(chunks_a_task(shape.input_plane())).for_each_init(
        || vec![T::ZERO; shape.output[1]],
        |parts, (dx, dy)| {
            dx.fill(T::ZERO);
            for (row, dy) in dy.chunks_exact(shape.output[1]).enumerate() {
                parts.copy_from_slice(dy);
                counts.divide(shape, row, parts);
                for line in shape.rows(row).map(|window_row| shape.line(row, window_row)) {
                    for Column { positions, first, .. } in &columns {
                        let seen = dx[line + first..].iter_mut().step_by(shape.window.stride[1]);
                        seen.zip(&parts[positions.clone()]).for_each(|(dx, part)| *dx += *part);
                    }
                }
            }
        },
    );
}
