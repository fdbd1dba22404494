use bezoar_core::{Error, Result};
use bezoar_nn::{GraphBuilder, NodeId, Op, Window};

/// Convolution, batch norm: `name.conv`, `name.norm`.
pub(crate) fn conv_norm(
    builder: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    channels: usize,
    window: Window,
    bias: bool,
) -> Result<NodeId> {
    let conv = Op::Conv2d { channels, window, groups: 1, bias };
    let conv = builder.add(&format!("{name}.conv"), conv, &[from])?;
    builder.add(&format!("{name}.norm"), Op::batch_norm(), &[conv])
}

/// Convolution, batch norm, `ReLU`: `name.conv`, `name.norm`, `name.relu`.
pub(crate) fn conv_norm_relu(
    builder: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    channels: usize,
    window: Window,
    bias: bool,
) -> Result<NodeId> {
    let norm = conv_norm(builder, name, from, channels, window, bias)?;
    builder.add(&format!("{name}.relu"), Op::RELU, &[norm])
}

/// A max-pool that halves both sides.
pub(crate) fn halve(builder: &mut GraphBuilder, name: &str, from: NodeId) -> Result<NodeId> {
    builder.add(name, Op::MaxPool { window: Window::tiling(2) }, &[from])
}

/// The mean of each channel as a vector: `mean`, unless there is one position alone, and `flatten`.
///
/// # Errors
/// When the maps are not square: windows are.
pub(crate) fn global_mean(builder: &mut GraphBuilder, from: NodeId) -> Result<NodeId> {
    let mean = match *builder.shape(from) {
        [_, 1, 1] => from,
        [_, height, width] if height == width => builder.add("mean", Op::avg_pool(Window::tiling(height)), &[from])?,
        [_, height, width] => {
            return Err(Error::request(format!("layer `mean` averages square maps, and these images come to maps of {height}x{width}"))
                .with_help("make the images square, or choose an architecture that flattens its maps, such as `compact-cnn`"));
        }
        ref shape => return Err(Error::request(format!("layer `mean` takes [channels, height, width], not {shape:?}"))),
    };
    builder.add("flatten", Op::Flatten, &[mean])
}

/// Linear layer, `ReLU`, dropout: `name.linear`, `name.relu`, `name.dropout`.
pub(crate) fn linear_relu_dropout(builder: &mut GraphBuilder, name: &str, from: NodeId, features: usize, p: f64) -> Result<NodeId> {
    let linear = builder.add(&format!("{name}.linear"), Op::linear(features), &[from])?;
    let relu = builder.add(&format!("{name}.relu"), Op::RELU, &[linear])?;
    builder.add(&format!("{name}.dropout"), Op::Dropout { p }, &[relu])
}
