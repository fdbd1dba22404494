use std::ops::Range;

use bezoar_core::{Error, Result};
use bezoar_nn::{Array, AtPlace, Graph, Memory, Network, NodeId, Op, ops};
use candle_core::{DType, Tensor};

use crate::step::{Seen, Step};
use crate::{Composite, LayerKind};

/// A net and the rules by which its decisions are explained.
#[derive(Debug)]
pub struct Analysis {
    network: Network,
    /// One for each node but the input.
    steps: Vec<Step>,
}

/// What the net says of some images, and why.
#[derive(Clone, Debug)]
pub struct Explained {
    /// `[N, classes]`.
    pub scores: Tensor,
    /// The relevance of each value of the images, `[N, C, H, W]`.
    pub relevance: Tensor,
}

impl Analysis {
    /// Gives each layer of `network` its rule, and prepares the weights that the rules change.
    ///
    /// Batch norm is explained as it stands in the net; [`Network::fold_batch_norm`] merges it into the layers before it.
    ///
    /// # Errors
    /// When the composite has no rule for a layer, or one that does not suit it: names the layer.
    pub fn new(network: Network, composite: &Composite) -> Result<Self> {
        let graph = network.graph();
        let prepare = |id: NodeId| {
            let node = graph.node(id);
            let refuse = |problem: String| Error::request(format!("layer `{}` ({:?}) {problem}", node.name, node.op));
            let kind = LayerKind::of(node.op).ok_or_else(|| refuse("is a second input".into()))?;
            let rule = composite.rule(kind).ok_or_else(|| refuse("has no rule in the composite".into()))?;
            if !rule.suits(kind) {
                return Err(refuse(format!("cannot be explained by the rule {rule:?}")));
            }
            Step::prepare(rule, composite.stabilizer(rule), &network, id).at(&node.name)
        };
        let steps = graph.ids().skip(1).map(prepare).collect::<Result<_>>()?;
        Ok(Self { network, steps })
    }

    /// The net that is explained.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Explains images `[N, C, H, W]`. `target` says how much relevance each score of some images, the rows in the range, starts with:
    /// `[rows, classes]`, from their scores.
    pub fn explain(&self, images: &Tensor, target: impl Fn(&Tensor, Range<usize>) -> Result<Tensor> + Sync) -> Result<Explained> {
        let parts =
            self.network.in_blocks(images, |images, rows| self.explain_block(images, |scores| target(scores, rows), &mut |_, _| Ok(())))?;
        let (scores, relevance): (Vec<Array>, Vec<Array>) = parts.into_iter().unzip();
        let stack = |parts: &[Array]| Array::stack(parts).at("input");
        Ok(Explained { scores: stack(&scores)?, relevance: stack(&relevance)? })
    }

    /// Scores and relevance of some images; `observe` sees each layer from the last to the first, with the relevance that it hands on
    /// to each of its inputs.
    fn explain_block(
        &self,
        images: &Array,
        target: impl FnOnce(&Tensor) -> Result<Tensor>,
        observe: &mut dyn FnMut(NodeId, &[Array]) -> Result<()>,
    ) -> Result<(Array, Array)> {
        let graph = self.network.graph();
        let mut outputs = self.network.forward_all(images)?;
        let scores = outputs[graph.output().index()].clone();
        let nonnegative = nonnegative(graph, is_nonnegative(images).at("input")?);
        let mut relevance: Vec<Option<Array>> = vec![None; outputs.len()];
        let start = target(&scores.to_tensor().at("scores")?)?;
        relevance[graph.output().index()] = Some(images.like(&start).at("target")?);
        for (id, step) in graph.ids().skip(1).zip(&self.steps).rev() {
            let node = graph.node(id);
            let (Some(output), Some(own)) = (outputs.pop(), relevance[id.index()].take()) else { continue };
            let inputs: Vec<&Array> = node.inputs.iter().map(|input| &outputs[input.index()]).collect();
            let seen = Seen { inputs: &inputs, output: &output, nonnegative: node.inputs.iter().all(|input| nonnegative[input.index()]) };
            let handed_on = step.back(&seen, &own).at(&node.name)?;
            observe(id, &handed_on)?;
            for (input, part) in node.inputs.iter().zip(handed_on) {
                let sum = &mut relevance[input.index()];
                *sum = Some(match sum.take() {
                    Some(sum) => ops::add(&sum, &part, false).at(&node.name)?,
                    None => part,
                });
            }
        }
        let relevance = relevance.swap_remove(0).ok_or_else(|| Error::request("the scores do not depend on the image"))?;
        Ok((scores, relevance))
    }

    /// Why the explanation of an image `[1, C, H, W]` has values that are no finite numbers: an error that names the first layer
    /// that gives one, forwards or back.
    pub(crate) fn diagnose(&self, sample: &str, image: &Tensor, target: impl FnOnce(&Tensor) -> Result<Tensor>) -> Error {
        let graph = self.network.graph();
        let place = |id: NodeId| format!("sample {sample:?}, layer `{}`", graph.node(id).name);
        let search = || {
            let image = Array::new(image, &Memory::default()).at("input")?;
            for (id, output) in graph.ids().zip(self.network.forward_all(&image)?) {
                if !is_finite(&output).at(&graph.node(id).name)? {
                    return Err(Error::data(place(id), "the layer's output is not finite")
                        .with_help("the net's weights are broken; train it again, with a lower rate perhaps"));
                }
            }
            self.explain_block(&image, target, &mut |id, handed_on| {
                if handed_on.iter().map(is_finite).collect::<candle_core::Result<Vec<_>>>().at(&graph.node(id).name)?.contains(&false) {
                    return Err(Error::data(place(id), "the relevance that the layer hands on is not finite")
                        .with_help("raise `epsilon`, or choose another composite"));
                }
                Ok(())
            })
        };
        search().err().unwrap_or_else(|| Error::data(format!("sample {sample:?}"), "the relevance is not finite"))
    }
}

/// Which nodes never give negative values, when the images have none.
fn nonnegative(graph: &Graph, images: bool) -> Vec<bool> {
    graph.nodes().iter().fold(Vec::with_capacity(graph.nodes().len()), |mut known, node| {
        known.push(match node.op {
            Op::Input => images,
            Op::Relu => true,
            Op::Conv2d { .. } | Op::Linear { .. } | Op::BatchNorm { .. } => false,
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add | Op::Concat | Op::Flatten | Op::Dropout { .. } => {
                node.inputs.iter().all(|input| known[input.index()])
            }
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
