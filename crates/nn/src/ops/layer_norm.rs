use candle_core::{Result, Tensor};

use super::{by_tensor, check, check_samples};
use crate::Array;

/// Samples as rows of `width` values that are normalised together.
struct Rows {
    /// With mean 0 and variance 1 nearly, `[rows, width]`.
    normal: Tensor,
    /// The root of each row's variance and ε, `[rows, 1]`.
    deviation: Tensor,
}

impl Rows {
    fn new(x: &Tensor, width: usize, eps: f64) -> Result<Self> {
        let x = x.reshape(((), width))?;
        let x = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let deviation = (x.sqr()?.mean_keepdim(1)? + eps)?.sqrt()?;
        Ok(Self { normal: x.broadcast_div(&deviation)?, deviation })
    }
}

/// Refuses samples that do not end in axes of this shape.
fn check_axes(x: &Array, shape: &[usize]) -> Result<()> {
    check_samples(x.dims())?;
    let fits = x.dims()[1..].ends_with(shape) && !shape.is_empty();
    check(fits, || format!("samples {:?} do not end in {shape:?}, which is to be normalised", x.dims()))
}

/// Layer normalisation of the last axes, those of `weight` and `bias`: with mean 0 and variance 1, times `weight`, plus `bias`.
pub fn layer_norm(x: &Array, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Array> {
    check_axes(x, weight.dims())?;
    check(bias.dims() == weight.dims(), || format!("weight {:?} and bias {:?} differ", weight.dims(), bias.dims()))?;
    by_tensor(x, |x| {
        let normal = Rows::new(&x, weight.elem_count(), eps)?.normal;
        normal.broadcast_mul(&weight.flatten_all()?)?.broadcast_add(&bias.flatten_all()?)?.reshape(x.dims())
    })
}

/// The gradient to the input `x` of a layer normalisation.
pub fn layer_norm_backward_input(x: &Array, dy: &Array, weight: &Tensor, eps: f64) -> Result<Array> {
    check_axes(x, weight.dims())?;
    check(dy.dims() == x.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), x.dims()))?;
    let dy = dy.to_tensor()?;
    by_tensor(x, |x| {
        let Rows { normal, deviation } = Rows::new(&x, weight.elem_count(), eps)?;
        let dy = dy.reshape(normal.dims())?.broadcast_mul(&weight.flatten_all()?)?;
        let along = (&dy * &normal)?.mean_keepdim(1)?;
        let dx = dy.broadcast_sub(&dy.mean_keepdim(1)?)?.sub(&normal.broadcast_mul(&along)?)?;
        dx.broadcast_div(&deviation)?.reshape(x.dims())
    })
}

/// The same with the deviation taken as a constant, which leaves a linear map.
pub fn layer_norm_backward_centered(x: &Array, dy: &Array, weight: &Tensor, eps: f64) -> Result<Array> {
    check_axes(x, weight.dims())?;
    check(dy.dims() == x.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), x.dims()))?;
    let dy = dy.to_tensor()?;
    by_tensor(x, |x| {
        let Rows { normal, deviation } = Rows::new(&x, weight.elem_count(), eps)?;
        let dy = dy.reshape(normal.dims())?.broadcast_mul(&weight.flatten_all()?)?;
        dy.broadcast_sub(&dy.mean_keepdim(1)?)?.broadcast_div(&deviation)?.reshape(x.dims())
    })
}

/// The gradients to weight and bias, each of this shape, of a layer normalisation.
pub fn layer_norm_backward_parameters(x: &Array, dy: &Array, shape: &[usize], eps: f64) -> Result<[Array; 2]> {
    check_axes(x, shape)?;
    check(dy.dims() == x.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), x.dims()))?;
    let normal = Rows::new(&x.to_tensor()?, shape.iter().product(), eps)?.normal;
    let dy = dy.to_tensor()?.reshape(normal.dims())?;
    let sum = |values: &Tensor| x.like(&values.sum(0)?.reshape(shape)?);
    Ok([sum(&(&dy * &normal)?)?, sum(&dy)?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values};

    const EPS: f64 = 1e-3;

    proptest! {
        #[test]
        fn layer_norm_equals_its_definition(shape in prop::array::uniform4(1usize..5), axes in 1usize..4) {
            let own = &shape[4 - axes..];
            let width: usize = own.iter().product();
            let (x, w, b) = (values(1, shape.iter().product()), values(2, width), values(3, width));
            let rows = x.chunks(width).flat_map(|row| {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                (0..width).map(|at| (row[at] - mean) / (variance + EPS).sqrt() * w[at] + b[at]).collect::<Vec<_>>()
            });
            let expected = tensor(&rows.collect::<Vec<_>>(), &shape);
            let (x, w, b, dy) = (tensor(&x, &shape), tensor(&w, own), tensor(&b, own), random(4, &shape));
            let norm = |x: &Tensor, w: &Tensor, b: &Tensor| layer_norm(&array(x), w, b, EPS).unwrap();
            both_ways(|| {
                prop_assert!(distance(&norm(&x, &w, &b), &expected) < 1e-12);
                let dx = layer_norm_backward_input(&array(&x), &array(&dy), &w, EPS).unwrap();
                check_gradient(&x, &dx, |x| dot(&norm(x, &w, &b), &dy));
                let [dw, db] = layer_norm_backward_parameters(&array(&x), &array(&dy), own, EPS).unwrap();
                check_gradient(&w, &dw, |w| dot(&norm(&x, w, &b), &dy));
                check_gradient(&b, &db, |b| dot(&norm(&x, &w, b), &dy));
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (x, w) = (array(&random(1, &[2, 3, 4])), random(2, &[4]));
        assert!(layer_norm(&x, &w, &random(3, &[3]), EPS).is_err() && layer_norm(&x, &random(3, &[3]), &random(3, &[3]), EPS).is_err());
        assert!(layer_norm_backward_input(&x, &array(&w.reshape((1, 4)).unwrap()), &w, EPS).is_err());
    }
}
