//! Matrix products of whole batches, parallel over rows of the result.

use rayon::prelude::*;

use super::Element;
use super::gemm::{Matrix, Write, multiply};
use super::tasks::Pieces;

/// Rows of the result that one task computes.
///
/// The last of a batch may be fewer: their GEMM has the same size, for a GEMM's rounding depends on its size, and the result for
/// a row must not depend on its batch.
const ROWS: usize = 32;

/// `x wᵀ + b`: `[n, inputs]` and `[outputs, inputs]` give `[n, outputs]`.
pub(crate) fn forward<T: Element>(inputs: usize, outputs: usize, x: &[T], weight: &[T], bias: Option<&[T]>, y: &mut [T]) {
    if let Some(bias) = bias {
        y.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(bias));
    }
    let write = if bias.is_some() { Write::Add } else { Write::Replace };
    let weight = Matrix::new(weight, outputs, inputs, inputs).transposed();
    multiply_rows(x, weight, inputs, y, outputs, write);
}

/// `dy w`: the gradient to the input.
pub(crate) fn backward_input<T: Element>(inputs: usize, outputs: usize, dy: &[T], weight: &[T], dx: &mut [T]) {
    multiply_rows(dy, Matrix::new(weight, outputs, inputs, inputs), outputs, dx, inputs, Write::Replace);
}

/// `c = a b` or `c += a b` for rows `a` of `from` values and rows `c` of `to` values.
fn multiply_rows<T: Element>(a: &[T], b: Matrix<'_, T>, from: usize, c: &mut [T], to: usize, write: Write) {
    c.par_chunks_mut(ROWS * to).zip(a.par_chunks(ROWS * from)).tasks_of(1).for_each(|(c, a)| {
        if c.len() == ROWS * to {
            multiply(Matrix::new(a, ROWS, from, from), b, c, write);
            return;
        }
        let (mut rows, mut products) = (a.to_vec(), c.to_vec());
        rows.resize(ROWS * from, T::ZERO);
        products.resize(ROWS * to, T::ZERO);
        multiply(Matrix::new(&rows, ROWS, from, from), b, &mut products, write);
        c.copy_from_slice(&products[..c.len()]);
    });
}

/// `dyᵀ x`: the gradient to the weights, summed over the batch.
pub(crate) fn backward_weight<T: Element>(inputs: usize, outputs: usize, x: &[T], dy: &[T], dw: &mut [T]) {
    let n = x.len() / inputs;
    let x = Matrix::new(x, n, inputs, inputs);
    dw.par_chunks_mut(ROWS * inputs).enumerate().for_each(|(number, dw)| {
        let rows = dw.len() / inputs;
        let dy = Matrix::new(&dy[number * ROWS..], n, rows, outputs).transposed();
        multiply(dy, x, dw, Write::Replace);
    });
}
