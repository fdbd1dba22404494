use std::array::from_fn;

use candle_core::{Result, Tensor};

use super::{check, check_samples, full_like, per_place};
use crate::Array;
use crate::kernels::pool::{self as kernel, Shape};
use crate::window::{Border, Window};

fn shape_of(x: &[usize], window: Window) -> Result<(Shape, [usize; 4])> {
    let &[n, c, height, width] = x else { candle_core::bail!("pools take [N, C, H, W], not {x:?}") };
    check_samples(x)?;
    check(window.dilation == [1; 2], || format!("no pool has {window:?}"))?;
    match window.positions([height, width]) {
        Some([h, w]) if window.always_sees([height, width]) => Ok((Shape { input: [height, width], output: [h, w], window }, [n, c, h, w])),
        _ => candle_core::bail!("{window:?} does not fit into images {x:?}"),
    }
}

fn check_gradient(dy: &Array, output: [usize; 4]) -> Result<()> {
    check(dy.dims() == output, || format!("gradient {:?} where the pool gives {output:?}", dy.dims()))
}

/// The largest value under each position of the window; the border never wins.
pub fn max_pool2d(x: &Array, window: Window) -> Result<Array> {
    let (shape, output) = shape_of(x.dims(), window)?;
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(&output, |y| kernel::max_forward(&shape, values, y, &x.memory())))
    }, tensor => Cells::of(tensor, &shape, f32::NEG_INFINITY)?.largest().map(Array::of_device))
}

/// The gradient to the input of a max-pool: each output's goes to the value that won, the first of equal ones in row-major
/// order, and adds up where windows overlap.
pub fn max_pool2d_backward(x: &Array, dy: &Array, window: Window) -> Result<Array> {
    let (shape, output) = shape_of(x.dims(), window)?;
    check_gradient(dy, output)?;
    per_place!(x, T => {
        let (values, gradient) = (x.slice::<T>()?, dy.slice::<T>()?);
        Ok(x.fill(x.dims(), |dx| kernel::max_backward(&shape, values, gradient, dx, &x.memory())))
    }, tensor => {
        let cells = Cells::of(tensor, &shape, f32::NEG_INFINITY)?;
        let best = cells.largest()?;
        let mut left = dy.tensor()?.clone();
        let mut dx = cells.zeros()?;
        for (row, column) in cells.iter() {
            let wins = cells.get(row, column)?.eq(&best)?;
            dx = cells.add(&dx, row, column, &wins.where_cond(&left, &left.zeros_like()?)?)?;
            left = wins.where_cond(&left.zeros_like()?, &left)?;
        }
        cells.crop(&dx).map(Array::of_device)
    })
}

/// The mean under each position of the window.
pub fn avg_pool2d(x: &Array, window: Window, border: Border) -> Result<Array> {
    let (shape, output) = shape_of(x.dims(), window)?;
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        Ok(x.fill(&output, |y| kernel::avg_forward(&shape, border, values, y, &x.memory())))
    }, tensor => {
        Cells::of(tensor, &shape, 0.0)?.sum()?.broadcast_div(&counts(tensor, &shape, border)?).map(Array::of_device)
    })
}

/// The gradient to the input, `[N, C, height, width]`, of an average pool.
pub fn avg_pool2d_backward(dy: &Array, [height, width]: [usize; 2], window: Window, border: Border) -> Result<Array> {
    let &[n, channels, _, _] = dy.dims() else { candle_core::bail!("gradients of pools are [N, C, H, W], not {:?}", dy.dims()) };
    let input = [n, channels, height, width];
    let (shape, output) = shape_of(&input, window)?;
    check_gradient(dy, output)?;
    per_place!(dy, T => {
        let values = dy.slice::<T>()?;
        Ok(dy.fill(&input, |dx| kernel::avg_backward(&shape, border, values, dx, &dy.memory())))
    }, tensor => {
        let cells = Cells::of(&full_like(0.0, &input, tensor)?, &shape, 0.0)?;
        let share = tensor.broadcast_div(&counts(tensor, &shape, border)?)?;
        let dx = cells.iter().try_fold(cells.zeros()?, |dx, (row, column)| cells.add(&dx, row, column, &share))?;
        cells.crop(&dx).map(Array::of_device)
    })
}

/// What the sum under each position is divided by, to broadcast over values of the type and device of `like`.
fn counts(like: &Tensor, shape: &Shape, border: Border) -> Result<Tensor> {
    let [height, width] = shape.input;
    match border {
        Border::Counted => full_like(shape.window.cells() as f32, &[1; 4], like),
        Border::Ignored => Cells::of(&full_like(1.0, &[1, 1, height, width], like)?, shape, 0.0)?.sum(),
    }
}

/// A padded image, seen through one cell of the window at a time: what devices without our kernels pool with.
struct Cells {
    padded: Tensor,
    shape: Shape,
    /// The pixels under the window's first row or column, for each position.
    first: [Vec<u32>; 2],
}

impl Cells {
    fn of(x: &Tensor, shape: &Shape, border: f32) -> Result<Self> {
        let Window { stride, before, after, .. } = shape.window;
        let mut padded = x.clone();
        for side in [0, 1] {
            let mut dims = padded.dims().to_vec();
            let mut beside = |pixels| {
                dims[2 + side] = pixels;
                full_like(border, &dims, x)
            };
            // Tensors without values cannot be joined on every device.
            if before[side] > 0 {
                padded = Tensor::cat(&[&beside(before[side])?, &padded], 2 + side)?;
            }
            if after[side] > 0 {
                padded = Tensor::cat(&[&padded, &beside(after[side])?], 2 + side)?;
            }
        }
        let first = from_fn(|side| (0..shape.output[side]).map(|position| (position * stride[side]) as u32).collect());
        Ok(Self { padded, shape: *shape, first })
    }

    /// Rows and columns of the window in row-major order.
    fn iter(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let [rows, columns] = self.shape.window.kernel.map(|cells| cells as u32);
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
    }

    fn places(&self, side: usize, offset: u32) -> Result<Tensor> {
        let places: Vec<u32> = self.first[side].iter().map(|place| place + offset).collect();
        Tensor::from_vec(places, self.first[side].len(), self.padded.device())
    }

    /// What a cell sees at each position.
    fn get(&self, row: u32, column: u32) -> Result<Tensor> {
        self.padded.index_select(&self.places(0, row)?, 2)?.index_select(&self.places(1, column)?, 3)
    }

    /// The largest value that the window sees at each position.
    fn largest(&self) -> Result<Tensor> {
        self.iter().skip(1).try_fold(self.get(0, 0)?, |best, (row, column)| best.maximum(&self.get(row, column)?))
    }

    /// The sum of what the window sees at each position.
    fn sum(&self) -> Result<Tensor> {
        self.iter().skip(1).try_fold(self.get(0, 0)?, |sum, (row, column)| sum + self.get(row, column)?)
    }

    fn zeros(&self) -> Result<Tensor> {
        self.padded.zeros_like()
    }

    /// Adds `values` to what a cell sees: the transpose of [`get`](Self::get).
    fn add(&self, sum: &Tensor, row: u32, column: u32, values: &Tensor) -> Result<Tensor> {
        let mut wide = values.dims().to_vec();
        wide[3] = sum.dim(3)?;
        let columns = full_like(0.0, &wide, values)?.index_add(&self.places(1, column)?, &values.contiguous()?, 3)?;
        sum.index_add(&self.places(0, row)?, &columns, 2)
    }

    fn crop(&self, padded: &Tensor) -> Result<Tensor> {
        let ([height, width], [above, left]) = (self.shape.input, self.shape.window.before);
        padded.narrow(2, above, height)?.narrow(3, left, width)?.contiguous()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values, windows};

    /// For each output the places of the inputs under its window, in row-major order.
    fn places(shape: &Shape, planes: usize) -> Vec<Vec<usize>> {
        let ([height, width], Window { kernel, stride, before, .. }) = (shape.input, shape.window);
        let mut all = Vec::new();
        for plane in 0..planes {
            for (y, x) in (0..shape.output[0]).flat_map(|y| (0..shape.output[1]).map(move |x| (y, x))) {
                let cells = (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (y * stride[0] + i, x * stride[1] + j)));
                let inside = cells
                    .filter_map(|(y, x)| Some((y.checked_sub(before[0])?, x.checked_sub(before[1])?)))
                    .filter(|(y, x)| *y < height && *x < width);
                all.push(inside.map(|(y, x)| (plane * height + y) * width + x).collect());
            }
        }
        all
    }

    proptest! {
        #[test]
        fn pools_and_their_gradients_equal_their_definitions(
            (images, channels, height, width) in (1usize..3, 1usize..3, 1usize..10, 1usize..10),
            window in windows(1..2),
            border in prop_oneof![Just(Border::Counted), Just(Border::Ignored)],
            levels in 1u32..6,
        ) {
            let dims = [images, channels, height, width];
            let Ok((shape, output)) = shape_of(&dims, window) else { return Ok(()) };
            // Few levels make many ties.
            let xs: Vec<f64> = values(1, dims.iter().product()).into_iter().map(|x| (x * f64::from(levels)).round() / f64::from(levels)).collect();
            let dys = values(2, output.iter().product());
            let (x, dy) = (tensor(&xs, &dims), tensor(&dys, &output));
            let (mut largest, mut mean) = (Vec::new(), Vec::new());
            let (mut to_largest, mut to_all) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
            for (inputs, dy) in places(&shape, images * channels).into_iter().zip(&dys) {
                let winner = *inputs.iter().rev().max_by(|a, b| xs[**a].partial_cmp(&xs[**b]).unwrap()).unwrap();
                to_largest[winner] += dy;
                largest.push(xs[winner]);
                let area = if border == Border::Counted { window.cells() } else { inputs.len() } as f64;
                mean.push(inputs.iter().map(|&input| xs[input]).sum::<f64>() / area);
                for input in inputs {
                    to_all[input] += dy / area;
                }
            }
            both_ways(|| {
                prop_assert!(distance(&max_pool2d(&array(&x), window).unwrap(), &tensor(&largest, &output)) == 0.0);
                prop_assert!(distance(&max_pool2d_backward(&array(&x), &array(&dy), window).unwrap(), &tensor(&to_largest, &dims)) < 1e-12);
                prop_assert!(distance(&avg_pool2d(&array(&x), window, border).unwrap(), &tensor(&mean, &output)) < 1e-12);
                let found = avg_pool2d_backward(&array(&dy), [height, width], window, border).unwrap();
                prop_assert!(distance(&found, &tensor(&to_all, &dims)) < 1e-12);
                Ok(())
            })?;
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let x = random(1, &[2, 3, 7, 7]);
        for window in [Window::tiling(2), Window::rectangle([3, 2]).padding(1), Window::new(3).stride(2).border([0; 2], [1, 2])] {
            let dy = random(2, max_pool2d(&array(&x), window).unwrap().dims());
            check_gradient(&x, &max_pool2d_backward(&array(&x), &array(&dy), window).unwrap(), |x| {
                dot(&max_pool2d(&array(x), window).unwrap(), &dy)
            });
            for border in [Border::Counted, Border::Ignored] {
                check_gradient(&x, &avg_pool2d_backward(&array(&dy), [7, 7], window, border).unwrap(), |x| {
                    dot(&avg_pool2d(&array(x), window, border).unwrap(), &dy)
                });
            }
        }
    }
}
