//! `Gemm`, which the operators know for matrices alone; here it takes samples of any shape.

use bezoar_formats::onnx::Node;

use super::{Context, DEEPEST, instead};

/// A product with a constant matrix, plus a constant along the last axis.
pub(super) fn with_bias(context: &Context<'_>, node: &Node) -> Option<Node> {
    let ("Add", [a, b]) = (node.op_type.as_str(), node.inputs.as_slice()) else { return None };
    let (product, bias) = match (context.made_by(a, "MatMul"), context.made_by(b, "MatMul")) {
        (Some(product), _) => (product, b),
        (_, Some(product)) => (product, a),
        _ => return None,
    };
    let [x, weight] = product.inputs.as_slice() else { return None };
    let (is_alone, shape) = (context.uses.get(product.outputs.first()?.as_str()) == Some(&1), context.constant(bias)?.shape());
    let is_bias = shape.split_last().is_some_and(|(_, others)| others.iter().all(|size| *size == 1));
    (is_alone && is_bias && is_matrix(context, weight)).then(|| instead(node, "Gemm", &[x, weight, bias], &[]))
}

/// Whether a value is a constant matrix, maybe turned.
fn is_matrix(context: &Context<'_>, name: &str) -> bool {
    let mut name = name;
    for _ in 0..DEEPEST {
        match (context.constant(name), context.made_by(name, "Transpose").and_then(|node| node.inputs.first())) {
            (Some(array), _) => return array.shape().len() == 2,
            (None, Some(input)) => name = input,
            (None, None) => return false,
        }
    }
    false
}
