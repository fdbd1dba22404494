//! Functions of one value that layers apply to each value.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use serde::{Deserialize, Serialize};

use crate::ops::Number;

/// A function of one value, under PyTorch's and ONNX's names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Activation {
    /// `max(x, 0)`; its derivative at 0 is 0.
    Relu,
    /// `min(max(x, low), high)`; its derivative at both is 0. `ReLU6` is that of 0 and 6.
    Clip {
        /// The least that it gives.
        low: f64,
        /// The most that it gives.
        high: f64,
    },
    /// `x` where it is positive, else `slope x`.
    LeakyRelu {
        /// The derivative where `x` is not positive.
        slope: f64,
    },
    /// `x` where it is positive, else `alpha (exp(x) - 1)` (arXiv 1511.07289).
    Elu {
        /// Its negative is the limit for small `x`.
        alpha: f64,
    },
    /// `x Φ(x)` with the normal distribution's Φ (arXiv 1606.08415).
    Gelu,
    /// The same, nearly: `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
    /// `x sigmoid(x)`.
    Silu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `min(max(alpha x + beta, 0), 1)`.
    HardSigmoid {
        /// The derivative between the ends.
        alpha: f64,
        /// The value at 0.
        beta: f64,
    },
    /// `x min(max(x/6 + 1/2, 0), 1)` (arXiv 1905.02244).
    HardSwish,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `factor x`, as attention scales its scores.
    Scale {
        /// Positive.
        factor: f64,
    },
}

/// `√(2/π)`.
const ROOT: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

/// Of the cube in the near Gelu.
const CUBE: f64 = 0.044_715;

impl Activation {
    /// Whether its numbers are finite and in order.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Clip { low, high } => low <= high && low.is_finite() && high.is_finite(),
            Self::LeakyRelu { slope: number } | Self::Elu { alpha: number } => number.is_finite(),
            Self::HardSigmoid { alpha, beta } => alpha.is_finite() && beta.is_finite(),
            Self::Scale { factor } => factor > 0.0 && factor.is_finite(),
            _ => true,
        }
    }

    /// The function.
    #[expect(clippy::inline_always, reason = "where the caller knows the function, its loop over values has no other")]
    #[inline(always)]
    pub(crate) fn value<V: Number>(self, x: V) -> V {
        let [one, other] = [x.clone(), x];
        match self {
            Self::Relu => one.at_least(0.0),
            Self::Clip { low, high } => one.at_least(low).at_most(high),
            Self::LeakyRelu { slope } => one.at_least(0.0).plus(other.at_most(0.0).times(slope)),
            Self::Elu { alpha } => one.at_least(0.0).plus(other.at_most(0.0).exp().offset(-1.0).times(alpha)),
            Self::Gelu => one.mul(normal(other)),
            Self::GeluTanh => one.mul(near_normal(other).0),
            Self::Silu => one.mul(sigmoid(other)),
            Self::Sigmoid => sigmoid(one),
            Self::Tanh => one.tanh(),
            Self::HardSigmoid { alpha, beta } => one.times(alpha).offset(beta).at_least(0.0).at_most(1.0),
            Self::HardSwish => one.mul(other.times(1.0 / 6.0).offset(0.5).at_least(0.0).at_most(1.0)),
            // Nothing overflows: the exponent is -|x|.
            Self::Softplus => {
                let positive = one.at_least(0.0);
                let decay = other.at_most(0.0).plus(positive.clone().times(-1.0)).exp();
                positive.plus(decay.offset(1.0).ln())
            }
            Self::Scale { factor } => one.times(factor),
        }
    }

    /// Its derivative.
    #[expect(clippy::inline_always, reason = "where the caller knows the function, its loop over values has no other")]
    #[inline(always)]
    pub(crate) fn slope<V: Number>(self, x: V) -> V {
        let [one, other] = [x.clone(), x];
        match self {
            Self::Relu => one.above(0.0),
            Self::Clip { low, high } => one.above(low).mul(below(other, high)),
            Self::LeakyRelu { slope } => one.above(0.0).times(1.0 - slope).offset(slope),
            Self::Elu { alpha } => {
                let positive = one.above(0.0);
                let rest = positive.clone().times(-1.0).offset(1.0);
                positive.plus(rest.mul(other.at_most(0.0).exp().times(alpha)))
            }
            Self::Gelu => {
                let density = one.clone().mul(one.clone()).times(-0.5).exp().times(0.5 * ROOT);
                normal(other).plus(one.mul(density))
            }
            Self::GeluTanh => {
                let (share, tanh) = near_normal(one.clone());
                let inner = one.clone().mul(one).times(3.0 * CUBE).offset(1.0).times(0.5 * ROOT);
                let steepness = tanh.clone().mul(tanh).times(-1.0).offset(1.0);
                share.plus(other.mul(steepness).mul(inner))
            }
            Self::Silu => {
                let share = sigmoid(one);
                let rest = share.clone().times(-1.0).offset(1.0);
                share.mul(other.mul(rest).offset(1.0))
            }
            Self::Sigmoid => {
                let share = sigmoid(one);
                share.clone().mul(share.times(-1.0).offset(1.0))
            }
            Self::Tanh => one.tanh().mul(other.tanh()).times(-1.0).offset(1.0),
            Self::HardSigmoid { alpha, beta } => {
                let [line, same] = [one, other].map(|x| x.times(alpha).offset(beta));
                line.above(0.0).mul(below(same, 1.0)).times(alpha)
            }
            Self::HardSwish => {
                let between = one.clone().above(-3.0).mul(below(one.clone(), 3.0));
                let share = one.times(1.0 / 6.0).offset(0.5).at_least(0.0).at_most(1.0);
                share.plus(other.times(1.0 / 6.0).mul(between))
            }
            Self::Softplus => sigmoid(one),
            Self::Scale { factor } => one.times(0.0).offset(factor),
        }
    }
}

/// 1 where a number is less than a bound, else 0.
fn below<V: Number>(x: V, bound: f64) -> V {
    x.times(-1.0).above(-bound)
}

fn sigmoid<V: Number>(x: V) -> V {
    x.times(-1.0).exp().offset(1.0).recip()
}

/// The normal distribution.
fn normal<V: Number>(x: V) -> V {
    x.times(FRAC_1_SQRT_2).erf().offset(1.0).times(0.5)
}

/// The normal distribution, nearly, and the hyperbolic tangent that it is made of.
fn near_normal<V: Number>(x: V) -> (V, V) {
    let cube = x.clone().mul(x.clone()).mul(x.clone()).times(CUBE);
    let tanh = x.plus(cube).times(ROOT).tanh();
    (tanh.clone().offset(1.0).times(0.5), tanh)
}
