use candle_core::{Result, Tensor};

use super::{check, per_dtype, read, tensor};
use crate::kernels::{Element, elementwise as kernel};

/// `max(x, 0)`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::map(v[0], |x| if x < T::ZERO { T::ZERO } else { x }))?, x.dims()));
    }
    x.relu()
}

/// The gradient through `y = relu(x)`: that of the output where `y > 0`, else 0.
pub fn relu_backward(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    check(y.dims() == dy.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), y.dims()))?;
    if y.device().is_cpu() {
        return per_dtype!(y, T => {
            tensor(read::<T, _>(&[y, dy], |v| kernel::zip(v[0], v[1], |y, dy| if y > T::ZERO { dy } else { T::ZERO }))?, y.dims())
        });
    }
    y.gt(&y.zeros_like()?)?.where_cond(dy, &dy.zeros_like()?)
}

/// Zeroes values with probability `p` and divides the others by `1 - p`. The choice depends on `key` and on a value's row and
/// place alone, so that the same call passes a gradient back.
pub fn dropout(x: &Tensor, p: f64, key: [u64; 2]) -> Result<Tensor> {
    check((0.0..1.0).contains(&p) && x.rank() > 0, || format!("dropout with p = {p} on {:?}", x.dims()))?;
    let width = x.dims()[1..].iter().product();
    if x.device().is_cpu() {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::dropout(v[0], width, p, key))?, x.dims()));
    }
    let ones = vec![1f32; x.elem_count()];
    x * tensor(kernel::dropout(&ones, width, p, key), x.dims())?.to_device(x.device())?.to_dtype(x.dtype())?
}

/// `a + b` of equal shapes.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(a.dims() == b.dims(), || format!("cannot add {:?} and {:?}", a.dims(), b.dims()))?;
    if a.device().is_cpu() {
        return per_dtype!(a, T => tensor(read::<T, _>(&[a, b], |v| kernel::zip(v[0], v[1], |a, b| a + b))?, a.dims()));
    }
    a + b
}

/// Tensors `[N, C, ...]`, one after the other along the channels.
pub fn concat(parts: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = parts.first() else { candle_core::bail!("nothing to join") };
    let fits =
        parts.iter().all(|part| part.rank() >= 2 && part.dim(0).ok() == first.dim(0).ok() && part.dims().get(2..) == first.dims().get(2..));
    check(fits, || "joined tensors must differ in their channels alone".into())?;
    if !first.device().is_cpu() {
        return Tensor::cat(parts, 1);
    }
    let widths: Vec<usize> = parts.iter().map(|part| part.dims()[1..].iter().product()).collect();
    let mut shape = first.dims().to_vec();
    shape[1] = parts.iter().map(|part| part.dims()[1]).sum();
    per_dtype!(first, T => tensor(read::<T, _>(parts, |v| kernel::join(v, &widths))?, &shape))
}

/// The parts of `[N, C, ...]` that have so many `channels` each: undoes [`concat`].
pub fn split(x: &Tensor, channels: &[usize]) -> Result<Vec<Tensor>> {
    check(x.rank() >= 2 && channels.iter().sum::<usize>() == x.dims()[1], || {
        format!("{channels:?} channels do not make up {:?}", x.dims())
    })?;
    let plane: usize = x.dims()[2..].iter().product();
    let width = x.dims()[1] * plane;
    let mut start = 0;
    let parts = channels.iter().map(|&channels| {
        let from = start;
        start += channels;
        if !x.device().is_cpu() {
            return x.narrow(1, from, channels)?.contiguous();
        }
        let mut shape = x.dims().to_vec();
        shape[1] = channels;
        per_dtype!(x, T => tensor(read::<T, _>(&[x], |v| kernel::part(v[0], width, from * plane, channels * plane))?, &shape))
    });
    parts.collect()
}
