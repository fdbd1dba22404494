use std::collections::BTreeMap;
use std::ops::Range;

use bezoar_core::{Error, Result};
use bezoar_nn::ops::Form;
use bezoar_nn::{Activation, Array, AtPlace, Graph, Memory, Network, NodeId, Op, ops};
use candle_core::{DType, Tensor};

use crate::balance::{Balance, total};
use crate::step::{Bounds, Seen, Step};
use crate::{Composite, Rule, composite};

/// A net and the rules by which its decisions are explained.
#[derive(Debug)]
pub struct Analysis {
    network: Network,
    /// One for each node but the input.
    rules: Vec<Rule>,
    steps: Vec<Step>,
    /// Whether a ReLU may be done by the layer before it: no relevance is asked of the values that it zeroes.
    fused: bool,
    /// The node whose relevance is the result.
    at: NodeId,
    /// Masks of the channels that may keep their relevance.
    kept: BTreeMap<NodeId, Tensor>,
}

/// What the net says of some images, and why.
#[derive(Clone, Debug)]
pub struct Explained {
    /// `[N, classes]`.
    pub scores: Tensor,
    /// The relevance of each value of the images, `[N, C, H, W]`, or of the layer that was asked about, `[N, ...]`.
    pub relevance: Tensor,
}

/// The values that images can have, for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The least.
    pub low: Vec<f64>,
    /// The most.
    pub high: Vec<f64>,
}

impl Limits {
    /// The same for all channels of a net's images.
    pub fn all(graph: &Graph, low: f64, high: f64) -> Self {
        let channels = graph.input()[0];
        Self { low: vec![low; channels], high: vec![high; channels] }
    }
}

/// What a layer does, as it is told to those who watch relevance on its way.
struct Passing<'a> {
    id: NodeId,
    step: &'a Step,
    seen: &'a Seen<'a>,
    arrived: &'a Array,
    handed_on: &'a [Array],
}

impl Analysis {
    /// Gives each layer of `network` its rule, and prepares the weights that the rules change. Images have values in 0..=1.
    ///
    /// Batch norm is explained as it stands in the net; [`Network::fold_batch_norm`] merges it into the layers before it.
    ///
    /// # Errors
    /// When the composite has no rule for a layer, or one that does not suit it: names the layer.
    pub fn new(network: Network, composite: &Composite) -> Result<Self> {
        let limits = Limits::all(network.graph(), 0.0, 1.0);
        Self::within(network, composite, &limits)
    }

    /// The same for images with values in other limits, which [`Rule::ZBox`] asks for.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when there are not as many limits as channels.
    pub fn within(network: Network, composite: &Composite, limits: &Limits) -> Result<Self> {
        let graph = network.graph();
        let rules = composite.rules(graph)?;
        let prepare = |(id, &rule): (NodeId, &Rule)| {
            let node = graph.node(id);
            let bounds = || bounds(&network, node.inputs[0], limits);
            if rule == Rule::ZBox && !composite::first_layers(graph).contains(&id) {
                let problem = format!("layer `{}` sees other layers, and the rule z-box is for layers that see the image", node.name);
                return Err(Error::request(problem).with_help("give it to the rows with `first: true` alone"));
            }
            Step::prepare(rule, composite.stabilizer(rule), &network, id, bounds).at(&node.name)
        };
        let steps = graph.ids().skip(1).zip(&rules).map(prepare).collect::<Result<_>>()?;
        // A relative ε asks for the mean square of all outputs, those below zero too.
        let fused = composite.form() != Form::Relative && spares_zeros(graph, &rules);
        let at = graph.input_node();
        Ok(Self { network, rules, steps, fused, at, kept: BTreeMap::new() })
    }

    /// The same, for the relevance of a layer's outputs instead of the image's.
    ///
    /// # Errors
    /// When the net has no such layer.
    pub fn at(self, layer: &str) -> Result<Self> {
        Ok(Self { at: self.network.graph().require(layer)?, ..self })
    }

    /// The same, but of a layer's relevance only that of these channels goes on: what the decision owes to them alone (CRP,
    /// arXiv 2206.03208).
    ///
    /// # Errors
    /// When the net has no such layer, the layer no such channel, or the layer's channels are given already.
    pub fn keeping(mut self, layer: &str, channels: &[usize]) -> Result<Self> {
        let id = self.network.graph().require(layer)?;
        let count = self.network.graph().shape(id)[0];
        let mut mask = vec![0f64; count];
        for &channel in channels {
            let place = mask.get_mut(channel);
            *place.ok_or_else(|| Error::request(format!("layer `{layer}` has channels 0 to {}, and no {channel}", count - 1)))? = 1.0;
        }
        let mask = Tensor::new(mask, self.network.device()).and_then(|mask| mask.to_dtype(self.network.dtype())).at(layer)?;
        match self.kept.insert(id, mask) {
            None => Ok(self),
            Some(_) => Err(Error::request(format!("the channels of layer `{layer}` are given twice"))),
        }
    }

    /// The net that is explained.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Explains images `[N, C, H, W]`. `target` says how much relevance each score of some images, the rows in the range, starts with:
    /// `[rows, classes]`, from their scores.
    ///
    /// # Errors
    /// When the images do not suit the net, or `target` fails.
    pub fn explain(&self, images: &Tensor, target: impl Fn(&Tensor, Range<usize>) -> Result<Tensor> + Sync) -> Result<Explained> {
        let parts =
            self.network.in_blocks(images, |images, rows| self.explain_block(images, |scores| target(scores, rows), &mut |_| Ok(())))?;
        let (scores, relevance): (Vec<Array>, Vec<Array>) = parts.into_iter().unzip();
        let stack = |parts: &[Array]| Array::stack(parts).at("input");
        Ok(Explained { scores: stack(&scores)?, relevance: stack(&relevance)? })
    }

    /// What becomes of relevance at each layer, from the last to the first that it reaches, summed over the images.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn balance(&self, images: &Tensor, target: impl Fn(&Tensor, Range<usize>) -> Result<Tensor>) -> Result<Vec<Balance>> {
        /// Images that are added up together, whatever the number of threads.
        const BLOCK: usize = 16;
        let count = images.dims().first().copied().unwrap_or_default();
        let mut sums: Vec<Balance> = Vec::new();
        for start in (0..count).step_by(BLOCK) {
            let rows = start..count.min(start + BLOCK);
            let block = images.narrow(0, start, rows.len()).and_then(|block| Array::new(&block, &Memory::default())).at("input")?;
            let mut layers = Vec::new();
            self.explain_block(&block, |scores| target(scores, rows), &mut |passing| {
                layers.push(self.balance_of(passing).at(&self.network.graph().node(passing.id).name)?);
                Ok(())
            })?;
            if sums.is_empty() {
                sums = layers;
            } else {
                sums.iter_mut().zip(&layers).for_each(|(sum, layer)| sum.add(layer));
            }
        }
        Ok(sums)
    }

    fn balance_of(&self, passing: &Passing<'_>) -> candle_core::Result<Balance> {
        Ok(Balance {
            layer: self.network.graph().node(passing.id).name.clone(),
            rule: self.rules[passing.id.index() - 1],
            arrived: total(passing.arrived)?,
            handed_on: passing.handed_on.iter().map(total).sum::<candle_core::Result<f64>>()?,
            absorbed: passing.step.absorbed(passing.seen, passing.arrived)?,
        })
    }

    /// Scores and relevance of some images; `watch` sees each layer from the last to the first.
    fn explain_block(
        &self,
        images: &Array,
        target: impl FnOnce(&Tensor) -> Result<Tensor>,
        watch: &mut dyn FnMut(&Passing<'_>) -> Result<()>,
    ) -> Result<(Array, Array)> {
        let graph = self.network.graph();
        let mut outputs = self.network.forward_all(images, self.fused)?;
        let scores = outputs[graph.output().index()].clone();
        let nonnegative = nonnegative(graph, is_nonnegative(images).at("input")?);
        let mut relevance: Vec<Option<Array>> = vec![None; outputs.len()];
        let start = target(&scores.to_tensor().at("scores")?)?;
        relevance[graph.output().index()] = Some(images.like(&start).at("target")?);
        for (id, step) in graph.ids().skip(1).zip(&self.steps).skip(self.at.index()).rev() {
            let node = graph.node(id);
            let (Some(output), Some(arrived)) = (outputs.pop(), relevance[id.index()].take()) else { continue };
            let arrived = self.keep(id, arrived)?;
            let inputs: Vec<&Array> = node.inputs.iter().map(|input| &outputs[input.index()]).collect();
            let seen = Seen {
                network: &self.network,
                id,
                inputs: &inputs,
                output: &output,
                nonnegative: node.inputs.iter().all(|input| nonnegative[input.index()]),
                rectified: self.fused && node.op != Op::RELU && self.network.is_fused(id),
            };
            let handed_on = step.back(&seen, &arrived).at(&node.name)?;
            watch(&Passing { id, step, seen: &seen, arrived: &arrived, handed_on: &handed_on })?;
            for (input, part) in node.inputs.iter().zip(handed_on) {
                let sum = &mut relevance[input.index()];
                *sum = Some(match sum.take() {
                    Some(sum) => ops::add(&sum, &part, false).at(&node.name)?,
                    None => part,
                });
            }
        }
        let own = relevance.swap_remove(self.at.index()).ok_or_else(|| Error::request("the scores do not depend on the layer"))?;
        Ok((scores, self.keep(self.at, own)?))
    }

    /// The relevance of a node's outputs that goes on.
    fn keep(&self, id: NodeId, relevance: Array) -> Result<Array> {
        let Some(mask) = self.kept.get(&id) else { return Ok(relevance) };
        let zero = mask.zeros_like().at("input")?;
        ops::channel_affine(&relevance, mask, &zero, false).at(&self.network.graph().node(id).name)
    }

    /// Why the explanation of an image `[1, C, H, W]` has values that are no finite numbers: an error that names the first layer
    /// that gives one, forwards or back.
    pub(crate) fn diagnose(&self, sample: &str, image: &Tensor, target: impl FnOnce(&Tensor) -> Result<Tensor>) -> Error {
        let graph = self.network.graph();
        let place = |id: NodeId| format!("sample {sample:?}, layer `{}`", graph.node(id).name);
        let search = || {
            let image = Array::new(image, &Memory::default()).at("input")?;
            for (id, output) in graph.ids().zip(self.network.forward_all(&image, self.fused)?) {
                if !is_finite(&output).at(&graph.node(id).name)? {
                    return Err(Error::data(place(id), "the layer's output is not finite")
                        .with_help("the net's weights are broken; train it again, with a lower rate perhaps"));
                }
            }
            self.explain_block(&image, target, &mut |passing| {
                let finite = passing.handed_on.iter().map(is_finite).collect::<candle_core::Result<Vec<_>>>();
                if finite.at(&graph.node(passing.id).name)?.contains(&false) {
                    return Err(Error::data(place(passing.id), "the relevance that the layer hands on is not finite")
                        .with_help("raise `epsilon`, or choose another composite"));
                }
                Ok(())
            })
        };
        search().err().unwrap_or_else(|| Error::data(format!("sample {sample:?}"), "the relevance is not finite"))
    }
}

/// The least and the most that a node, which sees the image through layers without weights alone, can give.
fn bounds(network: &Network, id: NodeId, limits: &Limits) -> candle_core::Result<Bounds> {
    let [channels, height, width] = network.graph().input();
    let ends = [&limits.low, &limits.high].map(|limit| {
        if limit.len() != channels {
            candle_core::bail!("{} limits for images of {channels} channels", limit.len());
        }
        let image = Tensor::new(limit.as_slice(), network.device())?.to_dtype(network.dtype())?;
        let image = image.reshape((1, channels, 1, 1))?.broadcast_as((1, channels, height, width))?.contiguous()?;
        network.forward_to(&image, id).map_err(|error| candle_core::Error::Msg(error.to_string()))
    });
    let [one, other] = ends;
    let (one, other) = (one?, other?);
    let memory = Memory::default();
    Ok([Array::new(&one.minimum(&other)?, &memory)?, Array::new(&one.maximum(&other)?, &memory)?])
}

/// Whether no relevance is asked of values that a ReLU zeroed: rules behind it give none to zeros, or the ReLU hands none on.
fn spares_zeros(graph: &Graph, rules: &[Rule]) -> bool {
    // Whether zeros of a ReLU come to be a node's outputs as they are, with all the relevance that these have.
    let mut exposed = vec![false; graph.nodes().len()];
    for (id, rule) in graph.ids().skip(1).zip(rules) {
        let node = graph.node(id);
        let before = node.inputs.iter().any(|input| exposed[input.index()]);
        let passes = matches!(rule, Rule::Pass | Rule::Route) && !matches!(node.op, Op::BatchNorm { .. });
        if before && !passes && (*rule == Rule::Pass || !rule.spares_zeros()) {
            return false;
        }
        exposed[id.index()] = if node.op == Op::RELU { *rule == Rule::Pass } else { before && passes };
    }
    !exposed[graph.output().index()]
}

/// Which nodes never give negative values, when the images have none.
fn nonnegative(graph: &Graph, images: bool) -> Vec<bool> {
    graph.nodes().iter().fold(Vec::with_capacity(graph.nodes().len()), |mut known, node| {
        let inputs = node.inputs.iter().all(|input| known[input.index()]);
        known.push(match node.op {
            Op::Input => images,
            Op::Softmax { .. } => true,
            Op::Conv2d { .. } | Op::Linear { .. } | Op::BatchNorm { .. } | Op::LayerNorm { .. } | Op::Constant { .. } => false,
            Op::Activation { function } => match function {
                Activation::Relu | Activation::Sigmoid | Activation::HardSigmoid { .. } | Activation::Softplus => true,
                Activation::Clip { low, high } => low >= 0.0 || (inputs && high >= 0.0),
                _ => inputs,
            },
            Op::Pad { value, .. } => inputs && value >= 0.0,
            _ => inputs,
        });
        known
    })
}

fn is_nonnegative(values: &Array) -> candle_core::Result<bool> {
    Ok(values.to_tensor()?.min_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()? >= 0.0)
}

fn is_finite(values: &Array) -> candle_core::Result<bool> {
    Ok(values.to_tensor()?.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?.iter().all(|value| value.is_finite()))
}
