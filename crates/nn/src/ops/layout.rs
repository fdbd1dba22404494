//! Values in other places. Axes are those of a sample, without the batch.

use candle_core::{Result, Tensor};

use super::{by_tensor, check, check_samples, per_place};
use crate::Array;
use crate::kernels::elementwise as kernel;

/// Refuses samples without values or without this axis.
fn check_axis(x: &Array, axis: usize) -> Result<()> {
    check_samples(x.dims())?;
    check(axis + 1 < x.dims().len(), || format!("samples {:?} have no axis {axis}", x.dims()))
}

/// Arrays, one after the other along an axis.
pub fn concat(parts: &[&Array], axis: usize) -> Result<Array> {
    let Some(first) = parts.first() else { candle_core::bail!("nothing to join") };
    parts.iter().try_for_each(|part| check_axis(part, axis))?;
    let beside = |part: &Array| [&part.dims()[..=axis], &part.dims()[axis + 2..]].concat();
    check(parts.iter().all(|part| beside(part) == beside(first)), || "joined arrays must differ along one axis alone".into())?;
    let widths: Vec<usize> = parts.iter().map(|part| part.dims()[axis + 1..].iter().product()).collect();
    let mut shape = first.dims().to_vec();
    shape[axis + 1] = parts.iter().map(|part| part.dims()[axis + 1]).sum();
    per_place!(first, T => {
        let values = parts.iter().map(|part| part.slice::<T>()).collect::<Result<Vec<_>>>()?;
        Ok(first.fill(&shape, |y| kernel::join(&values, &widths, y)))
    }, _tensor => {
        Tensor::cat(&parts.iter().map(|part| part.tensor()).collect::<Result<Vec<_>>>()?, axis + 1).map(Array::of_device)
    })
}

/// The `len` places from `start` on along an axis.
pub fn slice(x: &Array, axis: usize, start: usize, len: usize) -> Result<Array> {
    check_axis(x, axis)?;
    let fits = len > 0 && start.checked_add(len).is_some_and(|end| end <= x.dims()[axis + 1]);
    check(fits, || format!("no {len} places from {start} on along axis {axis} of {:?}", x.dims()))?;
    let plane: usize = x.dims()[axis + 2..].iter().product();
    let width = x.dims()[axis + 1] * plane;
    let mut shape = x.dims().to_vec();
    shape[axis + 1] = len;
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(&shape, |y| kernel::part(values, width, start * plane, len * plane, y)))
    }, tensor => tensor.narrow(axis + 1, start, len)?.contiguous().map(Array::of_device))
}

/// The parts that are so long along an axis: undoes [`concat()`].
pub fn split(x: &Array, lengths: &[usize], axis: usize) -> Result<Vec<Array>> {
    check_axis(x, axis)?;
    check(lengths.iter().sum::<usize>() == x.dims()[axis + 1], || format!("{lengths:?} do not make up axis {axis} of {:?}", x.dims()))?;
    let starts = lengths.iter().scan(0, |start, len| Some(std::mem::replace(start, *start + len)));
    starts.zip(lengths).map(|(start, &len)| slice(x, axis, start, len)).collect()
}

/// Samples with `before` and `after` places of a value before and after each axis.
pub fn pad(x: &Array, before: &[usize], after: &[usize], value: f64) -> Result<Array> {
    check_samples(x.dims())?;
    check_margins(x, before, after)?;
    (0..before.len()).try_fold(x.clone(), |x, axis| {
        let margin = |len: usize| {
            let mut shape = x.dims().to_vec();
            shape[axis + 1] = len;
            x.full(value, &shape)
        };
        let parts = [margin(before[axis])?, x.clone(), margin(after[axis])?];
        concat(&parts.iter().filter(|part| part.dims()[axis + 1] > 0).collect::<Vec<_>>(), axis)
    })
}

/// Samples without `before` and `after` places of each axis: undoes [`pad`], and passes its gradient back.
pub fn crop(x: &Array, before: &[usize], after: &[usize]) -> Result<Array> {
    check_margins(x, before, after)?;
    (0..before.len())
        .try_fold(x.clone(), |x, axis| slice(&x, axis, before[axis], x.dims()[axis + 1].saturating_sub(before[axis] + after[axis])))
}

fn check_margins(x: &Array, before: &[usize], after: &[usize]) -> Result<()> {
    let fits = before.len() + 1 == x.dims().len() && after.len() == before.len();
    check(fits, || format!("margins {before:?} and {after:?} do not fit samples {:?}", x.dims()))
}

/// Samples with their axes in another order: axis `i` is what axis `order[i]` was.
pub fn transpose(x: &Array, order: &[usize]) -> Result<Array> {
    let axes: Vec<usize> = [0].into_iter().chain(order.iter().map(|axis| axis + 1)).collect();
    by_tensor(x, |x| x.permute(axes)?.contiguous())
}

/// The order of axes that undoes another.
pub fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse: Vec<usize> = (0..order.len()).collect();
    inverse.sort_by_key(|&axis| order.get(axis));
    inverse
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, distance, dot, random, tensor};

    /// The value at each place of an array of this shape, as `at` finds it.
    fn built(shape: &[usize], at: impl Fn(&[usize]) -> f64) -> Tensor {
        let stride = |side: usize| shape[side + 1..].iter().product::<usize>();
        let place = |number: usize| (0..shape.len()).map(|side| number / stride(side) % shape[side]).collect::<Vec<_>>();
        let values: Vec<f64> = (0..shape.iter().product()).map(|number| at(&place(number))).collect();
        tensor(&values, shape)
    }

    fn at(x: &Tensor, place: &[usize]) -> f64 {
        place.iter().try_fold(x.clone(), |x, &index| x.get(index)).unwrap().to_scalar().unwrap()
    }

    /// Samples of some axes.
    fn shapes() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(1usize..4, 2..5)
    }

    proptest! {
        #[test]
        fn values_go_where_they_belong(shape in shapes(), axis in 0usize..3, margins in prop::array::uniform2(0usize..3), seed in 0usize..24) {
            let (axis, rank) = (axis % (shape.len() - 1), shape.len() - 1);
            let x = random(1, &shape);
            let [start, len] = [margins[0] % shape[axis + 1], 1 + margins[1] % (shape[axis + 1] - margins[0] % shape[axis + 1])];
            let mut part = shape.clone();
            part[axis + 1] = len;
            let sliced = built(&part, |place| {
                let mut place = place.to_vec();
                place[axis + 1] += start;
                at(&x, &place)
            });
            let (mut before, mut after) = (vec![0; rank], vec![1; rank]);
            (before[axis], after[axis]) = (margins[0], margins[1]);
            let wide: Vec<usize> = shape.iter().enumerate().map(|(side, size)| if side == 0 { *size } else { before[side - 1] + size + after[side - 1] }).collect();
            let padded = built(&wide, |place| {
                let inner = (1..=rank).map(|side| place[side].checked_sub(before[side - 1]).filter(|inner| *inner < shape[side]));
                inner.collect::<Option<Vec<_>>>().map_or(0.5, |inner| at(&x, &[&place[..1], &inner].concat()))
            });
            let mut order: Vec<usize> = (0..rank).collect();
            order.rotate_left(seed % rank);
            if seed >= 12 {
                order.swap(0, rank - 1);
            }
            let turned: Vec<usize> = [shape[0]].into_iter().chain(order.iter().map(|axis| shape[axis + 1])).collect();
            let transposed = built(&turned, |place| {
                let mut from = place.to_vec();
                order.iter().enumerate().for_each(|(to, axis)| from[axis + 1] = place[to + 1]);
                at(&x, &from)
            });
            both_ways(|| {
                let x = array(&x);
                prop_assert!(distance(&slice(&x, axis, start, len).unwrap(), &sliced) == 0.0);
                let wide = pad(&x, &before, &after, 0.5).unwrap();
                prop_assert!(distance(&wide, &padded) == 0.0);
                prop_assert!(distance(&crop(&wide, &before, &after).unwrap(), &x) == 0.0);
                let there = transpose(&x, &order).unwrap();
                prop_assert!(distance(&there, &transposed) == 0.0);
                prop_assert!(distance(&transpose(&there, &inverse(&order)).unwrap(), &x) == 0.0);
                let both = concat(&[&x, &array(&sliced)], axis).unwrap();
                let parts = split(&both, &[shape[axis + 1], len], axis).unwrap();
                prop_assert!(distance(&parts[0], &x) == 0.0 && distance(&parts[1], &sliced) == 0.0);
                // What pads undoes what slices, and is its transpose.
                let dy = random(2, &part);
                let (mut ahead, mut behind) = (vec![0; rank], vec![0; rank]);
                (ahead[axis], behind[axis]) = (start, shape[axis + 1] - start - len);
                let back = pad(&array(&dy), &ahead, &behind, 0.0).unwrap();
                prop_assert!((dot(&back, &x) - dot(&dy, &sliced)).abs() < 1e-12);
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (x, other) = (array(&random(1, &[2, 3, 4])), array(&random(2, &[2, 3, 5])));
        both_ways(|| {
            assert!(concat(&[&x, &other], 0).is_err() && concat(&[&x], 2).is_err() && concat(&[&x, &other], 1).is_ok());
            assert!(split(&x, &[2, 2], 0).is_err() && slice(&x, 1, 3, 2).is_err() && slice(&x, 1, 3, 0).is_err());
            assert!(pad(&x, &[1], &[1], 0.0).is_err() && crop(&x, &[2, 0], &[2, 0]).is_err());
            assert!(transpose(&x, &[0, 0]).is_err() && transpose(&x, &[0]).is_err() && transpose(&x, &[0, 2]).is_err());
            Result::Ok(())
        })
        .unwrap();
    }
}
