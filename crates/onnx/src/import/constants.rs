//! What is worked out at import: operators on values that are the same for every image, above all on shapes.

use std::rc::Rc;

use bezoar_formats::onnx::{Attribute, Node};
use bezoar_formats::{Array, Values};

use super::arithmetic::{binary, chosen, combined, compared, comparison, floats, mapped, numbers, unary};
use super::attributes::Attributes;
use super::call::{Call, axis, resolve, scalar, size, whole};
use super::value::{Layer, Value};
use super::views::{View, common, picked, range};
use super::{Importer, Problem, array};

impl Importer<'_> {
    /// The result of an operator whose inputs are all constant, if it is one that is worked out here.
    pub(super) fn fold(&mut self, call: &Call<'_>) -> Option<Result<Vec<Value>, Problem>> {
        let node = call.node;
        let one = |array: Result<Array, Problem>| Some(array.map(|array| vec![Value::Constant(Rc::new(array))]));
        match (node.op_type.as_str(), call.inputs) {
            ("Constant", _) => return one(constant(node)),
            ("Shape", [Some(Value::Layer(Layer { shape, .. }))]) => return one(shape_of(node, shape)),
            ("Size", [Some(Value::Layer(Layer { shape, .. }))]) => return one(integers(vec![shape.iter().product::<usize>() as i64])),
            _ => {}
        }
        let all_constant = call.inputs.iter().flatten().all(|input| matches!(input, Value::Constant(_)));
        let first = match call.inputs.first() {
            Some(Some(Value::Constant(first))) if all_constant => first,
            _ => return None,
        };
        if ["Identity", "Dropout"].contains(&node.op_type.as_str()) {
            return Some(Ok(vec![Value::Constant(Rc::clone(first))]));
        }
        let is_hollow = |array: &Array| array.values().is_empty() && array.shape().len() > 1;
        if call.inputs.iter().flatten().any(|input| matches!(input, Value::Constant(array) if is_hollow(array))) {
            return Some(Err("takes a constant without values".into()));
        }
        let shape = match result_shape(call, first)? {
            Ok(shape) => shape,
            Err(problem) => return Some(Err(problem)),
        };
        if let Err(problem) = self.layers.charge(&shape) {
            return Some(Err(problem));
        }
        if node.op_type == "Split" {
            let parts = super::shapes::parts(call, first.shape());
            let cut = |(axis, sizes): (usize, Vec<usize>)| {
                let mut start = 0;
                let part = |count: usize| {
                    let part = View::of(first.shape()).sliced(axis, start, count, 1).take(first);
                    start += count;
                    Ok(Value::Constant(Rc::new(part?)))
                };
                sizes.into_iter().map(part).collect::<Result<Vec<_>, Problem>>()
            };
            return Some(parts.and_then(cut));
        }
        one(result(call, first, shape))
    }
}

/// The shape of an operator's result, before it is made; none of operators that are not worked out here.
fn result_shape(call: &Call<'_>, x: &Array) -> Option<Result<Vec<usize>, Problem>> {
    let operator = call.node.op_type.as_str();
    let same = || Ok(x.shape().to_vec());
    Some(match operator {
        "Shape" | "Size" => Ok(vec![x.shape().len()]),
        "Cast" | "CastLike" | "Not" | "Split" | "Unsqueeze" | "Squeeze" | "Flatten" | "Reshape" | "Transpose" | "Slice" | "ScatterND"
        | "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => same(),
        "Concat" => {
            let total = call.inputs.iter().flatten().map(|input| match input {
                Value::Constant(array) => array.values().len(),
                _ => 0,
            });
            Ok(vec![total.sum()])
        }
        "Gather" => call.constant(1).and_then(|index| {
            let at = axis(call.node.int("axis", 0)?, x.shape().len())?;
            Ok([&x.shape()[..at], index.shape(), &x.shape()[at + 1..]].concat())
        }),
        "Expand" => call.constant(1).and_then(|target| {
            let target = whole(target)?.into_iter().map(size).collect::<Result<Vec<_>, Problem>>()?;
            common(x.shape(), &target)
        }),
        "ConstantOfShape" => whole(x).and_then(|shape| shape.into_iter().map(size).collect()),
        "Range" => range_of(call).map(|(_, _, count)| vec![count]),
        "Where" => call.constant(1).and_then(|yes| common(x.shape(), yes.shape())).and_then(|both| {
            let no = call.constant(2)?;
            common(&both, no.shape())
        }),
        _ if unary(operator).is_some() => same(),
        _ if binary(operator).is_some() || comparison(operator).is_some() => {
            call.constant(1).and_then(|other| common(x.shape(), other.shape()))
        }
        _ => return None,
    })
}

fn result(call: &Call<'_>, x: &Array, shape: Vec<usize>) -> Result<Array, Problem> {
    let node = call.node;
    match node.op_type.as_str() {
        "Shape" => shape_of(node, x.shape()),
        "Size" => array(Vec::new(), Values::I64(vec![x.values().len() as i64])),
        "Cast" => cast(x, node.int("to", 0)?),
        "CastLike" => cast(x, if call.constant(1)?.to_floats().is_some() { 1 } else { 7 }),
        "Not" => array(x.shape().to_vec(), Values::Bool(numbers(x).into_iter().map(|value| value == 0.0).collect())),
        "Unsqueeze" | "Squeeze" | "Flatten" => reshaped(x, super::shapes::reshape_target(call, x.shape())?),
        "Reshape" => reshaped(x, resolve(&whole(call.constant(1)?)?, x.shape())?),
        "Transpose" => Ok(View::of(x.shape()).transposed(&super::shapes::order(node, x.shape().len())?)).and_then(|view| view.take(x)),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduced(call, x),
        "Concat" => concat(call),
        "Gather" => gather(x, call.constant(1)?, node.int("axis", 0)?),
        "Slice" => {
            let mut view = View::of(x.shape());
            for (axis, start, end, step) in super::shapes::cuts(call, x.shape().len())? {
                let (start, count, step) = range(start, end, step, view.shape()[axis])?;
                view = view.sliced(axis, start, count, step);
            }
            view.take(x)
        }
        "Expand" => View::of(x.shape()).broadcast(&shape)?.take(x),
        "ConstantOfShape" => match node.attributes.get("value") {
            None => floats(x, shape.clone(), std::iter::repeat_n(0.0, shape.iter().product())),
            Some(Attribute::Tensor(value)) if value.values().len() == 1 => {
                let places = vec![0; shape.iter().product()];
                picked(value, shape, &places)
            }
            Some(_) => Err("`value` is no single number".into()),
        },
        "Range" => {
            let (start, step, count) = range_of(call)?;
            array(shape, Values::I64((0..count as i64).map(|at| start + at * step).collect()))
        }
        "ScatterND" => scattered(x, call.constant(1)?, call.constant(2)?),
        "Where" => chosen(x, call.constant(1)?, call.constant(2)?),
        operator => match (unary(operator), comparison(operator)) {
            (Some(function), _) => mapped(x, function),
            (_, Some(_)) => compared(operator, x, call.constant(1)?),
            _ => combined(operator, x, call.constant(1)?),
        },
    }
}

fn constant(node: &Node) -> Result<Array, Problem> {
    let given = ["value", "value_int", "value_ints", "value_float", "value_floats"].iter().find_map(|name| node.attributes.get(*name));
    match given {
        Some(Attribute::Tensor(value)) => Ok(value.clone()),
        Some(&Attribute::Int(value)) => array(Vec::new(), Values::I64(vec![value])),
        Some(Attribute::Ints(values)) => integers(values.clone()),
        Some(&Attribute::Float(value)) => array(Vec::new(), Values::F32(vec![value])),
        Some(Attribute::Floats(values)) => array(vec![values.len()], Values::F32(values.clone())),
        _ => Err("its value is of a kind that is not known here".into()),
    }
}

fn shape_of(node: &Node, shape: &[usize]) -> Result<Array, Problem> {
    let rank = shape.len() as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let (start, end) = (place(node.int("start", 0)?), place(node.int("end", rank)?));
    integers(shape.get(start..end).unwrap_or_default().iter().map(|size| *size as i64).collect())
}

/// ONNX's numbers for its types.
fn cast(x: &Array, to: i64) -> Result<Array, Problem> {
    let shape = x.shape().to_vec();
    match to {
        1 | 10 | 16 => array(shape, Values::F32(numbers(x).into_iter().map(|value| value as f32).collect())),
        11 => array(shape, Values::F64(numbers(x))),
        2..=7 | 12 | 13 => {
            let values = x.to_integers().unwrap_or_else(|| numbers(x).into_iter().map(|value| value as i64).collect());
            array(shape, Values::I64(values))
        }
        9 => array(shape, Values::Bool(numbers(x).into_iter().map(|value| value != 0.0).collect())),
        other => Err(format!("casts to the type {other}, which is not known here")),
    }
}

fn reshaped(x: &Array, shape: Vec<usize>) -> Result<Array, Problem> {
    array(shape, x.values().clone())
}

/// Whole numbers in a row.
fn integers(values: Vec<i64>) -> Result<Array, Problem> {
    array(vec![values.len()], Values::I64(values))
}

/// The product, sum or extreme of all numbers in a row.
fn reduced(call: &Call<'_>, x: &Array) -> Result<Array, Problem> {
    let values = whole(x)?;
    if x.shape().len() > 1 {
        return Err("takes together a constant that is no row".into());
    }
    let result = match call.node.op_type.as_str() {
        "ReduceProd" => values.iter().try_fold(1i64, |product, value| product.checked_mul(*value)),
        "ReduceSum" => values.iter().try_fold(0i64, |sum, value| sum.checked_add(*value)),
        "ReduceMax" => values.iter().max().copied(),
        _ => values.iter().min().copied(),
    };
    let shape = if call.node.int("keepdims", 1)? == 0 { Vec::new() } else { vec![1; x.shape().len()] };
    array(shape, Values::I64(vec![result.ok_or_else(|| format!("{values:?} have no result"))?]))
}

/// Arrays one after the other along an axis.
fn concat(call: &Call<'_>) -> Result<Array, Problem> {
    let parts = (0..call.inputs.len()).map(|place| call.constant(place)).collect::<Result<Vec<_>, Problem>>()?;
    let first = parts.first().ok_or("has no input")?.shape();
    let at = axis(call.node.int("axis", 1)?, first.len())?;
    let others = |x: &[usize]| x.iter().enumerate().filter(|(side, _)| *side != at).map(|(_, size)| *size).collect::<Vec<_>>();
    if let Some(other) = parts.iter().find(|part| part.shape().len() != first.len() || others(part.shape()) != others(first)) {
        return Err(format!("joins {first:?} and {:?}, which differ beyond axis {at}", other.shape()));
    }
    let mut shape = first.to_vec();
    shape[at] = parts.iter().map(|part| part.shape()[at]).sum();
    let rows = first[..at].iter().product::<usize>();
    let width = |part: &Array| part.shape()[at..].iter().product::<usize>();
    if parts.iter().all(|part| part.to_integers().is_some()) {
        let values = parts.iter().map(|part| whole(part)).collect::<Result<Vec<_>, Problem>>()?;
        let cut = (0..rows).flat_map(|row| parts.iter().zip(&values).map(move |(part, values)| (row, width(part), values)));
        return array(shape, Values::I64(cut.flat_map(|(row, width, values)| values[row * width..][..width].iter().copied()).collect()));
    }
    let values: Vec<_> = parts.iter().map(|part| numbers(part)).collect();
    let cut = (0..rows).flat_map(|row| parts.iter().zip(&values).map(move |(part, values)| (row, width(part), values)));
    floats(parts[0], shape, cut.flat_map(|(row, width, values)| values[row * width..][..width].iter().copied()))
}

/// The parts of an array that stand at these indices along an axis.
fn gather(x: &Array, index: &Array, at: i64) -> Result<Array, Problem> {
    let at = axis(at, x.shape().len())?;
    let (before, len, after) = (&x.shape()[..at], x.shape()[at], &x.shape()[at + 1..]);
    let place = |index: i64| {
        let place = if index < 0 { index.saturating_add(len as i64) } else { index };
        usize::try_from(place).ok().filter(|place| *place < len).ok_or_else(|| format!("picks number {index} of {len}"))
    };
    let indices = whole(index)?.into_iter().map(place).collect::<Result<Vec<_>, Problem>>()?;
    let inner = after.iter().product::<usize>();
    let indices = &indices;
    let rows = (0..before.iter().product::<usize>()).flat_map(|row| indices.iter().map(move |index| (row * len + index) * inner));
    let places: Vec<usize> = rows.flat_map(|start| start..start + inner).collect();
    picked(x, [before, index.shape(), after].concat(), &places)
}

/// An array with other values at some places.
fn scattered(x: &Array, index: &Array, updates: &Array) -> Result<Array, Problem> {
    let indices = whole(index)?;
    let depth = index.shape().last().copied().filter(|depth| (1..=x.shape().len()).contains(depth)).ok_or("has no indices")?;
    let inner = x.shape()[depth..].iter().product::<usize>();
    let refuse = || format!("puts {:?} values at {:?} places of {:?}", updates.shape(), index.shape(), x.shape());
    if updates.values().len() != indices.len() / depth * inner {
        return Err(refuse());
    }
    let steps = View::of(x.shape());
    let mut source: Vec<Option<usize>> = vec![None; x.values().len()];
    for (number, place) in indices.chunks_exact(depth).enumerate() {
        let start = steps.place(place).ok_or_else(refuse)?;
        for offset in 0..inner {
            source[start + offset] = Some(number * inner + offset);
        }
    }
    if let (Some(old), Some(new)) = (x.to_integers(), updates.to_integers()) {
        let values = old.into_iter().zip(source).map(|(old, source)| source.map_or(old, |at| new[at]));
        return array(x.shape().to_vec(), Values::I64(values.collect()));
    }
    let new = numbers(updates);
    floats(x, x.shape().to_vec(), numbers(x).into_iter().zip(source).map(|(old, source)| source.map_or(old, |at| new[at])))
}

/// The first number, the step and the count of a range of whole numbers.
fn range_of(call: &Call<'_>) -> Result<(i64, i64, usize), Problem> {
    let number = |place: usize| -> Result<i64, Problem> {
        let value = scalar(call.constant(place)?).filter(|value| value.fract() == 0.0 && value.abs() < super::LONGEST as f64);
        value.map(|value| value as i64).ok_or_else(|| "counts in steps that are no small whole numbers".into())
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    let (distance, step_size) = (if step < 0 { start - end } else { end - start }, step.unsigned_abs());
    if step == 0 {
        return Err("counts in steps of 0".into());
    }
    Ok((start, step, distance.max(0).unsigned_abs().div_ceil(step_size) as usize))
}
