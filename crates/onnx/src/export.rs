//! From a net to an ONNX model.

use std::collections::BTreeMap;

use bezoar_core::{Error, Result};
use bezoar_formats::onnx::{Attribute, Model, Node, Value};
use bezoar_formats::{Array, Dtype, Values};
use bezoar_nn::{Activation, AtPlace, Border, Network, NodeId, Op, Window};
use candle_core::{DType, Tensor};

/// The opset of exported models: all programs of the last years read it.
const OPSET: i64 = 13;

/// A net as a model with the input `images`, of any number of images, and the output `scores`.
///
/// # Errors
/// When a layer has no counterpart here, or the net's parameters cannot be read.
pub fn export(network: &Network) -> Result<Model> {
    let graph = network.graph();
    let dtype = if network.dtype() == DType::F64 { Dtype::F64 } else { Dtype::F32 };
    let value = |name: &str, shape: &[usize]| {
        let shape = std::iter::once(None).chain(shape.iter().copied().map(Some)).collect();
        Value { name: name.to_owned(), shape: Some(shape), dtype: Some(dtype) }
    };
    let mut initializers = BTreeMap::new();
    for (name, parameter) in network.parameters() {
        initializers.insert(name.clone(), array(parameter).at(name)?);
    }
    Ok(Model {
        producer: "bezoar".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opsets: [(String::new(), OPSET)].into(),
        name: "net".into(),
        inputs: vec![value(IMAGES, &graph.input())],
        outputs: vec![value(SCORES, &[graph.classes()])],
        nodes: graph.ids().skip(1).map(|id| node(network, id)).collect::<Result<_>>()?,
        initializers,
    })
}

const IMAGES: &str = "images";
const SCORES: &str = "scores";

/// What a node's output is called; `.out` keeps it apart from the parameters.
fn output(network: &Network, id: NodeId) -> String {
    let graph = network.graph();
    match id {
        id if id == graph.input_node() => IMAGES.to_owned(),
        id if id == graph.output() => SCORES.to_owned(),
        id => format!("{}.out", graph.node(id).name),
    }
}

fn node(network: &Network, id: NodeId) -> Result<Node> {
    let node = network.graph().node(id);
    let parameters = network.graph().parameters_of(id).into_iter().map(|parameter| parameter.name);
    let (op_type, attributes) =
        operator(&node.op).ok_or_else(|| Error::request(format!("layer `{}` ({:?}) cannot be exported yet", node.name, node.op)))?;
    Ok(Node {
        name: node.name.clone(),
        op_type: op_type.into(),
        domain: String::new(),
        inputs: node.inputs.iter().map(|input| output(network, *input)).chain(parameters).collect(),
        outputs: vec![output(network, id)],
        attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

/// An op's operator; none for those that are not known here.
fn operator(op: &Op) -> Option<(&'static str, Vec<(&'static str, Attribute)>)> {
    let int = |value: usize| Attribute::Int(value as i64);
    Some(match *op {
        Op::Conv2d { window, groups, .. } => ("Conv", [vec![("group", int(groups))], of_window(window)].concat()),
        Op::Linear { .. } => ("Gemm", vec![("transB", int(1))]),
        Op::BatchNorm { eps, .. } => ("BatchNormalization", vec![("epsilon", Attribute::Float(eps as f32))]),
        Op::Activation { function } => activation(function)?,
        Op::MaxPool { window } => ("MaxPool", of_window(window)),
        Op::AvgPool { window, border } => {
            let counted = ("count_include_pad", int(usize::from(border == Border::Counted)));
            // Pools know no gaps here, and older programs know none in average pools.
            let attributes = of_window(window).into_iter().filter(|(name, _)| *name != "dilations");
            ("AveragePool", attributes.chain([counted]).collect())
        }
        Op::Add => ("Sum", vec![]),
        Op::Mul => ("Mul", vec![]),
        Op::Concat { axis } => ("Concat", vec![("axis", int(axis + 1))]),
        Op::Flatten => ("Flatten", vec![("axis", int(1))]),
        Op::Dropout { .. } => ("Identity", vec![]),
        _ => return None,
    })
}

fn activation(function: Activation) -> Option<(&'static str, Vec<(&'static str, Attribute)>)> {
    let float = |value: f64| Attribute::Float(value as f32);
    Some(match function {
        Activation::Relu => ("Relu", vec![]),
        Activation::LeakyRelu { slope } => ("LeakyRelu", vec![("alpha", float(slope))]),
        Activation::Elu { alpha } => ("Elu", vec![("alpha", float(alpha))]),
        Activation::Sigmoid => ("Sigmoid", vec![]),
        Activation::Tanh => ("Tanh", vec![]),
        Activation::HardSigmoid { alpha, beta } => ("HardSigmoid", vec![("alpha", float(alpha)), ("beta", float(beta))]),
        Activation::Softplus => ("Softplus", vec![]),
        Activation::Clip { .. } | Activation::Gelu | Activation::GeluTanh | Activation::Silu | Activation::HardSwish => return None,
    })
}

fn of_window(Window { kernel, stride, dilation, before, after }: Window) -> Vec<(&'static str, Attribute)> {
    let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|value| *value as i64).collect());
    vec![
        ("kernel_shape", ints(&kernel)),
        ("strides", ints(&stride)),
        ("dilations", ints(&dilation)),
        ("pads", ints(&[before, after].concat())),
    ]
}

fn array(tensor: &Tensor) -> candle_core::Result<Array> {
    let flat = tensor.flatten_all()?;
    let values = if tensor.dtype() == DType::F64 { Values::F64(flat.to_vec1()?) } else { Values::F32(flat.to_vec1()?) };
    Array::new(tensor.dims().to_vec(), values).map_err(|error: Error| candle_core::Error::Msg(error.to_string()))
}
