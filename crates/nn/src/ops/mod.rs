//! What layers compute and how gradients pass through them, on tensors of any device.
//!
//! On the CPU these are this crate's kernels, for `f32` and `f64`; elsewhere they are made of candle's own operations. Each
//! backward function gives the exact vector-Jacobian product of its forward function, for training, saliency and LRP alike.
//! Nothing here is tracked by candle's autograd.

mod conv;
mod elementwise;
mod linear;
mod norm;
mod pool;
mod update;

use candle_core::{Device, Result, Storage, Tensor, bail};

pub use conv::{conv2d, conv2d_backward_input, conv2d_backward_weight};
pub use elementwise::{add, concat, dropout, product, relu, relu_backward, split, stabilized_ratio};
pub use linear::{linear, linear_backward_input, linear_backward_weight};
pub use norm::{Moments, batch_norm_backward, channel_affine, channel_moments, channel_sums};
pub use pool::{avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward};
pub use update::{Number, Rule, update};

use crate::kernels::Element;

/// Runs `body` with `T` as the type of the tensor's values.
macro_rules! per_dtype {
    ($tensor:expr, $T:ident => $body:expr) => {
        match $tensor.dtype() {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => candle_core::bail!("layers compute in f32 or f64, not {other:?}"),
        }
    };
}
use per_dtype;

/// Whether an op on this tensor runs in our own kernels.
fn has_kernels(x: &Tensor) -> bool {
    #[cfg(test)]
    if crate::testing::is_composing() {
        return false;
    }
    x.device().is_cpu()
}

/// Calls `f` with the values of tensors on the CPU.
fn read<T: Element, R>(tensors: &[&Tensor], f: impl FnOnce(&[&[T]]) -> R) -> Result<R> {
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let values = guards.iter().zip(&tensors).map(|((storage, layout), tensor)| match &**storage {
        Storage::Cpu(storage) => Ok(&T::cpu_storage_as_slice(storage)?[layout.start_offset()..][..tensor.elem_count()]),
        _ => bail!("the tensors of a layer must be on one device"),
    });
    Ok(f(&values.collect::<Result<Vec<_>>>()?))
}

/// A tensor on the CPU.
fn tensor<T: Element>(values: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
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
    use crate::graph::Window;
    use crate::testing::random;

    #[test]
    fn no_samples_are_fine_and_samples_without_values_are_errors() {
        let window = Window::new(2).padding(1);
        let (none, empty, weight) = (random(1, &[0, 2, 3, 3]), random(1, &[2, 0, 3, 0]), random(1, &[4, 2, 2, 2]));
        let dy = random(1, &[0, 4, 4, 4]);
        assert_eq!(conv2d(&none, &weight, None, window, 1).unwrap().dims(), [0, 4, 4, 4]);
        assert_eq!(conv2d_backward_input(&dy, &weight, [3, 3], window, 1).unwrap().dims(), none.dims());
        assert_eq!(conv2d_backward_weight(&none, &dy, window, 1).unwrap().dims(), weight.dims());
        assert_eq!(max_pool2d(&none, window).unwrap().dims(), [0, 2, 4, 4]);
        assert_eq!(linear(&random(1, &[0, 3]), &random(1, &[5, 3]), None).unwrap().dims(), [0, 5]);
        assert_eq!(concat(&[&none, &none]).unwrap().dims(), [0, 4, 3, 3]);
        assert!(conv2d(&empty, &random(1, &[4, 0, 2, 2]), None, window, 1).is_err());
        assert!(conv2d(&none, &weight, None, Window { stride: 0, ..window }, 1).is_err());
        assert!(max_pool2d(&empty, window).is_err() && avg_pool2d(&empty, window).is_err());
        assert!(linear(&random(1, &[2, 0]), &random(1, &[5, 0]), None).is_err());
        assert!(channel_sums(&empty).is_err() && channel_moments(&none).is_err() && dropout(&empty, 0.1, [0, 0]).is_err());
        assert!(concat(&[&empty]).is_err() && split(&none, &[0, 2]).is_err());
    }
}
