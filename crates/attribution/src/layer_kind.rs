use bezoar_nn::Op;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The sort of a layer, as far as rules tell layers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LayerKind {
    /// Convolutions.
    Convolution,
    /// Fully connected layers.
    Linear,
    /// Batch norm that could not be merged into the layer before it.
    BatchNorm,
    /// Activation functions.
    Activation,
    /// Max-pools.
    MaxPool,
    /// Average pools.
    AveragePool,
    /// Sums of several layers, as in residual blocks.
    Sum,
    /// Several layers joined along an axis.
    Concat,
    /// Changes of shape: values that are moved or left out, and not changed.
    Flatten,
    /// Dropout, which does nothing outside training.
    Dropout,
    /// Products of two layers, value by value.
    Product,
    /// Products of two layers' matrices, as in attention.
    MatrixProduct,
    /// Layer norm.
    LayerNorm,
    /// Softmax, as in attention.
    Softmax,
    /// Values that are the same for every image.
    Constant,
    /// Larger images.
    Upsample,
    /// Margins.
    Pad,
    /// Means over whole axes.
    Mean,
}

impl LayerKind {
    /// The kind of a layer that computes `op`; none for the input, which is no layer.
    pub fn of(op: &Op) -> Option<Self> {
        Some(match op {
            Op::Input => return None,
            Op::Conv2d { .. } => Self::Convolution,
            Op::Linear { .. } => Self::Linear,
            Op::BatchNorm { .. } => Self::BatchNorm,
            Op::Activation { .. } => Self::Activation,
            Op::MaxPool { .. } => Self::MaxPool,
            Op::AvgPool { .. } => Self::AveragePool,
            Op::Add => Self::Sum,
            Op::Concat { .. } => Self::Concat,
            Op::Flatten | Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } => Self::Flatten,
            Op::Dropout { .. } => Self::Dropout,
            Op::Mul => Self::Product,
            Op::MatMul => Self::MatrixProduct,
            Op::LayerNorm { .. } => Self::LayerNorm,
            Op::Softmax { .. } => Self::Softmax,
            Op::Constant { .. } => Self::Constant,
            Op::Upsample { .. } => Self::Upsample,
            Op::Pad { .. } => Self::Pad,
            Op::Mean { .. } => Self::Mean,
        })
    }
}
