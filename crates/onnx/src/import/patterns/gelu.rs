//! `Gelu`, which has been an operator since opset 20.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use bezoar_formats::onnx::{Attribute, Node};

use super::{Context, instead};

/// `x * 0.5 * (1 + erf(x / √2))`, the factors in any order.
pub(super) fn exact(context: &Context<'_>, node: &Node) -> Option<Node> {
    let x = half_of(context, node, "Erf", |context, inner| {
        let inner = context.made_by(inner, "Mul").or_else(|| context.made_by(inner, "Div"))?;
        let x = *inner.inputs.iter().map(String::as_str).filter(|name| context.scalar(name).is_none()).collect::<Vec<_>>().first()?;
        context.product(inner, Some(x))?.is(FRAC_1_SQRT_2, &[x]).then_some(x)
    })?;
    Some(instead(node, "Gelu", &[x], &[]))
}

/// `x * 0.5 * (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the factors in any order.
pub(super) fn by_tanh(context: &Context<'_>, node: &Node) -> Option<Node> {
    let x = half_of(context, node, "Tanh", |context, inner| {
        let outer = context.made_by(inner, "Mul")?;
        let sum = outer.inputs.iter().find_map(|name| context.made_by(name, "Add"))?;
        let is_scaled = context.product(outer, None)?.is(FRAC_2_SQRT_PI * FRAC_1_SQRT_2, &[&sum.outputs[0]]);
        let [a, b] = sum.inputs.as_slice() else { return None };
        let x = [(a, b), (b, a)].into_iter().find(|(x, cube)| is_cube(context, cube, x)).map(|(x, _)| x.as_str());
        x.filter(|_| is_scaled)
    })?;
    Some(instead(node, "Gelu", &[x], &[("approximate", Attribute::String("tanh".into()))]))
}

/// Whether a value is `0.044715 x³`.
fn is_cube(context: &Context<'_>, name: &str, x: &str) -> bool {
    let Some(product) = context.made_by(name, "Mul").and_then(|node| context.product(node, Some(x))) else { return false };
    let of_power = |name: &str| {
        context
            .made_by(name, "Pow")
            .is_some_and(|power| power.inputs.len() == 2 && power.inputs[0] == x && context.is(&power.inputs[1], 3.0))
    };
    product.is(0.044_715, &[x, x, x]) || matches!(*product.names, [power] if product.is(0.044_715, &[power]) && of_power(power))
}

/// The `x` of `x * 0.5 * (1 + function(inner))`, where `inner` is made of `x` as it should be.
fn half_of<'a>(
    context: &Context<'a>,
    node: &Node,
    function: &str,
    inner_of: impl Fn(&Context<'a>, &'a str) -> Option<&'a str>,
) -> Option<&'a str> {
    // The node of the model itself, which lives as long as the context.
    let node = context.made_by(node.outputs.first()?, "Mul")?;
    let sum = |name: &str| {
        let function = context.made_by(context.beside(context.made_by(name, "Add")?, 1.0)?, function)?;
        inner_of(context, function.inputs.first()?)
    };
    let x = context.product(node, None)?.names.into_iter().find_map(sum)?;
    let product = context.product(node, Some(x))?;
    let other = product.names.iter().copied().find(|name| sum(name) == Some(x))?;
    product.is(0.5, &[x, other]).then_some(x)
}
