//! Reverse-mode differentiation along the graph.
//!
//! A recorded pass keeps what each node gave; the backward pass walks the nodes in reverse and applies each op's exact
//! vector-Jacobian product. This replaces candle's autograd, whose pools have wrong gradients, whose convolutions are slow on
//! the CPU, and which adds every gradient to a tensor of zeros first.

use std::collections::BTreeMap;

use bezoar_core::{Error, Result};
use candle_core::Tensor;

use crate::graph::NodeId;
use crate::op::Op;
use crate::ops::{BatchNorm, Moments};
use crate::{Array, AtPlace, Network, ops};

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
    outputs: Vec<Array>,
    moments: BTreeMap<NodeId, Moments>,
}

impl Tape {
    /// What the last node gave: the scores.
    ///
    /// # Errors
    /// Never, for a tape of [`Network::record`].
    pub fn scores(&self) -> Result<Tensor> {
        self.outputs.last().ok_or_else(|| Error::request("an empty pass"))?.to_tensor().at("scores")
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

/// The gradients of one node.
struct Local {
    /// To each input; none when the images are not wanted and no input depends on parameters.
    inputs: Vec<Array>,
    /// To its parameters, by what they are called.
    parameters: Vec<(&'static str, Array)>,
}

impl Network {
    /// Passes images `[N, C, H, W]` through the net and keeps what each node gives.
    pub fn record(&self, images: &Array, mode: Mode) -> Result<Tape> {
        let graph = self.graph();
        let mut tape = Tape { mode, outputs: Vec::with_capacity(graph.nodes().len()), moments: BTreeMap::new() };
        for id in graph.ids() {
            let node = graph.node(id);
            let inputs: Vec<&Array> = node.inputs.iter().map(|input| &tape.outputs[input.index()]).collect();
            let output = match (&node.op, mode) {
                (&Op::BatchNorm { eps, .. }, Mode::Training { .. }) => {
                    let moments = ops::channel_moments(inputs[0]).at(&node.name)?;
                    let [scale, shift] = self.batch_affine(id, &moments, eps).at(&node.name)?;
                    let output = ops::channel_affine(inputs[0], &scale, &shift, self.is_fused(id)).at(&node.name)?;
                    tape.moments.insert(id, moments);
                    output
                }
                (&Op::Dropout { p }, Mode::Training { seed }) => ops::dropout(inputs[0], p, [seed, id.index() as u64]).at(&node.name)?,
                _ => self.compute(id, images, &inputs, self.is_fused(id))?,
            };
            tape.outputs.push(output);
        }
        Ok(tape)
    }

    /// The gradients of a loss to all trained parameters, by name, from its gradient to the scores.
    pub fn parameter_gradients(&self, tape: Tape, scores: &Tensor) -> Result<BTreeMap<String, Array>> {
        Ok(self.backward(tape, scores, Wanted::Parameters)?.1)
    }

    /// The gradient of a loss to the images, from its gradient to the scores. What attribution says of gradients is held to this.
    pub fn image_gradient(&self, tape: Tape, scores: &Tensor) -> Result<Tensor> {
        let gradient = self.backward(tape, scores, Wanted::Images)?.0;
        gradient.ok_or_else(|| Error::request("the scores do not depend on the images"))?.to_tensor().at("input")
    }

    fn backward(&self, mut tape: Tape, scores: &Tensor, wanted: Wanted) -> Result<(Option<Array>, BTreeMap<String, Array>)> {
        let graph = self.graph();
        let given = tape.outputs.last().map(Array::dims).unwrap_or_default();
        if scores.dims() != given {
            return Err(Error::request(format!("a gradient {:?} for scores {given:?}", scores.dims())));
        }
        let needed = self.needed(wanted);
        let mut parameters = BTreeMap::new();
        let mut gradients: Vec<Option<Array>> = vec![None; graph.nodes().len()];
        gradients[graph.output().index()] = Some(tape.outputs[0].like(scores).at("scores")?);
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
                    Some(sum) => ops::add(&sum, &gradient, false).at(&node.name)?,
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

    fn local_gradients(
        &self,
        id: NodeId,
        tape: &Tape,
        y: &Array,
        dy: &Array,
        wanted: Wanted,
        passes_on: bool,
    ) -> candle_core::Result<Local> {
        let node = self.graph().node(id);
        let inputs: Vec<&Array> = node.inputs.iter().map(|input| &tape.outputs[input.index()]).collect();
        if let (&Op::BatchNorm { eps, .. }, Some(moments)) = (&node.op, tape.moments.get(&id)) {
            let affine = self.batch_affine(id, moments, eps)?;
            let norm = BatchNorm { moments, eps, weight: self.weight(id)?, rectified: self.is_fused(id).then_some(&affine) };
            let (dx, [dw, db]) = norm.backward(inputs[0], dy)?;
            return Ok(Local { inputs: vec![dx], parameters: vec![("weight", dw), ("bias", db)] });
        }
        let parameters = if wanted == Wanted::Parameters { self.own_gradients(id, &inputs, dy)? } else { Vec::new() };
        let inputs = if passes_on { self.input_gradients(id, tape, &inputs, y, dy)? } else { Vec::new() };
        Ok(Local { inputs, parameters })
    }

    /// The gradients to a node's own parameters; for batch norm, with its running statistics.
    fn own_gradients(&self, id: NodeId, inputs: &[&Array], dy: &Array) -> candle_core::Result<Vec<(&'static str, Array)>> {
        let shape = self.graph().shape(id);
        let (weight, bias) = match self.graph().node(id).op {
            Op::Conv2d { window, groups, bias, .. } => {
                (ops::conv2d_backward_weight(inputs[0], dy, window, groups)?, bias.then(|| ops::channel_sums(dy)).transpose()?)
            }
            Op::Linear { features, bias } => {
                let rows = dy.reshape(&[dy.len() / features, features])?;
                (ops::linear_backward_weight(inputs[0], dy)?, bias.then(|| ops::channel_sums(&rows)).transpose()?)
            }
            Op::BatchNorm { eps, .. } => {
                let [deviation, center] = self.running_normal(id, eps)?;
                let normal = ops::channel_affine(inputs[0], &deviation, &center, false)?;
                (ops::channel_sums(&ops::product(dy, &normal)?)?, Some(ops::channel_sums(dy)?))
            }
            Op::LayerNorm { axes, eps } => {
                let [weight, bias] = ops::layer_norm_backward_parameters(inputs[0], dy, &shape[shape.len() - axes..], eps)?;
                (weight, Some(bias))
            }
            Op::Constant { .. } => {
                let samples = dy.reshape(&[dy.dims()[0], shape.iter().product()])?;
                return Ok(vec![("value", ops::channel_sums(&samples)?.reshape(shape)?)]);
            }
            _ => return Ok(Vec::new()),
        };
        Ok([("weight", weight)].into_iter().chain(bias.map(|bias| ("bias", bias))).collect())
    }

    /// The gradients to a node's inputs, as this pass went.
    fn input_gradients(&self, id: NodeId, tape: &Tape, inputs: &[&Array], y: &Array, dy: &Array) -> candle_core::Result<Vec<Array>> {
        let node = self.graph().node(id);
        match (&node.op, tape.mode) {
            (&Op::RELU, _) if self.is_fused(id) && tape.moments.contains_key(&node.inputs[0]) => Ok(vec![dy.clone()]),
            (&Op::Dropout { p }, Mode::Training { seed }) => Ok(vec![ops::dropout(dy, p, [seed, id.index() as u64])?]),
            _ => self.pull_back(id, inputs, y, dy),
        }
    }

    /// The gradients to each input of a node, from that to its output: its vector-Jacobian product, as in use. `inputs` and `y` are
    /// what it saw and gave; where it [is fused](Self::is_fused), the ReLU may see what it gives.
    pub fn pull_back(&self, id: NodeId, inputs: &[&Array], y: &Array, dy: &Array) -> candle_core::Result<Vec<Array>> {
        let size = || [inputs[0].dims()[2], inputs[0].dims()[3]];
        let dx = match self.graph().node(id).op {
            Op::Input | Op::Constant { .. } => return Ok(Vec::new()),
            Op::Add => return inputs.iter().map(|input| ops::sum_to(dy, &input.dims()[1..])).collect(),
            Op::Mul => {
                let [a, b] = self.factors(id, inputs)?;
                let to = |other: &Array, input: &Array| ops::sum_to(&ops::product(dy, other)?, &input.dims()[1..]);
                return Ok(vec![to(&b, inputs[0])?, to(&a, inputs[1])?]);
            }
            Op::MatMul => return Ok(ops::matmul_backward(inputs[0], inputs[1], dy)?.into()),
            Op::Concat { axis } => {
                return ops::split(dy, &inputs.iter().map(|input| input.dims()[axis + 1]).collect::<Vec<_>>(), axis);
            }
            Op::Conv2d { .. } => self.convolution(id)?.backward_input(dy, size())?,
            Op::Linear { .. } => ops::linear_backward_input(dy, self.weight(id)?)?,
            Op::BatchNorm { eps, .. } => {
                let [scale, shift] = self.running_affine(id, eps)?;
                ops::channel_affine(dy, &scale, &shift.zeros_like()?, false)?
            }
            Op::LayerNorm { eps, .. } => ops::layer_norm_backward_input(inputs[0], dy, self.weight(id)?, eps)?,
            Op::Activation { function } => ops::activation_backward(inputs[0], dy, function)?,
            Op::Softmax { axis } => ops::softmax_backward(y, dy, axis)?,
            Op::MaxPool { window } => ops::max_pool2d_backward(inputs[0], dy, window)?,
            Op::AvgPool { window, border } => ops::avg_pool2d_backward(dy, size(), window, border)?,
            Op::Mean { ref axes } => ops::mean_backward(dy, &inputs[0].dims()[1..], axes)?,
            Op::Slice { axis, start, len } => {
                let (mut before, mut after) = (vec![0; inputs[0].dims().len() - 1], vec![0; inputs[0].dims().len() - 1]);
                (before[axis], after[axis]) = (start, inputs[0].dims()[axis + 1] - start - len);
                ops::pad(dy, &before, &after, 0.0)?
            }
            Op::Pad { ref before, ref after, .. } => ops::crop(dy, before, after)?,
            Op::Transpose { ref order } => ops::transpose(dy, &ops::inverse(order))?,
            Op::Flatten | Op::Reshape { .. } => dy.reshape(inputs[0].dims())?,
            Op::Upsample { factor, mode } => ops::upsample_backward(dy, factor, mode)?,
            Op::Dropout { .. } => dy.clone(),
        };
        Ok(vec![dx])
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::testing::{array, attentive, both_ways, check_gradient, distance, dot, net, random};

    #[test]
    fn gradients_of_a_whole_net_equal_finite_differences() {
        check_gradients(&net(DType::F64));
    }

    #[test]
    fn gradients_of_attention_equal_finite_differences() {
        check_gradients(&attentive(DType::F64));
    }

    fn check_gradients(net: &Network) {
        let [channels, height, width] = net.graph().input();
        let (images, scores) = (random(1, &[5, channels, height, width]), random(2, &[5, net.graph().classes()]));
        both_ways(|| {
            for mode in [Mode::Use, Mode::Training { seed: 3 }] {
                let loss = |net: &Network, images: &Tensor| dot(&net.record(&array(images), mode).unwrap().scores().unwrap(), &scores);
                let gradient = net.image_gradient(net.record(&array(&images), mode).unwrap(), &scores).unwrap();
                check_gradient(&images, &gradient, |images| loss(net, images));
                let gradients = net.parameter_gradients(net.record(&array(&images), mode).unwrap(), &scores).unwrap();
                for parameter in net.graph().parameters() {
                    let Some(gradient) = gradients.get(&parameter.name) else {
                        assert!(!parameter.role.is_trained(), "{} has no gradient", parameter.name);
                        continue;
                    };
                    check_gradient(&net.parameters()[&parameter.name], gradient, |value| {
                        let mut parameters = net.parameters().clone();
                        parameters.insert(parameter.name.clone(), value.clone());
                        loss(&Network::new(net.graph().clone(), parameters).unwrap(), &images)
                    });
                }
            }
            candle_core::Result::Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_pass_in_use_equals_forward() {
        for net in [net(DType::F32), attentive(DType::F32)] {
            let [channels, height, width] = net.graph().input();
            let images = random(1, &[3, channels, height, width]).to_dtype(DType::F32).unwrap();
            let tape = net.record(&array(&images), Mode::Use).unwrap();
            assert!(distance(&tape.scores().unwrap(), &net.forward(&images).unwrap()) == 0.0);
            assert!(tape.moments().is_empty());
            assert_eq!(net.forward(&images.narrow(0, 0, 0).unwrap()).unwrap().dims(), [0, net.graph().classes()]);
        }
    }
}
