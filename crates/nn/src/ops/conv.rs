use candle_core::{Result, Tensor};

use super::{check, check_samples, has_kernels, per_dtype, read, tensor};
use crate::graph::Window;
use crate::kernels::conv::{self as kernel, Shape};

/// The sizes of a convolution of `[N, C, H, W]` with `[O, C / groups, k, k]`.
fn shape_of(x: &[usize], weight: &[usize], window: Window, groups: usize) -> Result<Shape> {
    let (&[images, channels, height, width], &[outputs, inputs, rows, columns]) = (x, weight) else {
        candle_core::bail!("convolution of {x:?} with {weight:?}: both need four dimensions")
    };
    check_samples(x)?;
    check(window.is_valid() && outputs > 0, || format!("no convolution to {outputs} channels has {window:?}"))?;
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
    if has_kernels(x) {
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
    if has_kernels(dy) {
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
    if has_kernels(x) {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x, dy], |v| kernel::backward_weight(&shape, v[0], v[1]))?, &weights));
    }
    let parts = x.chunk(groups, 1)?.into_iter().zip(dy.chunk(groups, 1)?).map(|(x, dy)| {
        let (x, dy) = (x.transpose(0, 1)?.contiguous()?, dy.transpose(0, 1)?.contiguous()?);
        let dw = x.conv2d(&dy, window.padding, window.dilation, window.stride, 1)?;
        dw.narrow(2, 0, window.kernel)?.narrow(3, 0, window.kernel)?.transpose(0, 1)?.contiguous()
    });
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{both_ways, distance, random, values, windows};

    /// Visits every product of a convolution: the places of its output, input and weight.
    fn products(shape: &Shape, mut visit: impl FnMut(usize, usize, usize)) {
        let Window { kernel, stride, padding, dilation } = shape.window;
        let ([channels, height, width], [outputs, rows, columns]) = (shape.input, shape.output);
        let (group_in, group_out) = (channels / shape.groups, outputs / shape.groups);
        for n in 0..shape.images {
            for o in 0..outputs {
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    for c in 0..group_in {
                        for (i, j) in (0..kernel).flat_map(|i| (0..kernel).map(move |j| (i, j))) {
                            let (y, x) = (row * stride + i * dilation, column * stride + j * dilation);
                            if (padding..height + padding).contains(&y) && (padding..width + padding).contains(&x) {
                                let channel = o / group_out * group_in + c;
                                visit(
                                    ((n * outputs + o) * rows + row) * columns + column,
                                    ((n * channels + channel) * height + y - padding) * width + x - padding,
                                    ((o * group_in + c) * kernel + i) * kernel + j,
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn convolution_and_its_gradients_equal_their_sums(
            (images, groups, inputs, outputs) in (1usize..20, 1usize..3, 1usize..4, 1usize..4),
            (height, width) in (1usize..13, 1usize..13),
            window in windows(1..3),
            has_bias: bool,
        ) {
            let (x_shape, w_shape) = ([images, inputs * groups, height, width], [outputs * groups, inputs, window.kernel, window.kernel]);
            let Ok(shape) = shape_of(&x_shape, &w_shape, window, groups) else { return Ok(()) };
            let (x, w, b, dy) = (random(1, &x_shape), random(2, &w_shape), random(3, &w_shape[..1]), random(4, &shape.outputs()));
            let [xs, ws, bs, dys] = [(1, &x), (2, &w), (3, &b), (4, &dy)].map(|(seed, t)| values(seed, t.elem_count()));
            let plane = shape.output[1] * shape.output[2];
            let mut y: Vec<f64> = (0..dys.len()).map(|place| if has_bias { bs[place / plane % bs.len()] } else { 0.0 }).collect();
            let (mut dx, mut dw) = (vec![0.0; xs.len()], vec![0.0; ws.len()]);
            products(&shape, |to, from, weight| {
                y[to] += xs[from] * ws[weight];
                dx[from] += dys[to] * ws[weight];
                dw[weight] += dys[to] * xs[from];
            });
            both_ways(|| {
                let found = conv2d(&x, &w, has_bias.then_some(&b), window, groups).unwrap();
                prop_assert!(distance(&found, &tensor(y.clone(), &shape.outputs()).unwrap()) < 1e-12);
                let found = conv2d_backward_input(&dy, &w, [height, width], window, groups).unwrap();
                prop_assert!(distance(&found, &tensor(dx.clone(), &x_shape).unwrap()) < 1e-12);
                let found = conv2d_backward_weight(&x, &dy, window, groups).unwrap();
                prop_assert!(distance(&found, &tensor(dw.clone(), &w_shape).unwrap()) < 1e-11);
                Ok(())
            })?;
        }
    }

    #[test]
    fn large_images_are_cut_into_tiles() {
        let (x, w) = (random(1, &[2, 40, 60, 60]), random(2, &[3, 40, 5, 5]));
        let window = Window::new(5).padding(2);
        let dy = random(3, &[2, 3, 60, 60]);
        let all = || {
            let y = conv2d(&x, &w, None, window, 1).unwrap();
            [y, conv2d_backward_input(&dy, &w, [60, 60], window, 1).unwrap(), conv2d_backward_weight(&x, &dy, window, 1).unwrap()]
        };
        let ours = all();
        both_ways(|| {
            all().iter().zip(&ours).for_each(|(a, b)| assert!(distance(a, b) < 1e-10));
            Ok::<_, ()>(())
        })
        .unwrap();
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let (x, w) = (random(1, &[1, 4, 5, 5]), random(2, &[2, 4, 3, 3]));
        let window = Window::new(3);
        assert!(conv2d(&x, &w, None, Window::new(2), 1).is_err());
        assert!(conv2d(&x, &w, None, window, 2).is_err());
        assert!(conv2d(&x, &w, None, window, 0).is_err());
        assert!(conv2d(&x, &w, Some(&random(3, &[3])), window, 1).is_err());
        assert!(conv2d(&x, &w, None, window.dilation(3), 1).is_err());
        assert!(conv2d_backward_input(&random(3, &[1, 2, 2, 3]), &w, [5, 5], window, 1).is_err());
        assert!(conv2d_backward_weight(&x, &random(3, &[2, 2, 3, 3]), window, 1).is_err());
    }
}
