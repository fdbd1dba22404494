use candle_core::{Result, WithDType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check, per_place};
use crate::Array;
use crate::kernels::elementwise as kernel;

/// What keeps a denominator `z` away from 0; `s(z)` is 1 for `z ≥ 0`, else -1. Without ε, what is divided by 0 becomes 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stabilizer {
    /// Not negative.
    pub epsilon: f64,
    /// How it comes in.
    pub form: Form,
}

/// How an ε comes into a denominator `z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `z + ε s(z)`.
    #[default]
    Add,
    /// `s(z) max(|z|, ε)`: nothing changes but what is smaller than ε.
    Clip,
    /// `z + ε σ s(z)`, where σ is the root of the mean of `z²` over all outputs of the layer for one image.
    Relative,
}

/// `r / stab(z)`, value by value: shares of `r` that stay finite where `z` is 0, for LRP.
pub fn stabilized_ratio(r: &Array, z: &Array, stabilizer: Stabilizer) -> Result<Array> {
    check(r.dims() == z.dims(), || format!("cannot divide {:?} by {:?}", r.dims(), z.dims()))?;
    let Stabilizer { epsilon, form } = stabilizer;
    per_place!(r, T => {
        let (left, right) = (r.slice::<T>()?, z.slice::<T>()?);
        let number = <T as WithDType>::from_f64;
        let width = r.dims()[1..].iter().product::<usize>().max(1);
        Ok(r.fill(r.dims(), |y| {
            for ((r, z), y) in left.chunks(width).zip(right.chunks(width)).zip(y.chunks_mut(width)) {
                let epsilon = epsilon * if form == Form::Relative { kernel::root_mean_square(z) } else { 1.0 };
                match form {
                    _ if epsilon == 0.0 => kernel::ratios(r, z, y),
                    Form::Clip => kernel::clipped_ratios(r, z, number(epsilon), y),
                    Form::Add | Form::Relative => kernel::stabilized_ratios(r, z, number(epsilon), y),
                }
            }
        }))
    }, tensor => {
        let z = z.tensor()?;
        let negative = z.lt(0.0)?;
        let stabilized = match form {
            _ if epsilon == 0.0 => return z.eq(0.0)?.where_cond(&z.zeros_like()?, &(tensor / z)?).map(Array::of_device),
            Form::Add => negative.where_cond(&(z - epsilon)?, &(z + epsilon)?)?,
            Form::Clip => negative.where_cond(&z.minimum(-epsilon)?, &z.maximum(epsilon)?)?,
            Form::Relative => {
                let axes: Vec<usize> = (1..z.rank()).collect();
                let shift = (z.sqr()?.mean_keepdim(axes)?.sqrt()? * epsilon)?;
                let stabilized = negative.where_cond(&z.broadcast_sub(&shift)?, &z.broadcast_add(&shift)?)?;
                let ratio = (tensor / &stabilized)?;
                return stabilized.eq(0.0)?.where_cond(&z.zeros_like()?, &ratio).map(Array::of_device);
            }
        };
        (tensor / stabilized).map(Array::of_device)
    })
}
