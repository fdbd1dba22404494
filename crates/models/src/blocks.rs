use bezoar_core::Result;
use bezoar_nn::{GraphBuilder, NodeId, Op, Window};

/// A convolution as nets with batch norm have it.
#[derive(Clone, Copy)]
pub(crate) struct Conv {
    pub(crate) channels: usize,
    pub(crate) window: Window,
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

impl Conv {
    /// In one group, without bias.
    pub(crate) const fn new(channels: usize, window: Window) -> Self {
        Self { channels, window, groups: 1, bias: false }
    }

    /// In so many groups.
    pub(crate) const fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// With a bias, although the norm after it takes it away again.
    pub(crate) const fn biased(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// A convolution and batch norm, under these names.
pub(crate) fn conv_norm(b: &mut GraphBuilder, [conv, norm]: [&str; 2], from: NodeId, layer: Conv) -> Result<NodeId> {
    let Conv { channels, window, groups, bias } = layer;
    let conv = b.add(conv, Op::Conv2d { channels, window, groups, bias }, &[from])?;
    b.add(norm, Op::batch_norm(), &[conv])
}

/// A convolution, batch norm and `ReLU`, under these names.
pub(crate) fn conv_norm_relu(b: &mut GraphBuilder, [conv, norm, relu]: [&str; 3], from: NodeId, layer: Conv) -> Result<NodeId> {
    let norm = conv_norm(b, [conv, norm], from, layer)?;
    b.add(relu, Op::RELU, &[norm])
}

/// A convolution, batch norm and `ReLU`: `name.conv`, `name.norm`, `name.relu`.
pub(crate) fn unit(b: &mut GraphBuilder, name: &str, from: NodeId, layer: Conv) -> Result<NodeId> {
    let [conv, norm, relu] = ["conv", "norm", "relu"].map(|part| format!("{name}.{part}"));
    conv_norm_relu(b, [&conv, &norm, &relu], from, layer)
}

/// A max-pool that halves both sides.
pub(crate) fn halve(b: &mut GraphBuilder, name: &str, from: NodeId) -> Result<NodeId> {
    b.add(name, Op::MaxPool { window: Window::tiling(2) }, &[from])
}

/// A max-pool of 3x3 cells and stride 2 that leaves out no pixel: where its windows do not fill a side, the last one reaches beyond.
pub(crate) fn pool_rounding_up(b: &mut GraphBuilder, name: &str, from: NodeId) -> Result<NodeId> {
    let after = [1, 2].map(|side| usize::from(b.shape(from).get(side).is_some_and(|size| size % 2 == 0)));
    b.add(name, Op::MaxPool { window: Window::new(3).stride(2).border([0; 2], after) }, &[from])
}

/// The mean of each channel as a vector: `avgpool`, unless there is one position alone, and `flatten`.
pub(crate) fn global_mean(b: &mut GraphBuilder, from: NodeId) -> Result<NodeId> {
    let mean = match *b.shape(from) {
        [_, 1, 1] => from,
        [_, height, width] => b.add("avgpool", Op::avg_pool(Window::rectangle([height, width])), &[from])?,
        _ => b.add("avgpool", Op::avg_pool(Window::new(1)), &[from])?,
    };
    b.add("flatten", Op::Flatten, &[mean])
}

/// Linear layer, `ReLU`, dropout: `name.linear`, `name.relu`, `name.dropout`.
pub(crate) fn linear_relu_dropout(b: &mut GraphBuilder, name: &str, from: NodeId, features: usize, p: f64) -> Result<NodeId> {
    let linear = b.add(&format!("{name}.linear"), Op::linear(features), &[from])?;
    let relu = b.add(&format!("{name}.relu"), Op::RELU, &[linear])?;
    b.add(&format!("{name}.dropout"), Op::Dropout { p }, &[relu])
}

/// What a net made for ImageNet begins with, or what takes its place for small images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// For images of about 32x32 pixels: the size is kept longer.
    #[default]
    Cifar,
    /// For images of about 224x224 pixels, as published.
    Imagenet,
}
