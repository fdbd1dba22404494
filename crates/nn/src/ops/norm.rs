use candle_core::{DType, Device, Result, Tensor};

use super::{check, check_samples, has_kernels, per_dtype, read, tensor};
use crate::kernels::norm as kernel;

/// Mean and biased variance of each channel over a batch, each `[C]`, in `f64` on the CPU.
#[derive(Clone, Debug)]
pub struct Moments {
    /// The means.
    pub mean: Vec<f64>,
    /// The variances, divided by the number of values and not by one less.
    pub variance: Vec<f64>,
    /// Values a channel.
    pub count: usize,
}

/// Images `[N, C, ...]` as `[N, C, plane]`.
fn dims(x: &Tensor) -> Result<(usize, usize, usize)> {
    check_samples(x.dims())?;
    Ok((x.dim(0)?, x.dim(1)?, x.dims()[2..].iter().product()))
}

/// The sum of each channel over images and positions, `[C]`: the gradient to a bias.
pub fn channel_sums(x: &Tensor) -> Result<Tensor> {
    let (n, channels, plane) = dims(x)?;
    if has_kernels(x) {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::channel_sums(v[0], channels, plane))?, &[channels]));
    }
    x.reshape((n, channels, plane))?.sum(2)?.sum(0)
}

/// The moments of each channel over images and positions.
pub fn channel_moments(x: &Tensor) -> Result<Moments> {
    let (n, channels, plane) = dims(x)?;
    check(n * plane > 0, || "no values to take the mean of".into())?;
    let count = n * plane;
    if has_kernels(x) {
        let moments = per_dtype!(x, T => read::<T, _>(&[x], |v| kernel::moments(v[0], channels, plane))?);
        let (mean, variance) = moments.into_iter().map(|m| (m.mean, m.variance)).unzip();
        return Ok(Moments { mean, variance, count });
    }
    let x = x.reshape((n, channels, plane))?;
    let over = |x: &Tensor| x.sum(2)?.sum(0)? / count as f64;
    let mean = over(&x)?;
    let variance = over(&x.broadcast_sub(&mean.reshape((1, channels, 1))?)?.sqr()?)?;
    let host = |x: Tensor| x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1();
    Ok(Moments { mean: host(mean)?, variance: host(variance)?, count })
}

/// `x * scale + shift` with a factor and a summand for each channel, each `[C]`.
pub fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let (_, channels, plane) = dims(x)?;
    check(scale.dims() == [channels] && shift.dims() == [channels], || format!("{channels} channels need as many factors and summands"))?;
    if has_kernels(x) {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x, scale, shift], |v| kernel::affine(v[0], plane, v[1], v[2]))?, x.dims()));
    }
    x.broadcast_mul(&per_channel(scale, x)?)?.broadcast_add(&per_channel(shift, x)?)
}

/// The gradients of a loss through batch norm with the batch's own `moments`: to its input, its weight and its bias.
pub fn batch_norm_backward(x: &Tensor, dy: &Tensor, moments: &Moments, eps: f64, weight: &Tensor) -> Result<[Tensor; 3]> {
    let (_, channels, plane) = dims(x)?;
    let fits = dy.dims() == x.dims() && weight.dims() == [channels] && moments.mean.len() == channels && moments.variance.len() == channels;
    check(fits, || format!("gradient {:?} and weight {:?} do not fit {:?}", dy.dims(), weight.dims(), x.dims()))?;
    if has_kernels(x) {
        let moments: Vec<_> =
            moments.mean.iter().zip(&moments.variance).map(|(&mean, &variance)| kernel::Moments { mean, variance }).collect();
        return per_dtype!(x, T => {
            let [dx, dw, db] = read::<T, _>(&[x, dy, weight], |v| kernel::backward(v[0], v[1], plane, &moments, eps, v[2]))?;
            Ok([tensor(dx, x.dims())?, tensor(dw, &[channels])?, tensor(db, &[channels])?])
        });
    }
    let like = |values: &[f64]| Tensor::new(values, &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device());
    let deviation: Vec<f64> = moments.variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect();
    let normal = x.broadcast_sub(&per_channel(&like(&moments.mean)?, x)?)?.broadcast_mul(&per_channel(&like(&deviation)?, x)?)?;
    let (db, dw) = (channel_sums(dy)?, channel_sums(&(dy * &normal)?)?);
    let mean = |sums: &Tensor| per_channel(&(sums / moments.count as f64)?, x);
    let dx = dy.broadcast_sub(&mean(&db)?)?.sub(&normal.broadcast_mul(&mean(&dw)?)?)?;
    Ok([dx.broadcast_mul(&per_channel(&(weight * like(&deviation)?)?, x)?)?, dw, db])
}

/// `[C]` as `[1, C, 1, ...]`, to broadcast over `x`.
fn per_channel(values: &Tensor, x: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = values.elem_count();
    values.reshape(shape)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{both_ways, check_gradient, distance, dot, random, values};

    const EPS: f64 = 1e-3;

    fn batch_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
        let Moments { mean, variance, .. } = channel_moments(x).unwrap();
        let (w, b) = (weight.to_vec1::<f64>().unwrap(), bias.to_vec1::<f64>().unwrap());
        let scale: Vec<f64> = w.iter().zip(&variance).map(|(w, variance)| w / (variance + EPS).sqrt()).collect();
        let shift: Vec<f64> = (0..b.len()).map(|c| b[c] - mean[c] * scale[c]).collect();
        let channels = [scale.len()];
        channel_affine(x, &tensor(scale, &channels).unwrap(), &tensor(shift, &channels).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn sums_and_moments_equal_their_definitions((images, channels, height, width) in (1usize..4, 1usize..4, 1usize..8, 1usize..8)) {
            let (dims, plane) = ([images, channels, height, width], height * width);
            let x = random(1, &dims);
            let values = values(1, x.elem_count());
            let of = |channel| (0..values.len()).filter(move |place| place / plane % channels == channel).map(|place| values[place]);
            both_ways(|| {
                let sums = channel_sums(&x).unwrap().to_vec1::<f64>().unwrap();
                let moments = channel_moments(&x).unwrap();
                for (channel, &found) in sums.iter().enumerate() {
                    let sum: f64 = of(channel).sum();
                    let mean = sum / moments.count as f64;
                    let variance = of(channel).map(|x| (x - mean).powi(2)).sum::<f64>() / moments.count as f64;
                    prop_assert!((found - sum).abs() < 1e-12);
                    prop_assert!((moments.mean[channel] - mean).abs() < 1e-12 && (moments.variance[channel] - variance).abs() < 1e-12);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn batch_norms_gradients_equal_finite_differences() {
        for shape in [&[4, 3, 5, 7][..], &[9, 3]] {
            let (x, w, b, dy) = (random(1, shape), random(2, &[3]), random(3, &[3]), random(4, shape));
            both_ways(|| {
                let [dx, dw, db] = batch_norm_backward(&x, &dy, &channel_moments(&x)?, EPS, &w)?;
                check_gradient(&x, &dx, |x| dot(&batch_norm(x, &w, &b), &dy));
                check_gradient(&w, &dw, |w| dot(&batch_norm(&x, w, &b), &dy));
                check_gradient(&b, &db, |b| dot(&batch_norm(&x, &w, b), &dy));
                Result::Ok(())
            })
            .unwrap();
        }
    }

    #[test]
    fn far_means_do_not_spoil_variances() {
        let x: Vec<f32> = (0..5000).map(|i| 1000.0 + (i % 2) as f32).collect();
        let moments = channel_moments(&tensor(x, &[1, 1, 5000]).unwrap()).unwrap();
        assert!((moments.variance[0] - 0.25).abs() < 1e-3, "{moments:?}");
        assert!(distance(&random(1, &[2, 2]), &random(1, &[2, 2])) == 0.0);
    }
}
