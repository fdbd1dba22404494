use candle_core::{DType, Device, Result, Tensor};

use super::{check, check_samples, per_place};
use crate::Array;
use crate::array::with_values;
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
fn dims(x: &Array) -> Result<(usize, usize, usize)> {
    check_samples(x.dims())?;
    Ok((x.dims()[0], x.dims()[1], x.dims()[2..].iter().product()))
}

/// The sum of each channel over images and positions, `[C]`: the gradient to a bias.
pub fn channel_sums(x: &Array) -> Result<Array> {
    let (n, channels, plane) = dims(x)?;
    per_place!(x, T => {
        let sums = kernel::channel_sums(x.slice::<T>()?, channels, plane);
        Ok(x.fill(&[channels], |to| to.copy_from_slice(&sums)))
    }, tensor => tensor.reshape((n, channels, plane))?.sum(2)?.sum(0).map(Array::of_device))
}

/// The moments of each channel over images and positions.
pub fn channel_moments(x: &Array) -> Result<Moments> {
    let (n, channels, plane) = dims(x)?;
    check(n * plane > 0, || "no values to take the mean of".into())?;
    let count = n * plane;
    per_place!(x, T => {
        let (mean, variance) = kernel::moments(x.slice::<T>()?, channels, plane).into_iter().map(|m| (m.mean, m.variance)).unzip();
        Ok(Moments { mean, variance, count })
    }, tensor => {
        let x = tensor.reshape((n, channels, plane))?;
        let over = |x: &Tensor| x.sum(2)?.sum(0)? / count as f64;
        let mean = over(&x)?;
        let variance = over(&x.broadcast_sub(&mean.reshape((1, channels, 1))?)?.sqr()?)?;
        let host = |x: Tensor| x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1();
        Ok(Moments { mean: host(mean)?, variance: host(variance)?, count })
    })
}

/// `x * scale + shift` with a factor and a summand for each channel, each `[C]`; `rectified`, negative values become zero then.
pub fn channel_affine(x: &Array, scale: &Tensor, shift: &Tensor, rectified: bool) -> Result<Array> {
    let (_, channels, plane) = dims(x)?;
    check(scale.dims() == [channels] && shift.dims() == [channels], || format!("{channels} channels need as many factors and summands"))?;
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        with_values(&[scale, shift], |p| x.fill(x.dims(), |y| kernel::affine(values, plane, p[0], p[1], rectified, y)))
    }, tensor => {
        let y = tensor.broadcast_mul(&per_channel(scale, tensor)?)?.broadcast_add(&per_channel(shift, tensor)?)?;
        if rectified { y.relu() } else { Ok(y) }.map(Array::of_device)
    })
}

/// What a batch norm did to a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// The batch's own moments.
    pub moments: &'a Moments,
    /// Added to the variance.
    pub eps: f64,
    /// The factor of each normalised channel, `[C]`.
    pub weight: &'a Tensor,
    /// Factor and summand of the whole, as [`channel_affine`] had them, when negative values became zero after it.
    pub rectified: Option<&'a [Tensor; 2]>,
}

impl BatchNorm<'_> {
    /// The gradients of a loss to the input `x`, and to weight and bias.
    pub fn backward(&self, x: &Array, dy: &Array) -> Result<(Array, [Array; 2])> {
        let (_, channels, plane) = dims(x)?;
        let Self { moments, eps, weight, rectified } = *self;
        let fits =
            dy.dims() == x.dims() && weight.dims() == [channels] && moments.mean.len() == channels && moments.variance.len() == channels;
        check(fits, || format!("gradient {:?} and weight {:?} do not fit {:?}", dy.dims(), weight.dims(), x.dims()))?;
        per_place!(x, T => {
            let moments: Vec<_> =
                moments.mean.iter().zip(&moments.variance).map(|(&mean, &variance)| kernel::Moments { mean, variance }).collect();
            let (values, gradient) = (x.slice::<T>()?, dy.slice::<T>()?);
            let parameters: Vec<&Tensor> = [weight].into_iter().chain(rectified.into_iter().flatten()).collect();
            let mut sums = None;
            let dx = with_values(&parameters, |p| {
                let rectified = rectified.map(|_| [p[1], p[2]]);
                let facts = kernel::Backward { moments: &moments, eps, weight: p[0], rectified };
                x.fill(x.dims(), |dx| sums = Some(kernel::backward(values, gradient, plane, &facts, dx)))
            })?;
            Ok((dx, sums.unwrap_or_default().map(|sums| x.fill(&[channels], |to| to.copy_from_slice(&sums)))))
        }, x => {
            let like = |values: &[f64]| Tensor::new(values, &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device());
            let deviation: Vec<f64> = moments.variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect();
            let normal = x.broadcast_sub(&per_channel(&like(&moments.mean)?, x)?)?.broadcast_mul(&per_channel(&like(&deviation)?, x)?)?;
            let mut dy = dy.tensor()?.clone();
            if let Some([scale, shift]) = rectified {
                let y = x.broadcast_mul(&per_channel(scale, x)?)?.broadcast_add(&per_channel(shift, x)?)?;
                dy = y.gt(&y.zeros_like()?)?.where_cond(&dy, &dy.zeros_like()?)?;
            }
            let sums = |values: &Tensor| values.reshape((x.dim(0)?, channels, plane))?.sum(2)?.sum(0);
            let (db, dw) = (sums(&dy)?, sums(&(&dy * &normal)?)?);
            let mean = |sums: &Tensor| per_channel(&(sums / moments.count as f64)?, x);
            let dx = dy.broadcast_sub(&mean(&db)?)?.sub(&normal.broadcast_mul(&mean(&dw)?)?)?;
            let dx = dx.broadcast_mul(&per_channel(&(weight * like(&deviation)?)?, x)?)?;
            Ok((Array::of_device(dx), [dw, db].map(Array::of_device)))
        })
    }
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
    use crate::testing::{array, both_ways, check_gradient, dot, random, tensor, values};

    const EPS: f64 = 1e-3;

    /// Factor and summand of batch norm with these moments.
    fn affine(Moments { mean, variance, .. }: &Moments, weight: &Tensor, bias: &Tensor) -> [Tensor; 2] {
        let (w, b) = (weight.to_vec1::<f64>().unwrap(), bias.to_vec1::<f64>().unwrap());
        let scale: Vec<f64> = w.iter().zip(variance).map(|(w, variance)| w / (variance + EPS).sqrt()).collect();
        let shift: Vec<f64> = (0..b.len()).map(|c| b[c] - mean[c] * scale[c]).collect();
        [scale, shift].map(|values| tensor(&values, &[b.len()]))
    }

    fn batch_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, rectified: bool) -> Array {
        let x = array(x);
        let [scale, shift] = affine(&channel_moments(&x).unwrap(), weight, bias);
        channel_affine(&x, &scale, &shift, rectified).unwrap()
    }

    proptest! {
        #[test]
        fn sums_and_moments_equal_their_definitions((images, channels, height, width) in (1usize..4, 1usize..4, 1usize..8, 1usize..8)) {
            let (dims, plane) = ([images, channels, height, width], height * width);
            let x = random(1, &dims);
            let values = values(1, x.elem_count());
            let of = |channel| (0..values.len()).filter(move |place| place / plane % channels == channel).map(|place| values[place]);
            both_ways(|| {
                let sums = channel_sums(&array(&x)).unwrap().to_tensor().unwrap().to_vec1::<f64>().unwrap();
                let moments = channel_moments(&array(&x)).unwrap();
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
            for rectified in [false, true] {
                both_ways(|| {
                    let (images, moments) = (array(&x), channel_moments(&array(&x))?);
                    let affine = affine(&moments, &w, &b);
                    let norm = BatchNorm { moments: &moments, eps: EPS, weight: &w, rectified: rectified.then_some(&affine) };
                    let (dx, [dw, db]) = norm.backward(&images, &array(&dy))?;
                    check_gradient(&x, &dx, |x| dot(&batch_norm(x, &w, &b, rectified), &dy));
                    check_gradient(&w, &dw, |w| dot(&batch_norm(&x, w, &b, rectified), &dy));
                    check_gradient(&b, &db, |b| dot(&batch_norm(&x, &w, b, rectified), &dy));
                    Result::Ok(())
                })
                .unwrap();
            }
        }
    }

    #[test]
    fn far_means_do_not_spoil_variances() {
        let x: Vec<f64> = (0..5000).map(|i| 1000.0 + f64::from(i % 2)).collect();
        let moments = channel_moments(&array(&tensor(&x, &[2, 1, 2500]).to_dtype(DType::F32).unwrap())).unwrap();
        assert!((moments.variance[0] - 0.25).abs() < 1e-3, "{moments:?}");
    }
}
