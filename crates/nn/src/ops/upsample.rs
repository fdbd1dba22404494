//! Interpolation is a linear map along each axis: a matrix for the rows, and one for the columns.

use candle_core::{Device, Result, Tensor};

use super::{check, check_samples, linear, linear_backward_input, transpose};
use crate::Array;
use crate::op::Interpolation;

/// What each of `size * factor` pixels takes of each of `size`, `[size * factor, size]`.
fn weights(size: usize, factor: usize, mode: Interpolation, like: &Array) -> Result<Tensor> {
    let mut weights = vec![0.0; size * factor * size];
    for (pixel, row) in weights.chunks_exact_mut(size).enumerate() {
        match mode {
            Interpolation::Nearest => row[pixel / factor] = 1.0,
            Interpolation::Bilinear => {
                let place = ((pixel as f64 + 0.5) / factor as f64 - 0.5).clamp(0.0, (size - 1) as f64);
                let (first, share) = (place as usize, place.fract());
                row[first] += 1.0 - share;
                row[(first + 1).min(size - 1)] += share;
            }
        }
    }
    let (dtype, device) = like.place();
    Tensor::from_vec(weights, (size * factor, size), &Device::Cpu)?.to_dtype(dtype)?.to_device(&device)
}

fn image(dims: &[usize], factor: [usize; 2]) -> Result<[usize; 4]> {
    check_samples(dims)?;
    check(!factor.contains(&0), || "images cannot become 0 times as large".into())?;
    dims.try_into().or_else(|_| candle_core::bail!("images are [N, C, H, W], not {dims:?}"))
}

/// Images of `factor` times as many rows and columns.
pub fn upsample(x: &Array, factor: [usize; 2], mode: Interpolation) -> Result<Array> {
    let [_, _, height, width] = image(x.dims(), factor)?;
    let wide = linear(x, &weights(width, factor[1], mode, x)?, None)?;
    turned(&linear(&turned(&wide)?, &weights(height, factor[0], mode, x)?, None)?)
}

/// The gradient through [`upsample`], from that to its output.
pub fn upsample_backward(dy: &Array, factor: [usize; 2], mode: Interpolation) -> Result<Array> {
    let [_, _, height, width] = image(dy.dims(), factor)?;
    check(height % factor[0] == 0 && width % factor[1] == 0, || format!("{factor:?} do not divide the gradient {:?}", dy.dims()))?;
    let narrow = turned(&linear_backward_input(&turned(dy)?, &weights(height / factor[0], factor[0], mode, dy)?)?)?;
    linear_backward_input(&narrow, &weights(width / factor[1], factor[1], mode, dy)?)
}

/// Rows as columns.
fn turned(x: &Array) -> Result<Array> {
    transpose(x, &[0, 2, 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values};

    proptest! {
        #[test]
        fn larger_images_equal_their_definition(shape in prop::array::uniform4(1usize..5), factor in prop::array::uniform2(1usize..4)) {
            let [n, c, h, w] = shape;
            let (x, size) = (values(1, n * c * h * w), [n, c, h * factor[0], w * factor[1]]);
            let pixel = |plane: usize, row: usize, column: usize| x[(plane * h + row.min(h - 1)) * w + column.min(w - 1)];
            let places = (0..n * c).flat_map(|plane| (0..size[2]).flat_map(move |y| (0..size[3]).map(move |x| (plane, y, x))));
            let nearest: Vec<f64> = places.clone().map(|(plane, y, x)| pixel(plane, y / factor[0], x / factor[1])).collect();
            let between = |at: usize, factor: usize| ((2 * at + 1) as f64 / (2 * factor) as f64 - 0.5).max(0.0);
            let bilinear: Vec<f64> = places
                .map(|(plane, y, x)| {
                    let (y, x) = (between(y, factor[0]), between(x, factor[1]));
                    let (row, column) = (y.floor() as usize, x.floor() as usize);
                    let along = |row: usize| pixel(plane, row, column) * (1.0 - x.fract()) + pixel(plane, row, column + 1) * x.fract();
                    along(row) * (1.0 - y.fract()) + along(row + 1) * y.fract()
                })
                .collect();
            let (x, dy) = (tensor(&x, &shape), random(2, &size));
            both_ways(|| {
                for (mode, expected) in [(Interpolation::Nearest, &nearest), (Interpolation::Bilinear, &bilinear)] {
                    prop_assert!(distance(&upsample(&array(&x), factor, mode).unwrap(), &tensor(expected, &size)) < 1e-12);
                    let dx = upsample_backward(&array(&dy), factor, mode).unwrap();
                    check_gradient(&x, &dx, |x| dot(&upsample(&array(x), factor, mode).unwrap(), &dy));
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (x, flat) = (array(&random(1, &[2, 3, 4, 4])), array(&random(1, &[2, 3])));
        let mode = Interpolation::Nearest;
        assert!(upsample(&x, [0, 1], mode).is_err() && upsample(&flat, [2, 2], mode).is_err());
        assert!(upsample_backward(&x, [3, 1], mode).is_err());
    }
}
