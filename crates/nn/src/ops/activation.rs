use candle_core::Result;

use super::number::{Number, Whole};
use super::{check, per_place, relu, relu_backward};
use crate::kernels::elementwise as kernel;
use crate::{Activation, Array};

/// A function of each value.
pub fn activation(x: &Array, function: Activation) -> Result<Array> {
    if function == Activation::Relu {
        return relu(x);
    }
    per_place!(x, T => {
        let values = x.slice::<T>()?;
        // A loop that is compiled for one cheap function alone runs on vectors.
        Ok(x.fill(x.dims(), |y| match function {
            Activation::Clip { low, high } => kernel::map(values, y, move |x| Activation::Clip { low, high }.value(x)),
            Activation::LeakyRelu { slope } => kernel::map(values, y, move |x| Activation::LeakyRelu { slope }.value(x)),
            Activation::HardSwish => kernel::map(values, y, |x| Activation::HardSwish.value(x)),
            other => kernel::map(values, y, move |x| other.value(x)),
        }))
    }, tensor => function.value(Whole(Ok(tensor.clone()))).0.map(Array::of_device))
}

/// The gradient to the input `x` of a function of each value. For [`Activation::Relu`] the output may stand for the input.
pub fn activation_backward(x: &Array, dy: &Array, function: Activation) -> Result<Array> {
    if function == Activation::Relu {
        return relu_backward(x, dy);
    }
    check(x.dims() == dy.dims(), || format!("gradient {:?} where the layer gives {:?}", dy.dims(), x.dims()))?;
    per_place!(x, T => {
        let (values, gradient) = (x.slice::<T>()?, dy.slice::<T>()?);
        Ok(x.fill(x.dims(), |dx| match function {
            Activation::Clip { low, high } => kernel::zip(values, gradient, dx, move |x, dy| Activation::Clip { low, high }.slope(x) * dy),
            Activation::LeakyRelu { slope } => kernel::zip(values, gradient, dx, move |x, dy| Activation::LeakyRelu { slope }.slope(x) * dy),
            Activation::HardSwish => kernel::zip(values, gradient, dx, |x, dy| Activation::HardSwish.slope(x) * dy),
            other => kernel::zip(values, gradient, dx, move |x, dy| other.slope(x) * dy),
        }))
    }, tensor => {
        let slope = function.slope(Whole(Ok(tensor.clone())));
        slope.mul(Whole(dy.tensor().cloned())).0.map(Array::of_device)
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use candle_core::cpu::erf::erf_f64;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values};

    fn functions() -> impl Strategy<Value = Activation> {
        prop_oneof![
            Just(Activation::Relu),
            (-2.0..0.5f64, 0.0..6.0f64).prop_map(|(low, extent)| Activation::Clip { low, high: low + extent }),
            (0.0..0.5f64).prop_map(|slope| Activation::LeakyRelu { slope }),
            (0.1..2.0f64).prop_map(|alpha| Activation::Elu { alpha }),
            Just(Activation::Gelu),
            Just(Activation::GeluTanh),
            Just(Activation::Silu),
            Just(Activation::Sigmoid),
            Just(Activation::Tanh),
            (0.1..0.5f64, 0.2..0.6f64).prop_map(|(alpha, beta)| Activation::HardSigmoid { alpha, beta }),
            Just(Activation::HardSwish),
            Just(Activation::Softplus),
            (0.1..3.0f64).prop_map(|factor| Activation::Scale { factor }),
        ]
    }

    /// The textbook's formula.
    fn twin(function: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match function {
            Activation::Relu => x.max(0.0),
            Activation::Clip { low, high } => x.clamp(low, high),
            Activation::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Activation::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Activation::Gelu => x * 0.5 * (1.0 + erf_f64(x / 2f64.sqrt())),
            Activation::GeluTanh => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()),
            Activation::Silu => x * sigmoid(x),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Activation::HardSwish => x * ((x + 3.0) / 6.0).clamp(0.0, 1.0),
            Activation::Softplus => x.exp().ln_1p(),
            Activation::Scale { factor } => factor * x,
        }
    }

    proptest! {
        #[test]
        fn functions_equal_their_formulas_and_gradients_finite_differences(function in functions(), scale in 0.5..6.0f64) {
            let x: Vec<f64> = values(1, 60).into_iter().map(|x| x * scale).collect();
            // No finite difference is the slope where the function has a corner.
            let (at, near) = (|x| twin(function, x), 1e-5);
            prop_assume!(x.iter().all(|&x| (at(x - near) - 2.0 * at(x) + at(x + near)).abs() < 1e-8));
            let expected: Vec<f64> = x.iter().map(|&x| at(x)).collect();
            let (x, dy) = (tensor(&x, &[3, 20]), random(2, &[3, 20]));
            both_ways(|| {
                prop_assert!(distance(&activation(&array(&x), function).unwrap(), &tensor(&expected, &[3, 20])) < 1e-12);
                let gradient = activation_backward(&array(&x), &array(&dy), function).unwrap();
                check_gradient(&x, &gradient, |x| dot(&activation(&array(x), function).unwrap(), &dy));
                Ok(())
            })?;
        }
    }

    #[test]
    fn far_values_neither_overflow_nor_vanish() {
        let far = Tensor::new(&[-1e4f32, -100.0, 100.0, 1e4], &candle_core::Device::Cpu).unwrap();
        let all = [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Elu { alpha: 1.0 }, Activation::Softplus];
        both_ways(|| {
            for function in all {
                let y = activation(&array(&far), function)?.to_tensor()?.to_vec1::<f32>()?;
                let expected = if matches!(function, Activation::Elu { .. }) { -1.0 } else { 0.0 };
                assert_eq!(y, [expected, expected, 100.0, 1e4], "{function:?}");
                let slope = activation_backward(&array(&far), &array(&far.ones_like()?), function)?;
                assert!(distance(&slope, &far.gt(0.0)?.to_dtype(far.dtype())?) < 1e-40, "{function:?}");
            }
            Result::Ok(())
        })
        .unwrap();
    }
}
