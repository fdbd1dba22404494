//! A layer graph with its parameters: what is trained, asked and explained.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use bezoar_core::{Batch, Classifier, Error, Features, ImageShape, Result};
use candle_core::{DType, Device, Tensor};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::array::{Memories, has_kernels};
use crate::augmentation::to_planes;
use crate::graph::{Graph, NodeId, Parameter, Role};
use crate::op::Op;
use crate::ops::Convolution;
use crate::{Array, AtPlace, kernels, ops};

/// A [`Graph`], a tensor for each of its parameters, and the device where they live.
#[derive(Clone, Debug)]
pub struct Network {
    graph: Graph,
    parameters: BTreeMap<String, Tensor>,
    convolutions: BTreeMap<NodeId, Convolution>,
    device: Device,
    dtype: DType,
    memories: Memories,
    folded: OnceLock<Box<Self>>,
}

impl Network {
    /// A net of these parameters, named as [`Graph::parameters`] names them.
    ///
    /// # Errors
    /// When one is missing, too many, of a wrong shape, or of another type or device than the others.
    pub fn new(graph: Graph, parameters: BTreeMap<String, Tensor>) -> Result<Self> {
        let expected = graph.parameters();
        let Some(first) = expected.first().and_then(|first| parameters.get(&first.name)) else {
            return Err(Error::data(&expected[0].name, "the parameter is missing"));
        };
        let (device, dtype) = (first.device().clone(), first.dtype());
        for wanted in &expected {
            let Some(tensor) = parameters.get(&wanted.name) else { return Err(Error::data(&wanted.name, "the parameter is missing")) };
            if tensor.dims() != wanted.shape {
                return Err(Error::data(&wanted.name, format!("has shape {:?} where the net needs {:?}", tensor.dims(), wanted.shape)));
            }
            if tensor.dtype() != dtype || !tensor.device().same_device(&device) {
                return Err(Error::data(&wanted.name, "has another number type or device than the other parameters"));
            }
        }
        if let Some(name) = parameters.keys().find(|name| expected.iter().all(|wanted| wanted.name != **name)) {
            return Err(Error::data(name, "no layer of the net has this parameter"));
        }
        let mut network = Self {
            graph,
            parameters,
            convolutions: BTreeMap::new(),
            device,
            dtype,
            memories: Memories::default(),
            folded: OnceLock::new(),
        };
        network.prepare_convolutions();
        Ok(network)
    }

    fn prepare_convolutions(&mut self) {
        let convolutions = self.graph.ids().filter_map(|id| match self.graph.node(id).op {
            Op::Conv2d { window, groups, .. } => Some((id, Convolution::new(self.parameter(id, "weight")?.clone(), window, groups))),
            _ => None,
        });
        self.convolutions = convolutions.collect();
    }

    /// A net with fresh parameters, as PyTorch's layers begin: weights and biases of convolutions and linear layers uniform
    /// within `1 / sqrt(fan_in)` (Kaiming, arXiv 1502.01852, with a = sqrt 5), normalisations as the identity, constants uniform within
    /// 0.02.
    pub fn init(graph: Graph, rng: &mut impl Rng, device: &Device) -> Result<Self> {
        let parameters = graph.parameters().into_iter().map(|Parameter { name, shape, role }| {
            let len = shape.iter().product();
            let values: Vec<f32> = match role {
                Role::Weight { fan_in } | Role::Bias { fan_in } => {
                    let bound = 1.0 / (fan_in as f32).sqrt();
                    std::iter::repeat_with(|| rng.random_range(-bound..=bound)).take(len).collect()
                }
                Role::Scale | Role::Variance => vec![1.0; len],
                Role::Shift | Role::Mean => vec![0.0; len],
                Role::Value => std::iter::repeat_with(|| rng.random_range(-0.02..=0.02)).take(len).collect(),
            };
            let tensor = Tensor::from_vec(values, shape, device).at(&name)?;
            Ok((name, tensor))
        });
        let parameters = parameters.collect::<Result<_>>()?;
        Self::new(graph, parameters)
    }

    /// The same with all weights multiplied.
    pub(crate) fn with_gain(mut self, gain: f64) -> Result<Self> {
        let weights = self.graph.parameters().into_iter().filter(|parameter| matches!(parameter.role, Role::Weight { .. }));
        for Parameter { name, .. } in weights.filter(|_| (gain - 1.0).abs() > 0.0) {
            let scaled = (&self.parameters[&name] * gain).at(&name)?;
            self.parameters.insert(name, scaled);
        }
        Self::new(self.graph, self.parameters)
    }

    /// What it computes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// All parameters by name.
    pub fn parameters(&self) -> &BTreeMap<String, Tensor> {
        &self.parameters
    }

    /// Where its tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number type of its parameters and of the images that it takes.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The same net on another device or in another number type.
    pub fn to(&self, device: &Device, dtype: DType) -> Result<Self> {
        let moved = self.parameters.iter().map(|(name, tensor)| {
            let tensor = tensor.to_device(device).and_then(|tensor| tensor.to_dtype(dtype)).at(name)?;
            Ok((name.clone(), tensor))
        });
        Self::new(self.graph.clone(), moved.collect::<Result<_>>()?)
    }

    /// Whether all parameters are finite numbers.
    pub(crate) fn is_finite(&self) -> Result<bool> {
        let finite = |(name, tensor): (&String, &Tensor)| {
            let values = tensor.to_device(&Device::Cpu).and_then(|host| host.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>());
            Ok(values.at(name)?.iter().all(|value| value.is_finite()))
        };
        self.parameters.iter().map(finite).try_fold(true, |all, finite: Result<bool>| Ok(all && finite?))
    }

    /// A copy that shares no values with this net.
    pub(crate) fn copied(&self) -> Result<Self> {
        let parameters = self.parameters.iter().map(|(name, tensor)| Ok((name.clone(), tensor.copy().at(name)?)));
        Self::new(self.graph.clone(), parameters.collect::<Result<_>>()?)
    }

    /// The parameter `what` (`weight`, `bias`, ...) of a node, if it has it.
    pub fn parameter(&self, id: NodeId, what: &str) -> Option<&Tensor> {
        self.parameters.get(&format!("{}.{what}", self.graph.node(id).name))
    }

    /// Puts new values in the place of parameters that the net has; others may have changed in place.
    pub(crate) fn replace(&mut self, parameters: BTreeMap<String, Tensor>) {
        self.parameters.extend(parameters);
        self.folded = OnceLock::new();
        self.prepare_convolutions();
    }

    /// Images as the net takes them: `[N, C, H, W]`, values in 0..=1.
    ///
    /// # Errors
    /// When the images have another shape than the net's input.
    pub fn images(&self, batch: &Batch) -> Result<Tensor> {
        let ImageShape { height, width, channels } = batch.shape;
        if [channels, height, width] != self.graph.input() {
            let [c, h, w] = self.graph.input();
            return Err(Error::request(format!("the net takes {h}x{w} images of {c} channels, not {height}x{width} of {channels}")));
        }
        let mut values = vec![0f32; batch.pixels.len()];
        let size = batch.shape.len();
        values.chunks_exact_mut(size).zip(batch.pixels.chunks_exact(size)).for_each(|(image, pixels)| to_planes(pixels, channels, image));
        let host = Tensor::from_vec(values, (batch.len(), channels, height, width), &Device::Cpu);
        host.and_then(|host| host.to_dtype(self.dtype)?.to_device(&self.device)).at("input")
    }

    /// The scores `[N, classes]` of images `[N, C, H, W]`, as in use: running batch statistics, no dropout.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        self.forward_to(images, self.graph.output())
    }

    /// What a node gives for images `[N, C, H, W]`; later nodes are not computed.
    pub fn forward_to(&self, images: &Tensor, id: NodeId) -> Result<Tensor> {
        let outputs = self.in_blocks(images, |images, _| self.pass(images, id))?;
        Array::stack(&outputs).at(&self.graph.node(id).name)
    }

    /// Does `work` on images `[N, C, H, W]` and the range of `0..N` that they are.
    ///
    /// On the CPU these are a few images at a time, and a thread for each few, so that what the net's layers hand on stays in the
    /// cache; elsewhere all images at once.
    pub fn in_blocks<R: Send>(&self, images: &Tensor, work: impl Fn(&Array, Range<usize>) -> Result<R> + Sync) -> Result<Vec<R>> {
        let count = images.dims().first().copied().unwrap_or_default();
        let block = if has_kernels(images) { self.block(count) } else { count };
        let starts = (0..count.max(1)).into_par_iter().step_by(block.max(1));
        let blocks = starts.map(|start| {
            let rows = start..count.min(start + block);
            self.memories.lend(|memory| {
                let images = images.narrow(0, start, rows.len()).and_then(|images| Array::new(&images, memory)).at("input")?;
                kernels::alone(|| work(&images, rows))
            })
        });
        blocks.collect()
    }

    /// How many of `count` images go through the net together on one thread: so many that weights are fetched for several images at
    /// once, so few that each thread has its share and memory stays small.
    fn block(&self, count: usize) -> usize {
        /// Values of a block, unless [`FEW`] images have more.
        const CACHED: usize = 1 << 18;
        const FEW: usize = 16;
        const MANY: usize = 64;
        let image: usize = self.graph.ids().map(|id| self.graph.shape(id).iter().product::<usize>()).sum();
        let most = (CACHED / image).clamp(FEW, MANY);
        let blocks = count.div_ceil(most).max(1).next_multiple_of(rayon::current_num_threads());
        count.div_ceil(blocks)
    }

    fn pass(&self, images: &Array, id: NodeId) -> Result<Array> {
        let last_use = |id: NodeId| self.graph.consumers(id).last();
        let mut outputs: Vec<Option<Array>> = Vec::with_capacity(id.index() + 1);
        for now in self.graph.ids().take(id.index() + 1) {
            let node = self.graph.node(now);
            let inputs = node.inputs.iter().filter_map(|input| outputs[input.index()].as_ref()).collect::<Vec<_>>();
            let output = self.compute(now, images, &inputs, self.is_fused(now) && (now != id || node.op == Op::RELU))?;
            for &input in &node.inputs {
                if last_use(input) == Some(now) {
                    outputs[input.index()] = None;
                }
            }
            outputs.push(Some(output));
        }
        outputs.pop().flatten().ok_or_else(|| Error::request("a graph without nodes"))
    }

    /// What every node gives for images `[N, C, H, W]`, in the order of the nodes; if `fused`, a layer that
    /// [is fused](Self::is_fused) gives what the ReLU gives.
    pub fn forward_all(&self, images: &Array, fused: bool) -> Result<Vec<Array>> {
        self.graph.ids().try_fold(Vec::with_capacity(self.graph.nodes().len()), |mut outputs: Vec<Array>, id| {
            let inputs: Vec<&Array> = self.graph.node(id).inputs.iter().map(|input| &outputs[input.index()]).collect();
            let output = self.compute(id, images, &inputs, fused && self.is_fused(id))?;
            outputs.push(output);
            Ok(outputs)
        })
    }

    /// Whether a ReLU and the layer before it, whose output nobody else wants, are done at once; asked of either.
    pub fn is_fused(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        match node.op {
            Op::RELU => {
                let before = &self.graph.node(node.inputs[0]).op;
                matches!(before, Op::Conv2d { .. } | Op::BatchNorm { .. } | Op::Add) && self.is_fused(node.inputs[0])
            }
            Op::Conv2d { .. } | Op::BatchNorm { .. } | Op::Add => {
                let mut consumers = self.graph.consumers(id);
                consumers.next().is_some_and(|next| self.graph.node(next).op == Op::RELU) && consumers.next().is_none()
            }
            _ => false,
        }
    }

    /// What a node gives for these inputs, as in use; `fused`, a ReLU is done by the layer before it.
    pub(crate) fn compute(&self, id: NodeId, images: &Array, inputs: &[&Array], fused: bool) -> Result<Array> {
        let node = self.graph.node(id);
        let output = match node.op {
            Op::Input if images.dims().get(1..) == Some(&self.graph.input()) => Ok(images.clone()),
            Op::Input => {
                let [c, h, w] = self.graph.input();
                return Err(Error::request(format!("the net takes images [N, {c}, {h}, {w}], not {:?}", images.dims())));
            }
            Op::Conv2d { .. } => {
                self.convolution(id).and_then(|convolution| convolution.forward(inputs[0], self.parameter(id, "bias"), fused))
            }
            Op::Linear { .. } => self.weight(id).and_then(|weight| ops::linear(inputs[0], weight, self.parameter(id, "bias"))),
            Op::BatchNorm { eps, .. } => {
                self.running_affine(id, eps).and_then(|[scale, shift]| ops::channel_affine(inputs[0], &scale, &shift, fused))
            }
            Op::RELU if fused => Ok(inputs[0].clone()),
            Op::Activation { function } => ops::activation(inputs[0], function),
            Op::MaxPool { window } => ops::max_pool2d(inputs[0], window),
            Op::AvgPool { window, border } => ops::avg_pool2d(inputs[0], window, border),
            Op::Add => {
                let last = inputs.len() - 1;
                let terms = inputs.iter().map(|input| ops::broadcast(input, self.graph.shape(id))).collect::<candle_core::Result<Vec<_>>>();
                terms.and_then(|terms| {
                    (1..=last).try_fold(terms[0].clone(), |sum, term| ops::add(&sum, &terms[term], fused && term == last))
                })
            }
            Op::Mul => self.factors(id, inputs).and_then(|[a, b]| ops::product(&a, &b)),
            Op::MatMul => ops::matmul(inputs[0], inputs[1]),
            Op::Constant { .. } => self
                .value(id, "value")
                .and_then(|value| ops::repeat(&images.like(&value.unsqueeze(0)?)?, images.dims().first().copied().unwrap_or_default())),
            Op::LayerNorm { eps, .. } => {
                self.weight(id).and_then(|weight| ops::layer_norm(inputs[0], weight, self.value(id, "bias")?, eps))
            }
            Op::Softmax { axis } => ops::softmax(inputs[0], axis),
            Op::Mean { ref axes } => ops::mean(inputs[0], axes),
            Op::Concat { axis } => ops::concat(inputs, axis),
            Op::Slice { axis, start, len } => ops::slice(inputs[0], axis, start, len),
            Op::Pad { ref before, ref after, value } => ops::pad(inputs[0], before, after, value),
            Op::Transpose { ref order } => ops::transpose(inputs[0], order),
            Op::Flatten | Op::Reshape { .. } => inputs[0].reshape(&[&inputs[0].dims()[..1], self.graph.shape(id)].concat()),
            Op::Upsample { factor, mode } => ops::upsample(inputs[0], factor, mode),
            Op::Dropout { .. } => Ok(inputs[0].clone()),
        };
        output.at(&node.name)
    }

    /// The weights of a convolution, ready for use.
    pub(crate) fn convolution(&self, id: NodeId) -> candle_core::Result<&Convolution> {
        self.convolutions.get(&id).ok_or_else(|| candle_core::Error::Msg("is no convolution".into()))
    }

    /// A parameter that the node must have; [`Network::new`] saw to it that it is there.
    fn value(&self, id: NodeId, what: &str) -> candle_core::Result<&Tensor> {
        self.parameter(id, what).ok_or_else(|| candle_core::Error::Msg(format!("has no {what}")))
    }

    /// The parameter `weight` of a weighted node or a normalisation.
    pub fn weight(&self, id: NodeId) -> candle_core::Result<&Tensor> {
        self.value(id, "weight")
    }

    /// What a product multiplies: its inputs, broadcast to its shape.
    pub(crate) fn factors(&self, id: NodeId, inputs: &[&Array]) -> candle_core::Result<[Array; 2]> {
        let shape = self.graph.shape(id);
        Ok([ops::broadcast(inputs[0], shape)?, ops::broadcast(inputs[1], shape)?])
    }

    /// Batch norm in use as a factor and a summand a channel: `y = x * scale + shift`.
    pub fn running_affine(&self, id: NodeId, eps: f64) -> candle_core::Result<[Tensor; 2]> {
        self.norm_affine(id, self.running_normal(id, eps)?)
    }

    /// What makes a channel's running mean 0 and its running variance 1, as a factor and a summand.
    pub(crate) fn running_normal(&self, id: NodeId, eps: f64) -> candle_core::Result<[Tensor; 2]> {
        let [Some(mean), Some(variance)] = ["running_mean", "running_var"].map(|what| self.parameter(id, what)) else {
            candle_core::bail!("has no running statistics")
        };
        let deviation = (variance + eps)?.sqrt()?.recip()?;
        Ok([deviation.clone(), (mean * deviation)?.neg()?])
    }

    /// What makes a channel's mean in this batch 0 and its variance 1, as a factor and a summand.
    fn batch_normal(&self, moments: &ops::Moments, eps: f64) -> candle_core::Result<[Tensor; 2]> {
        let deviation: Vec<f64> = moments.variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect();
        let center: Vec<f64> = moments.mean.iter().zip(&deviation).map(|(mean, deviation)| -mean * deviation).collect();
        let tensor =
            |values: Vec<f64>| Tensor::from_vec(values, moments.mean.len(), &Device::Cpu)?.to_dtype(self.dtype)?.to_device(&self.device);
        Ok([tensor(deviation)?, tensor(center)?])
    }

    /// Batch norm in training as a factor and a summand a channel.
    pub(crate) fn batch_affine(&self, id: NodeId, moments: &ops::Moments, eps: f64) -> candle_core::Result<[Tensor; 2]> {
        self.norm_affine(id, self.batch_normal(moments, eps)?)
    }

    /// Batch norm's own factor and summand after a normalisation.
    fn norm_affine(&self, id: NodeId, [factor, summand]: [Tensor; 2]) -> candle_core::Result<[Tensor; 2]> {
        let [Some(weight), Some(bias)] = ["weight", "bias"].map(|what| self.parameter(id, what)) else {
            candle_core::bail!("has no weight and bias")
        };
        Ok([(factor * weight)?, ((summand * weight)? + bias)?])
    }

    /// The scores `[N, classes]` of a batch of images, with batch norm folded.
    pub fn scores(&self, batch: &Batch) -> Result<Tensor> {
        self.folded()?.forward(&self.images(batch)?)
    }

    /// The net with its batch norm folded, kept until parameters change.
    fn folded(&self) -> Result<&Self> {
        if let Some(folded) = self.folded.get() {
            return Ok(folded);
        }
        let folded = Box::new(self.fold_batch_norm()?);
        Ok(self.folded.get_or_init(|| folded))
    }

    /// The same function with every batch norm that alone follows a convolution or linear layer merged into it.
    ///
    /// The node of such a batch norm is gone; other nodes keep their names, and the weighted layer gains a bias.
    /// A batch norm after anything else stays.
    pub fn fold_batch_norm(&self) -> Result<Self> {
        crate::fold::fold(self)
    }
}

impl Classifier for Network {
    fn input(&self) -> ImageShape {
        let [channels, height, width] = self.graph.input();
        ImageShape { height, width, channels }
    }

    fn classes(&self) -> usize {
        self.graph.classes()
    }

    fn layers(&self) -> Vec<String> {
        self.graph.nodes().iter().map(|node| node.name.clone()).collect()
    }

    fn penultimate(&self) -> String {
        self.graph.node(self.graph.penultimate()).name.clone()
    }

    fn logits(&self, batch: &Batch) -> Result<Features> {
        features(&self.scores(batch)?)
    }

    fn activations(&self, batch: &Batch, layer: &str) -> Result<Features> {
        let Some(id) = self.graph.find(layer) else {
            let known = Classifier::layers(self).join(", ");
            return Err(Error::request(format!("the net has no layer `{layer}`")).with_help(format!("its layers are {known}")));
        };
        // A weighted layer of the folded net may have taken in the batch norm after it.
        let net = if self.graph.node(id).op.is_weighted() { self } else { self.folded()? };
        let images = self.images(batch)?;
        features(&match net.graph.find(layer) {
            Some(id) => net.forward_to(&images, id)?,
            None => self.forward_to(&images, id)?,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A tensor `[N, ...]` as rows on the host.
pub fn features(tensor: &Tensor) -> Result<Features> {
    let values = tensor.to_device(&Device::Cpu).and_then(|tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()).at("output")?;
    Features::new(tensor.dims().get(1..).unwrap_or_default().to_vec(), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attentive, distance, net, random};

    #[test]
    fn scores_depend_on_neither_threads_nor_the_other_images() {
        for net in [net(DType::F32), attentive(DType::F32)] {
            let [channels, height, width] = net.graph().input();
            let images = random(1, &[70, channels, height, width]).to_dtype(DType::F32).unwrap();
            let scores = |threads, images: &Tensor| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| net.forward(images)).unwrap()
            };
            let all = scores(1, &images);
            assert!(distance(&scores(3, &images), &all) == 0.0);
            for image in [0, 37, 69] {
                assert!(distance(&scores(2, &images.narrow(0, image, 1).unwrap()), &all.narrow(0, image, 1).unwrap()) == 0.0);
            }
        }
    }
}
