use bezoar_core::Result;
use bezoar_nn::{GraphBuilder, NodeId, Op, Window};

/// Convolution, batch norm, `ReLU`: `name.conv`, `name.norm`, `name.relu`.
pub(crate) fn conv_norm_relu(
    builder: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    channels: usize,
    window: Window,
    bias: bool,
) -> Result<NodeId> {
    let conv = Op::Conv2d { channels, window, groups: 1, bias };
    let conv = builder.add(&format!("{name}.conv"), conv, &[from])?;
    let norm = builder.add(&format!("{name}.norm"), Op::batch_norm(), &[conv])?;
    builder.add(&format!("{name}.relu"), Op::Relu, &[norm])
}

/// A max-pool that halves both sides.
pub(crate) fn halve(builder: &mut GraphBuilder, name: &str, from: NodeId) -> Result<NodeId> {
    builder.add(name, Op::MaxPool { window: Window::tiling(2) }, &[from])
}

/// Linear layer, `ReLU`, dropout: `name.linear`, `name.relu`, `name.dropout`.
pub(crate) fn linear_relu_dropout(builder: &mut GraphBuilder, name: &str, from: NodeId, features: usize, p: f64) -> Result<NodeId> {
    let linear = builder.add(&format!("{name}.linear"), Op::linear(features), &[from])?;
    let relu = builder.add(&format!("{name}.relu"), Op::Relu, &[linear])?;
    builder.add(&format!("{name}.dropout"), Op::Dropout { p }, &[relu])
}
