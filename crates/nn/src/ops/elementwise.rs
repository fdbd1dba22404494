use candle_core::{Device, Result, Tensor, WithDType};

use super::{check, check_samples, per_place};
use crate::Array;
use crate::kernels::{Element, elementwise as kernel};

/// `max(x, 0)`.
pub fn relu(x: &Array) -> Result<Array> {
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(x.dims(), |y| kernel::map(values, y, |x| if x < T::ZERO { T::ZERO } else { x })))
    }, tensor => tensor.relu().map(Array::of_device))
}

/// The gradient through `y = relu(x)`: that of the output where `y > 0`, else 0.
pub fn relu_backward(y: &Array, dy: &Array) -> Result<Array> {
    check(y.dims() == dy.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), y.dims()))?;
    per_place!(y, T => {
        let (outputs, gradient) = (y.slice::<T>()?, dy.slice::<T>()?);
        Ok(dy.fill(dy.dims(), |dx| kernel::zip(outputs, gradient, dx, |y, dy| if y > T::ZERO { dy } else { T::ZERO })))
    }, tensor => {
        let dy = dy.tensor()?;
        tensor.gt(&tensor.zeros_like()?)?.where_cond(dy, &dy.zeros_like()?).map(Array::of_device)
    })
}

/// Zeroes values with probability `p` and divides the others by `1 - p`. The choice depends on `key` and on a value's row and
/// place alone, so that the same call passes a gradient back.
pub fn dropout(x: &Array, p: f64, key: [u64; 2]) -> Result<Array> {
    check_samples(x.dims())?;
    check((0.0..1.0).contains(&p), || format!("dropout with p = {p}"))?;
    let width = x.dims()[1..].iter().product();
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(x.dims(), |y| kernel::dropout(values, y, width, p, key)))
    }, tensor => {
        let mut factors = vec![0f32; x.len()];
        kernel::dropout(&vec![1f32; x.len()], &mut factors, width, p, key);
        let factors = Tensor::from_vec(factors, x.dims(), &Device::Cpu)?.to_device(tensor.device())?.to_dtype(tensor.dtype())?;
        (tensor * factors).map(Array::of_device)
    })
}

/// `a + b` of equal shapes; `rectified`, negative values become zero then.
pub fn add(a: &Array, b: &Array, rectified: bool) -> Result<Array> {
    check(a.dims() == b.dims(), || format!("cannot add {:?} and {:?}", a.dims(), b.dims()))?;
    per_place!(a, T => {
        let (left, right) = (a.slice::<T>()?, b.slice::<T>()?);
        let least = if rectified { T::ZERO } else { T::LOWEST };
        Ok(a.fill(a.dims(), |y| kernel::zip(left, right, y, move |a, b| if a + b < least { least } else { a + b })))
    }, tensor => {
        let sum = (tensor + b.tensor()?)?;
        if rectified { sum.relu() } else { Ok(sum) }.map(Array::of_device)
    })
}

/// `a b`, value by value, of equal shapes.
pub fn product(a: &Array, b: &Array) -> Result<Array> {
    check(a.dims() == b.dims(), || format!("cannot multiply {:?} with {:?}", a.dims(), b.dims()))?;
    per_place!(a, T => {
        let (left, right) = (a.slice::<T>()?, b.slice::<T>()?);
        Ok(a.fill(a.dims(), |y| kernel::zip(left, right, y, |a, b| a * b)))
    }, tensor => (tensor * b.tensor()?).map(Array::of_device))
}

/// `x` times a factor.
pub fn scale(x: &Array, factor: f64) -> Result<Array> {
    per_place!(x, T => {
        let (values, factor) = (x.slice::<T>()?, <T as WithDType>::from_f64(factor));
        Ok(x.fill(x.dims(), |y| kernel::map(values, y, move |x| x * factor)))
    }, tensor => (tensor * factor).map(Array::of_device))
}

/// One sample `[1, ...]`, `count` times.
pub fn repeat(x: &Array, count: usize) -> Result<Array> {
    check(x.dims().first() == Some(&1), || format!("{:?} is not one sample", x.dims()))?;
    let shape = [&[count], &x.dims()[1..]].concat();
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(&shape, |y| y.chunks_exact_mut(values.len().max(1)).for_each(|y| y.copy_from_slice(values))))
    }, tensor => tensor.broadcast_as(shape.as_slice())?.contiguous().map(Array::of_device))
}

/// `min(x, 0)`.
pub fn negative_part(x: &Array) -> Result<Array> {
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(x.dims(), |y| kernel::map(values, y, |x| if x < T::ZERO { x } else { T::ZERO })))
    }, tensor => tensor.minimum(0.0).map(Array::of_device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random};

    #[test]
    fn relu_and_its_gradient() {
        let x = random(1, &[3, 100, 100]);
        let dy = random(2, x.dims());
        both_ways(|| {
            let y = relu(&array(&x))?;
            assert!(distance(&y, &x.maximum(&x.zeros_like()?)?) == 0.0);
            check_gradient(&x, &relu_backward(&y, &array(&dy))?, |x| dot(&relu(&array(x)).unwrap(), &dy));
            let zero = array(&dy.zeros_like()?);
            assert!(distance(&relu_backward(&zero, &array(&dy))?, &zero) == 0.0, "the derivative at 0 is 0");
            assert!(distance(&negative_part(&array(&x))?, &x.minimum(0.0)?) == 0.0);
            Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn sums_equal_their_definition() {
        let (a, b) = (random(1, &[3, 7, 50, 60]), random(2, &[3, 7, 50, 60]));
        both_ways(|| {
            let sum = (&a + &b)?;
            assert!(distance(&add(&array(&a), &array(&b), false)?, &sum) == 0.0);
            assert!(distance(&add(&array(&a), &array(&b), true)?, &sum.relu()?) == 0.0);
            assert!(add(&array(&a), &array(&b.narrow(1, 0, 1)?), false).is_err());
            Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn products_equal_their_definition() {
        let (a, b) = (random(1, &[3, 100, 100]), random(2, &[3, 100, 100]));
        both_ways(|| {
            assert!(distance(&product(&array(&a), &array(&b))?, &(&a * &b)?) == 0.0);
            assert!(product(&array(&a), &array(&b.narrow(0, 0, 1)?)).is_err());
            Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn dropout_keeps_the_mean_and_repeats_its_choice() {
        let ones = random(1, &[200, 300]).ones_like().unwrap();
        both_ways(|| {
            let dropped = |key| dropout(&array(&ones), 0.3, key)?.to_tensor();
            let y = dropped([7, 1])?;
            let values = y.flatten_all()?.to_vec1::<f64>()?;
            assert!(values.iter().all(|y| *y == 0.0 || (y - 1.0 / 0.7).abs() < 1e-6));
            assert!((values.iter().sum::<f64>() / values.len() as f64 - 1.0).abs() < 0.02);
            assert!(distance(&dropped([7, 1])?, &y) == 0.0);
            assert!(distance(&dropped([8, 1])?, &y) > 0.0 && distance(&dropped([7, 2])?, &y) > 0.0);
            assert!(distance(&y.narrow(0, 0, 1)?, &y.narrow(0, 1, 1)?) > 0.0, "rows choose on their own");
            Result::Ok(())
        })
        .unwrap();
        assert!(dropout(&array(&ones), 1.0, [0, 0]).is_err());
    }
}
