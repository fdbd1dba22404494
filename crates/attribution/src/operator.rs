//! A layer's linear map with the weights of one term.

use bezoar_nn::ops::Convolution;
use bezoar_nn::{Array, Border, Network, NodeId, Op, Window, ops};
use candle_core::{Result, Tensor, bail};

use crate::rule::Weight;

/// `x W` and its transpose.
#[derive(Debug)]
pub(crate) enum Operator {
    Conv2d(Box<Convolution>),
    Linear(Tensor),
    /// A factor a channel.
    Affine(Tensor),
    AvgPool(Window, Border),
}

impl Operator {
    /// The map of a node, and its bias, as `weight` and `bias` change them.
    pub(crate) fn of(network: &Network, id: NodeId, weight: Weight, bias: Option<Weight>) -> Result<(Self, Option<Tensor>)> {
        let op = &network.graph().node(id).op;
        let [own_weight, own_bias] = match *op {
            Op::BatchNorm { eps, .. } => network.running_affine(id, eps)?.map(Some),
            _ => ["weight", "bias"].map(|what| network.parameter(id, what).cloned()),
        };
        let bias = bias.zip(own_bias).map(|(change, bias)| change.of(&bias)).transpose()?;
        let changed = own_weight.map(|own| weight.of(&own)).transpose()?;
        let operator = match (op, changed) {
            (&Op::Conv2d { window, groups, .. }, Some(weight)) => Self::Conv2d(Box::new(Convolution::new(weight, window, groups))),
            (Op::Linear { .. }, Some(weight)) => Self::Linear(weight),
            (Op::BatchNorm { .. }, Some(scale)) => Self::Affine(scale),
            (&Op::AvgPool { window, border }, _) => Self::AvgPool(window, border),
            (op, _) => bail!("{op:?} is no linear map"),
        };
        Ok((operator, bias))
    }

    /// What it makes of an input.
    pub(crate) fn forward(&self, x: &Array, bias: Option<&Tensor>) -> Result<Array> {
        match self {
            Self::Conv2d(convolution) => convolution.forward(x, bias, false),
            Self::Linear(weight) => ops::linear(x, weight, bias),
            Self::Affine(scale) => ops::channel_affine(x, scale, &bias.map_or_else(|| scale.zeros_like(), |bias| Ok(bias.clone()))?, false),
            Self::AvgPool(window, border) => ops::avg_pool2d(x, *window, *border),
        }
    }

    /// What the transpose, without bias, makes of values of the output, for an input of these dimensions.
    pub(crate) fn transposed(&self, share: &Array, input: &[usize]) -> Result<Array> {
        match self {
            Self::Conv2d(convolution) => convolution.backward_input(share, [input[2], input[3]]),
            Self::Linear(weight) => ops::linear_backward_input(share, weight),
            Self::Affine(scale) => ops::channel_affine(share, scale, &scale.zeros_like()?, false),
            Self::AvgPool(window, border) => ops::avg_pool2d_backward(share, [input[2], input[3]], *window, *border),
        }
    }
}

impl Weight {
    fn of(self, values: &Tensor) -> Result<Tensor> {
        match self {
            Self::WHOLE => Ok(values.clone()),
            Self::Sides(positive, negative) => (values.maximum(0.0)? * positive)? + (values.minimum(0.0)? * negative)?,
            Self::Square => values.sqr(),
            Self::One => values.ones_like(),
        }
    }
}
