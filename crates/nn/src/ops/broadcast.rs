//! From samples of one shape to another as in numpy, and back. Shapes and axes are those of a sample, without the batch.

use candle_core::Result;

use super::{by_tensor, check, check_samples};
use crate::Array;

/// Samples of a shape, aligned at its end with another of `rank` axes: with axes of 1 before.
fn aligned(x: &[usize], rank: usize) -> Vec<usize> {
    let missing = (rank + 1).saturating_sub(x.len());
    [&x[..1], &vec![1; missing], &x[1..]].concat()
}

/// Samples, repeated along axes that are missing or 1 until they have this shape.
pub fn broadcast(x: &Array, shape: &[usize]) -> Result<Array> {
    check_samples(x.dims())?;
    let whole = [&x.dims()[..1], shape].concat();
    if x.dims() == whole {
        return Ok(x.clone());
    }
    by_tensor(x, |x| x.reshape(aligned(x.dims(), shape.len()))?.broadcast_as(whole)?.contiguous())
}

/// Sums over all places that [`broadcast`] repeats: from its gradient, that to samples of this shape.
pub fn sum_to(dy: &Array, shape: &[usize]) -> Result<Array> {
    check_samples(dy.dims())?;
    let narrow = [&dy.dims()[..1], shape].concat();
    if dy.dims() == narrow {
        return Ok(dy.clone());
    }
    let kept = aligned(&narrow, dy.dims().len() - 1);
    check(kept.len() == dy.dims().len(), || format!("{:?} cannot be summed to samples {shape:?}", dy.dims()))?;
    let axes: Vec<usize> = (0..kept.len()).filter(|&axis| kept[axis] != dy.dims()[axis]).collect();
    by_tensor(dy, |dy| dy.sum_keepdim(axes)?.reshape(narrow))
}

/// The mean over some axes, which are gone then.
pub fn mean(x: &Array, axes: &[usize]) -> Result<Array> {
    let kept = kept(x.dims(), axes)?;
    let axes: Vec<usize> = axes.iter().map(|axis| axis + 1).collect();
    let shape: Vec<usize> = (0..kept.len()).filter(|axis| !axes.contains(axis)).map(|axis| kept[axis]).collect();
    by_tensor(x, |x| x.mean_keepdim(axes)?.reshape(shape))
}

/// The gradient through [`mean`] to samples of this shape.
pub fn mean_backward(dy: &Array, shape: &[usize], axes: &[usize]) -> Result<Array> {
    let whole = [&dy.dims()[..1], shape].concat();
    let kept = kept(&whole, axes)?;
    let count = (shape.iter().product::<usize>() * dy.dims()[0]) as f64 / dy.len().max(1) as f64;
    by_tensor(dy, |dy| (dy.reshape(kept)? / count)?.broadcast_as(whole)?.contiguous())
}

/// The dimensions with 1 in the place of some axes of a sample.
fn kept(dims: &[usize], axes: &[usize]) -> Result<Vec<usize>> {
    check_samples(dims)?;
    check(axes.iter().all(|axis| axis + 1 < dims.len()), || format!("samples {dims:?} do not have all axes {axes:?}"))?;
    Ok(dims.iter().enumerate().map(|(side, size)| if side > 0 && axes.contains(&(side - 1)) { 1 } else { *size }).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values};

    proptest! {
        #[test]
        fn broadcasting_and_means_equal_their_definitions(
            shape in prop::array::uniform4(1usize..4),
            ones in prop::array::uniform3(any::<bool>()),
            missing in 0usize..3,
        ) {
            let [n, a, b, c] = shape;
            let narrow: Vec<usize> = (0..3).map(|axis| if ones[axis] { 1 } else { shape[axis + 1] }).skip(missing).collect();
            let dims = [&[n], &narrow[..]].concat();
            let x = values(1, dims.iter().product());
            // The place of a value of the wide shape among those of the narrow one.
            let place = |number: usize| {
                let index = [number / c / b % a, number / c % b, number % c];
                let sample = number / (a * b * c);
                (missing..3).fold(sample, |place, axis| place * narrow[axis - missing] + if ones[axis] { 0 } else { index[axis] })
            };
            let wide: Vec<f64> = (0..n * a * b * c).map(|number| x[place(number)]).collect();
            let (x, dy) = (tensor(&x, &dims), random(2, &shape));
            let axes: Vec<usize> = (0..3).filter(|&axis| ones[axis]).take(2).collect();
            let size: usize = axes.iter().map(|&axis| shape[axis + 1]).product();
            let mut means = vec![0.0; shape.iter().product::<usize>() / size];
            for (number, value) in values(2, n * a * b * c).into_iter().enumerate() {
                let index = [number / c / b % a, number / c % b, number % c];
                let place = (0..3).filter(|axis| !axes.contains(axis)).fold(number / (a * b * c), |place, axis| place * shape[axis + 1] + index[axis]);
                means[place] += value / size as f64;
            }
            both_ways(|| {
                prop_assert!(distance(&broadcast(&array(&x), &shape[1..]).unwrap(), &tensor(&wide, &shape)) == 0.0);
                let back = sum_to(&array(&dy), &narrow).unwrap();
                check_gradient(&x, &back, |x| dot(&broadcast(&array(x), &shape[1..]).unwrap(), &dy));
                let found = mean(&array(&dy), &axes).unwrap();
                prop_assert!(distance(&found.reshape(&[means.len()]).unwrap(), &tensor(&means, &[means.len()])) < 1e-12);
                let back = mean_backward(&found, &shape[1..], &axes).unwrap();
                check_gradient(&dy, &back, |x| {
                    let mean = mean(&array(x), &axes).unwrap();
                    0.5 * dot(&mean, &mean)
                });
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = array(&random(1, &[2, 3, 4]));
        assert!(broadcast(&x, &[3, 5]).is_err() && broadcast(&x, &[4]).is_err() && sum_to(&x, &[1, 3, 4]).is_err());
        assert!(sum_to(&x, &[2]).is_err() && mean(&x, &[2]).is_err() && mean_backward(&x, &[3, 4, 5], &[1]).is_err());
    }
}
