//! A rule made ready for one layer.

use bezoar_nn::ops::{Form, Stabilizer};
use bezoar_nn::{Array, Graph, Network, NodeId, Op, ops};
use candle_core::{Result, Tensor, bail};

use crate::Rule;
use crate::operator::Operator;
use crate::rule::{Input, Outputs, Share, Term};

/// How one layer hands relevance on, with all that does not depend on the image prepared.
#[derive(Debug)]
pub(crate) enum Step {
    /// As it is.
    Pass,
    /// Times the layer's derivative, which takes values that are only moved back to their places; `guided`, no negative relevance.
    Gradient { guided: bool },
    /// To each input, `parts` times what it contributes to the output as the layer stands: its value times the derivative.
    Proportional { parts: Vec<f64>, stabilizer: Stabilizer },
    /// In shares of sums.
    Shares { shares: Vec<PreparedShare>, stabilizer: Stabilizer },
}

/// A share with the weights that its terms use.
#[derive(Debug)]
pub(crate) struct PreparedShare {
    pub(crate) factor: f64,
    pub(crate) of: Outputs,
    pub(crate) terms: Vec<PreparedTerm>,
}

#[derive(Debug)]
pub(crate) struct PreparedTerm {
    term: Term,
    operator: Operator,
    pub(crate) bias: Option<Tensor>,
    constant: Option<Constant>,
}

/// What a term that sees no image sees and gives, for one image: `[1, ...]`.
#[derive(Debug)]
struct Constant {
    input: Array,
    output: Array,
}

/// A layer, and what it saw and gave.
pub(crate) struct Seen<'a> {
    pub(crate) network: &'a Network,
    pub(crate) id: NodeId,
    pub(crate) inputs: &'a [&'a Array],
    pub(crate) output: &'a Array,
    /// Whether no input is negative anywhere.
    pub(crate) nonnegative: bool,
    /// Whether negative outputs were zeroed, which is done where they have no relevance.
    pub(crate) rectified: bool,
}

/// The least and the most that a layer's input can be, for one image: `[1, ...]`.
pub(crate) type Bounds = [Array; 2];

impl Step {
    /// `rule` for a layer that it suits. `bounds` are asked for if the rule needs them.
    pub(crate) fn prepare(
        rule: Rule,
        stabilizer: Stabilizer,
        network: &Network,
        id: NodeId,
        bounds: impl Fn() -> Result<Bounds>,
    ) -> Result<Self> {
        Ok(match rule {
            Rule::Pass => Self::Pass,
            Rule::Route | Rule::Gradient | Rule::Guided => Self::Gradient { guided: rule == Rule::Guided },
            Rule::Norm => Self::Proportional { parts: vec![1.0; network.graph().node(id).inputs.len()], stabilizer },
            Rule::Uniform => Self::Proportional { parts: equal_parts(network.graph(), id), stabilizer },
            Rule::Taylor => Self::Proportional { parts: vec![1.0], stabilizer: Stabilizer { epsilon: 0.0, form: Form::Add } },
            _ => {
                let prepare = |share: Share| {
                    let terms = share.terms.into_iter().map(|term| PreparedTerm::new(term, network, id, &bounds));
                    Ok(PreparedShare { factor: share.factor, of: share.of, terms: terms.collect::<Result<_>>()? })
                };
                Self::Shares { shares: rule.shares().into_iter().map(prepare).collect::<Result<_>>()?, stabilizer }
            }
        })
    }

    /// The relevance of each input, from that of the output.
    pub(crate) fn back(&self, seen: &Seen<'_>, relevance: &Array) -> Result<Vec<Array>> {
        match self {
            Self::Pass => Ok(vec![relevance.clone()]),
            Self::Gradient { guided } => {
                let gradients = seen.network.pull_back(seen.id, seen.inputs, seen.output, relevance)?;
                if *guided { gradients.iter().map(ops::relu).collect() } else { Ok(gradients) }
            }
            Self::Proportional { parts, stabilizer } => {
                let share = ops::stabilized_ratio(relevance, seen.output, *stabilizer)?;
                let derivatives = match seen.network.graph().node(seen.id).op {
                    Op::LayerNorm { eps, .. } => {
                        vec![ops::layer_norm_backward_centered(seen.inputs[0], &share, seen.network.weight(seen.id)?, eps)?]
                    }
                    _ => seen.network.pull_back(seen.id, seen.inputs, seen.output, &share)?,
                };
                let give = |((input, derivative), part): ((&&Array, &Array), &f64)| {
                    let given = ops::product(input, derivative)?;
                    if (*part - 1.0).abs() > 0.0 { ops::scale(&given, *part) } else { Ok(given) }
                };
                seen.inputs.iter().zip(&derivatives).zip(parts).map(give).collect()
            }
            Self::Shares { shares, stabilizer } => {
                let counting = shares.iter().filter(|share| !(seen.rectified && share.of == Outputs::Negative));
                let parts = counting.map(|share| share.back(seen, relevance, *stabilizer)).collect::<Result<Vec<_>>>()?;
                (0..seen.inputs.len()).map(|input| sum(parts.iter().map(|part| Ok(part[input].clone())))).collect()
            }
        }
    }
}

/// Equal parts for the inputs that depend on the image.
fn equal_parts(graph: &Graph, id: NodeId) -> Vec<f64> {
    let mut depends = vec![false; graph.nodes().len()];
    for id in graph.ids() {
        let node = graph.node(id);
        depends[id.index()] = node.op == Op::Input || node.inputs.iter().any(|input| depends[input.index()]);
    }
    let inputs: Vec<bool> = graph.node(id).inputs.iter().map(|input| depends[input.index()]).collect();
    let count = inputs.iter().filter(|depends| **depends).count().max(1) as f64;
    inputs.into_iter().map(|depends| if depends { 1.0 / count } else { 0.0 }).collect()
}

impl PreparedShare {
    fn back(&self, seen: &Seen<'_>, relevance: &Array, stabilizer: Stabilizer) -> Result<Vec<Array>> {
        let terms = self.terms(seen);
        let (relevance, denominator) = (self.own(seen, relevance)?, self.denominator(seen)?);
        if let ([only], [input], Form::Add) = (terms.as_slice(), seen.inputs, stabilizer.form)
            && let (Operator::Conv2d(convolution), None) = (&only.operator, &only.constant)
            && stabilizer.epsilon > 0.0
        {
            let input = only.input(input, seen.nonnegative)?;
            return Ok(vec![convolution.relevance(&relevance, &denominator, stabilizer.epsilon, &input)?]);
        }
        let share = ops::stabilized_ratio(&relevance, &denominator, stabilizer)?;
        seen.inputs.iter().map(|input| sum(terms.iter().map(|term| term.give(input, &share, seen.nonnegative)))).collect()
    }

    /// The terms that are not 0 whatever the weights.
    fn terms(&self, seen: &Seen<'_>) -> Vec<&PreparedTerm> {
        self.terms.iter().filter(|term| !(seen.nonnegative && term.term.input == Input::Negative)).collect()
    }

    /// The relevance that these outputs share out.
    pub(crate) fn own(&self, seen: &Seen<'_>, relevance: &Array) -> Result<Array> {
        let gated = match self.of {
            Outputs::Positive if !seen.rectified => ops::relu_backward(seen.output, relevance)?,
            Outputs::Negative => ops::relu_backward(&ops::scale(seen.output, -1.0)?, relevance)?,
            _ => relevance.clone(),
        };
        if (self.factor - 1.0).abs() > 0.0 { ops::scale(&gated, self.factor) } else { Ok(gated) }
    }

    /// What the terms give together.
    pub(crate) fn denominator(&self, seen: &Seen<'_>) -> Result<Array> {
        sum(self.terms(seen).iter().map(|term| term.output(seen)))
    }
}

fn sum(mut terms: impl Iterator<Item = Result<Array>>) -> Result<Array> {
    let Some(first) = terms.next() else { bail!("a rule without terms") };
    terms.try_fold(first?, |sum, term| ops::add(&sum, &term?, false))
}

impl PreparedTerm {
    fn new(term: Term, network: &Network, id: NodeId, bounds: &impl Fn() -> Result<Bounds>) -> Result<Self> {
        let (operator, bias) = Operator::of(network, id, term.weight, term.bias)?;
        let input = match term.input {
            Input::One => {
                let graph = network.graph();
                let shape = [&[1], graph.shape(graph.node(id).inputs[0])].concat();
                Some(Array::new(&Tensor::ones(shape, network.dtype(), network.device())?, &bezoar_nn::Memory::default())?)
            }
            Input::Low => Some(bounds()?[0].clone()),
            Input::High => Some(bounds()?[1].clone()),
            Input::Whole | Input::Positive | Input::Negative | Input::Squared => None,
        };
        let constant = input.map(|input| Ok::<_, candle_core::Error>(Constant { output: operator.forward(&input, bias.as_ref())?, input }));
        Ok(Self { term, operator, bias, constant: constant.transpose()? })
    }

    /// What it sees of an input that may be known to have no negative values.
    fn input(&self, input: &Array, nonnegative: bool) -> Result<Array> {
        match (&self.constant, self.term.input) {
            (Some(constant), _) => ops::repeat(&constant.input, input.dims()[0]),
            (None, Input::Positive) if nonnegative => Ok(input.clone()),
            (None, Input::Positive) => ops::relu(input),
            (None, Input::Negative) => ops::negative_part(input),
            (None, Input::Squared) => ops::product(input, input),
            (None, _) => Ok(input.clone()),
        }
    }

    /// What it gives, with its sign.
    fn output(&self, seen: &Seen<'_>) -> Result<Array> {
        let output = match &self.constant {
            _ if self.term == Term::WHOLE => Ok(seen.output.clone()),
            Some(constant) => ops::repeat(&constant.output, seen.output.dims()[0]),
            None => self.operator.forward(&self.input(seen.inputs[0], seen.nonnegative)?, self.bias.as_ref()),
        }?;
        self.signed(output)
    }

    /// The relevance that an input gets through this term when each unit of output is worth `share`.
    fn give(&self, input: &Array, share: &Array, nonnegative: bool) -> Result<Array> {
        let back = self.operator.transposed(share, input.dims())?;
        match self.term.input {
            Input::One => self.signed(back),
            _ => self.signed(ops::product(&self.input(input, nonnegative)?, &back)?),
        }
    }

    /// Values of one image's output, `[N, ...]`, that have a bias in common and follow each other.
    pub(crate) fn alike(&self, output: &[usize]) -> usize {
        if matches!(self.operator, Operator::Linear(_)) { 1 } else { output[2..].iter().product() }
    }

    pub(crate) fn sign(&self) -> f64 {
        self.term.sign
    }

    fn signed(&self, values: Array) -> Result<Array> {
        if self.term.sign < 0.0 { ops::scale(&values, self.term.sign) } else { Ok(values) }
    }
}
