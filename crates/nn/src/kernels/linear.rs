//! Matrix products of whole batches, parallel over rows of the result.

use rayon::prelude::*;

use super::Element;
use super::gemm::{Matrix, MatrixMut, Write, multiply};

/// Rows of the result that one task computes.
const ROWS: usize = 32;

/// `x wᵀ + b`: `[n, inputs]` and `[outputs, inputs]` give `[n, outputs]`.
pub(crate) fn forward<T: Element>(inputs: usize, outputs: usize, x: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len() / inputs * outputs];
    if let Some(bias) = bias {
        y.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(bias));
    }
    let weight = Matrix::new(weight, outputs, inputs, inputs).transposed();
    y.par_chunks_mut(ROWS * outputs).zip(x.par_chunks(ROWS * inputs)).for_each(|(y, x)| {
        let rows = x.len() / inputs;
        multiply(Matrix::new(x, rows, inputs, inputs), weight, &mut MatrixMut::new(y, rows, outputs, outputs), Write::Add);
    });
    y
}

/// `dy w`: the gradient to the input.
pub(crate) fn backward_input<T: Element>(inputs: usize, outputs: usize, dy: &[T], weight: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; dy.len() / outputs * inputs];
    let weight = Matrix::new(weight, outputs, inputs, inputs);
    dx.par_chunks_mut(ROWS * inputs).zip(dy.par_chunks(ROWS * outputs)).for_each(|(dx, dy)| {
        let rows = dy.len() / outputs;
        multiply(Matrix::new(dy, rows, outputs, outputs), weight, &mut MatrixMut::new(dx, rows, inputs, inputs), Write::Replace);
    });
    dx
}

/// `dyᵀ x`: the gradient to the weights, summed over the batch.
pub(crate) fn backward_weight<T: Element>(inputs: usize, outputs: usize, x: &[T], dy: &[T]) -> Vec<T> {
    let n = x.len() / inputs;
    let mut dw = vec![T::ZERO; outputs * inputs];
    let x = Matrix::new(x, n, inputs, inputs);
    dw.par_chunks_mut(ROWS * inputs).enumerate().for_each(|(number, dw)| {
        let rows = dw.len() / inputs;
        let dy = Matrix::new(&dy[number * ROWS..], n, rows, outputs).transposed();
        multiply(dy, x, &mut MatrixMut::new(dw, rows, inputs, inputs), Write::Replace);
    });
    dw
}
