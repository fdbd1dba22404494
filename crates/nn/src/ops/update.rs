use candle_core::{DType, Device, Result, Tensor};

use super::check;
use crate::array::{has_kernels, with_values};
use crate::kernels::{Element, elementwise as kernel};

/// What an update rule computes with: one value on the CPU, a whole tensor elsewhere.
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
}

/// How an optimizer changes a value, and the `SLOTS` values that it keeps about it.
pub trait Rule<const SLOTS: usize>: Sync {
    /// The new value and the new slots.
    fn apply<V: Number>(&self, parameter: V, gradient: V, slots: [V; SLOTS]) -> (V, [V; SLOTS]);
}

/// Applies a rule to each value of a parameter; `slots` has the rule's number of tensors of the parameter's shape.
pub fn update<const SLOTS: usize>(
    parameter: &Tensor,
    gradient: &Tensor,
    slots: &[Tensor],
    rule: &impl Rule<SLOTS>,
) -> Result<(Tensor, Vec<Tensor>)> {
    let Ok(slots): std::result::Result<&[Tensor; SLOTS], _> = slots.try_into() else {
        candle_core::bail!("{} slots where the optimizer has {SLOTS}", slots.len())
    };
    let fits = slots.iter().chain([gradient]).all(|other| other.dims() == parameter.dims());
    check(fits, || format!("gradient {:?} of a parameter {:?}", gradient.dims(), parameter.dims()))?;
    match parameter.dtype() {
        DType::F32 if has_kernels(parameter) => return on_host::<f32, SLOTS>(parameter, gradient, slots, rule),
        DType::F64 if has_kernels(parameter) => return on_host::<f64, SLOTS>(parameter, gradient, slots, rule),
        _ => {}
    }
    let whole = |tensor: &Tensor| Whole(Ok(tensor.clone()));
    let (parameter, slots) = rule.apply(whole(parameter), whole(gradient), slots.each_ref().map(whole));
    Ok((parameter.0?, slots.into_iter().map(|slot| slot.0).collect::<Result<_>>()?))
}

fn on_host<T: Element, const SLOTS: usize>(
    parameter: &Tensor,
    gradient: &Tensor,
    slots: &[Tensor; SLOTS],
    rule: &impl Rule<SLOTS>,
) -> Result<(Tensor, Vec<Tensor>)> {
    let all: Vec<&Tensor> = [parameter, gradient].into_iter().chain(slots).collect();
    let (value, slots) = with_values::<T, _>(&all, |v| {
        let slots = std::array::from_fn(|slot| v[2 + slot]);
        kernel::update(v[0], v[1], slots, |parameter, gradient, slots: [T; SLOTS]| rule.apply(parameter, gradient, slots))
    })?;
    let tensor = |values| Tensor::from_vec(values, parameter.dims(), &Device::Cpu);
    Ok((tensor(value)?, slots.into_iter().map(tensor).collect::<Result<_>>()?))
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
}

/// A tensor that may have failed on the way.
struct Whole(Result<Tensor>);

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
}
