//! Max-pool, average pool, and their gradients, parallel over planes.

use std::ops::Range;

use rayon::prelude::*;

use super::{Element, chunks_a_task};
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

impl Shape {
    fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The pixels of a side of `size` under the window's position, without the border.
    fn cells(&self, position: usize, size: usize) -> Range<usize> {
        let Window { kernel, stride, padding, .. } = self.window;
        (position * stride).saturating_sub(padding)..(position * stride + kernel - padding).min(size)
    }

    /// Each position of the output with the rows and columns of its window.
    fn windows(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
        let [height, width] = self.input;
        (0..self.output[0]).flat_map(move |y| {
            let rows = self.cells(y, height);
            (0..self.output[1]).map(move |x| (rows.clone(), self.cells(x, width)))
        })
    }

    /// The place of the largest value under a window; of equal ones the first, and a NaN wins over numbers.
    fn winner<T: Element>(&self, plane: &[T], (rows, columns): (Range<usize>, Range<usize>)) -> usize {
        let width = self.input[1];
        let mut best = rows.start * width + columns.start;
        for row in rows {
            for place in row * width + columns.start..row * width + columns.end {
                let value = plane[place];
                #[expect(clippy::eq_op, reason = "only a NaN differs from itself")]
                let wins = value > plane[best] || value != value;
                if wins {
                    best = place;
                }
            }
        }
        best
    }

    /// Fills each output plane from its input plane.
    fn map<T: Element>(&self, x: &[T], pool: impl Fn(&[T], &mut [T]) + Sync) -> Vec<T> {
        let (from, to) = (self.input_plane(), self.output_plane());
        let mut y = vec![T::ZERO; x.len() / from * to];
        let planes = y.par_chunks_mut(to).zip(x.par_chunks(from)).with_min_len(chunks_a_task(from));
        planes.for_each(|(y, x)| pool(x, y));
        y
    }
}

/// The largest value under each window.
pub(crate) fn max_forward<T: Element>(shape: &Shape, x: &[T]) -> Vec<T> {
    shape.map(x, |x, y| y.iter_mut().zip(shape.windows()).for_each(|(y, window)| *y = x[shape.winner(x, window)]))
}

/// Gives each output's share `dy` to the input that won; shares of overlapping windows add up.
pub(crate) fn max_backward<T: Element>(shape: &Shape, x: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; x.len()];
    let planes = dx.par_chunks_mut(shape.input_plane()).zip(x.par_chunks(shape.input_plane())).zip(dy.par_chunks(shape.output_plane()));
    planes.with_min_len(chunks_a_task(shape.input_plane())).for_each(|((dx, x), dy)| {
        dy.iter().zip(shape.windows()).for_each(|(dy, window)| dx[shape.winner(x, window)] += *dy);
    });
    dx
}

/// The mean under each window; the border counts as zeros.
pub(crate) fn avg_forward<T: Element>(shape: &Shape, x: &[T]) -> Vec<T> {
    let area = T::from_f64(1.0 / (shape.window.kernel * shape.window.kernel) as f64);
    let width = shape.input[1];
    shape.map(x, |x, y| {
        for (y, (rows, columns)) in y.iter_mut().zip(shape.windows()) {
            *y = rows.map(|row| x[row * width..][columns.clone()].iter().copied().sum::<T>()).sum::<T>() * area;
        }
    })
}

/// Gives each output's share `dy` in equal parts to the inputs under its window.
pub(crate) fn avg_backward<T: Element>(shape: &Shape, dy: &[T]) -> Vec<T> {
    let area = T::from_f64(1.0 / (shape.window.kernel * shape.window.kernel) as f64);
    let width = shape.input[1];
    let mut dx = vec![T::ZERO; dy.len() / shape.output_plane() * shape.input_plane()];
    let planes = dx.par_chunks_mut(shape.input_plane()).zip(dy.par_chunks(shape.output_plane()));
    planes.with_min_len(chunks_a_task(shape.input_plane())).for_each(|(dx, dy)| {
        for (dy, (rows, columns)) in dy.iter().zip(shape.windows()) {
            for row in rows {
                dx[row * width..][columns.clone()].iter_mut().for_each(|dx| *dx += *dy * area);
            }
        }
    });
    dx
}
