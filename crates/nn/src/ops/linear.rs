use candle_core::{Result, Tensor};

use super::{check, check_samples, per_place};
use crate::Array;
use crate::array::with_values;
use crate::kernels::linear as kernel;

/// Number and width of the rows along the last axis.
fn rows(x: &Array) -> Result<[usize; 2]> {
    match x.dims() {
        [before @ .., width] if !before.is_empty() => Ok([before.iter().product(), *width]),
        other => candle_core::bail!("linear layers take rows, not {other:?}"),
    }
}

/// The dimensions with another width.
fn wide(x: &Array, width: usize) -> Vec<usize> {
    [&x.dims()[..x.dims().len() - 1], &[width]].concat()
}

/// `x Wᵀ + b` of rows `[N, .., D]` with `weight` `[F, D]` and `bias` `[F]`.
pub fn linear(x: &Array, weight: &Tensor, bias: Option<&Tensor>) -> Result<Array> {
    let ([_, inputs], (outputs, depth)) = (rows(x)?, weight.dims2()?);
    check_samples(weight.dims())?;
    let fits = outputs > 0 && depth == inputs && bias.is_none_or(|bias| bias.dims() == [outputs]);
    check(fits, || format!("weights {:?} and their bias do not fit rows {:?}", weight.dims(), x.dims()))?;
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        let parameters: Vec<&Tensor> = [weight].into_iter().chain(bias).collect();
        with_values(&parameters, |p| x.fill(&wide(x, outputs), |y| kernel::forward(inputs, outputs, values, p[0], p.get(1).copied(), y)))
    }, tensor => {
        let y = tensor.reshape(((), inputs))?.matmul(&weight.t()?)?;
        bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))?.reshape(wide(x, outputs)).map(Array::of_device)
    })
}

/// The gradient to the rows of a linear layer, from that to its output.
pub fn linear_backward_input(dy: &Array, weight: &Tensor) -> Result<Array> {
    let ([_, outputs], (rows, inputs)) = (rows(dy)?, weight.dims2()?);
    check_samples(weight.dims())?;
    check(rows == outputs && rows > 0, || format!("weights {:?} do not fit the gradient {:?}", weight.dims(), dy.dims()))?;
    per_place!(dy, T => {
        let values = dy.slice::<T>()?;
        with_values(&[weight], |p| dy.fill(&wide(dy, inputs), |dx| kernel::backward_input(inputs, outputs, values, p[0], dx)))
    }, tensor => tensor.reshape(((), outputs))?.matmul(weight)?.reshape(wide(dy, inputs)).map(Array::of_device))
}

/// The gradient to the weights of a linear layer, summed over the rows.
pub fn linear_backward_weight(x: &Array, dy: &Array) -> Result<Array> {
    let ([n, inputs], [others, outputs]) = (rows(x)?, rows(dy)?);
    check_samples(x.dims())?;
    check_samples(dy.dims())?;
    check(n == others, || format!("{n} rows and {others} gradients"))?;
    per_place!(x, T => {
        let (values, gradient) = (x.slice::<T>()?, dy.slice::<T>()?);
        Ok(x.fill(&[outputs, inputs], |dw| kernel::backward_weight(inputs, outputs, values, gradient, dw)))
    }, tensor => dy.tensor()?.reshape(((), outputs))?.t()?.matmul(&tensor.reshape(((), inputs))?).map(Array::of_device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{array, both_ways, distance, random};

    #[test]
    fn linear_and_its_gradients_equal_matrix_products() {
        let (x, w, b, dy) = (random(1, &[70, 5]), random(2, &[37, 5]), random(3, &[37]), random(4, &[70, 37]));
        both_ways(|| {
            assert!(distance(&linear(&array(&x), &w, Some(&b))?, &x.matmul(&w.t()?)?.broadcast_add(&b)?) < 1e-12);
            assert!(distance(&linear(&array(&x), &w, None)?, &x.matmul(&w.t()?)?) < 1e-12);
            assert!(distance(&linear_backward_input(&array(&dy), &w)?, &dy.matmul(&w)?) < 1e-12);
            let stacked = |t: &Tensor| array(&t.reshape((7, 10, ())).unwrap());
            assert!(distance(&linear(&stacked(&x), &w, None)?, &stacked(&x.matmul(&w.t()?)?)) < 1e-12);
            assert!(distance(&linear_backward_input(&stacked(&dy), &w)?, &stacked(&dy.matmul(&w)?)) < 1e-12);
            assert!(distance(&linear_backward_weight(&stacked(&x), &stacked(&dy))?, &dy.t()?.matmul(&x)?) < 1e-12);
            assert!(distance(&linear_backward_weight(&array(&x), &array(&dy))?, &dy.t()?.matmul(&x)?) < 1e-12);
            Result::Ok(())
        })
        .unwrap();
        assert!(linear(&array(&x), &w, Some(&random(3, &[5]))).is_err());
        assert!(linear(&array(&w), &random(2, &[4, 4]), None).is_err());
    }
}
