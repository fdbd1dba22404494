//! A safe face on the GEMM library.
#![expect(unsafe_code, reason = "the GEMM library takes raw pointers")]

use gemm::Parallelism;

use super::Element;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `rows` rows of `columns` values, each row `row_stride` values after the one before.
    pub(crate) fn new(values: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(reach(rows, columns, row_stride) <= values.len(), "matrix beyond its slice");
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    /// The same values, rows as columns.
    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }
}

fn reach(rows: usize, columns: usize, row_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + columns }
}

/// What happens to the values that the product meets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// They are lost.
    Replace,
    /// The product is added to them.
    Add,
}

/// `c = a b` or `c += a b`, on the calling thread; the rows of `c` follow one another.
pub(crate) fn multiply<T: Element>(a: Matrix<'_, T>, b: Matrix<'_, T>, c: &mut [T], write: Write) {
    assert!(a.columns == b.rows && a.rows * b.columns == c.len(), "matrices do not fit");
    // SAFETY: `Matrix::new` and `transposed` keep every index `row * row_stride + column * column_stride` inside the slices, the
    // dimensions agree, `c` is borrowed alone and has as many values as the product, and `T` is `f32` or `f64`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            c.as_mut_ptr(),
            1,
            b.columns as isize,
            write == Write::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
