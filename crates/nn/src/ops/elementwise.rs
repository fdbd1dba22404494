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
        let (y, dy) = (y.slice::<T>()?, dy);
        let values = dy.slice::<T>()?;
        Ok(dy.fill(dy.dims(), |dx| kernel::zip(y, values, dx, |y, dy| if y > T::ZERO { dy } else { T::ZERO })))
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
        Ok(a.fill(a.dims(), |y| kernel::zip(left, right, y, |a, b| if a + b < least { least } else { a + b })))
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
        Ok(x.fill(x.dims(), |y| kernel::map(values, y, |x| x * factor)))
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

/// `max(x, 0)` or, if `negative`, `min(x, 0)`: one side of the values.
pub fn side(x: &Array, negative: bool) -> Result<Array> {
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        let of = |x: T| if (x < T::ZERO) == negative { x } else { T::ZERO };
        Ok(x.fill(x.dims(), |y| kernel::map(values, y, of)))
    }, tensor => if negative { tensor.minimum(0.0) } else { tensor.maximum(0.0) }.map(Array::of_device))
}

/// Arrays `[N, C, ...]`, one after the other along the channels.
pub fn concat(parts: &[&Array]) -> Result<Array> {
    let Some(first) = parts.first() else { candle_core::bail!("nothing to join") };
    parts.iter().try_for_each(|part| check_samples(part.dims()))?;
    let fits = parts.iter().all(|part| part.dims()[0] == first.dims()[0] && part.dims()[2..] == first.dims()[2..]);
    check(fits, || "joined arrays must differ in their channels alone".into())?;
    let widths: Vec<usize> = parts.iter().map(|part| part.dims()[1..].iter().product()).collect();
    let mut shape = first.dims().to_vec();
    shape[1] = parts.iter().map(|part| part.dims()[1]).sum();
    per_place!(first, T => {
        let values = parts.iter().map(|part| part.slice::<T>()).collect::<Result<Vec<_>>>()?;
        Ok(first.fill(&shape, |y| kernel::join(&values, &widths, y)))
    }, _tensor => {
        Tensor::cat(&parts.iter().map(|part| part.tensor()).collect::<Result<Vec<_>>>()?, 1).map(Array::of_device)
    })
}

/// The parts of `[N, C, ...]` that have so many `channels` each: undoes [`concat()`].
pub fn split(x: &Array, channels: &[usize]) -> Result<Vec<Array>> {
    check_samples(x.dims())?;
    let fits = channels.iter().sum::<usize>() == x.dims()[1] && !channels.contains(&0);
    check(fits, || format!("{channels:?} channels do not make up {:?}", x.dims()))?;
    let plane: usize = x.dims()[2..].iter().product();
    let width = x.dims()[1] * plane;
    let mut start = 0;
    let parts = channels.iter().map(|&channels| {
        let from = start;
        start += channels;
        let mut shape = x.dims().to_vec();
        shape[1] = channels;
        per_place!(x, T => {
            let values = x.slice::<T>()?;
            Ok(x.fill(&shape, |y| kernel::part(values, width, from * plane, channels * plane, y)))
        }, tensor => tensor.narrow(1, from, channels)?.contiguous().map(Array::of_device))
    });
    parts.collect()
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
            for (negative, expected) in [(false, x.maximum(0.0)?), (true, x.minimum(0.0)?)] {
                assert!(distance(&side(&array(&x), negative)?, &expected) == 0.0);
            }
            Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn joined_channels_come_apart_again() {
        let parts = [random(1, &[3, 2, 50, 60]), random(2, &[3, 1, 50, 60]), random(3, &[3, 4, 50, 60])];
        both_ways(|| {
            let joined = concat(&parts.each_ref().map(array).each_ref())?;
            assert!(distance(&joined, &Tensor::cat(&parts, 1)?) == 0.0);
            split(&joined, &[2, 1, 4])?.iter().zip(&parts).for_each(|(found, part)| assert!(distance(found, part) == 0.0));
            let twice = (joined.to_tensor()? * 2.0)?;
            assert!(distance(&add(&joined, &joined, false)?, &twice) == 0.0);
            assert!(distance(&add(&joined, &joined, true)?, &twice.relu()?) == 0.0);
            assert!(split(&joined, &[2, 1]).is_err());
            Result::Ok(())
        })
        .unwrap();
        let [first, second, other] = [&parts[0], &parts[1], &random(1, &[2, 2, 50, 60])].map(array);
        assert!(concat(&[&first, &other]).is_err() && add(&first, &second, false).is_err());
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
