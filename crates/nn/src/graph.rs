//! The layer graph: what a net computes, as data.

use std::collections::BTreeSet;

use bezoar_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::op::{Op, size};
use crate::window::Window;

/// A node of a graph by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(usize);

impl NodeId {
    /// Its place in [`Graph::nodes`].
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A named layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique in its graph; its parameters are called `name.weight` and so on, as in PyTorch.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What from.
    pub inputs: Vec<NodeId>,
}

/// The nodes of a net in an order in which each comes after its inputs. Node 0 is the input, the last node the output.
///
/// A graph that exists is sound: names are unique, shapes fit, every node leads to the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Graph {
    input: [usize; 3],
    nodes: Vec<Node>,
    #[serde(skip)]
    shapes: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    input: [usize; 3],
    nodes: Vec<Node>,
}

impl TryFrom<Unchecked> for Graph {
    type Error = Error;

    fn try_from(Unchecked { input, nodes }: Unchecked) -> Result<Self> {
        let mut builder = GraphBuilder::new(input)?;
        match nodes.split_first() {
            Some((first, rest)) if *first == builder.0.nodes[0] => {
                for node in rest {
                    builder.add(&node.name, node.op.clone(), &node.inputs)?;
                }
                builder.build()
            }
            _ => Err(Error::request("a graph begins with its node `input`")),
        }
    }
}

/// What a parameter is for; its initial value follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Multiplies `fan_in` values for each output.
    Weight {
        /// How many.
        fan_in: usize,
    },
    /// Added beside `fan_in` products.
    Bias {
        /// How many.
        fan_in: usize,
    },
    /// A normalisation's factor.
    Scale,
    /// A normalisation's summand.
    Shift,
    /// Batch norm's running mean; not trained by gradient.
    Mean,
    /// Batch norm's running variance; not trained by gradient.
    Variance,
    /// A constant that stands for itself.
    Value,
}

impl Role {
    /// Whether the optimizer changes it.
    pub const fn is_trained(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance)
    }
}

/// A tensor that a graph needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `layer.weight`, `layer.bias`, `layer.running_mean`, `layer.running_var` or `layer.value`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

impl Graph {
    /// The shape of an image, `[channels, height, width]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// All nodes in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The numbers of all nodes in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The shape that a node gives for one image.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// The node of the image.
    pub fn input_node(&self) -> NodeId {
        NodeId(0)
    }

    /// The last node.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() - 1)
    }

    /// Number of values of the output: the classes.
    pub fn classes(&self) -> usize {
        self.shape(self.output()).iter().product()
    }

    /// The node with this name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.ids().find(|&id| self.node(id).name == name)
    }

    /// The node with this name.
    ///
    /// # Errors
    /// When there is none: names the nearest one, and all.
    pub fn require(&self, name: &str) -> Result<NodeId> {
        self.find(name).ok_or_else(|| {
            let names = || self.nodes.iter().map(|node| node.name.as_str());
            let known = format!("its layers are {}", names().collect::<Vec<_>>().join(", "));
            let near = bezoar_config::suggest(name, names());
            let help = near.map_or_else(|| known.clone(), |near| format!("did you mean `{near}`? {known}"));
            Error::request(format!("the net has no layer `{name}`")).with_help(help)
        })
    }

    /// The nodes that take `id` as an input, ascending; one that takes it twice stands once.
    pub fn consumers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.ids().filter(move |&other| self.node(other).inputs.contains(&id))
    }

    /// The node that feeds the last weighted layer.
    pub fn penultimate(&self) -> NodeId {
        self.nodes.iter().rev().find(|node| node.op.is_weighted()).map_or(NodeId(0), |node| node.inputs[0])
    }

    /// The tensors that the node needs.
    pub fn parameters_of(&self, id: NodeId) -> Vec<Parameter> {
        let Node { name, op, inputs } = self.node(id);
        let parameter = |what: &str, shape: Vec<usize>, role| Parameter { name: format!("{name}.{what}"), shape, role };
        let with_bias = |bias: bool, weight: Vec<usize>| {
            let fan_in = weight[1..].iter().fold(1, |size: usize, axis| size.saturating_mul(*axis));
            let mut all = vec![parameter("weight", weight.clone(), Role::Weight { fan_in })];
            all.extend(bias.then(|| parameter("bias", vec![weight[0]], Role::Bias { fan_in })));
            all
        };
        match *op {
            Op::Conv2d { channels, window: Window { kernel: [rows, columns], .. }, groups, bias } => {
                with_bias(bias, vec![channels, self.shape(inputs[0])[0] / groups, rows, columns])
            }
            Op::Linear { features, bias } => with_bias(bias, vec![features, self.shape(inputs[0])[self.shape(id).len() - 1]]),
            Op::Constant { ref shape } => vec![parameter("value", shape.clone(), Role::Value)],
            Op::LayerNorm { axes, .. } => {
                let shape = &self.shape(id)[self.shape(id).len() - axes..];
                [("weight", Role::Scale), ("bias", Role::Shift)].map(|(what, role)| parameter(what, shape.to_vec(), role)).into()
            }
            Op::BatchNorm { .. } => {
                [("weight", Role::Scale), ("bias", Role::Shift), ("running_mean", Role::Mean), ("running_var", Role::Variance)]
                    .map(|(what, role)| parameter(what, vec![self.shape(id)[0]], role))
                    .into()
            }
            _ => Vec::new(),
        }
    }

    /// The tensors that the graph needs, in the order of the nodes.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.ids().flat_map(|id| self.parameters_of(id)).collect()
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        self.ids().map(|id| self.parameter_count_of(id)).sum()
    }

    /// Number of trained values of a node.
    pub fn parameter_count_of(&self, id: NodeId) -> usize {
        let trained = self.parameters_of(id).into_iter().filter(|parameter| parameter.role.is_trained());
        trained.map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// Multiplications for one image in convolutions, linear layers and matrix products.
    pub fn multiply_adds(&self) -> usize {
        self.ids().map(|id| self.multiply_adds_of(id)).sum()
    }

    /// Those of a node; none in other layers.
    pub fn multiply_adds_of(&self, id: NodeId) -> usize {
        // Each value of the output is a sum: over one channel's weights, or along a row of the left matrix.
        let terms = match self.node(id).op {
            Op::Conv2d { .. } | Op::Linear { .. } => self.parameters_of(id)[0].shape[1..].iter().product(),
            Op::MatMul => self.shape(self.node(id).inputs[0]).last().copied().unwrap_or_default(),
            _ => 0,
        };
        self.shape(id).iter().product::<usize>() * terms
    }
}

/// Builds a [`Graph`] node by node; every mistake names its layer.
#[derive(Debug)]
pub struct GraphBuilder(Graph);

impl GraphBuilder {
    /// A graph for images of shape `[channels, height, width]`; its first node is called `input`.
    pub fn new(input: [usize; 3]) -> Result<Self> {
        if input.contains(&0) {
            return Err(Error::request(format!("images of shape {input:?} have no pixels")));
        }
        if size(&input).is_none() {
            return Err(Error::request(format!("images of shape {input:?} are too large")));
        }
        let node = Node { name: "input".into(), op: Op::Input, inputs: Vec::new() };
        Ok(Self(Graph { input, nodes: vec![node], shapes: vec![input.to_vec()] }))
    }

    /// The node of the image.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// The shape that a node gives for one image.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        self.0.shape(id)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// When the name is taken or empty, an input does not exist yet, or the shapes do not fit.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        let refuse = |problem: String| Error::request(format!("layer `{name}` ({op:?}): {problem}"));
        if name.is_empty() || self.0.find(name).is_some() {
            return Err(refuse("layers need names of their own".into()));
        }
        if let Some(NodeId(later)) = inputs.iter().find(|id| id.0 >= self.0.nodes.len()) {
            return Err(refuse(format!("its input number {later} does not come before it")));
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|&id| self.0.shape(id)).collect();
        let shape = op.shape(&shapes).map_err(refuse)?;
        if size(&shape).is_none() {
            return Err(refuse(format!("{shape:?} is too large")));
        }
        self.0.nodes.push(Node { name: name.to_owned(), op, inputs: inputs.to_vec() });
        self.0.shapes.push(shape);
        Ok(self.0.output())
    }

    /// The graph; the node added last is its output.
    ///
    /// # Errors
    /// When the output is no vector, depends on no weights, a node leads nowhere, or a parameter is too large.
    pub fn build(self) -> Result<Graph> {
        let graph = self.0;
        let used: BTreeSet<NodeId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
        if let Some(dead) = graph.ids().find(|id| *id != graph.output() && !used.contains(id)) {
            return Err(Error::request(format!("layer `{}` leads nowhere: no other layer takes it", graph.node(dead).name)));
        }
        if let Some(Parameter { name, shape, .. }) = graph.parameters().into_iter().find(|parameter| size(&parameter.shape).is_none()) {
            return Err(Error::request(format!("parameter `{name}`: {shape:?} is too large")));
        }
        if graph.shape(graph.output()).len() != 1 || !graph.nodes.iter().any(|node| node.op.is_weighted()) {
            let last = &graph.node(graph.output()).name;
            return Err(Error::request(format!(
                "the last layer, `{last}`, must give one score a class, through at least one weighted layer"
            )));
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Interpolation};

    fn small() -> Result<Graph> {
        let mut builder = GraphBuilder::new([3, 8, 8])?;
        let input = builder.input();
        let conv = builder.add("conv", Op::conv(4, Window::new(3).padding(1)), &[input])?;
        let norm = builder.add("norm", Op::batch_norm(), &[conv])?;
        let relu = builder.add("relu", Op::RELU, &[norm])?;
        let pool = builder.add("pool", Op::MaxPool { window: Window::tiling(2) }, &[relu])?;
        let twin = builder.add("twin", Op::avg_pool(Window::tiling(2)), &[relu])?;
        let both = builder.add("both", Op::Concat { axis: 0 }, &[pool, twin])?;
        let flat = builder.add("flat", Op::Flatten, &[both])?;
        builder.add("head", Op::linear(5), &[flat])?;
        builder.build()
    }

    #[test]
    fn shapes_parameters_and_costs_follow_from_the_ops() {
        let graph = small().unwrap();
        assert_eq!(graph.shape(graph.find("both").unwrap()), [8, 4, 4]);
        assert_eq!(graph.classes(), 5);
        assert_eq!(graph.parameter_count(), (4 * 27 + 4) + 8 + (128 * 5 + 5));
        assert_eq!(graph.multiply_adds(), 64 * 4 * 27 + 128 * 5);
        assert_eq!(graph.node(graph.penultimate()).name, "flat");
        let names: Vec<_> = graph.parameters().into_iter().map(|parameter| parameter.name).collect();
        let expected =
            ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "head.weight", "head.bias"];
        assert_eq!(names, expected);
    }

    #[test]
    fn matrix_products_count_beside_weights() {
        let net = crate::testing::attentive(candle_core::DType::F32);
        let (patches, linear, attention) = (6 * 12 * 2 * 8, 13 * 6 * 4 * 4, 2 * 2 * 13 * 13 * 2);
        assert_eq!(net.graph().multiply_adds(), patches + linear + attention + 14 * 3);
        let json = serde_json::to_string(net.graph()).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&json).unwrap(), *net.graph());
    }

    #[test]
    fn graphs_come_back_from_json() {
        let graph = small().unwrap();
        let json = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&json).unwrap(), graph);
        let broken = json.replace("\"features\":5", "\"features\":0");
        assert!(serde_json::from_str::<Graph>(&broken).unwrap_err().to_string().contains("`head`"));
    }

    #[test]
    fn mistakes_name_their_layer() {
        let mut builder = GraphBuilder::new([3, 4, 4]).unwrap();
        let input = builder.input();
        let mut refused = |op, inputs: &[NodeId]| builder.add("odd", op, inputs).unwrap_err().to_string();
        for message in [
            refused(Op::conv(4, Window::new(5)), &[input]),
            refused(Op::Conv2d { channels: 4, window: Window::new(1), groups: 2, bias: false }, &[input]),
            refused(Op::conv(4, Window::new(1).stride(0)), &[input]),
            refused(Op::avg_pool(Window::new(2).padding(2)), &[input]),
            refused(Op::MaxPool { window: Window::tiling(2).border([0; 2], [0, 2]) }, &[input]),
            refused(Op::linear(0), &[input]),
            refused(Op::Add, &[input]),
            refused(Op::RELU, &[NodeId(7)]),
            refused(Op::Dropout { p: 1.0 }, &[input]),
            refused(Op::Activation { function: Activation::Clip { low: 1.0, high: 0.0 } }, &[input]),
            refused(Op::Activation { function: Activation::Elu { alpha: f64::NAN } }, &[input]),
            refused(Op::Constant { shape: vec![3, 0] }, &[]),
            refused(Op::Constant { shape: vec![1 << 40, 1 << 40] }, &[]),
            refused(Op::MaxPool { window: Window::new(1).padding(usize::MAX) }, &[input]),
            refused(Op::Pad { before: vec![usize::MAX; 3], after: vec![1; 3], value: 0.0 }, &[input]),
            refused(Op::Upsample { factor: [usize::MAX; 2], mode: Interpolation::Nearest }, &[input]),
            refused(Op::MatMul, &[input]),
            refused(Op::Mul, &[input]),
            refused(Op::LayerNorm { axes: 4, eps: 1e-5 }, &[input]),
            refused(Op::LayerNorm { axes: 1, eps: 0.0 }, &[input]),
            refused(Op::Softmax { axis: 3 }, &[input]),
            refused(Op::Mean { axes: vec![0, 1, 2] }, &[input]),
            refused(Op::Mean { axes: vec![1, 1] }, &[input]),
            refused(Op::Concat { axis: 3 }, &[input, input]),
            refused(Op::Slice { axis: 0, start: 2, len: 2 }, &[input]),
            refused(Op::Slice { axis: 0, start: 2, len: usize::MAX }, &[input]),
            refused(Op::Pad { before: vec![1], after: vec![1], value: 0.0 }, &[input]),
            refused(Op::Transpose { order: vec![0, 2, 2] }, &[input]),
            refused(Op::Reshape { shape: vec![3, 4, 5] }, &[input]),
            refused(Op::Upsample { factor: [2, 0], mode: Interpolation::Nearest }, &[input]),
            refused(Op::Input, &[]),
        ] {
            assert!(message.contains("`odd`"), "{message}");
        }
        assert!(builder.add("input", Op::RELU, &[input]).is_err(), "a name that is taken");
        let relu = builder.add("relu", Op::RELU, &[input]).unwrap();
        let flat = builder.add("flat", Op::Flatten, &[input]).unwrap();
        builder.add("head", Op::linear(2), &[flat]).unwrap();
        assert!(builder.build().unwrap_err().to_string().contains("`relu`"), "node {relu:?} leads nowhere");
    }
}
