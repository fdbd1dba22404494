//! What constants make of each other, number by number.

use bezoar_formats::{Array, Values};

use super::views::{View, common};
use super::{Problem, array};

/// An operator of one number, if it is known.
pub(super) fn unary(operator: &str) -> Option<fn(f64) -> f64> {
    Some(match operator {
        "Sqrt" => f64::sqrt,
        "Reciprocal" => f64::recip,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Neg" => |x| -x,
        "Abs" => f64::abs,
        "Sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        _ => return None,
    })
}

/// An operator of two numbers, if it is known: of floats, and of whole numbers, which may have no result.
#[expect(clippy::type_complexity, reason = "it is one pair of functions")]
pub(super) fn binary(operator: &str) -> Option<(fn(f64, f64) -> f64, fn(i64, i64) -> Option<i64>)> {
    Some(match operator {
        "Add" => (|a, b| a + b, i64::checked_add),
        "Sub" => (|a, b| a - b, i64::checked_sub),
        "Mul" => (|a, b| a * b, i64::checked_mul),
        "Div" => (|a, b| a / b, i64::checked_div),
        "Mod" => (|a, b| a - b * (a / b).floor(), i64::checked_rem_euclid),
        "Pow" => (f64::powf, |a, b| a.checked_pow(b.try_into().ok()?)),
        "Min" => (f64::min, |a, b| Some(a.min(b))),
        "Max" => (f64::max, |a, b| Some(a.max(b))),
        _ => return None,
    })
}

/// A comparison, if it is known.
pub(super) fn comparison(operator: &str) -> Option<fn(f64, f64) -> bool> {
    Some(match operator {
        "Equal" => same,
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        "And" => |a, b| a != 0.0 && b != 0.0,
        "Or" => |a, b| a != 0.0 || b != 0.0,
        _ => return None,
    })
}

/// Whether two numbers are exactly the same.
pub(super) fn same(a: f64, b: f64) -> bool {
    a.partial_cmp(&b).is_some_and(std::cmp::Ordering::is_eq)
}

/// All numbers of an array as `f64`.
pub(super) fn numbers(array: &Array) -> Vec<f64> {
    match array.values() {
        Values::F64(values) => values.clone(),
        Values::F32(values) => values.iter().map(|&value| value.into()).collect(),
        _ => array.to_integers().unwrap_or_default().into_iter().map(|value| value as f64).collect(),
    }
}

/// Floats of the type of `like`, and `f32` beside integers.
pub(super) fn floats(like: &Array, shape: Vec<usize>, values: impl Iterator<Item = f64>) -> Result<Array, Problem> {
    let values = match like.values() {
        Values::F64(_) => Values::F64(values.collect()),
        _ => Values::F32(values.map(|value| value as f32).collect()),
    };
    array(shape, values)
}

/// A function of each number.
pub(super) fn mapped(x: &Array, function: fn(f64) -> f64) -> Result<Array, Problem> {
    let values = numbers(x).into_iter().map(function);
    match x.to_integers() {
        Some(_) => array(x.shape().to_vec(), Values::I64(values.map(|value| value as i64).collect())),
        None => floats(x, x.shape().to_vec(), values),
    }
}

/// Two arrays in the shape that they have in common.
fn paired(a: &Array, b: &Array) -> Result<[Array; 2], Problem> {
    let shape = common(a.shape(), b.shape())?;
    let wide = |x: &Array| View::of(x.shape()).broadcast(&shape)?.take(x);
    Ok([wide(a)?, wide(b)?])
}

/// A function of each two numbers.
pub(super) fn combined(operator: &str, a: &Array, b: &Array) -> Result<Array, Problem> {
    let (of_floats, of_integers) = binary(operator).ok_or("is no operator of numbers")?;
    let [a, b] = paired(a, b)?;
    if let (Some(left), Some(right)) = (a.to_integers(), b.to_integers()) {
        let result = |(a, b): (i64, i64)| of_integers(a, b).ok_or_else(|| format!("{a} and {b} have no result"));
        let values = left.into_iter().zip(right).map(result).collect::<Result<_, Problem>>()?;
        return array(a.shape().to_vec(), Values::I64(values));
    }
    let like = if matches!(b.values(), Values::F64(_)) { &b } else { &a };
    floats(like, a.shape().to_vec(), numbers(&a).into_iter().zip(numbers(&b)).map(|(a, b)| of_floats(a, b)))
}

/// A comparison of each two numbers.
pub(super) fn compared(operator: &str, a: &Array, b: &Array) -> Result<Array, Problem> {
    let holds = comparison(operator).ok_or("is no comparison")?;
    let [a, b] = paired(a, b)?;
    array(a.shape().to_vec(), Values::Bool(numbers(&a).into_iter().zip(numbers(&b)).map(|(a, b)| holds(a, b)).collect()))
}

/// The first where a condition holds, else the second.
pub(super) fn chosen(condition: &Array, yes: &Array, no: &Array) -> Result<Array, Problem> {
    let shape = common(&common(condition.shape(), yes.shape())?, no.shape())?;
    let wide = |x: &Array| View::of(x.shape()).broadcast(&shape)?.take(x);
    let (condition, yes, no) = (numbers(&wide(condition)?), wide(yes)?, wide(no)?);
    if let (Some(a), Some(b)) = (yes.to_integers(), no.to_integers()) {
        let values = condition.iter().zip(a.into_iter().zip(b)).map(|(is, (a, b))| if *is == 0.0 { b } else { a });
        return array(shape, Values::I64(values.collect()));
    }
    let both = numbers(&yes).into_iter().zip(numbers(&no));
    floats(&yes, shape, condition.iter().zip(both).map(|(is, (a, b))| if *is == 0.0 { b } else { a }))
}
