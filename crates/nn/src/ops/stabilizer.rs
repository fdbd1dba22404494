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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, distance, tensor, values};

    proptest! {
        #[test]
        fn ratios_equal_their_definitions(
            (rows, width) in (1usize..4, 1usize..40),
            form in prop_oneof![Just(Form::Add), Just(Form::Clip), Just(Form::Relative)],
            epsilon in prop_oneof![Just(0.0), 0.1f64..0.6],
        ) {
            let shape = [rows, width];
            // Some denominators are 0 exactly.
            let (r, z) = (values(1, rows * width), values(2, rows * width).into_iter().map(|z| if z.abs() < 0.2 { 0.0 } else { z }));
            let z: Vec<f64> = z.collect();
            let expected: Vec<f64> = (0..r.len())
                .map(|place| {
                    let (z, row) = (z[place], &z[place / width * width..][..width]);
                    let sign = if z >= 0.0 { 1.0 } else { -1.0 };
                    let deviation = (row.iter().map(|z| z * z).sum::<f64>() / width as f64).sqrt();
                    let stabilized = match form {
                        Form::Add => z + epsilon * sign,
                        Form::Clip => sign * z.abs().max(epsilon),
                        Form::Relative => z + epsilon * deviation * sign,
                    };
                    if stabilized == 0.0 { 0.0 } else { r[place] / stabilized }
                })
                .collect();
            both_ways(|| {
                let [r, z] = [&r, &z].map(|values| array(&tensor(values, &shape)));
                let found = stabilized_ratio(&r, &z, Stabilizer { epsilon, form }).unwrap();
                prop_assert!(distance(&found, &tensor(&expected, &shape)) < 1e-12);
                Ok(())
            })?;
        }
    }
}
