use candle_core::Result;

use super::{by_tensor, check, check_samples};
use crate::Array;

fn check_axis(x: &Array, axis: usize) -> Result<()> {
    check_samples(x.dims())?;
    check(axis + 1 < x.dims().len(), || format!("samples {:?} have no axis {axis}", x.dims()))
}

/// `exp(x)` divided by its sum along an axis of the samples.
pub fn softmax(x: &Array, axis: usize) -> Result<Array> {
    check_axis(x, axis)?;
    if x.is_empty() {
        return Ok(x.clone());
    }
    by_tensor(x, |x| {
        // Of the largest value nothing is left, so that nothing overflows.
        let powers = x.broadcast_sub(&x.max_keepdim(axis + 1)?)?.exp()?;
        powers.broadcast_div(&powers.sum_keepdim(axis + 1)?)
    })
}

/// The gradient to the input of a softmax that gave `y`.
pub fn softmax_backward(y: &Array, dy: &Array, axis: usize) -> Result<Array> {
    check_axis(y, axis)?;
    check(dy.dims() == y.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), y.dims()))?;
    let dy = dy.to_tensor()?;
    by_tensor(y, |y| {
        let mean = (&y * &dy)?.sum_keepdim(axis + 1)?;
        y * dy.broadcast_sub(&mean)?
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values};

    proptest! {
        #[test]
        fn softmax_equals_its_definition(shape in prop::array::uniform4(1usize..5), axis in 0usize..3, shift in -2000.0..2000.0f64) {
            let x: Vec<f64> = values(1, shape.iter().product()).into_iter().map(|x| 5.0 * x).collect();
            let stride: usize = shape[axis + 2..].iter().product();
            let expected: Vec<f64> = (0..x.len())
                .map(|place| {
                    let first = place - place / stride % shape[axis + 1] * stride;
                    x[place].exp() / (0..shape[axis + 1]).map(|at| x[first + at * stride].exp()).sum::<f64>()
                })
                .collect();
            let (x, dy) = (tensor(&x, &shape), random(2, &shape));
            both_ways(|| {
                let y = softmax(&array(&x), axis).unwrap();
                prop_assert!(distance(&y, &tensor(&expected, &shape)) < 1e-12);
                prop_assert!(distance(&softmax(&array(&(&x + shift).unwrap()), axis).unwrap(), &y) < 1e-9, "the same for all changes nothing");
                let dx = softmax_backward(&y, &array(&dy), axis).unwrap();
                check_gradient(&x, &dx, |x| dot(&softmax(&array(x), axis).unwrap(), &dy));
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = array(&random(1, &[2, 3]));
        assert!(softmax(&x, 1).is_err() && softmax_backward(&x, &array(&random(1, &[2, 4])), 0).is_err());
    }
}
