//! From an ONNX model to a net.

mod attributes;
mod constants;
mod operators;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use bezoar_core::{Error, Result};
use bezoar_formats::onnx::{Model, Node};
use bezoar_formats::{Array, Values};
use bezoar_nn::{GraphBuilder, Network, NodeId, Op};
use candle_core::{Device, Tensor};

/// Why a node cannot be imported.
type Problem = String;

/// Values of one tensor, at most: what no image classifier needs.
const LARGEST: usize = 1 << 28;

/// What a name in the model stands for.
#[derive(Clone, Debug)]
enum Value {
    /// What a layer gives, and its shape with a batch of 1.
    Layer(NodeId, Vec<usize>),
    /// The same for every image.
    Constant(Array),
    /// What depends on a node that was refused.
    Refused,
}

/// The net that a model describes, in the number type of its weights, batch norm unfolded.
///
/// # Errors
/// When the model is no classifier of images of a known size, its nodes are in no order, or use what is not known here: names each such
/// node. When a weight is not finite.
pub fn import(model: &Model) -> Result<Network> {
    let [output] = model.outputs.as_slice() else {
        let names: Vec<_> = model.outputs.iter().map(|output| output.name.as_str()).collect();
        return Err(Error::request(format!("the model has {} outputs ({}), and a classifier has one", names.len(), names.join(", ")))
            .with_help("export the model with its scores as the only output"));
    };
    check_weights(&model.initializers)?;
    let (name, shape) = input(model)?;
    let needed = needed(model, &output.name)?;
    let mut importer = Importer::new(shape)?;
    importer.values.insert(name, Value::Layer(importer.builder.input(), [&[1], &shape[..]].concat()));
    for (name, array) in &model.initializers {
        importer.values.insert(name.clone(), Value::Constant(array.clone()));
    }
    for node in model.nodes.iter().enumerate().filter(|(number, _)| needed.contains(number)).map(|(_, node)| node) {
        importer.add(node);
    }
    importer.finish(&output.name)
}

/// The model's one input and the size of an image.
fn input(model: &Model) -> Result<(String, [usize; 3])> {
    let [input] = model.inputs.as_slice() else {
        let names: Vec<_> = model.inputs.iter().map(|input| input.name.as_str()).collect();
        return Err(Error::request(format!("the model has {} inputs ({}), and a classifier has one", names.len(), names.join(", "))));
    };
    let help = "export the model with a fixed image size, such as [batch, 3, 32, 32]";
    let Some([_, channels, height, width]) = input.shape.as_deref() else {
        return Err(Error::request(format!("the input `{}` is no batch of images: it has not four dimensions", input.name)).with_help(help));
    };
    match [channels, height, width].map(|size| size.filter(|size| (1..=LARGEST).contains(size))) {
        [Some(channels), Some(height), Some(width)] => Ok((input.name.clone(), [channels, height, width])),
        _ => Err(Error::request(format!("the input `{}` leaves the size of images open, or makes it absurd", input.name)).with_help(help)),
    }
}

/// The numbers of the nodes that the output depends on.
fn needed(model: &Model, output: &str) -> Result<BTreeSet<usize>> {
    let mut makers = BTreeMap::new();
    for (number, node) in model.nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if makers.insert(name.as_str(), number).is_some() {
                return Err(Error::request(format!("the value `{name}` has two makers; the second is the node {}", describe(node))));
            }
        }
    }
    let (mut needed, mut open) = (BTreeSet::new(), vec![output]);
    while let Some(name) = open.pop() {
        if let Some(&number) = makers.get(name)
            && needed.insert(number)
        {
            open.extend(model.nodes[number].inputs.iter().map(String::as_str));
        }
    }
    Ok(needed)
}

fn check_weights(weights: &BTreeMap<String, Array>) -> Result<()> {
    let is_finite = |array: &Array| match array.values() {
        Values::F32(values) => values.iter().all(|value| value.is_finite()),
        Values::F64(values) => values.iter().all(|value| value.is_finite()),
        _ => true,
    };
    match weights.iter().find(|(_, array)| !is_finite(array)) {
        Some((name, _)) => Err(Error::data(name, "the weights are not all finite")),
        None => Ok(()),
    }
}

/// A node in a message.
fn describe(node: &Node) -> String {
    let name = if node.name.is_empty() { node.outputs.first().map_or("", String::as_str) } else { &node.name };
    format!("`{name}` ({})", node.op_type)
}

struct Importer {
    builder: GraphBuilder,
    parameters: BTreeMap<String, Tensor>,
    values: BTreeMap<String, Value>,
    names: BTreeSet<String>,
    problems: Vec<String>,
}

impl Importer {
    fn new(input: [usize; 3]) -> Result<Self> {
        Ok(Self {
            builder: GraphBuilder::new(input)?,
            parameters: BTreeMap::new(),
            values: BTreeMap::new(),
            names: ["input".to_owned()].into(),
            problems: Vec::new(),
        })
    }

    /// Adds what a node does, or notes why that cannot be.
    fn add(&mut self, node: &Node) {
        let inputs: Option<Vec<Option<Value>>> =
            node.inputs.iter().map(|name| if name.is_empty() { Some(None) } else { self.values.get(name).cloned().map(Some) }).collect();
        let found = match inputs {
            None => Err("takes a value that no node before it makes: the nodes are in no order, or form a circle".to_owned()),
            Some(inputs) if inputs.iter().flatten().any(|input| matches!(input, Value::Refused)) => Ok(Vec::new()),
            Some(inputs) => self.outputs(node, &inputs),
        };
        let mut outputs = found.unwrap_or_else(|problem| {
            self.problems.push(format!("{}: {problem}", describe(node)));
            Vec::new()
        });
        outputs.resize(node.outputs.len().max(outputs.len()), Value::Refused);
        for (name, value) in node.outputs.iter().zip(outputs) {
            self.values.insert(name.clone(), value);
        }
    }

    /// Adds a layer for a node; `parameters` by their last names. Returns the layer and its shape with a batch of 1.
    fn layer(&mut self, node: &Node, op: Op, inputs: &[NodeId], parameters: Vec<(&str, Tensor)>) -> Result<Value, Problem> {
        let name = self.name(node);
        let id = self.builder.add(&name, op, inputs).map_err(|error| error.to_string())?;
        let shape = [&[1], self.builder.shape(id)].concat();
        check_size(&shape)?;
        self.parameters.extend(parameters.into_iter().map(|(what, value)| (format!("{name}.{what}"), value)));
        Ok(Value::Layer(id, shape))
    }

    /// A layer's name: that of its weights, as PyTorch names modules, else the node's, else its output's; numbered if it is taken.
    fn name(&mut self, node: &Node) -> String {
        let weights = node.inputs.get(1).and_then(|name| name.strip_suffix(".weight")).filter(|name| !name.is_empty());
        let own = if node.name.is_empty() { node.outputs.first().map_or("", String::as_str) } else { &node.name };
        let own = weights.unwrap_or(own).trim_start_matches('/');
        let own = if own.is_empty() { "layer" } else { own };
        let mut name = own.to_owned();
        for number in 2..=self.names.len() + 1 {
            if !self.names.contains(&name) {
                break;
            }
            name = format!("{own}.{number}");
        }
        self.names.insert(name.clone());
        name
    }

    fn finish(self, output: &str) -> Result<Network> {
        if !self.problems.is_empty() {
            let count = self.problems.len();
            let nodes = if count == 1 { "a node".to_owned() } else { format!("{count} nodes") };
            return Err(Error::request(format!("{nodes} of the model cannot be imported:\n{}", self.problems.join("\n"))));
        }
        match self.values.get(output) {
            Some(Value::Layer(..)) => Network::new(self.builder.build()?, self.parameters),
            _ => Err(Error::request(format!("the output `{output}` does not depend on the image"))),
        }
    }
}

fn check_size(shape: &[usize]) -> Result<(), Problem> {
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    if count.is_some_and(|count| count <= LARGEST) { Ok(()) } else { Err(format!("its output {shape:?} is too large")) }
}

/// An array of floats as a tensor.
fn tensor(array: &Array) -> Result<Tensor, Problem> {
    match array.values() {
        Values::F32(values) => Tensor::from_slice(values, array.shape(), &Device::Cpu),
        Values::F64(values) => Tensor::from_slice(values, array.shape(), &Device::Cpu),
        other => return Err(format!("its weights are {:?}, not floats", other.dtype())),
    }
    .map_err(|error| error.to_string())
}
