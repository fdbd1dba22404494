//! From a net to an ONNX model.

use std::collections::BTreeMap;

use bezoar_core::{Error, Result};
use bezoar_formats::onnx::{Attribute, Model, Node, Value};
use bezoar_formats::{Array, Dtype, Values};
use bezoar_nn::{Activation, AtPlace, Border, Interpolation, Network, NodeId, Op, Window};
use candle_core::{DType, Tensor};

/// The opset of exported models: the first that knows `Gelu`, of the end of 2023.
const OPSET: i64 = 20;

const IMAGES: &str = "images";
const SCORES: &str = "scores";

type Attributes = Vec<(&'static str, Attribute)>;

/// A net as a model with the input `images`, of any number of images, and the output `scores`.
///
/// # Errors
/// When the net's parameters cannot be read.
pub fn export(network: &Network) -> Result<Model> {
    let graph = network.graph();
    let mut exporter = Exporter { network, dtype: dtype(network), nodes: Vec::new(), initializers: BTreeMap::new() };
    for (name, parameter) in network.parameters() {
        exporter.initializers.insert(name.clone(), array(parameter).at(name)?);
    }
    for id in graph.ids().skip(1) {
        exporter.add(id)?;
    }
    let value = |name: &str, shape: &[usize]| {
        let shape = std::iter::once(None).chain(shape.iter().copied().map(Some)).collect();
        Value { name: name.to_owned(), shape: Some(shape), dtype: Some(exporter.dtype) }
    };
    Ok(Model {
        producer: "bezoar".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opsets: [(String::new(), OPSET)].into(),
        name: "net".into(),
        inputs: vec![value(IMAGES, &graph.input())],
        outputs: vec![value(SCORES, &[graph.classes()])],
        nodes: exporter.nodes,
        initializers: exporter.initializers,
    })
}

struct Exporter<'a> {
    network: &'a Network,
    dtype: Dtype,
    nodes: Vec<Node>,
    initializers: BTreeMap<String, Array>,
}

impl Exporter<'_> {
    /// Adds what a layer does.
    fn add(&mut self, id: NodeId) -> Result<()> {
        let graph = self.network.graph();
        let node = graph.node(id);
        let name = node.name.as_str();
        let inputs: Vec<String> = node.inputs.iter().map(|&input| self.output(input)).collect();
        match &node.op {
            Op::Constant { shape } => self.add_constant(id, shape),
            Op::Linear { bias, .. } if graph.shape(id).len() > 1 => self.add_linear(id, &inputs[0], *bias),
            Op::Activation { function: Activation::Silu } => {
                let gate = self.push(name, "gate", "Sigmoid", &[&inputs[0]], Vec::new());
                self.finish(id, "Mul", &[&inputs[0], &gate], Vec::new());
            }
            Op::Activation { function: Activation::Clip { low, high } } => {
                let (low, high) = (self.float(name, "min", *low), self.float(name, "max", *high));
                self.finish(id, "Clip", &[&inputs[0], &low, &high], Vec::new());
            }
            Op::Activation { function: Activation::Scale { factor } } => {
                let factor = self.float(name, "factor", *factor);
                self.finish(id, "Mul", &[&inputs[0], &factor], Vec::new());
            }
            Op::Add | Op::Mul => self.add_together(id),
            Op::Mean { axes } => {
                let axes: Vec<i64> = axes.iter().map(|axis| *axis as i64 + 1).collect();
                let axes = self.ints(name, "axes", axes);
                self.finish(id, "ReduceMean", &[&inputs[0], &axes], vec![("keepdims", Attribute::Int(0))]);
            }
            &Op::Slice { axis, start, len } => {
                let [start, end, axis] = [("starts", start), ("ends", start + len), ("axes", axis + 1)]
                    .map(|(what, value)| self.ints(name, what, vec![value as i64]));
                self.finish(id, "Slice", &[&inputs[0], &start, &end, &axis], Vec::new());
            }
            Op::Pad { before, after, value } => {
                let pads = [&[0], before.as_slice(), &[0], after.as_slice()].concat().into_iter().map(|side| side as i64).collect();
                let (pads, value) = (self.ints(name, "pads", pads), self.float(name, "fill", *value));
                self.finish(id, "Pad", &[&inputs[0], &pads, &value], Vec::new());
            }
            Op::Reshape { shape } => {
                let target = std::iter::once(-1).chain(shape.iter().map(|size| *size as i64)).collect();
                let target = self.ints(name, "shape", target);
                self.finish(id, "Reshape", &[&inputs[0], &target], Vec::new());
            }
            Op::Upsample { factor, mode } => {
                let scales = [1.0, 1.0, factor[0] as f32, factor[1] as f32].to_vec();
                let scales = self.constant(name, "scales", vec![4], Values::F32(scales));
                self.finish(id, "Resize", &[&inputs[0], "", &scales], interpolation(*mode));
            }
            op => {
                let (operator, attributes) = operator(op)
                    .ok_or_else(|| Error::request(format!("layer `{name}` ({op:?}) has no counterpart among ONNX's operators")))?;
                let parameters: Vec<String> = graph.parameters_of(id).into_iter().map(|parameter| parameter.name).collect();
                let all: Vec<&str> = inputs.iter().chain(&parameters).map(String::as_str).collect();
                self.finish(id, operator, &all, attributes);
            }
        }
        Ok(())
    }

    /// A linear layer along the last of several axes: `Gemm` knows matrices alone.
    fn add_linear(&mut self, id: NodeId, input: &str, bias: bool) {
        let name = self.network.graph().node(id).name.as_str();
        let turned = self.push(name, "turned", "Transpose", &[&format!("{name}.weight")], Vec::new());
        if bias {
            let product = self.push(name, "product", "MatMul", &[input, &turned], Vec::new());
            self.finish(id, "Add", &[&product, &format!("{name}.bias")], Vec::new());
        } else {
            self.finish(id, "MatMul", &[input, &turned], Vec::new());
        }
    }

    /// A constant for each image, where a layer needs it so; sums and products take the parameter.
    fn add_constant(&mut self, id: NodeId, shape: &[usize]) {
        let graph = self.network.graph();
        if graph.consumers(id).all(|consumer| matches!(graph.node(consumer).op, Op::Add | Op::Mul)) {
            return;
        }
        let name = graph.node(id).name.as_str();
        let bounds = vec![("start", Attribute::Int(0)), ("end", Attribute::Int(1))];
        let batch = self.push(name, "batch", "Shape", &[IMAGES], bounds);
        let sample = self.ints(name, "sample", shape.iter().map(|size| *size as i64).collect());
        let target = self.push(name, "shape", "Concat", &[&batch, &sample], vec![("axis", Attribute::Int(0))]);
        self.finish(id, "Expand", &[&format!("{name}.value"), &target], Vec::new());
    }

    /// A sum or product. Samples are aligned at their ends, so those with fewer axes get more behind the batch.
    fn add_together(&mut self, id: NodeId) {
        let graph = self.network.graph();
        let node = graph.node(id);
        let inputs: Vec<String> = node
            .inputs
            .iter()
            .enumerate()
            .map(|(place, &input)| {
                let parent = graph.node(input);
                let missing = graph.shape(id).len() - graph.shape(input).len();
                match parent.op {
                    Op::Constant { .. } => format!("{}.value", parent.name),
                    _ if missing == 0 => self.output(input),
                    _ => {
                        let axes = self.ints(&node.name, &format!("axes{place}"), (1..=missing as i64).collect());
                        let input = self.output(input);
                        self.push(&node.name, &format!("aligned{place}"), "Unsqueeze", &[&input, &axes], Vec::new())
                    }
                }
            })
            .collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        match (&node.op, inputs.as_slice()) {
            (Op::Mul, _) => self.finish(id, "Mul", &inputs, Vec::new()),
            (_, [_, _]) => self.finish(id, "Add", &inputs, Vec::new()),
            _ => self.finish(id, "Sum", &inputs, Vec::new()),
        }
    }

    /// What a layer's output is called; `.out` keeps it apart from the parameters.
    fn output(&self, id: NodeId) -> String {
        let graph = self.network.graph();
        match id {
            id if id == graph.input_node() => IMAGES.to_owned(),
            id if id == graph.output() => SCORES.to_owned(),
            id => format!("{}.out", graph.node(id).name),
        }
    }

    /// Adds the operator that gives a layer's output.
    fn finish(&mut self, id: NodeId, operator: &str, inputs: &[&str], attributes: Attributes) {
        let (name, output) = (self.network.graph().node(id).name.clone(), self.output(id));
        self.nodes.push(made(name, operator, inputs, output, attributes));
    }

    /// Adds a step on the way to a layer's output, and gives the name of its own.
    fn push(&mut self, layer: &str, step: &str, operator: &str, inputs: &[&str], attributes: Attributes) -> String {
        let name = format!("{layer}/{step}");
        self.nodes.push(made(name.clone(), operator, inputs, name.clone(), attributes));
        name
    }

    /// Adds a constant of a layer, and gives its name.
    fn constant(&mut self, layer: &str, what: &str, shape: Vec<usize>, values: Values) -> String {
        let name = format!("{layer}/{what}");
        if let Ok(array) = Array::new(shape, values) {
            self.initializers.insert(name.clone(), array);
        }
        name
    }

    fn ints(&mut self, layer: &str, what: &str, values: Vec<i64>) -> String {
        self.constant(layer, what, vec![values.len()], Values::I64(values))
    }

    fn float(&mut self, layer: &str, what: &str, value: f64) -> String {
        let value = if self.dtype == Dtype::F64 { Values::F64(vec![value]) } else { Values::F32(vec![value as f32]) };
        self.constant(layer, what, Vec::new(), value)
    }
}

fn made(name: String, operator: &str, inputs: &[&str], output: String, attributes: Attributes) -> Node {
    Node {
        name,
        op_type: operator.to_owned(),
        domain: String::new(),
        inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        outputs: vec![output],
        attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// The operator of an op that is one, with its inputs and parameters in the same order.
fn operator(op: &Op) -> Option<(&'static str, Attributes)> {
    let int = |value: usize| Attribute::Int(value as i64);
    let float = |value: f64| Attribute::Float(value as f32);
    Some(match *op {
        Op::Conv2d { window, groups, .. } => ("Conv", [vec![("group", int(groups))], of_window(window)].concat()),
        Op::Linear { .. } => ("Gemm", vec![("transB", int(1))]),
        Op::MatMul => ("MatMul", vec![]),
        Op::BatchNorm { eps, .. } => ("BatchNormalization", vec![("epsilon", float(eps))]),
        Op::LayerNorm { axes, eps } => ("LayerNormalization", vec![("axis", Attribute::Int(-(axes as i64))), ("epsilon", float(eps))]),
        Op::Activation { function } => activation(function)?,
        Op::Softmax { axis } => ("Softmax", vec![("axis", int(axis + 1))]),
        Op::MaxPool { window } => ("MaxPool", of_window(window)),
        Op::AvgPool { window, border } => {
            let counted = ("count_include_pad", int(usize::from(border == Border::Counted)));
            // Pools know no gaps here, and older programs know none in average pools.
            let attributes = of_window(window).into_iter().filter(|(name, _)| *name != "dilations");
            ("AveragePool", attributes.chain([counted]).collect())
        }
        Op::Concat { axis } => ("Concat", vec![("axis", int(axis + 1))]),
        Op::Transpose { ref order } => {
            let order = std::iter::once(0).chain(order.iter().map(|axis| *axis as i64 + 1)).collect();
            ("Transpose", vec![("perm", Attribute::Ints(order))])
        }
        Op::Flatten => ("Flatten", vec![("axis", int(1))]),
        Op::Dropout { .. } => ("Identity", vec![]),
        _ => return None,
    })
}

fn activation(function: Activation) -> Option<(&'static str, Attributes)> {
    let float = |value: f64| Attribute::Float(value as f32);
    Some(match function {
        Activation::Relu => ("Relu", vec![]),
        Activation::LeakyRelu { slope } => ("LeakyRelu", vec![("alpha", float(slope))]),
        Activation::Elu { alpha } => ("Elu", vec![("alpha", float(alpha))]),
        Activation::Gelu => ("Gelu", vec![]),
        Activation::GeluTanh => ("Gelu", vec![("approximate", Attribute::String("tanh".into()))]),
        Activation::Sigmoid => ("Sigmoid", vec![]),
        Activation::Tanh => ("Tanh", vec![]),
        Activation::HardSigmoid { alpha, beta } => ("HardSigmoid", vec![("alpha", float(alpha)), ("beta", float(beta))]),
        Activation::HardSwish => ("HardSwish", vec![]),
        Activation::Softplus => ("Softplus", vec![]),
        Activation::Clip { .. } | Activation::Silu | Activation::Scale { .. } => return None,
    })
}

fn interpolation(mode: Interpolation) -> Attributes {
    let word = |word: &str| Attribute::String(word.to_owned());
    let [mode, places] = match mode {
        Interpolation::Nearest => ["nearest", "asymmetric"],
        Interpolation::Bilinear => ["linear", "half_pixel"],
    };
    vec![("mode", word(mode)), ("coordinate_transformation_mode", word(places)), ("nearest_mode", word("floor"))]
}

fn of_window(Window { kernel, stride, dilation, before, after }: Window) -> Attributes {
    let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|value| *value as i64).collect());
    vec![
        ("kernel_shape", ints(&kernel)),
        ("strides", ints(&stride)),
        ("dilations", ints(&dilation)),
        ("pads", ints(&[before, after].concat())),
    ]
}

/// The number type of a net's parameters in a file.
fn dtype(network: &Network) -> Dtype {
    if network.dtype() == DType::F64 { Dtype::F64 } else { Dtype::F32 }
}

fn array(tensor: &Tensor) -> candle_core::Result<Array> {
    let flat = tensor.flatten_all()?;
    let values = if tensor.dtype() == DType::F64 { Values::F64(flat.to_vec1()?) } else { Values::F32(flat.to_vec1()?) };
    Array::new(tensor.dims().to_vec(), values).map_err(|error: Error| candle_core::Error::Msg(error.to_string()))
}
