use candle_core::cpu::erf::erf_f64;
use candle_core::{Result, Tensor};

use crate::kernels::Element;

/// What a formula computes with: one value on the CPU, a whole tensor elsewhere.
pub trait Number: Clone {
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self * other`.
    fn mul(self, other: Self) -> Self;
    /// `self / other`.
    fn div(self, other: Self) -> Self;
    /// `self * factor`.
    fn times(self, factor: f64) -> Self;
    /// `self + summand`.
    fn offset(self, summand: f64) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// `1 / self`.
    fn recip(self) -> Self;
    /// The exponential function.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `max(self, bound)`.
    fn at_least(self, bound: f64) -> Self;
    /// `min(self, bound)`.
    fn at_most(self, bound: f64) -> Self;
    /// 1 where it is greater than `bound`, else 0.
    fn above(self, bound: f64) -> Self;
}

impl<T: Element> Number for T {
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn mul(self, other: Self) -> Self {
        self * other
    }

    fn div(self, other: Self) -> Self {
        self / other
    }

    fn times(self, factor: f64) -> Self {
        self * T::from_f64(factor)
    }

    fn offset(self, summand: f64) -> Self {
        self + T::from_f64(summand)
    }

    fn sqrt(self) -> Self {
        T::root(self)
    }

    fn recip(self) -> Self {
        T::ONE / self
    }

    fn exp(self) -> Self {
        T::from_f64(self.to_f64().exp())
    }

    fn ln(self) -> Self {
        T::from_f64(self.to_f64().ln())
    }

    fn tanh(self) -> Self {
        T::from_f64(self.to_f64().tanh())
    }

    fn erf(self) -> Self {
        T::from_f64(erf_f64(self.to_f64()))
    }

    fn at_least(self, bound: f64) -> Self {
        let bound = T::from_f64(bound);
        if self < bound { bound } else { self }
    }

    fn at_most(self, bound: f64) -> Self {
        let bound = T::from_f64(bound);
        if self > bound { bound } else { self }
    }

    fn above(self, bound: f64) -> Self {
        if self > T::from_f64(bound) { T::ONE } else { T::ZERO }
    }
}

/// A tensor that may have failed on the way.
pub(super) struct Whole(pub(super) Result<Tensor>);

impl Clone for Whole {
    fn clone(&self) -> Self {
        Self(self.0.as_ref().map(Tensor::clone).map_err(|error| candle_core::Error::Msg(error.to_string())))
    }
}

impl Number for Whole {
    fn plus(self, other: Self) -> Self {
        Self(self.0.and_then(|a| a.add(&other.0?)))
    }

    fn mul(self, other: Self) -> Self {
        Self(self.0.and_then(|a| Tensor::mul(&a, &other.0?)))
    }

    fn div(self, other: Self) -> Self {
        Self(self.0.and_then(|a| Tensor::div(&a, &other.0?)))
    }

    fn times(self, factor: f64) -> Self {
        Self(self.0.and_then(|a| a * factor))
    }

    fn offset(self, summand: f64) -> Self {
        Self(self.0.and_then(|a| a + summand))
    }

    fn sqrt(self) -> Self {
        Self(self.0.and_then(|a| a.sqrt()))
    }

    fn recip(self) -> Self {
        Self(self.0.and_then(|a| a.recip()))
    }

    fn exp(self) -> Self {
        Self(self.0.and_then(|a| a.exp()))
    }

    fn ln(self) -> Self {
        Self(self.0.and_then(|a| a.log()))
    }

    fn tanh(self) -> Self {
        Self(self.0.and_then(|a| a.tanh()))
    }

    fn erf(self) -> Self {
        Self(self.0.and_then(|a| a.erf()))
    }

    fn at_least(self, bound: f64) -> Self {
        Self(self.0.and_then(|a| a.maximum(bound)))
    }

    fn at_most(self, bound: f64) -> Self {
        Self(self.0.and_then(|a| a.minimum(bound)))
    }

    fn above(self, bound: f64) -> Self {
        Self(self.0.and_then(|a| a.gt(bound)?.to_dtype(a.dtype())))
    }
}
