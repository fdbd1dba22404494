//! Products of pairs of matrices, parallel over the pairs.

use rayon::prelude::*;

use super::gemm::{Matrix, Write, multiply};
use super::tasks::Pieces;
use super::{Element, chunks_a_task};

/// The sizes of the products of matrices `[rows, depth]` and `[depth, columns]`.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    /// Whether the left and the right matrices lie in memory with their rows as columns.
    pub(crate) transposed: [bool; 2],
}

/// `c = a b` for each pair of matrices; none has size 0.
pub(crate) fn matmul<T: Element>(shape: Shape, a: &[T], b: &[T], c: &mut [T]) {
    let Shape { rows, depth, columns, transposed } = shape;
    let matrix = |values, [rows, columns]: [usize; 2], transposed| {
        if transposed { Matrix::new(values, columns, rows, rows).transposed() } else { Matrix::new(values, rows, columns, columns) }
    };
    let pairs = a.par_chunks(rows * depth).zip(b.par_chunks(depth * columns));
    c.par_chunks_mut(rows * columns).zip(pairs).tasks_of(chunks_a_task(rows * columns)).for_each(|(c, (a, b))| {
        multiply(matrix(a, [rows, depth], transposed[0]), matrix(b, [depth, columns], transposed[1]), c, Write::Replace);
    });
}
