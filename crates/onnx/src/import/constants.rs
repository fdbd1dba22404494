//! What is worked out at import: operators on values that are the same for every image, above all on shapes.

use bezoar_formats::onnx::{Attribute, Node};
use bezoar_formats::{Array, Values};

use super::attributes::Attributes;
use super::{Problem, Value, check_size};

/// The result of an operator whose inputs are all constant, if it is one that is worked out here.
pub(super) fn fold(node: &Node, inputs: &[Option<Value>]) -> Option<Result<Array, Problem>> {
    if node.op_type == "Constant" {
        return Some(constant(node));
    }
    if let ("Shape", [Some(Value::Layer(_, shape))]) = (node.op_type.as_str(), inputs) {
        return Some(shape_of(node, shape));
    }
    let arrays: Option<Vec<&Array>> = inputs
        .iter()
        .flatten()
        .map(|input| match input {
            Value::Constant(array) => Some(array),
            Value::Layer(..) | Value::Refused => None,
        })
        .collect();
    let arrays = arrays.filter(|arrays| !arrays.is_empty())?;
    Some(match (node.op_type.as_str(), arrays.as_slice()) {
        ("Identity" | "Dropout", [x, ..]) => Ok((*x).clone()),
        ("Shape", [x]) => shape_of(node, x.shape()),
        ("Cast", [x]) => cast(node, x),
        ("Squeeze" | "Unsqueeze" | "Flatten", [x, ..]) => {
            reshaped(x, [&[x.shape().iter().product::<usize>()][..], &[]][usize::from(x.values().len() == 1)].to_vec())
        }
        ("Reshape", [x, shape]) => whole(shape).and_then(|shape| reshaped(x, super::operators::resolve(&shape, x.shape())?)),
        ("Concat", all) => concat(all),
        ("Gather", [x, index]) => gather(x, index),
        ("Slice", [x, starts, ends, ..]) if x.shape().len() == 1 => slice(x, starts, ends, arrays.get(4).copied()),
        ("Add" | "Sub" | "Mul" | "Div", [a, b]) => reckon(&node.op_type, a, b),
        ("ReduceProd", [x, ..]) => whole(x).and_then(|x| integers(vec![x.iter().product()])),
        ("Transpose", [x]) if x.shape().len() == 2 => transposed(x),
        _ => return None,
    })
}

fn constant(node: &Node) -> Result<Array, Problem> {
    let made = match (node.attributes.get("value"), node.attributes.get("value_int"), node.attributes.get("value_ints")) {
        (Some(Attribute::Tensor(array)), ..) => return Ok(array.clone()),
        (_, Some(Attribute::Int(value)), _) => Array::new(Vec::new(), Values::I64(vec![*value])),
        (.., Some(Attribute::Ints(values))) => Array::new(vec![values.len()], Values::I64(values.clone())),
        _ => match (node.attributes.get("value_float"), node.attributes.get("value_floats")) {
            (Some(Attribute::Float(value)), _) => Array::new(Vec::new(), Values::F32(vec![*value])),
            (_, Some(Attribute::Floats(values))) => Array::new(vec![values.len()], Values::F32(values.clone())),
            _ => return Err("its value is of a kind that is not known here".into()),
        },
    };
    made.map_err(|error| error.to_string())
}

fn shape_of(node: &Node, shape: &[usize]) -> Result<Array, Problem> {
    let rank = shape.len() as i64;
    let place = |at: i64| if at < 0 { at + rank } else { at }.clamp(0, rank) as usize;
    let (start, end) = (place(node.int("start", 0)?), place(node.int("end", rank)?));
    integers(shape.get(start..end).unwrap_or_default().iter().map(|size| *size as i64).collect())
}

/// ONNX's numbers for its types.
fn cast(node: &Node, x: &Array) -> Result<Array, Problem> {
    const FLOATS: [i64; 4] = [1, 10, 11, 16];
    const WHOLE: [i64; 2] = [6, 7];
    let to = node.int("to", 0)?;
    let made = match (x.to_floats(), x.to_integers()) {
        (Some(_), _) if FLOATS.contains(&to) => return Ok(x.clone()),
        (_, Some(_)) if WHOLE.contains(&to) => return Ok(x.clone()),
        (_, Some(values)) if FLOATS.contains(&to) => Values::F32(values.into_iter().map(|value| value as f32).collect()),
        (Some(values), _) if WHOLE.contains(&to) => Values::I64(values.into_iter().map(|value| value as i64).collect()),
        _ => return Err(format!("casts to the type {to}, which is not known here")),
    };
    Array::new(x.shape().to_vec(), made).map_err(|error| error.to_string())
}

fn reshaped(x: &Array, shape: Vec<usize>) -> Result<Array, Problem> {
    Array::new(shape, x.values().clone()).map_err(|error| error.to_string())
}

/// Whole numbers in a row.
fn integers(values: Vec<i64>) -> Result<Array, Problem> {
    Array::new(vec![values.len()], Values::I64(values)).map_err(|error| error.to_string())
}

/// The whole numbers of a constant.
pub(super) fn whole(array: &Array) -> Result<Vec<i64>, Problem> {
    array.to_integers().ok_or_else(|| "wants whole numbers".into())
}

fn concat(all: &[&Array]) -> Result<Array, Problem> {
    let parts = all.iter().map(|array| if array.shape().len() <= 1 { whole(array) } else { Err("joins constant matrices".into()) });
    let joined = parts.collect::<Result<Vec<_>, Problem>>()?.concat();
    check_size(&[joined.len()])?;
    integers(joined)
}

fn gather(x: &Array, index: &Array) -> Result<Array, Problem> {
    if x.shape().len() != 1 {
        return Err("picks from a constant that is no row".into());
    }
    let (values, indices) = (whole(x)?, whole(index)?);
    let pick = |index: i64| {
        let place = if index < 0 { index + values.len() as i64 } else { index };
        let value = usize::try_from(place).ok().and_then(|place| values.get(place));
        value.copied().ok_or_else(|| format!("picks number {index} of {}", values.len()))
    };
    let picked = indices.into_iter().map(pick).collect::<Result<Vec<_>, Problem>>()?;
    Array::new(index.shape().to_vec(), Values::I64(picked)).map_err(|error| error.to_string())
}

fn slice(x: &Array, starts: &Array, ends: &Array, steps: Option<&Array>) -> Result<Array, Problem> {
    let values = whole(x)?;
    let len = values.len() as i64;
    let place =
        |at: &Array| Ok::<_, Problem>(whole(at)?.first().map_or(0, |at| if *at < 0 { at.saturating_add(len) } else { *at }.clamp(0, len)));
    if steps.map(whole).transpose()?.is_some_and(|steps| steps != [1]) {
        return Err("takes a part of a constant with steps".into());
    }
    integers(values.get(place(starts)? as usize..place(ends)? as usize).unwrap_or_default().to_vec())
}

fn reckon(operator: &str, a: &Array, b: &Array) -> Result<Array, Problem> {
    let (left, right) = (whole(a)?, whole(b)?);
    let count = left.len().max(right.len());
    if ![left.len(), right.len()].iter().all(|len| *len == 1 || *len == count) {
        return Err(format!("reckons with {} and {} numbers", left.len(), right.len()));
    }
    let value = |place: usize| {
        let (a, b) = (left[place % left.len()], right[place % right.len()]);
        match operator {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            _ => a.checked_div(b),
        }
        .ok_or_else(|| format!("{a} and {b} have no result"))
    };
    let values = (0..count).map(value).collect::<Result<Vec<_>, Problem>>()?;
    let shape = if a.shape().len() >= b.shape().len() { a.shape() } else { b.shape() };
    Array::new(shape.to_vec(), Values::I64(values)).map_err(|error| error.to_string())
}

fn transposed(x: &Array) -> Result<Array, Problem> {
    let &[rows, columns] = x.shape() else { return Err("turns what is no matrix".into()) };
    let turned = |at: usize| (at % rows) * columns + at / rows;
    let values = match x.values() {
        Values::F32(values) => Values::F32((0..values.len()).map(|at| values[turned(at)]).collect()),
        Values::F64(values) => Values::F64((0..values.len()).map(|at| values[turned(at)]).collect()),
        _ => return Err("turns a matrix that is not of floats".into()),
    };
    Array::new(vec![columns, rows], values).map_err(|error| error.to_string())
}
