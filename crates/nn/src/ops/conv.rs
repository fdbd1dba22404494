use std::array::from_fn;
use std::sync::OnceLock;

use candle_core::{Result, Tensor, WithDType};

use super::{Form, Stabilizer};
use super::{check, check_samples, per_place};
use crate::array::with_values;
use crate::kernels::Element;
use crate::kernels::conv::{self as kernel, Finish, Method, Shape, Source};
use crate::window::Window;
use crate::{Array, Memory};

/// The sizes of a convolution of `[N, C, H, W]` with `[O, C / groups, rows, columns]`.
fn shape_of(x: &[usize], weight: &[usize], window: Window, groups: usize) -> Result<Shape> {
    let (&[images, channels, height, width], &[outputs, inputs, rows, columns]) = (x, weight) else {
        candle_core::bail!("convolution of {x:?} with {weight:?}: both need four dimensions")
    };
    check_samples(x)?;
    check(window.is_valid() && outputs > 0, || format!("no convolution to {outputs} channels has {window:?}"))?;
    let fits = [rows, columns] == window.kernel && groups > 0 && inputs * groups == channels && outputs % groups == 0;
    check(fits, || format!("weights {weight:?} do not fit images {x:?}, {window:?} and {groups} groups"))?;
    match window.positions([height, width]) {
        Some([h, w]) => Ok(Shape { images, input: [channels, height, width], output: [outputs, h, w], groups, window }),
        None => candle_core::bail!("{window:?} does not fit into images {x:?}"),
    }
}

/// What is the same along both axes, as candle's convolutions want it.
fn even([down, across]: [usize; 2]) -> Result<usize> {
    check(down == across, || format!("strides and dilations that differ, {down} and {across}, are for the CPU alone"))?;
    Ok(down)
}

/// Images with their border.
fn padded(x: &Tensor, Window { before, after, .. }: Window) -> Result<Tensor> {
    x.pad_with_zeros(2, before[0], after[0])?.pad_with_zeros(3, before[1], after[1])
}

impl Shape {
    fn inputs(&self) -> [usize; 4] {
        [self.images, self.input[0], self.input[1], self.input[2]]
    }

    fn outputs(&self) -> [usize; 4] {
        [self.images, self.output[0], self.output[1], self.output[2]]
    }

    fn check_outputs(&self, dy: &Array) -> Result<()> {
        check(dy.dims() == self.outputs(), || format!("gradient {:?} where the convolution gives {:?}", dy.dims(), self.outputs()))
    }

    /// Border that is left over at the end of each side when the stride does not fill it.
    fn remainder(&self) -> [usize; 2] {
        let (Window { stride, before, after, .. }, extent) = (self.window, self.window.extent());
        from_fn(|side| before[side] + self.input[1 + side] + after[side] - extent[side] - (self.output[1 + side] - 1) * stride[side])
    }
}

/// Convolution (cross-correlation) with weights `[O, C / groups, rows, columns]`, and its transpose.
///
/// What the kernels need beside the weights is worked out at the first use, and kept for images of that size.
#[derive(Clone, Debug)]
pub struct Convolution {
    weight: Tensor,
    window: Window,
    groups: usize,
    forward: OnceLock<Prepared>,
    transposed: OnceLock<Prepared>,
}

/// From the input to the output, or back.
#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Transposed,
}

/// One direction for images of one size.
#[derive(Clone, Debug)]
struct Prepared {
    input: [usize; 3],
    method: Method,
    weights: Array,
}

impl Prepared {
    fn new<T: Element>(direction: Direction, shape: &Shape, weight: &Tensor, memory: &Memory) -> Result<Self> {
        let ([rows, columns], seen) = shape.cropped();
        let method = match direction {
            Direction::Forward => Method::forward(&seen),
            Direction::Transposed => Method::transposed(&seen),
        };
        let weight = weight.narrow(2, rows.start, rows.len())?.narrow(3, columns.start, columns.len())?.contiguous()?;
        let weights =
            with_values::<T, _>(&[&weight], |values| Array::host(memory, &[method.packed_len()], |packed| method.pack(values[0], packed)))?;
        Ok(Self { input: shape.input, method, weights })
    }
}

impl Convolution {
    /// A convolution with these weights.
    pub fn new(weight: Tensor, window: Window, groups: usize) -> Self {
        Self { weight, window, groups, forward: OnceLock::new(), transposed: OnceLock::new() }
    }

    /// The convolution of images `[N, C, H, W]`, and `bias` `[O]`; `rectified`, negative values become zero then.
    pub fn forward(&self, x: &Array, bias: Option<&Tensor>, rectified: bool) -> Result<Array> {
        let shape = shape_of(x.dims(), self.weight.dims(), self.window, self.groups)?;
        let outputs = shape.output[0];
        check(bias.is_none_or(|bias| bias.dims() == [outputs]), || format!("a bias must have {outputs} values"))?;
        per_place!(x, T => with_values(bias.as_slice(), |bias| {
            let finish = Finish { bias: bias.first().copied(), rectified, ..Finish::NONE };
            self.run::<T>(Direction::Forward, &shape, x, None, finish)
        })?, tensor => {
            let (stride, dilation) = (even(self.window.stride)?, even(self.window.dilation)?);
            let y = padded(tensor, self.window)?.conv2d(&self.weight, 0, stride, dilation, self.groups)?;
            let y = bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(&bias.reshape((1, outputs, 1, 1))?))?;
            if rectified { y.relu() } else { Ok(y) }.map(Array::of_device)
        })
    }

    /// The gradient to the images `[N, C, height, width]`, from that to the output: the transposed convolution with the forward
    /// pass's window, of exactly the input's size.
    pub fn backward_input(&self, dy: &Array, [height, width]: [usize; 2]) -> Result<Array> {
        let images = dy.dims().first().copied().unwrap_or_default();
        let inputs = [images, self.weight.dim(1)? * self.groups, height, width];
        let shape = shape_of(&inputs, self.weight.dims(), self.window, self.groups)?;
        shape.check_outputs(dy)?;
        per_place!(dy, T => {
            self.run::<T>(Direction::Transposed, &shape, dy, None, Finish::NONE)
        }, tensor => {
            let (stride, dilation) = (even(self.window.stride)?, even(self.window.dilation)?);
            let parts = tensor.chunk(self.groups, 1)?.into_iter().zip(self.weight.chunk(self.groups, 0)?).map(|(dy, weight)| {
                // Without border, then cut: candle's transposed convolution knows one remainder for both sides.
                let whole = dy.contiguous()?.conv_transpose2d(&weight.contiguous()?, 0, 0, stride, dilation)?;
                let [below, right] = shape.remainder();
                let whole = whole.pad_with_zeros(2, 0, below)?.pad_with_zeros(3, 0, right)?;
                whole.narrow(2, self.window.before[0], height)?.narrow(3, self.window.before[1], width)
            });
            Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1).map(Array::of_device)
        })
    }

    /// `x ⊙ Jᵀ(r / stab(z))`: what the inputs `x` get of the outputs' relevance `r` in shares of `z`, at once. Here `stab` is
    /// [`Form::Add`].
    pub fn relevance(&self, r: &Array, z: &Array, epsilon: f64, x: &Array) -> Result<Array> {
        let shape = shape_of(x.dims(), self.weight.dims(), self.window, self.groups)?;
        shape.check_outputs(r)?;
        shape.check_outputs(z)?;
        per_place!(r, T => {
            let finish = Finish { factor: Some(x.slice::<T>()?), ..Finish::NONE };
            let divisor = Some((z.slice::<T>()?, <T as WithDType>::from_f64(epsilon)));
            self.run::<T>(Direction::Transposed, &shape, r, divisor, finish)
        }, _tensor => {
            let [_, _, height, width] = shape.inputs();
            super::product(x, &self.backward_input(&super::stabilized_ratio(r, z, Stabilizer { epsilon, form: Form::Add })?, [height, width])?)
        })
    }

    fn run<T: Element>(
        &self,
        direction: Direction,
        shape: &Shape,
        source: &Array,
        divisor: Option<(&[T], T)>,
        finish: Finish<'_, T>,
    ) -> Result<Array> {
        let (kept, target) = match direction {
            Direction::Forward => (&self.forward, shape.outputs()),
            Direction::Transposed => (&self.transposed, shape.inputs()),
        };
        let prepare = || Prepared::new::<T>(direction, shape, &self.weight, &source.memory());
        let other;
        let prepared = match kept.get() {
            Some(first) if first.input == shape.input => first,
            Some(_) => {
                other = prepare()?;
                &other
            }
            None => {
                let first = prepare()?;
                kept.get_or_init(|| first)
            }
        };
        let (from, weights) = (Source { values: source.slice::<T>()?, divisor }, prepared.weights.slice::<T>()?);
        Ok(source.fill(&target, |y| prepared.method.run(from, weights, finish, y, &source.memory())))
    }
}

/// The gradient to the weights `[O, C / groups, rows, columns]` of a convolution of `x`, summed over the images.
pub fn conv2d_backward_weight(x: &Array, dy: &Array, window: Window, groups: usize) -> Result<Array> {
    let (&[_, channels, ..], &[_, outputs, ..]) = (x.dims(), dy.dims()) else {
        candle_core::bail!("gradient {:?} of a convolution of {:?}", dy.dims(), x.dims())
    };
    check(groups > 0, || "no groups".into())?;
    let weights = [outputs, channels / groups, window.kernel[0], window.kernel[1]];
    let shape = shape_of(x.dims(), &weights, window, groups)?;
    shape.check_outputs(dy)?;
    per_place!(x, T => {
        let (values, gradient) = (x.slice::<T>()?, dy.slice::<T>()?);
        Ok(x.fill(&weights, |dw| kernel::backward_weight(&shape, values, gradient, dw, &x.memory())))
    }, tensor => {
        let (stride, dilation) = (even(window.stride)?, even(window.dilation)?);
        let parts = padded(tensor, window)?.chunk(groups, 1)?.into_iter().zip(dy.tensor()?.chunk(groups, 1)?).map(|(x, dy)| {
            let (x, dy) = (x.transpose(0, 1)?.contiguous()?, dy.transpose(0, 1)?.contiguous()?);
            let dw = x.conv2d(&dy, 0, dilation, stride, 1)?;
            dw.narrow(2, 0, window.kernel[0])?.narrow(3, 0, window.kernel[1])?.transpose(0, 1)?.contiguous()
        });
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0).map(Array::of_device)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, distance, is_composing, random, tensor, values, windows};

    /// Visits every product of a convolution: the places of its output, input and weight.
    fn products(shape: &Shape, mut visit: impl FnMut(usize, usize, usize)) {
        let Window { kernel, stride, dilation, before, .. } = shape.window;
        let ([channels, height, width], [outputs, rows, columns]) = (shape.input, shape.output);
        let (group_in, group_out) = (channels / shape.groups, outputs / shape.groups);
        for n in 0..shape.images {
            for o in 0..outputs {
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    for c in 0..group_in {
                        for (i, j) in (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j))) {
                            let y = (row * stride[0] + i * dilation[0]).checked_sub(before[0]).filter(|y| *y < height);
                            let x = (column * stride[1] + j * dilation[1]).checked_sub(before[1]).filter(|x| *x < width);
                            if let (Some(y), Some(x)) = (y, x) {
                                let channel = o / group_out * group_in + c;
                                visit(
                                    ((n * outputs + o) * rows + row) * columns + column,
                                    ((n * channels + channel) * height + y) * width + x,
                                    ((o * group_in + c) * kernel[0] + i) * kernel[1] + j,
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    /// Compares a convolution of `[images, inputs, height, width]` and its gradients with their sums.
    fn compare(
        x_shape: [usize; 4],
        outputs: usize,
        window: Window,
        groups: usize,
        has_bias: bool,
    ) -> std::result::Result<(), TestCaseError> {
        let [_, inputs, height, width] = x_shape;
        let w_shape = [outputs, inputs / groups, window.kernel[0], window.kernel[1]];
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
            let convolution = Convolution::new(w.clone(), window, groups);
            if is_composing() && (even(window.stride).is_err() || even(window.dilation).is_err()) {
                prop_assert!(convolution.forward(&array(&x), None, false).is_err());
                return Ok(());
            }
            let found = convolution.forward(&array(&x), has_bias.then_some(&b), false).unwrap();
            prop_assert!(distance(&found, &tensor(&y, &shape.outputs())) < 1e-12);
            let rectified = convolution.forward(&array(&x), has_bias.then_some(&b), true).unwrap();
            prop_assert!(distance(&rectified, &found.to_tensor().unwrap().relu().unwrap()) == 0.0);
            let found = convolution.backward_input(&array(&dy), [height, width]).unwrap();
            prop_assert!(distance(&found, &tensor(&dx, &x_shape)) < 1e-12);
            let parts = convolution.relevance(&array(&dy), &rectified, 0.1, &array(&x)).unwrap();
            let share = crate::ops::stabilized_ratio(&array(&dy), &rectified, Stabilizer { epsilon: 0.1, form: Form::Add }).unwrap();
            let back = convolution.backward_input(&share, [height, width]).unwrap();
            prop_assert!(distance(&parts, &crate::ops::product(&array(&x), &back).unwrap()) == 0.0);
            let found = conv2d_backward_weight(&array(&x), &array(&dy), window, groups).unwrap();
            prop_assert!(distance(&found, &tensor(&dw, &w_shape)) < 1e-11);
            Ok(())
        })
    }

    proptest! {
        #[test]
        fn convolution_and_its_gradients_equal_their_sums(
            (images, groups, inputs, outputs) in (1usize..20, 1usize..3, 1usize..4, 1usize..4),
            (height, width) in (1usize..13, 1usize..13),
            window in windows(1..3),
            has_bias: bool,
        ) {
            compare([images, inputs * groups, height, width], outputs * groups, window, groups, has_bias)?;
        }

        #[test]
        fn minimal_filters_equal_sums(
            (images, inputs, outputs) in (1usize..7, 8usize..11, 8usize..20),
            (height, width) in (1usize..16, 1usize..36),
            (kernel, [top, left, bottom, right]) in (2usize..7).prop_flat_map(|kernel| (Just(kernel), [0..=kernel, 0..=kernel, 0..=kernel, 0..=kernel])),
            has_bias: bool,
        ) {
            let window = Window::new(kernel).border([top, left], [bottom, right]);
            compare([images, inputs, height, width], outputs, window, 1, has_bias)?;
        }
    }

    #[test]
    fn images_of_another_size_than_the_first_are_fine() {
        let (window, weight) = (Window::new(3).stride(2).padding(1), random(2, &[3, 4, 3, 3]));
        let kept = Convolution::new(weight.clone(), window, 1);
        for size in [5, 8, 40, 5] {
            let (x, fresh) = (array(&random(1, &[2, 4, size, size + 1])), Convolution::new(weight.clone(), window, 1));
            let y = kept.forward(&x, None, false).unwrap();
            assert!(distance(&y, &fresh.forward(&x, None, false).unwrap()) == 0.0);
            let [found, expected] = [&kept, &fresh].map(|convolution| convolution.backward_input(&y, [size, size + 1]).unwrap());
            assert!(distance(&found, &expected) == 0.0);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let (x, w, bias) = (array(&random(1, &[1, 4, 5, 5])), random(2, &[2, 4, 3, 3]), random(3, &[3]));
        let window = Window::new(3);
        let forward = |bias, window, groups| Convolution::new(w.clone(), window, groups).forward(&x, bias, false);
        assert!(forward(None, Window::new(2), 1).is_err());
        assert!(forward(None, window, 2).is_err());
        assert!(forward(None, window, 0).is_err());
        assert!(forward(Some(&bias), window, 1).is_err());
        assert!(forward(None, window.dilation(3), 1).is_err());
        assert!(Convolution::new(w.clone(), window, 1).backward_input(&array(&random(3, &[1, 2, 2, 3])), [5, 5]).is_err());
        assert!(conv2d_backward_weight(&x, &array(&random(3, &[2, 2, 3, 3])), window, 1).is_err());
    }
}
