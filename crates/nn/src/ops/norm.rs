use candle_core::{DType, Device, Result, Tensor};

use super::{check, per_dtype, read, tensor};
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
    check(x.rank() >= 2, || format!("{:?} has no channels", x.dims()))?;
    Ok((x.dim(0)?, x.dim(1)?, x.dims()[2..].iter().product()))
}

/// The sum of each channel over images and positions, `[C]`: the gradient to a bias.
pub fn channel_sums(x: &Tensor) -> Result<Tensor> {
    let (n, channels, plane) = dims(x)?;
    if x.device().is_cpu() {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::channel_sums(v[0], channels, plane))?, &[channels]));
    }
    x.reshape((n, channels, plane))?.sum(2)?.sum(0)
}

/// The moments of each channel over images and positions.
pub fn channel_moments(x: &Tensor) -> Result<Moments> {
    let (n, channels, plane) = dims(x)?;
    check(n * plane > 0, || "no values to take the mean of".into())?;
    let count = n * plane;
    if x.device().is_cpu() {
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
    if x.device().is_cpu() {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x, scale, shift], |v| kernel::affine(v[0], plane, v[1], v[2]))?, x.dims()));
    }
    x.broadcast_mul(&per_channel(scale, x)?)?.broadcast_add(&per_channel(shift, x)?)
}

/// The gradients of a loss through batch norm with the batch's own `moments`: to its input, its weight and its bias.
pub fn batch_norm_backward(x: &Tensor, dy: &Tensor, moments: &Moments, eps: f64, weight: &Tensor) -> Result<[Tensor; 3]> {
    let (_, channels, plane) = dims(x)?;
    let fits = dy.dims() == x.dims() && weight.dims() == [channels] && moments.mean.len() == channels && moments.variance.len() == channels;
    check(fits, || format!("gradient {:?} and weight {:?} do not fit {:?}", dy.dims(), weight.dims(), x.dims()))?;
    if x.device().is_cpu() {
        let moments: Vec<_> =
            moments.mean.iter().zip(&moments.variance).map(|(&mean, &variance)| kernel::Moments { mean, variance }).collect();
        return per_dtype!(x, T => {
            let [dx, dw, db] = read::<T, _>(&[x, dy, weight], |v| kernel::backward(v[0], v[1], plane, &moments, eps, v[2]))?;
            Ok([tensor(dx, x.dims())?, tensor(dw, &[channels])?, tensor(db, &[channels])?])
        });
    }
    let like = |values: &[f64]| Tensor::new(values, x.device())?.to_dtype(x.dtype());
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
