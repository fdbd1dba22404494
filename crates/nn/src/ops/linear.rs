use candle_core::{Result, Tensor};

use super::{check, check_samples, has_kernels, per_dtype, read, tensor};
use crate::kernels::linear as kernel;

/// `x Wᵀ + b` of rows `[N, D]` with `weight` `[F, D]` and `bias` `[F]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let ((n, inputs), (outputs, depth)) = (x.dims2()?, weight.dims2()?);
    check_samples(weight.dims())?;
    let fits = outputs > 0 && depth == inputs && bias.is_none_or(|bias| bias.dims() == [outputs]);
    check(fits, || format!("weights {:?} and their bias do not fit rows {:?}", weight.dims(), x.dims()))?;
    if has_kernels(x) {
        let tensors: Vec<&Tensor> = [x, weight].into_iter().chain(bias).collect();
        return per_dtype!(x, T => {
            tensor(read::<T, _>(&tensors, |v| kernel::forward(inputs, outputs, v[0], v[1], v.get(2).copied()))?, &[n, outputs])
        });
    }
    let y = x.matmul(&weight.t()?)?;
    bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
}

/// The gradient to the rows of a linear layer, from that to its output.
pub fn linear_backward_input(dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((n, outputs), (rows, inputs)) = (dy.dims2()?, weight.dims2()?);
    check_samples(weight.dims())?;
    check(rows == outputs && rows > 0, || format!("weights {:?} do not fit the gradient {:?}", weight.dims(), dy.dims()))?;
    if has_kernels(dy) {
        return per_dtype!(dy, T => tensor(read::<T, _>(&[dy, weight], |v| kernel::backward_input(inputs, outputs, v[0], v[1]))?, &[n, inputs]));
    }
    dy.matmul(weight)
}

/// The gradient to the weights of a linear layer, summed over the rows.
pub fn linear_backward_weight(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let ((n, inputs), (rows, outputs)) = (x.dims2()?, dy.dims2()?);
    check_samples(x.dims())?;
    check_samples(dy.dims())?;
    check(n == rows, || format!("{n} rows and {rows} gradients"))?;
    if has_kernels(x) {
        return per_dtype!(x, T => tensor(read::<T, _>(&[x, dy], |v| kernel::backward_weight(inputs, outputs, v[0], v[1]))?, &[outputs, inputs]));
    }
    dy.t()?.matmul(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{both_ways, distance, random};

    #[test]
    fn linear_and_its_gradients_equal_matrix_products() {
        let (x, w, b, dy) = (random(1, &[70, 5]), random(2, &[37, 5]), random(3, &[37]), random(4, &[70, 37]));
        both_ways(|| {
            assert!(distance(&linear(&x, &w, Some(&b))?, &x.matmul(&w.t()?)?.broadcast_add(&b)?) < 1e-12);
            assert!(distance(&linear(&x, &w, None)?, &x.matmul(&w.t()?)?) < 1e-12);
            assert!(distance(&linear_backward_input(&dy, &w)?, &dy.matmul(&w)?) < 1e-12);
            assert!(distance(&linear_backward_weight(&x, &dy)?, &dy.t()?.matmul(&x)?) < 1e-12);
            Result::Ok(())
        })
        .unwrap();
        assert!(linear(&x, &w, Some(&random(3, &[5]))).is_err());
        assert!(linear(&w, &random(2, &[4, 4]), None).is_err());
    }
}
