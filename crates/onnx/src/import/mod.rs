//! From an ONNX model to a net.

mod arithmetic;
mod attributes;
mod call;
mod constants;
mod layers;
mod operators;
mod patterns;
mod pointwise;
mod pools;
mod resize;
mod shapes;
mod value;
mod views;
mod weights;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bezoar_core::{Error, Result};
use bezoar_formats::onnx::{Model, Node};
use bezoar_formats::{Array, Dtype, Values};
use bezoar_nn::{Network, Op};
use candle_core::DType;

use call::Call;
use layers::Layers;
use value::{Batch, Layer, Value};

/// Why a node cannot be imported.
type Problem = String;

/// Sizes up to it cannot overflow when a few are multiplied.
const LONGEST: usize = 1 << 20;

/// Operators that the output needs, at most: what no image classifier has.
const MOST_NODES: usize = 20_000;

/// The net that a model describes, in the number type of its input, batch norm unfolded.
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
    let Input { name, size, images, channels_last } = input(model)?;
    let nodes = patterns::fuse(model, &makers(&model.nodes)?);
    let makers = makers(&nodes)?;
    let output = scores(&nodes, &makers, &output.name);
    let needed = needed(&nodes, &makers, output)?;
    let mut importer = Importer::new(model, size, images)?;
    let image = importer.image(channels_last).map_err(|problem| Error::request(format!("the input `{name}`: {problem}")))?;
    importer.values.insert(name, Value::Layer(image));
    for number in needed {
        importer.add(&nodes[number]);
    }
    importer.finish(output)
}

struct Input {
    name: String,
    /// Channels, rows and columns of an image.
    size: [usize; 3],
    /// How many images the model's shapes are for; 1 where that is open.
    images: usize,
    /// Whether the model takes the channels as the last axis.
    channels_last: bool,
}

/// The model's one input.
fn input(model: &Model) -> Result<Input> {
    let [input] = model.inputs.as_slice() else {
        let names: Vec<_> = model.inputs.iter().map(|input| input.name.as_str()).collect();
        return Err(Error::request(format!("the model has {} inputs ({}), and a classifier has one", names.len(), names.join(", "))));
    };
    let help = "export the model with a fixed image size, such as [batch, 3, 32, 32]";
    let Some(&[images, a, b, c]) = input.shape.as_deref() else {
        return Err(Error::request(format!("the input `{}` is no batch of images: it has not four dimensions", input.name)).with_help(help));
    };
    if !matches!(input.dtype, None | Some(Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64)) {
        let kind = input.dtype.map_or_else(String::new, |dtype| format!("{dtype:?}"));
        return Err(Error::request(format!("the input `{}` takes {kind}, and images are floats", input.name)));
    }
    let absurd =
        || Error::request(format!("the input `{}` leaves the size of images open, or makes it absurd", input.name)).with_help(help);
    let known = |size: Option<usize>| size.filter(|size| (1..=LONGEST).contains(size));
    let (Some(a), Some(b), Some(c), Some(images)) = (known(a), known(b), known(c), known(images.or(Some(1)))) else {
        return Err(absurd());
    };
    // As TensorFlow writes images: few channels, at the end.
    let channels_last = c <= 4 && a > 4;
    let size = if channels_last { [c, a, b] } else { [a, b, c] };
    Ok(Input { name: input.name.clone(), size, images, channels_last })
}

/// The number of the node that makes each value.
fn makers(nodes: &[Node]) -> Result<BTreeMap<&str, usize>> {
    let mut makers = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if makers.insert(name.as_str(), number).is_some() {
                return Err(Error::request(format!("the value `{name}` has two makers; the second is the node {}", describe(node))));
            }
        }
    }
    Ok(makers)
}

/// The output without a softmax at the end, which makes probabilities of scores.
fn scores<'a>(nodes: &'a [Node], makers: &BTreeMap<&str, usize>, output: &'a str) -> &'a str {
    match makers.get(output).map(|&number| &nodes[number]) {
        Some(Node { op_type, inputs, .. }) if ["Softmax", "LogSoftmax"].contains(&op_type.as_str()) && inputs.len() == 1 => &inputs[0],
        _ => output,
    }
}

/// The numbers of the nodes that the output depends on, ascending.
fn needed(nodes: &[Node], makers: &BTreeMap<&str, usize>, output: &str) -> Result<BTreeSet<usize>> {
    let (mut needed, mut open) = (BTreeSet::new(), vec![output]);
    while let Some(name) = open.pop() {
        if let Some(&number) = makers.get(name)
            && needed.insert(number)
        {
            open.extend(nodes[number].inputs.iter().map(String::as_str));
        }
    }
    if needed.len() > MOST_NODES {
        return Err(Error::request(format!("the model has {} operators, more than the {MOST_NODES} that are read", needed.len())));
    }
    Ok(needed)
}

/// A node in a message.
fn describe(node: &Node) -> String {
    let name = if node.name.is_empty() { node.outputs.first().map_or("", String::as_str) } else { &node.name };
    format!("`{}` ({})", name.escape_debug(), node.op_type.escape_debug())
}

struct Importer<'a> {
    model: &'a Model,
    /// How many images the model's shapes are for.
    images: usize,
    layers: Layers,
    /// What the names seen so far stand for; initializers not looked at yet are missing.
    values: BTreeMap<String, Value>,
    problems: Vec<String>,
}

impl<'a> Importer<'a> {
    fn new(model: &'a Model, input: [usize; 3], images: usize) -> Result<Self> {
        let is_double = model.inputs.iter().any(|input| input.dtype == Some(Dtype::F64));
        let stored: usize = model.initializers.values().map(|array| array.values().len()).sum();
        let layers = Layers::new(input, if is_double { DType::F64 } else { DType::F32 }, stored)?;
        Ok(Self { model, images, layers, values: BTreeMap::new(), problems: Vec::new() })
    }

    /// The model's input: the net's, or that with the channels as the last axis.
    fn image(&mut self, channels_last: bool) -> Result<Layer, Problem> {
        let mut id = self.layers.input();
        if channels_last {
            id = self.layers.transpose("input.channels-last", id, vec![1, 2, 0])?;
        }
        Ok(self.layer_at(id, Batch::Axis(0)))
    }

    /// Adds what a node does, or notes why that cannot be.
    fn add(&mut self, node: &Node) {
        let inputs: Option<Vec<Option<Value>>> =
            node.inputs.iter().map(|name| if name.is_empty() { Some(None) } else { self.value(name).map(Some) }).collect();
        let found = match inputs {
            None => Err(self.nameless(node)),
            Some(inputs) if inputs.iter().flatten().any(|input| matches!(input, Value::Refused)) => Ok(Vec::new()),
            Some(inputs) => {
                let opset = self.model.opsets.get("").copied().unwrap_or(1);
                self.outputs(&Call { node, inputs: &inputs, opset })
            }
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

    /// What a name stands for, if it is known by now.
    fn value(&mut self, name: &str) -> Option<Value> {
        if !self.values.contains_key(name) {
            let array = Rc::new(self.model.initializers.get(name)?.clone());
            self.values.insert(name.to_owned(), Value::Constant(array));
        }
        self.values.get(name).cloned()
    }

    /// What is wrong with a node that takes what nothing stands for.
    fn nameless(&mut self, node: &Node) -> Problem {
        let name = node.inputs.iter().find(|name| !name.is_empty() && self.value(name).is_none()).cloned().unwrap_or_default();
        let made = self.model.nodes.iter().any(|other| other.outputs.contains(&name));
        let problem = if made { "that only a later node makes: the nodes are in no order, or form a circle" } else { "that nothing makes" };
        format!("takes `{}`, {problem}", name.escape_debug())
    }

    fn finish(mut self, output: &str) -> Result<Network> {
        if !self.problems.is_empty() {
            let count = self.problems.len();
            let nodes = if count == 1 { "a node".to_owned() } else { format!("{count} nodes") };
            return Err(Error::request(format!("{nodes} of the model cannot be imported:\n{}", self.problems.join("\n"))));
        }
        let Some(Value::Layer(Layer { id, shape, batch })) = self.values.get(output).cloned() else {
            return Err(Error::request(format!("the output `{}` does not depend on the image", output.escape_debug())));
        };
        let sample = batch.sample(&shape, self.images);
        if sample.iter().filter(|size| **size != 1).count() > 1 {
            let problem = format!("the output `{}` has the shape {shape:?}, and scores are [batch, classes]", output.escape_debug());
            return Err(Error::request(problem));
        }
        let flat = self.layers.reshape("scores", id, vec![sample.iter().product()]).map_err(Error::request)?;
        self.layers.build(flat)
    }

    /// What a layer gives, with the batch where it is told to be.
    fn layer_at(&self, id: bezoar_nn::NodeId, batch: Batch) -> Layer {
        Layer { id, shape: batch.full(self.layers.shape(id), self.images), batch }
    }

    /// Adds a layer of a node, called as the node is.
    fn layer(
        &mut self,
        call: &Call<'_>,
        op: Op,
        inputs: &[bezoar_nn::NodeId],
        batch: Batch,
        parameters: Vec<(&str, &Array)>,
    ) -> Result<Value, Problem> {
        let id = self.layers.add(&call.name(), op, inputs, parameters)?;
        Ok(Value::Layer(self.layer_at(id, batch)))
    }
}

/// The result of making an array here.
fn array(shape: Vec<usize>, values: Values) -> Result<Array, Problem> {
    Array::new(shape, values).map_err(|error| error.to_string())
}
