//! Reverse-mode differentiation along the graph.
//!
//! A recorded pass keeps what each node gave; the backward pass walks the nodes in reverse and applies each op's exact
//! vector-Jacobian product. This replaces candle's autograd, whose pools have wrong gradients, whose convolutions are slow on
//! the CPU, and which adds every gradient to a tensor of zeros first.

use std::collections::BTreeMap;

use bezoar_core::{Error, Result};
use candle_core::Tensor;

use crate::graph::{NodeId, Op};
use crate::ops::Moments;
use crate::{AtPlace, Network, ops};

/// How batch norm and dropout behave in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Running statistics, no dropout.
    Use,
    /// The batch's own statistics, and dropout from the stream of this seed.
    Training {
        /// Another one in every step.
        seed: u64,
    },
}

/// What each node gave in a pass, kept for the way back.
#[derive(Debug)]
pub struct Tape {
    mode: Mode,
    outputs: Vec<Tensor>,
    moments: BTreeMap<NodeId, Moments>,
}

impl Tape {
    /// What the last node gave: the scores.
    ///
    /// # Errors
    /// Never, for a tape of [`Network::record`].
    pub fn scores(&self) -> Result<&Tensor> {
        self.outputs.last().ok_or_else(|| Error::request("an empty pass"))
    }

    /// The moments of the batch at each batch norm, for its running statistics; empty outside training.
    pub fn moments(&self) -> &BTreeMap<NodeId, Moments> {
        &self.moments
    }
}

/// What a backward pass is for; the rest is not computed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Parameters,
    Images,
}

/// The gradients of a node: to each input, where wanted, and to parameters by `weight` or `bias`.
#[derive(Default)]
struct Local {
    inputs: Vec<Tensor>,
    parameters: Vec<(&'static str, Tensor)>,
}

impl Network {
    /// Passes images `[N, C, H, W]` through the net and keeps what each node gives.
    pub fn record(&self, images: &Tensor, mode: Mode) -> Result<Tape> {
        let graph = self.graph();
        let mut tape = Tape { mode, outputs: Vec::with_capacity(graph.nodes().len()), moments: BTreeMap::new() };
        for id in graph.ids() {
            let node = graph.node(id);
            let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &tape.outputs[input.index()]).collect();
            let output = match (node.op, mode) {
                (Op::BatchNorm { eps, .. }, Mode::Training { .. }) => {
                    let moments = ops::channel_moments(inputs[0]).at(&node.name)?;
                    let affine = self.batch_normal(&moments, eps).and_then(|normal| self.norm_affine(id, normal));
                    let output = affine.and_then(|[scale, shift]| ops::channel_affine(inputs[0], &scale, &shift)).at(&node.name)?;
                    tape.moments.insert(id, moments);
                    output
                }
                (Op::Dropout { p }, Mode::Training { seed }) => ops::dropout(inputs[0], p, [seed, id.index() as u64]).at(&node.name)?,
                _ => self.evaluate(id, images, &inputs)?,
            };
            tape.outputs.push(output);
        }
        Ok(tape)
    }

    /// The gradients of a loss to all trained parameters, by name, from its gradient to the scores.
    pub fn parameter_gradients(&self, tape: Tape, scores: &Tensor) -> Result<BTreeMap<String, Tensor>> {
        Ok(self.backward(tape, scores, Wanted::Parameters)?.1)
    }

    /// The gradient of a loss to the images, from its gradient to the scores.
    pub fn image_gradient(&self, tape: Tape, scores: &Tensor) -> Result<Tensor> {
        self.backward(tape, scores, Wanted::Images)?.0.ok_or_else(|| Error::request("the scores do not depend on the images"))
    }

    fn backward(&self, mut tape: Tape, scores: &Tensor, wanted: Wanted) -> Result<(Option<Tensor>, BTreeMap<String, Tensor>)> {
        let graph = self.graph();
        if scores.dims() != tape.scores()?.dims() {
            return Err(Error::request(format!("a gradient {:?} for scores {:?}", scores.dims(), tape.scores()?.dims())));
        }
        let needed = self.needed(wanted);
        let mut parameters = BTreeMap::new();
        let mut gradients: Vec<Option<Tensor>> = vec![None; graph.nodes().len()];
        gradients[graph.output().index()] = Some(scores.clone());
        for id in graph.ids().skip(1).rev() {
            let output = tape.outputs.pop();
            let (Some(output), Some(gradient), true) = (output, gradients[id.index()].take(), needed[id.index()]) else { continue };
            let node = graph.node(id);
            let passes_on = node.inputs.iter().any(|input| needed[input.index()]);
            let local = self.local_gradients(id, &tape, &output, &gradient, wanted, passes_on).at(&node.name)?;
            for (what, gradient) in local.parameters {
                parameters.insert(format!("{}.{what}", node.name), gradient);
            }
            for (&input, gradient) in node.inputs.iter().zip(local.inputs) {
                let sum = &mut gradients[input.index()];
                *sum = Some(match sum.take() {
                    Some(sum) => ops::add(&sum, &gradient).at(&node.name)?,
                    None => gradient,
                });
            }
        }
        Ok((gradients.swap_remove(0), parameters))
    }

    /// The nodes through which the backward pass goes.
    fn needed(&self, wanted: Wanted) -> Vec<bool> {
        let mut needed: Vec<bool> = Vec::with_capacity(self.graph().nodes().len());
        for id in self.graph().ids() {
            let node = self.graph().node(id);
            let own = match wanted {
                Wanted::Images => node.op == Op::Input,
                Wanted::Parameters => !self.graph().parameters_of(id).is_empty(),
            };
            needed.push(own || node.inputs.iter().any(|input| needed[input.index()]));
        }
        needed
    }

    fn local_gradients(&self, id: NodeId, tape: &Tape, y: &Tensor, dy: &Tensor, wanted: Wanted, passes_on: bool) -> candle_core::Result<Local> {
        let node = self.graph().node(id);
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &tape.outputs[input.index()]).collect();
        let x = inputs[0];
        let side = || Ok::<_, candle_core::Error>([x.dim(2)?, x.dim(3)?]);
        let mut local = Local::default();
        if let (Op::Conv2d { bias: true, .. } | Op::Linear { bias: true, .. }, Wanted::Parameters) = (node.op, wanted) {
            local.parameters.push(("bias", ops::channel_sums(dy)?));
        }
        match (node.op, wanted) {
            (Op::Conv2d { window, groups, .. }, Wanted::Parameters) => {
                local.parameters.push(("weight", ops::conv2d_backward_weight(x, dy, window, groups)?));
            }
            (Op::Linear { .. }, Wanted::Parameters) => local.parameters.push(("weight", ops::linear_backward_weight(x, dy)?)),
            _ => {}
        }
        if !passes_on && node.op.is_weighted() {
            return Ok(local);
        }
        local.inputs = match node.op {
            Op::Input => Vec::new(),
            Op::Conv2d { window, groups, .. } => vec![ops::conv2d_backward_input(dy, self.weight(id)?, side()?, window, groups)?],
            Op::Linear { .. } => vec![ops::linear_backward_input(dy, self.weight(id)?)?],
            Op::BatchNorm { eps, .. } => match tape.moments.get(&id) {
                Some(moments) => {
                    let [dx, weight, bias] = ops::batch_norm_backward(x, dy, moments, eps, self.weight(id)?)?;
                    local.parameters.extend([("weight", weight), ("bias", bias)]);
                    vec![dx]
                }
                None => {
                    let [scale, shift] = self.running_affine(id, eps)?;
                    if wanted == Wanted::Parameters {
                        let [deviation, center] = self.running_normal(id, eps)?;
                        let normal = ops::channel_affine(x, &deviation, &center)?;
                        let weight = ops::channel_sums(&(dy * normal)?)?;
                        local.parameters.extend([("weight", weight), ("bias", ops::channel_sums(dy)?)]);
                    }
                    vec![ops::channel_affine(dy, &scale, &shift.zeros_like()?)?]
                }
            },
            Op::Relu => vec![ops::relu_backward(y, dy)?],
            Op::MaxPool { window } => vec![ops::max_pool2d_backward(x, dy, window)?],
            Op::AvgPool { window } => vec![ops::avg_pool2d_backward(dy, side()?, window)?],
            Op::Add => vec![dy.clone(); inputs.len()],
            Op::Concat => ops::split(dy, &inputs.iter().map(|input| input.dim(1)).collect::<candle_core::Result<Vec<_>>>()?)?,
            Op::Flatten => vec![dy.reshape(x.dims())?],
            Op::Dropout { p } => vec![match tape.mode {
                Mode::Training { seed } => ops::dropout(dy, p, [seed, id.index() as u64])?,
                Mode::Use => dy.clone(),
            }],
        };
        Ok(local)
    }
}
