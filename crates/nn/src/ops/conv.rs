use candle_core::{Result, Tensor};

use super::{check, per_dtype, read, tensor};
use crate::graph::Window;
use crate::kernels::conv::{self as kernel, Shape};

/// The sizes of a convolution of `[N, C, H, W]` with `[O, C / groups, k, k]`.
fn shape_of(x: &[usize], weight: &[usize], window: Window, groups: usize) -> Result<Shape> {
    let (&[images, channels, height, width], &[outputs, inputs, rows, columns]) = (x, weight) else {
        candle_core::bail!("convolution of {x:?} with {weight:?}: both need four dimensions")
    };
    let fits = rows == window.kernel && columns == window.kernel && groups > 0 && inputs * groups == channels && outputs % groups == 0;
    check(fits, || format!("weights {weight:?} do not fit images {x:?}, {window:?} and {groups} groups"))?;
    match (window.positions(height), window.positions(width)) {
        (Some(h), Some(w)) => Ok(Shape { images, input: [channels, height, width], output: [outputs, h, w], groups, window }),
        _ => candle_core::bail!("{window:?} does not fit into images {x:?}"),
    }
}

impl Shape {
    fn inputs(&self) -> [usize; 4] {
        [self.images, self.input[0], self.input[1], self.input[2]]
    }

    fn outputs(&self) -> [usize; 4] {
        [self.images, self.output[0], self.output[1], self.output[2]]
    }

    fn check_outputs(&self, dy: &Tensor) -> Result<()> {
        check(dy.dims() == self.outputs(), || format!("gradient {:?} where the convolution gives {:?}", dy.dims(), self.outputs()))
    }

    /// Border that is left over at the end of each side when the stride does not fill it.
    fn remainder(&self) -> [usize; 2] {
        let Window { stride, padding, .. } = self.window;
        [1, 2].map(|side| self.input[side] + 2 * padding - self.window.extent() - (self.output[side] - 1) * stride)
    }
}

/// Convolution (cross-correlation) of images `[N, C, H, W]` with `weight` `[O, C / groups, k, k]` and `bias` `[O]`.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, window: Window, groups: usize) -> Result<Tensor> {
    let shape = shape_of(x.dims(), weight.dims(), window, groups)?;
    let outputs = shape.output[0];
    check(bias.is_none_or(|bias| bias.dims() == [outputs]), || format!("a bias must have {outputs} values"))?;
    if x.device().is_cpu() {
        let tensors: Vec<&Tensor> = [x, weight].into_iter().chain(bias).collect();
        return per_dtype!(x, T => {
            tensor(read::<T, _>(&tensors, |v| kernel::forward(&shape, v[0], v[1], v.get(2).copied()))?, &shape.outputs())
        });
    }
    let y = x.conv2d(weight, window.padding, window.stride, window.dilation, groups)?;
    bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(&bias.reshape((1, outputs, 1, 1))?))
}

/// The gradient to the images `[N, C, height, width]` of a convolution, from that to its output: the transposed convolution
/// with the forward pass's window, of exactly the input's size.
pub fn conv2d_backward_input(dy: &Tensor, weight: &Tensor, [height, width]: [usize; 2], window: Window, groups: usize) -> Result<Tensor> {
    let inputs = [dy.dim(0)?, weight.dim(1)? * groups, height, width];
    let shape = shape_of(&inputs, weight.dims(), window, groups)?;
    shape.check_outputs(dy)?;
    if dy.device().is_cpu() {
        return per_dtype!(dy, T => tensor(read::<T, _>(&[dy, weight], |v| kernel::backward_input(&shape, v[0], v[1]))?, &shape.inputs()));
    }
    let parts = dy.chunk(groups, 1)?.into_iter().zip(weight.chunk(groups, 0)?).map(|(dy, weight)| {
        // Without border, then cut: candle's transposed convolution knows one remainder for both sides.
        let whole = dy.contiguous()?.conv_transpose2d(&weight.contiguous()?, 0, 0, window.stride, window.dilation)?;
        let [below, right] = shape.remainder();
        let whole = whole.pad_with_zeros(2, 0, below)?.pad_with_zeros(3, 0, right)?;
        whole.narrow(2, window.padding, height)?.narrow(3, window.padding, width)
    });
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
}

/// The gradient to the weights `[O, C / groups, k, k]` of a convolution of `x`, summed over the images.
pub fn conv2d_backward_weight(x: &Tensor, dy: &Tensor, window: Window, groups: usize) -> Result<Tensor> {
    check(groups > 0, || "no groups".into())?;
    let weights = [dy.dim(1)?, x.dim(1)? / groups, window.kernel, window.kernel];
    let shape = shape_of(x.dims(), &weights, window, groups)?;
    shape.check_outputs(dy)?;
    if x.device().is_cpu() {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x, dy], |v| kernel::backward_weight(&shape, v[0], v[1]))?, &weights));
    }
    let parts = x.chunk(groups, 1)?.into_iter().zip(dy.chunk(groups, 1)?).map(|(x, dy)| {
        let (x, dy) = (x.transpose(0, 1)?.contiguous()?, dy.transpose(0, 1)?.contiguous()?);
        let dw = x.conv2d(&dy, window.padding, window.dilation, window.stride, 1)?;
        dw.narrow(2, 0, window.kernel)?.narrow(3, 0, window.kernel)?.transpose(0, 1)?.contiguous()
    });
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
}
