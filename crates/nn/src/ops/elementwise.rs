use candle_core::{Result, Tensor, WithDType};

use super::{check, check_samples, has_kernels, per_dtype, read, tensor};
use crate::kernels::{Element, elementwise as kernel};

/// `max(x, 0)`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if has_kernels(x) {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::map(v[0], |x| if x < T::ZERO { T::ZERO } else { x }))?, x.dims()));
    }
    x.relu()
}

/// The gradient through `y = relu(x)`: that of the output where `y > 0`, else 0.
pub fn relu_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    check(y.dims() == dy.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), y.dims()))?;
    if has_kernels(y) {
        return per_dtype!(y, T => {
            tensor(read::<T, _>(&[y, dy], |v| kernel::zip(v[0], v[1], |y, dy| if y > T::ZERO { dy } else { T::ZERO }))?, y.dims())
        });
    }
    y.gt(&y.zeros_like()?)?.where_cond(dy, &dy.zeros_like()?)
}

/// Zeroes values with probability `p` and divides the others by `1 - p`. The choice depends on `key` and on a value's row and
/// place alone, so that the same call passes a gradient back.
pub fn dropout(x: &Tensor, p: f64, key: [u64; 2]) -> Result<Tensor> {
    check_samples(x.dims())?;
    check((0.0..1.0).contains(&p), || format!("dropout with p = {p}"))?;
    let width = x.dims()[1..].iter().product();
    if has_kernels(x) {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::dropout(v[0], width, p, key))?, x.dims()));
    }
    let ones = vec![1f32; x.elem_count()];
    x * tensor(kernel::dropout(&ones, width, p, key), x.dims())?.to_device(x.device())?.to_dtype(x.dtype())?
}

/// `a + b` of equal shapes.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(a.dims() == b.dims(), || format!("cannot add {:?} and {:?}", a.dims(), b.dims()))?;
    if has_kernels(a) {
        return per_dtype!(a, T => tensor(read::<T, _>(&[a, b], |v| kernel::zip(v[0], v[1], |a, b| a + b))?, a.dims()));
    }
    a + b
}

/// `a b`, value by value, of equal shapes.
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(a.dims() == b.dims(), || format!("cannot multiply {:?} with {:?}", a.dims(), b.dims()))?;
    if has_kernels(a) {
        return per_dtype!(a, T => tensor(read::<T, _>(&[a, b], |v| kernel::zip(v[0], v[1], |a, b| a * b))?, a.dims()));
    }
    a * b
}

/// `r / (z + ε s(z))` with `s(z) = 1` for `z ≥ 0`, else -1: shares of `r` that stay finite where `z` is 0, for LRP.
pub fn stabilized_ratio(r: &Tensor, z: &Tensor, epsilon: f64) -> Result<Tensor> {
    check(r.dims() == z.dims(), || format!("cannot divide {:?} by {:?}", r.dims(), z.dims()))?;
    if has_kernels(r) {
        return per_dtype!(r, T => {
            let epsilon = <T as WithDType>::from_f64(epsilon);
            let ratio = |r: T, z: T| r / if z < T::ZERO { z - epsilon } else { z + epsilon };
            tensor(read::<T, _>(&[r, z], |v| kernel::zip(v[0], v[1], ratio))?, r.dims())
        });
    }
    r / z.lt(0.0)?.where_cond(&(z - epsilon)?, &(z + epsilon)?)?
}

/// Tensors `[N, C, ...]`, one after the other along the channels.
pub fn concat(parts: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = parts.first() else { candle_core::bail!("nothing to join") };
    parts.iter().try_for_each(|part| check_samples(part.dims()))?;
    let fits = parts.iter().all(|part| part.dims()[0] == first.dims()[0] && part.dims()[2..] == first.dims()[2..]);
    check(fits, || "joined tensors must differ in their channels alone".into())?;
    if !has_kernels(first) {
        return Tensor::cat(parts, 1);
    }
    let widths: Vec<usize> = parts.iter().map(|part| part.dims()[1..].iter().product()).collect();
    let mut shape = first.dims().to_vec();
    shape[1] = parts.iter().map(|part| part.dims()[1]).sum();
    per_dtype!(first, T => tensor(read::<T, _>(parts, |v| kernel::join(v, &widths))?, &shape))
}

/// The parts of `[N, C, ...]` that have so many `channels` each: undoes [`concat()`].
pub fn split(x: &Tensor, channels: &[usize]) -> Result<Vec<Tensor>> {
    check_samples(x.dims())?;
    let fits = channels.iter().sum::<usize>() == x.dims()[1] && !channels.contains(&0);
    check(fits, || format!("{channels:?} channels do not make up {:?}", x.dims()))?;
    let plane: usize = x.dims()[2..].iter().product();
    let width = x.dims()[1] * plane;
    let mut start = 0;
    let parts = channels.iter().map(|&channels| {
        let from = start;
        start += channels;
        if !has_kernels(x) {
            return x.narrow(1, from, channels)?.contiguous();
        }
        let mut shape = x.dims().to_vec();
        shape[1] = channels;
        per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::part(v[0], width, from * plane, channels * plane))?, &shape))
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{both_ways, check_gradient, distance, dot, random};

    #[test]
    fn relu_and_its_gradient() {
        let x = random(1, &[3, 100, 100]);
        let dy = random(2, x.dims());
        both_ways(|| {
            let y = relu(&x)?;
            assert!(distance(&y, &x.maximum(&x.zeros_like()?)?) == 0.0);
            check_gradient(&x, &relu_backward(&y, &dy)?, |x| dot(&relu(x).unwrap(), &dy));
            let zero = dy.zeros_like()?;
            assert!(distance(&relu_backward(&zero, &dy)?, &zero) == 0.0, "the derivative at 0 is 0");
            Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn joined_channels_come_apart_again() {
        let parts = [random(1, &[3, 2, 50, 60]), random(2, &[3, 1, 50, 60]), random(3, &[3, 4, 50, 60])];
        both_ways(|| {
            let joined = concat(&parts.each_ref())?;
            assert!(distance(&joined, &Tensor::cat(&parts, 1)?) == 0.0);
            split(&joined, &[2, 1, 4])?.iter().zip(&parts).for_each(|(found, part)| assert!(distance(found, part) == 0.0));
            assert!(distance(&add(&joined, &joined)?, &(&joined * 2.0)?) == 0.0);
            assert!(split(&joined, &[2, 1]).is_err());
            Result::Ok(())
        })
        .unwrap();
        assert!(concat(&[&parts[0], &random(1, &[2, 2, 50, 60])]).is_err());
        assert!(add(&parts[0], &parts[1]).is_err());
    }

    #[test]
    fn products_and_ratios_equal_their_definitions() {
        let (a, b) = (random(1, &[3, 100, 100]), random(2, &[3, 100, 100]));
        let zeros = Tensor::new(&[0.0, -0.0, 3.0, -3.0], a.device()).unwrap();
        both_ways(|| {
            assert!(distance(&product(&a, &b)?, &(&a * &b)?) == 0.0);
            let signs = b.ge(0.0)?.to_dtype(b.dtype())?.affine(2.0, -1.0)?;
            assert!(distance(&stabilized_ratio(&a, &b, 0.1)?, &(&a / (&b + (signs * 0.1)?)?)?) < 1e-12);
            let ratios = stabilized_ratio(&zeros.ones_like()?, &zeros, 1.0)?;
            assert_eq!(ratios.to_vec1::<f64>()?, [1.0, 1.0, 0.25, -0.25], "zero counts as positive");
            assert!(product(&a, &zeros).is_err() && stabilized_ratio(&a, &zeros, 0.1).is_err());
            Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn dropout_keeps_the_mean_and_repeats_its_choice() {
        let ones = random(1, &[200, 300]).ones_like().unwrap();
        both_ways(|| {
            let y = dropout(&ones, 0.3, [7, 1])?;
            let values = y.flatten_all()?.to_vec1::<f64>()?;
            assert!(values.iter().all(|y| *y == 0.0 || (y - 1.0 / 0.7).abs() < 1e-6));
            assert!((values.iter().sum::<f64>() / values.len() as f64 - 1.0).abs() < 0.02);
            assert!(distance(&dropout(&ones, 0.3, [7, 1])?, &y) == 0.0);
            assert!(distance(&dropout(&ones, 0.3, [8, 1])?, &y) > 0.0 && distance(&dropout(&ones, 0.3, [7, 2])?, &y) > 0.0);
            assert!(distance(&y.narrow(0, 0, 1)?, &y.narrow(0, 1, 1)?) > 0.0, "rows choose on their own");
            Result::Ok(())
        })
        .unwrap();
        assert!(dropout(&ones, 1.0, [0, 0]).is_err());
    }
}
