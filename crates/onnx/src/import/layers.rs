//! The layers that an import has made so far.

use std::collections::{BTreeMap, BTreeSet};

use bezoar_core::{Error, Result};
use bezoar_formats::{Array, Values};
use bezoar_nn::{Graph, GraphBuilder, Network, NodeId, Op};
use candle_core::{DType, Device, Tensor};

use super::Problem;

/// The layers so far with their parameters; those that the output turns out not to need are left out at the end.
pub(super) struct Layers {
    builder: GraphBuilder,
    nodes: Vec<bezoar_nn::Node>,
    parameters: BTreeMap<String, Tensor>,
    /// How often each name was asked for.
    names: BTreeMap<String, usize>,
    dtype: DType,
    /// Values that may still be made.
    budget: usize,
}

impl Layers {
    /// No layers but the input; of a model that holds so many values.
    pub(super) fn new(input: [usize; 3], dtype: DType, stored: usize) -> Result<Self> {
        let builder = GraphBuilder::new(input)?;
        let node = bezoar_nn::Node { name: "input".into(), op: Op::Input, inputs: Vec::new() };
        // A weight is turned, cut and used a few times; a model that makes much more out of little is no classifier.
        let budget = stored.saturating_mul(8).saturating_add(1 << 24);
        Ok(Self { builder, nodes: vec![node], parameters: BTreeMap::new(), names: [("input".into(), 1)].into(), dtype, budget })
    }

    /// The node of the image.
    pub(super) fn input(&self) -> NodeId {
        self.builder.input()
    }

    /// The shape of what a layer gives for one image.
    pub(super) fn shape(&self, id: NodeId) -> &[usize] {
        self.builder.shape(id)
    }

    /// Takes leave to make an array of this shape.
    pub(super) fn charge(&mut self, shape: &[usize]) -> Result<(), Problem> {
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let left = count.and_then(|count| self.budget.checked_sub(count));
        // What has no values may still claim sizes whose products are no numbers.
        let left = left.filter(|_| shape.len() <= 1 || !shape.contains(&0));
        self.budget = left.ok_or_else(|| format!("its values of the shape {shape:?} are none, or too many for a model of this size"))?;
        Ok(())
    }

    /// Adds a layer; `parameters` by their last names.
    pub(super) fn add(&mut self, name: &str, op: Op, inputs: &[NodeId], parameters: Vec<(&str, &Array)>) -> Result<NodeId, Problem> {
        let name = self.unique(name);
        let tensors = parameters.into_iter().map(|(what, values)| Ok((format!("{name}.{what}"), self.tensor(values)?)));
        let tensors = tensors.collect::<Result<Vec<_>, Problem>>()?;
        let id = self.builder.add(&name, op.clone(), inputs).map_err(|error| error.to_string())?;
        self.parameters.extend(tensors);
        self.nodes.push(bezoar_nn::Node { name, op, inputs: inputs.to_vec() });
        Ok(id)
    }

    /// The same values in another shape; what is reshaped twice is reshaped once.
    pub(super) fn reshape(&mut self, name: &str, id: NodeId, shape: Vec<usize>) -> Result<NodeId, Problem> {
        let node = &self.nodes[id.index()];
        let source = if matches!(node.op, Op::Reshape { .. } | Op::Flatten) { node.inputs[0] } else { id };
        match self.shape(source) {
            same if same == shape => Ok(source),
            _ if shape.is_empty() => Err("leaves one number an image, without an axis".into()),
            _ if shape.len() == 1 => self.add(name, Op::Flatten, &[source], Vec::new()),
            _ => self.add(name, Op::Reshape { shape }, &[source], Vec::new()),
        }
    }

    /// The axes in another order; what is turned twice is turned once.
    pub(super) fn transpose(&mut self, name: &str, id: NodeId, order: Vec<usize>) -> Result<NodeId, Problem> {
        let node = &self.nodes[id.index()];
        let (source, order) = match &node.op {
            Op::Transpose { order: first } => (node.inputs[0], order.into_iter().map(|axis| first[axis]).collect()),
            _ => (id, order),
        };
        if order.is_sorted() { Ok(source) } else { self.add(name, Op::Transpose { order }, &[source], Vec::new()) }
    }

    /// Values that are the same for every image.
    pub(super) fn constant(&mut self, name: &str, values: &Array) -> Result<NodeId, Problem> {
        let shape = if values.shape().is_empty() { vec![1] } else { values.shape().to_vec() };
        let values = super::array(shape.clone(), values.values().clone())?;
        self.add(name, Op::Constant { shape }, &[], vec![("value", &values)])
    }

    /// A name that is not taken: the wish itself, or numbered.
    fn unique(&mut self, wish: &str) -> String {
        let wish = if wish.is_empty() { "layer" } else { wish };
        let mut name = wish.to_owned();
        while self.names.contains_key(&name) {
            let number = self.names.entry(wish.to_owned()).or_default();
            *number += 1;
            name = format!("{wish}.{number}");
        }
        self.names.insert(name.clone(), 1);
        name
    }

    /// An array of floats in the net's number type.
    fn tensor(&mut self, array: &Array) -> Result<Tensor, Problem> {
        self.charge(array.shape())?;
        let tensor = match array.values() {
            Values::F32(values) if values.iter().all(|value| value.is_finite()) => Tensor::from_slice(values, array.shape(), &Device::Cpu),
            Values::F64(values) if values.iter().all(|value| value.is_finite()) => Tensor::from_slice(values, array.shape(), &Device::Cpu),
            Values::F32(_) | Values::F64(_) => return Err("its weights are not all finite".into()),
            other => return Err(format!("its weights are {:?}, not floats", other.dtype())),
        };
        tensor.and_then(|tensor| tensor.to_dtype(self.dtype)).map_err(|error| error.to_string())
    }

    /// The net whose last layer is this one.
    pub(super) fn build(self, output: NodeId) -> Result<Network> {
        let mut needed: BTreeSet<usize> = [0, output.index()].into();
        let mut open = vec![output];
        while let Some(id) = open.pop() {
            open.extend(self.nodes[id.index()].inputs.iter().filter(|input| needed.insert(input.index())));
        }
        let mut builder = GraphBuilder::new(self.builder.shape(self.builder.input()).try_into().unwrap_or([0; 3]))?;
        let mut places = BTreeMap::from([(0, builder.input())]);
        for number in needed.into_iter().skip(1) {
            let node = &self.nodes[number];
            let inputs: Vec<NodeId> = node.inputs.iter().map(|input| places[&input.index()]).collect();
            places.insert(number, builder.add(&node.name, node.op.clone(), &inputs)?);
        }
        let graph = builder.build()?;
        let parameters = kept(&graph, self.parameters);
        Network::new(graph, parameters).map_err(|error| Error::request(error.to_string()))
    }
}

/// The parameters of layers that are in the graph.
fn kept(graph: &Graph, mut parameters: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let names = graph.nodes().iter().map(|node| node.name.as_str()).collect::<BTreeSet<_>>();
    parameters.retain(|name, _| name.rsplit_once('.').is_some_and(|(layer, _)| names.contains(layer)));
    parameters
}
