//! Arrays whose elements do not lie one after the other: transposed, sliced, or in Fortran's order.

use std::borrow::Cow;

use crate::array::byte_count;
use crate::{Dtype, array::count};

/// Where the elements of an array lie in a buffer, in elements.
pub(crate) struct Strided<'a> {
    pub(crate) offset: usize,
    pub(crate) shape: &'a [usize],
    /// From one element to the next along each dimension.
    pub(crate) strides: &'a [usize],
}

impl Strided<'_> {
    /// The bytes of the elements in row-major order, borrowed where they lie so already.
    ///
    /// # Errors
    /// When an element lies outside the buffer. The caller has made sure that the shape is not too large for memory: with strides of
    /// zero a small buffer fills any shape.
    pub(crate) fn gather<'b>(&self, buffer: &'b [u8], dtype: Dtype) -> Result<Cow<'b, [u8]>, String> {
        let &Strided { offset, shape, strides } = self;
        let (count, bytes, width) = (count(shape)?, byte_count(shape, dtype)?, dtype.size());
        if shape.len() != strides.len() {
            return Err(format!("{} strides for the shape {shape:?}", strides.len()));
        }
        if count == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        let last = shape.iter().zip(strides).try_fold(offset, |at, (&size, &stride)| at.checked_add((size - 1).checked_mul(stride)?));
        if last.is_none_or(|last| last >= buffer.len() / width) {
            return Err(format!("the shape {shape:?} with strides {strides:?} from {offset} leads outside {} bytes", buffer.len()));
        }
        if is_row_major(shape, strides) {
            return Ok(Cow::Borrowed(&buffer[offset * width..][..bytes]));
        }
        let mut gathered = Vec::with_capacity(bytes);
        let mut index = vec![0; shape.len()];
        let mut at = offset;
        for _ in 0..count {
            gathered.extend_from_slice(&buffer[at * width..][..width]);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    at += strides[axis];
                    break;
                }
                at -= (shape[axis] - 1) * strides[axis];
                index[axis] = 0;
            }
        }
        Ok(Cow::Owned(gathered))
    }
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected *= size;
        fits
    })
}

/// The strides of Fortran's order, in which the first dimension's elements are neighbours.
pub(crate) fn column_major(shape: &[usize]) -> Vec<usize> {
    let strides = shape.iter().scan(1usize, |next, &size| {
        let stride = *next;
        *next = next.saturating_mul(size);
        Some(stride)
    });
    strides.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(offset: usize, shape: &[usize], strides: &[usize]) -> Result<Vec<u8>, String> {
        let buffer: Vec<u8> = (0..24).collect();
        Strided { offset, shape, strides }.gather(&buffer, Dtype::U8).map(Cow::into_owned)
    }

    #[test]
    fn elements_come_in_row_major_order() {
        assert_eq!(gather(2, &[2, 3], &[3, 1]).unwrap(), [2, 3, 4, 5, 6, 7]);
        assert_eq!(gather(0, &[2, 3], &[1, 2]).unwrap(), [0, 2, 4, 1, 3, 5]);
        assert_eq!(gather(1, &[2, 2, 2], &[12, 2, 4]).unwrap(), [1, 5, 3, 7, 13, 17, 15, 19]);
        assert_eq!(gather(23, &[3], &[0]).unwrap(), [23; 3]);
        assert_eq!(gather(5, &[], &[]).unwrap(), [5]);
        assert!(gather(99, &[0, 7], &[7, 1]).unwrap().is_empty());
        assert_eq!(column_major(&[2, 3, 4]), [1, 2, 6]);
    }

    #[test]
    fn nothing_outside_is_read() {
        for (offset, shape, strides) in [
            (24, &[][..], &[][..]),
            (23, &[2], &[1]),
            (0, &[2], &[24]),
            (0, &[3, 2], &[usize::MAX, 1]),
            (usize::MAX, &[2], &[1]),
            (0, &[2], &[1, 1]),
            (0, &[usize::MAX, 2], &[0, 0]),
        ] {
            assert!(gather(offset, shape, strides).is_err(), "{offset} {shape:?} {strides:?}");
        }
    }
}
