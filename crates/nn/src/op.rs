//! What a node of a graph computes, and which shapes it takes and gives.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::window::{Border, Window};

/// What a node computes. Sizes that follow from its inputs are not repeated here.
///
/// Shapes are those of one sample, without the batch, and axes are numbered from 0 along them: an image has the axes 0 (channels),
/// 1 (rows) and 2 (columns).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// The image, `[C, H, W]`, values in 0..=1.
    Input,
    /// The same for every sample; it takes no input. Parameter `value`, of this shape.
    Constant {
        /// The shape of the output.
        shape: Vec<usize>,
    },
    /// Cross-correlation, as everybody's convolution layer. Parameters `weight` `[channels, C / groups, rows, columns]` and `bias`
    /// `[channels]`.
    Conv2d {
        /// Channels of the output.
        channels: usize,
        /// Where the weights are applied.
        window: Window,
        /// Groups of channels that do not see each other; divides both numbers of channels.
        groups: usize,
        /// Whether a constant is added to each channel.
        bias: bool,
    },
    /// `x Wᵀ + b` along the last axis, `[.., D]`. Parameters `weight` `[features, D]` and `bias` `[features]`.
    Linear {
        /// Length of the output's last axis.
        features: usize,
        /// Whether a constant is added to each feature.
        bias: bool,
    },
    /// The product of two stacks of matrices, `[.., m, k]` and `[.., k, n]`, which are equal before the matrices.
    MatMul,
    /// Batch normalisation of each channel (arXiv 1502.03167). Parameters `weight`, `bias`, `running_mean` and `running_var`, each `[C]`.
    BatchNorm {
        /// Added to the variance.
        eps: f64,
        /// Share of the newest batch in the running mean and variance.
        momentum: f64,
    },
    /// Layer normalisation (arXiv 1607.06450). Parameters `weight` and `bias`, each of the shape of the last `axes` axes.
    LayerNorm {
        /// How many axes, the last ones, are normalised together.
        axes: usize,
        /// Added to the variance.
        eps: f64,
    },
    /// A function of each value on its own.
    Activation {
        /// Which.
        function: Activation,
    },
    /// `exp(x)` divided by its sum along an axis.
    Softmax {
        /// Along which the values sum to 1.
        axis: usize,
    },
    /// The largest value under the window; the border never wins. Of equal values the first in row-major order is the winner.
    MaxPool {
        /// What is pooled.
        window: Window,
    },
    /// The mean under the window.
    AvgPool {
        /// What is pooled.
        window: Window,
        /// Whether the border counts.
        border: Border,
    },
    /// The mean over some axes, which are gone then; at least one stays.
    Mean {
        /// Ascending.
        axes: Vec<usize>,
    },
    /// The sum of its inputs, broadcast to each other as in numpy.
    Add,
    /// The product of two inputs, value by value, broadcast to each other as in numpy.
    Mul,
    /// Its inputs, one after the other along an axis.
    Concat {
        /// The axis; that of the channels is 0.
        axis: usize,
    },
    /// A part of its input along an axis.
    Slice {
        /// The axis.
        axis: usize,
        /// The first place that stays.
        start: usize,
        /// How many places stay.
        len: usize,
    },
    /// Its input with a margin of one value.
    Pad {
        /// How much wider each axis becomes at its beginning.
        before: Vec<usize>,
        /// How much wider each axis becomes at its end.
        after: Vec<usize>,
        /// The value.
        value: f64,
    },
    /// Its input with the axes in another order.
    Transpose {
        /// For each axis of the output, which of the input it is.
        order: Vec<usize>,
    },
    /// The same values in another shape.
    Reshape {
        /// The shape of the output.
        shape: Vec<usize>,
    },
    /// All values on one axis, `[C, H, W]` as `[C H W]`.
    Flatten,
    /// A larger image.
    Upsample {
        /// How many times as many rows and columns.
        factor: [usize; 2],
        /// What new pixels are.
        mode: Interpolation,
    },
    /// In training, zeroes values with probability `p` and divides the others by `1 - p`; otherwise nothing.
    Dropout {
        /// Probability that a value is zeroed, below 1.
        p: f64,
    },
}

/// What the pixels of a larger image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The pixel that they lie in.
    Nearest,
    /// Between the centres of the nearest two each way in proportion; beyond the outermost centres, those.
    Bilinear,
}

impl Op {
    /// The rectifier.
    pub const RELU: Self = Self::Activation { function: Activation::Relu };

    /// A convolution with bias, in one group.
    pub const fn conv(channels: usize, window: Window) -> Self {
        Self::Conv2d { channels, window, groups: 1, bias: true }
    }

    /// A linear layer with bias.
    pub const fn linear(features: usize) -> Self {
        Self::Linear { features, bias: true }
    }

    /// An average pool whose border counts as zeros.
    pub const fn avg_pool(window: Window) -> Self {
        Self::AvgPool { window, border: Border::Counted }
    }

    /// Batch normalisation with PyTorch's defaults.
    pub const fn batch_norm() -> Self {
        Self::BatchNorm { eps: 1e-5, momentum: 0.1 }
    }

    /// Whether it multiplies its input with weights.
    pub const fn is_weighted(&self) -> bool {
        matches!(self, Self::Conv2d { .. } | Self::Linear { .. })
    }

    /// The shape of its output for inputs of these shapes, or what is wrong.
    pub(crate) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let wanted = match self {
            Self::Input | Self::Constant { .. } => 0..=0,
            Self::Add | Self::Concat { .. } => 2..=usize::MAX,
            Self::Mul | Self::MatMul => 2..=2,
            _ => 1..=1,
        };
        if !wanted.contains(&inputs.len()) {
            return Err(format!("{} inputs", inputs.len()));
        }
        match (self, inputs) {
            (Self::Input, _) => Err("a graph has one input, and it is there already".into()),
            (Self::Constant { shape }, _) if shape.is_empty() || shape.contains(&0) => Err(format!("{shape:?} has no values")),
            (Self::Constant { shape }, _) => Ok(shape.clone()),
            (&Self::Conv2d { channels, window, groups, .. }, &[&[c, h, w]]) => {
                if groups == 0 || channels == 0 || c % groups != 0 || channels % groups != 0 {
                    return Err(format!("{groups} groups do not divide {c} channels into {channels}"));
                }
                windowed(channels, [h, w], window)
            }
            (&(Self::MaxPool { window } | Self::AvgPool { window, .. }), &[&[c, h, w]]) => {
                if window.dilation != [1; 2] {
                    return Err("pools know no dilation".into());
                }
                let shape = windowed(c, [h, w], window)?;
                if window.always_sees([h, w]) { Ok(shape) } else { Err(format!("from some positions {window:?} sees nothing but border")) }
            }
            (Self::Linear { features: 0, .. }, _) => Err("no output features".into()),
            (&Self::Linear { features, .. }, [[before @ .., _]]) => Ok([before, &[features]].concat()),
            (Self::MatMul, [[others @ .., m, k], [same @ .., l, n]]) if others == same && k == l => Ok([others, &[*m, *n]].concat()),
            (Self::MatMul, [a, b]) => Err(format!("cannot multiply matrices {a:?} with {b:?}")),
            (&Self::BatchNorm { eps, momentum }, [x]) if eps > 0.0 && (0.0..=1.0).contains(&momentum) => Ok(x.to_vec()),
            (Self::BatchNorm { eps, momentum }, _) => Err(format!("eps {eps} is not positive or momentum {momentum} not in 0..=1")),
            (&Self::LayerNorm { axes, eps }, [x]) if (1..=x.len()).contains(&axes) && eps > 0.0 => Ok(x.to_vec()),
            (Self::LayerNorm { axes, eps }, [x]) => Err(format!("eps {eps} is not positive, or {x:?} has no {axes} axes to normalise")),
            (Self::Activation { function }, [x]) if function.is_valid() => Ok(x.to_vec()),
            (Self::Activation { function }, _) => Err(format!("the numbers of {function:?} are infinite or in the wrong order")),
            (&Self::Softmax { axis }, [x]) => has_axis(x, axis).map(|()| x.to_vec()),
            (Self::Mean { axes }, [x]) => {
                axes.iter().try_for_each(|&axis| has_axis(x, axis))?;
                if axes.len() >= x.len() || !axes.is_sorted_by(|a, b| a < b) {
                    return Err(format!("{axes:?} are not ascending axes that leave one of {x:?}"));
                }
                Ok((0..x.len()).filter(|axis| !axes.contains(axis)).map(|axis| x[axis]).collect())
            }
            (Self::Add | Self::Mul, [first, rest @ ..]) => rest.iter().try_fold(first.to_vec(), |shape, other| broadcast(&shape, other)),
            (&Self::Concat { axis }, [first, rest @ ..]) => {
                has_axis(first, axis)?;
                let others =
                    |x: &[usize]| x.iter().enumerate().filter(|(side, _)| *side != axis).map(|(_, size)| *size).collect::<Vec<_>>();
                if let Some(other) = rest.iter().find(|x| x.len() != first.len() || others(x) != others(first)) {
                    return Err(format!("joins {first:?} and {other:?}, which differ beyond axis {axis}"));
                }
                let mut shape = first.to_vec();
                shape[axis] = inputs.iter().fold(0, |sum, x| sum.saturating_add(x[axis]));
                Ok(shape)
            }
            (&Self::Slice { axis, start, len }, [x]) => {
                has_axis(x, axis)?;
                if len == 0 || start.checked_add(len).is_none_or(|end| end > x[axis]) {
                    return Err(format!("there are no {len} places from {start} on along axis {axis} of {x:?}"));
                }
                let mut shape = x.to_vec();
                shape[axis] = len;
                Ok(shape)
            }
            (Self::Pad { before, after, value }, [x]) => {
                if before.len() != x.len() || after.len() != x.len() || !value.is_finite() {
                    return Err(format!("margins {before:?} and {after:?} of {value} do not fit {x:?}"));
                }
                Ok(x.iter()
                    .zip(before.iter().zip(after))
                    .map(|(size, (before, after))| size.saturating_add(*before).saturating_add(*after))
                    .collect())
            }
            (Self::Transpose { order }, [x]) => {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if !sorted.into_iter().eq(0..x.len()) {
                    return Err(format!("{order:?} is no order of the axes of {x:?}"));
                }
                Ok(order.iter().map(|&axis| x[axis]).collect())
            }
            (Self::Reshape { shape }, [x]) => {
                if shape.is_empty() || shape.contains(&0) || size(shape) != size(x) {
                    return Err(format!("the values of {x:?} do not make {shape:?}"));
                }
                Ok(shape.clone())
            }
            (Self::Flatten, [x]) => Ok(vec![x.iter().product()]),
            (Self::Upsample { factor, .. }, _) if factor.contains(&0) => Err("its factors must be positive".into()),
            (&Self::Upsample { factor, .. }, &[&[c, h, w]]) => Ok(vec![c, h.saturating_mul(factor[0]), w.saturating_mul(factor[1])]),
            (&Self::Dropout { p }, [x]) if (0.0..1.0).contains(&p) => Ok(x.to_vec()),
            (Self::Dropout { p }, _) => Err(format!("p = {p} is not in 0..1")),
            (_, x) => Err(format!("takes [channels, height, width], not {:?}", x[0])),
        }
    }
}

fn windowed(channels: usize, size: [usize; 2], window: Window) -> Result<Vec<usize>, String> {
    if !window.is_valid() {
        return Err(format!("kernel, stride and dilation must be positive: {window:?}"));
    }
    match window.positions(size) {
        Some([h, w]) => Ok(vec![channels, h, w]),
        None => Err(format!("a window of {:?} pixels does not fit into {size:?}", window.extent())),
    }
}

/// Number of values of a shape, unless it is larger than any net needs: what claims more must not be asked of memory.
pub(crate) fn size(shape: &[usize]) -> Option<usize> {
    const MOST: usize = 1 << 30;
    let size = shape.iter().try_fold(1, |size: usize, axis| size.checked_mul(*axis));
    size.filter(|size| *size <= MOST)
}

fn has_axis(x: &[usize], axis: usize) -> Result<(), String> {
    if axis < x.len() { Ok(()) } else { Err(format!("{x:?} has no axis {axis}")) }
}

/// The shape that two shapes become in numpy's broadcasting: aligned at their ends, where one has 1 or nothing the other counts.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let from_end = |x: &[usize], place: usize| x.len().checked_sub(place).map_or(1, |axis| x[axis]);
    let sizes = (1..=a.len().max(b.len())).rev().map(|place| match (from_end(a, place), from_end(b, place)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(format!("{a:?} and {b:?} cannot be broadcast to each other")),
    });
    sizes.collect()
}
