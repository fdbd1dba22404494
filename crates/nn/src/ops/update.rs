use candle_core::{Result, Tensor};

use super::number::{Number, Whole};
use super::{check, per_place};
use crate::Array;
use crate::array::edit;
use crate::kernels::elementwise as kernel;

/// How an optimizer changes a value, and the `SLOTS` values that it keeps about it.
pub trait Rule<const SLOTS: usize>: Sync {
    /// The new value and the new slots.
    fn apply<V: Number>(&self, parameter: V, gradient: V, slots: [V; SLOTS]) -> (V, [V; SLOTS]);
}

/// Applies a rule to each value of a parameter and of its `slots`, the rule's number of tensors of the parameter's shape. Whoever
/// shares their values sees the change; they must not share any among themselves.
pub fn update<const SLOTS: usize>(parameter: &Tensor, gradient: &Array, slots: &[Tensor], rule: &impl Rule<SLOTS>) -> Result<()> {
    let Ok(slots): std::result::Result<&[Tensor; SLOTS], _> = slots.try_into() else {
        candle_core::bail!("{} slots where the optimizer has {SLOTS}", slots.len())
    };
    let fits = slots.iter().map(Tensor::dims).chain([gradient.dims()]).all(|dims| dims == parameter.dims());
    check(fits, || format!("gradient {:?} of a parameter {:?}", gradient.dims(), parameter.dims()))?;
    let all: Vec<&Tensor> = [parameter].into_iter().chain(slots).collect();
    per_place!(gradient, T => {
        let gradient = gradient.slice::<T>()?;
        edit(&all, |mut values: Vec<&mut [T]>| {
            let mut values = values.iter_mut().map(|values| &mut **values);
            let (Some(parameter), slots) = (values.next(), std::array::from_fn(|_| values.next().unwrap_or_default())) else { return };
            kernel::update(parameter, gradient, slots, |parameter, gradient, slots: [T; SLOTS]| rule.apply(parameter, gradient, slots));
        })
    }, gradient => {
        let whole = |tensor: &Tensor| Whole(Ok(tensor.clone()));
        let (value, kept) = rule.apply(whole(parameter), whole(gradient), slots.each_ref().map(whole));
        all.into_iter().zip([value].into_iter().chain(kept)).try_for_each(|(old, new)| old.slice_set(&new.0?.contiguous()?, 0, 0))
    })
}
