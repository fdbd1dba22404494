//! What layers compute and how gradients pass through them, on any device.
//!
//! On the CPU these are this crate's kernels, for `f32` and `f64`; elsewhere they are made of candle's own operations. Each
//! backward function gives the exact vector-Jacobian product of its forward function, for training, saliency and LRP alike.
//! Values are [`Array`]s, parameters candle tensors. Nothing here is tracked by candle's autograd.

mod activation;
mod broadcast;
mod conv;
mod elementwise;
mod layer_norm;
mod layout;
mod linear;
mod matmul;
mod norm;
mod number;
mod pool;
mod softmax;
mod stabilizer;
mod update;
mod upsample;

use candle_core::{Result, Tensor};

use crate::Array;

pub use activation::{activation, activation_backward};
pub use broadcast::{broadcast, mean, mean_backward, sum_to};
pub use conv::{Convolution, conv2d_backward_weight};
pub use elementwise::{add, dropout, negative_part, product, relu, relu_backward, repeat, scale};
pub use layer_norm::{layer_norm, layer_norm_backward_centered, layer_norm_backward_input, layer_norm_backward_parameters};
pub use layout::{concat, crop, inverse, pad, slice, split, transpose};
pub use linear::{linear, linear_backward_input, linear_backward_weight};
pub use matmul::{matmul, matmul_backward};
pub use norm::{BatchNorm, Moments, channel_affine, channel_moments, channel_sums};
pub use number::Number;
pub use pool::{avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward};
pub use softmax::{softmax, softmax_backward};
pub use stabilizer::{Form, Stabilizer, stabilized_ratio};
pub use update::{Rule, update};
pub use upsample::{upsample, upsample_backward};

/// Runs `host` with `T` as the type of an array's values, or `device` with its tensor.
macro_rules! per_place {
    ($array:expr, $T:ident => $host:expr, $tensor:ident => $device:expr) => {
        match $array.values() {
            $crate::array::Values::F32(_) => {
                type $T = f32;
                $host
            }
            $crate::array::Values::F64(_) => {
                type $T = f64;
                $host
            }
            $crate::array::Values::Device($tensor) => $device,
        }
    };
}
use per_place;

/// What candle's operations make of an array, wherever it is: for what is not worth a kernel.
fn by_tensor(x: &Array, f: impl FnOnce(Tensor) -> Result<Tensor>) -> Result<Array> {
    x.like(&f(x.to_tensor()?)?)
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(candle_core::Error::Msg(what())) }
}

/// Refuses samples without values; no samples at all are fine.
fn check_samples(x: &[usize]) -> Result<()> {
    check(x.len() >= 2 && !x[1..].contains(&0), || format!("{x:?} are no samples with values"))
}

/// A tensor of `value` with the type and device of another, of another shape.
fn full_like(value: f32, shape: &[usize], other: &Tensor) -> Result<Tensor> {
    Tensor::full(value, shape, other.device())?.to_dtype(other.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{array, random};
    use crate::window::{Border, Window};

    #[test]
    fn no_samples_are_fine_and_samples_without_values_are_errors() {
        let window = Window::new(2).padding(1);
        let [none, empty, dy] = [&[0, 2, 3, 3], &[2, 0, 3, 0], &[0, 4, 4, 4]].map(|shape| array(&random(1, shape)));
        let weight = random(1, &[4, 2, 2, 2]);
        let convolution = Convolution::new(weight.clone(), window, 1);
        assert_eq!(convolution.forward(&none, None, false).unwrap().dims(), [0, 4, 4, 4]);
        assert_eq!(convolution.backward_input(&dy, [3, 3]).unwrap().dims(), none.dims());
        assert_eq!(conv2d_backward_weight(&none, &dy, window, 1).unwrap().dims(), weight.dims());
        assert_eq!(max_pool2d(&none, window).unwrap().dims(), [0, 2, 4, 4]);
        assert_eq!(linear(&array(&random(1, &[0, 3])), &random(1, &[5, 3]), None).unwrap().dims(), [0, 5]);
        assert_eq!(concat(&[&none, &none], 0).unwrap().dims(), [0, 4, 3, 3]);
        assert!(Convolution::new(random(1, &[4, 0, 2, 2]), window, 1).forward(&empty, None, false).is_err());
        assert!(Convolution::new(weight, window.stride(0), 1).forward(&none, None, false).is_err());
        assert!(max_pool2d(&empty, window).is_err() && avg_pool2d(&empty, window, Border::Counted).is_err());
        assert!(linear(&array(&random(1, &[2, 0])), &random(1, &[5, 0]), None).is_err());
        assert!(channel_sums(&empty).is_err() && channel_moments(&none).is_err() && dropout(&empty, 0.1, [0, 0]).is_err());
        assert!(concat(&[&empty], 0).is_err() && split(&none, &[0, 2], 0).is_err());
    }
}
