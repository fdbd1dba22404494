//! Values times a gate of themselves: `Swish`, an operator since opset 24, and `HardSwish`, one since opset 14.

use bezoar_formats::onnx::{Attribute, Node};

use super::{Context, instead, near};

/// `x * sigmoid(x)`.
pub(super) fn swish(context: &Context<'_>, node: &Node) -> Option<Node> {
    let ("Mul", [a, b]) = (node.op_type.as_str(), node.inputs.as_slice()) else { return None };
    let is_gate = |gate: &str, x: &String| context.made_by(gate, "Sigmoid").is_some_and(|sigmoid| sigmoid.inputs.first() == Some(x));
    let x = if is_gate(b, a) {
        a
    } else if is_gate(a, b) {
        b
    } else {
        return None;
    };
    Some(instead(node, "Swish", &[x], &[]))
}

/// `x * min(max(x + 3, 0), 6) / 6`, the factors in any order, or `x * hardsigmoid(x)` of the same gate.
pub(super) fn hard_swish(context: &Context<'_>, node: &Node) -> Option<Node> {
    let node = context.made_by(node.outputs.first()?, &node.op_type)?;
    let gate = context.product(node, None)?.names.into_iter().find_map(|name| gate(context, name).map(|(x, factor)| (name, x, factor)));
    let (name, x, factor) = gate?;
    context.product(node, Some(x))?.is(factor, &[x, name]).then(|| instead(node, "HardSwish", &[x], &[]))
}

/// What a gate is of, and what its product is to be multiplied with.
fn gate<'a>(context: &Context<'a>, name: &str) -> Option<(&'a str, f64)> {
    if let Some(sigmoid) = context.made_by(name, "HardSigmoid") {
        let is = |name: &str, number: f64, default: f64| match sigmoid.attributes.get(name) {
            Some(Attribute::Float(value)) => near((*value).into(), number),
            _ => near(default, number),
        };
        return (is("alpha", 1.0 / 6.0, 0.2) && is("beta", 0.5, 0.5)).then_some((sigmoid.inputs.first()?, 1.0));
    }
    let clip = context.made_by(name, "Clip")?;
    let is = |name: &str, place: usize, number: f64| match (clip.attributes.get(name), clip.inputs.get(place)) {
        (Some(Attribute::Float(value)), _) => near((*value).into(), number),
        (_, Some(input)) => context.is(input, number),
        _ => false,
    };
    let sum = context.made_by(clip.inputs.first()?, "Add").filter(|_| is("min", 1, 0.0) && is("max", 2, 6.0))?;
    Some((context.beside(sum, 3.0)?, 1.0 / 6.0))
}
