//! A rule made ready for one layer.

use bezoar_nn::ops::Convolution;
use bezoar_nn::{Array, Network, NodeId, Op, Window, ops};
use candle_core::{Result, Tensor, bail};

use crate::{Part, Rule, Term};

/// How one layer hands relevance on, with all that does not depend on the image prepared.
#[derive(Debug)]
pub(crate) enum Step {
    /// As it is.
    Pass,
    /// To the winner of each window.
    MaxPool(Window),
    /// To each joined part its own.
    Concat,
    /// To the same value in another shape.
    Flatten,
    /// In shares of a sum.
    Share { map: Map, terms: Vec<Prepared>, stabilizer: f64 },
}

/// A layer whose output is a weighted sum of its input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Map {
    Conv2d,
    Linear,
    Affine,
    AvgPool(Window),
    Sum,
}

/// A term of a rule with the weights that it uses.
#[derive(Debug)]
pub(crate) struct Prepared {
    term: Term,
    convolution: Option<Convolution>,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
}

/// What one layer saw and gave.
pub(crate) struct Seen<'a> {
    pub(crate) inputs: &'a [&'a Array],
    pub(crate) output: &'a Array,
    /// Whether no input is negative anywhere.
    pub(crate) nonnegative: bool,
}

impl Step {
    /// `rule`, with this ε in its denominator, for a layer that it suits.
    pub(crate) fn prepare(rule: Rule, stabilizer: f64, network: &Network, id: NodeId) -> Result<Self> {
        let map = match (rule, network.graph().node(id).op) {
            (Rule::Pass, _) => return Ok(Self::Pass),
            (_, Op::MaxPool { window }) => return Ok(Self::MaxPool(window)),
            (_, Op::Concat) => return Ok(Self::Concat),
            (_, Op::Flatten) => return Ok(Self::Flatten),
            (_, Op::Conv2d { .. }) => Map::Conv2d,
            (_, Op::Linear { .. }) => Map::Linear,
            (_, Op::BatchNorm { .. }) => Map::Affine,
            (_, Op::AvgPool { window }) => Map::AvgPool(window),
            (_, Op::Add) => Map::Sum,
            (_, op @ (Op::Input | Op::Relu | Op::Dropout { .. })) => bail!("{rule:?} does not suit {op:?}"),
        };
        let [weight, bias] = match network.graph().node(id).op {
            Op::BatchNorm { eps, .. } => network.running_affine(id, eps)?.map(Some),
            _ => ["weight", "bias"].map(|what| network.parameter(id, what).cloned()),
        };
        let prepare = |&term: &Term| {
            let weight = weight.as_ref().map(|weight| term.weight.of(weight)).transpose()?;
            let bias = term.bias.zip(bias.as_ref()).map(|(part, bias)| part.of(bias)).transpose()?;
            let convolution = match (network.graph().node(id).op, &weight) {
                (Op::Conv2d { window, groups, .. }, Some(weight)) => Some(Convolution::new(weight.clone(), window, groups)),
                _ => None,
            };
            Ok(Prepared { term, convolution, weight, bias })
        };
        let terms = rule.terms().iter().map(prepare).collect::<Result<_>>()?;
        Ok(Self::Share { map, terms, stabilizer })
    }

    /// The relevance of each input, from that of the output.
    pub(crate) fn back(&self, seen: &Seen<'_>, relevance: &Array) -> Result<Vec<Array>> {
        let input = seen.inputs[0];
        match self {
            Self::Pass => Ok(vec![relevance.clone()]),
            Self::MaxPool(window) => Ok(vec![ops::max_pool2d_backward(input, relevance, *window)?]),
            Self::Concat => ops::split(relevance, &seen.inputs.iter().map(|input| input.dims()[1]).collect::<Vec<_>>()),
            Self::Flatten => Ok(vec![relevance.reshape(input.dims())?]),
            Self::Share { map, terms, stabilizer } => {
                let terms: Vec<&Prepared> = terms.iter().filter(|term| !(seen.nonnegative && term.term.input == Part::Negative)).collect();
                let denominator = denominator(*map, &terms, seen)?;
                if let (Map::Conv2d, [only]) = (map, terms.as_slice()) {
                    let input = only.term.input.of_input(input, seen.nonnegative)?;
                    return Ok(vec![only.convolution()?.relevance(relevance, &denominator, *stabilizer, &input)?]);
                }
                let share = ops::stabilized_ratio(relevance, &denominator, *stabilizer)?;
                seen.inputs.iter().map(|input| sum(terms.iter().map(|term| term.give(*map, input, &share, seen.nonnegative)))).collect()
            }
        }
    }
}

/// What the terms of a rule give together.
fn denominator(map: Map, terms: &[&Prepared], seen: &Seen<'_>) -> Result<Array> {
    match terms {
        [only] if only.term == Term::WHOLE => Ok(seen.output.clone()),
        _ => sum(terms.iter().map(|term| map.forward(&term.term.input.of_input(seen.inputs[0], seen.nonnegative)?, term))),
    }
}

fn sum(mut terms: impl Iterator<Item = Result<Array>>) -> Result<Array> {
    let Some(first) = terms.next() else { bail!("a rule without terms") };
    terms.try_fold(first?, |sum, term| ops::add(&sum, &term?, false))
}

impl Prepared {
    /// The relevance that an input gets through this term when each unit of output is worth `share`.
    fn give(&self, map: Map, input: &Array, share: &Array, nonnegative: bool) -> Result<Array> {
        ops::product(&self.term.input.of_input(input, nonnegative)?, &map.transposed(share, input.dims(), self)?)
    }

    fn convolution(&self) -> Result<&Convolution> {
        self.convolution.as_ref().ok_or_else(|| candle_core::Error::Msg("is no convolution".into()))
    }

    fn weight(&self) -> Result<&Tensor> {
        self.weight.as_ref().ok_or_else(|| candle_core::Error::Msg("has no weight".into()))
    }
}

impl Map {
    fn forward(self, x: &Array, term: &Prepared) -> Result<Array> {
        let bias = term.bias.as_ref();
        match self {
            Self::Conv2d => term.convolution()?.forward(x, bias, false),
            Self::Linear => ops::linear(x, term.weight()?, bias),
            Self::Affine | Self::AvgPool(_) | Self::Sum => bail!("no rule changes this layer"),
        }
    }

    /// The transpose of the map, without bias.
    fn transposed(self, share: &Array, input: &[usize], term: &Prepared) -> Result<Array> {
        match self {
            Self::Conv2d => term.convolution()?.backward_input(share, [input[2], input[3]]),
            Self::Linear => ops::linear_backward_input(share, term.weight()?),
            Self::Affine => ops::channel_affine(share, term.weight()?, &term.weight()?.zeros_like()?, false),
            Self::AvgPool(window) => ops::avg_pool2d_backward(share, [input[2], input[3]], window),
            Self::Sum => Ok(share.clone()),
        }
    }
}

impl Part {
    fn of(self, values: &Tensor) -> Result<Tensor> {
        match self {
            Self::Whole => Ok(values.clone()),
            Self::Positive => values.maximum(0.0),
            Self::Negative => values.minimum(0.0),
        }
    }

    /// The same of an input that may be known to have no negative values.
    fn of_input(self, values: &Array, nonnegative: bool) -> Result<Array> {
        match self {
            Self::Whole => Ok(values.clone()),
            Self::Positive if nonnegative => Ok(values.clone()),
            Self::Positive | Self::Negative => ops::side(values, self == Self::Negative),
        }
    }
}
