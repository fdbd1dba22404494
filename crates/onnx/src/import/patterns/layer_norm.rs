//! `LayerNormalization`, which has been an operator since opset 17.

use bezoar_formats::onnx::{Attribute, Node};

use super::{Context, call, instead};

/// `(x - mean) / √(mean of (x - mean)² + ε)`, maybe times a weight, maybe plus a bias.
pub(super) fn spelled_out(context: &Context<'_>, node: &Node) -> Option<Node> {
    let constant_beside = |node: &Node| -> Option<(String, String)> {
        let [a, b] = node.inputs.as_slice() else { return None };
        let is_constant = |name: &str| context.constant(name).is_some();
        if is_constant(b) { Some((a.clone(), b.clone())) } else { is_constant(a).then(|| (b.clone(), a.clone())) }
    };
    let (scaled, bias) = match node.op_type.as_str() {
        "Add" => constant_beside(node).and_then(|(inner, bias)| Some((context.made_by(&inner, "Mul")?.clone(), bias)))?,
        _ => (node.clone(), String::new()),
    };
    let (normal, weight) = match scaled.op_type.as_str() {
        "Mul" => constant_beside(&scaled).and_then(|(inner, weight)| Some((context.made_by(&inner, "Div")?.clone(), weight)))?,
        "Div" => (scaled, String::new()),
        _ => return None,
    };
    let (x, first, eps) = normalised(context, &normal)?;
    let attributes = [("axis", Attribute::Int(first)), ("epsilon", Attribute::Float(eps as f32))];
    Some(instead(node, "LayerNormalization", &[&x, &weight, &bias], &attributes))
}

/// What a quotient normalises, from which axis on, counted from the end, and ε.
fn normalised(context: &Context<'_>, quotient: &Node) -> Option<(String, i64, f64)> {
    let [centred, deviation] = quotient.inputs.as_slice() else { return None };
    let (x, axes) = centre(context, centred)?;
    let root = context.made_by(deviation, "Sqrt")?;
    let sum = context.made_by(root.inputs.first()?, "Add")?;
    let [a, b] = sum.inputs.as_slice() else { return None };
    let (variance, eps) = match context.scalar(b) {
        Some(eps) => (a, eps),
        None => (b, context.scalar(a)?),
    };
    let mean = context.made_by(variance, "ReduceMean").filter(|mean| axes_of(context, mean).as_ref() == Some(&axes))?;
    let square = mean.inputs.first()?;
    let squared = match (context.made_by(square, "Pow"), context.made_by(square, "Mul")) {
        (Some(power), _) => power.inputs.first().filter(|_| power.inputs.get(1).is_some_and(|two| context.is(two, 2.0)))?,
        (_, Some(product)) => product.inputs.first().filter(|one| product.inputs.get(1) == Some(one))?,
        _ => return None,
    };
    let is_last = axes.iter().rev().eq((1..=axes.len() as i64).map(|place| -place).collect::<Vec<_>>().iter());
    (is_last && !axes.is_empty() && centre(context, squared) == Some((x.clone(), axes.clone()))).then_some((x, axes[0], eps))
}

/// The `x` of `x - mean(x)`, and the axes of the mean.
fn centre(context: &Context<'_>, name: &str) -> Option<(String, Vec<i64>)> {
    let difference = context.made_by(name, "Sub")?;
    let [x, mean] = difference.inputs.as_slice() else { return None };
    let mean = context.made_by(mean, "ReduceMean").filter(|mean| mean.inputs.first() == Some(x))?;
    Some((x.clone(), axes_of(context, mean)?))
}

/// The axes of a mean that keeps them, ascending.
fn axes_of(context: &Context<'_>, mean: &Node) -> Option<Vec<i64>> {
    if mean.attributes.get("keepdims").is_some_and(|keeps| *keeps != Attribute::Int(1)) {
        return None;
    }
    let mut axes = match (mean.attributes.get("axes"), mean.inputs.get(1)) {
        (Some(Attribute::Ints(axes)), _) => axes.clone(),
        (_, Some(axes)) => call::whole(context.constant(axes)?).ok()?,
        _ => return None,
    };
    axes.sort_unstable();
    Some(axes)
}
