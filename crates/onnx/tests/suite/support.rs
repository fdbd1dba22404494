//! What the tests of this crate share.

use std::path::{Path, PathBuf};

use bezoar_formats::onnx::{Attribute, Model, Node, Value};
use bezoar_formats::{Array, Values};
use candle_core::{DType, Tensor};

/// A file that `tests/parity/onnx_nets.py` writes.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The largest difference, divided by the largest expected value.
pub(crate) fn apart(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let host = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (found, expected) = (host(found), host(expected));
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

pub(crate) fn node(op_type: &str, inputs: &[&str], output: &str) -> Node {
    let inputs = inputs.iter().map(|name| (*name).to_owned()).collect();
    Node { op_type: op_type.into(), inputs, outputs: vec![output.into()], ..Node::default() }
}

pub(crate) fn with(mut node: Node, name: &str, value: Attribute) -> Node {
    node.attributes.insert(name.into(), value);
    node
}

pub(crate) fn ints(values: &[i64]) -> Array {
    Array::new(vec![values.len()], Values::I64(values.to_vec())).unwrap()
}

/// A model of a convolution, what `between` makes of `conv`, and a linear layer on `flat` of so many values.
pub(crate) fn model(between: Vec<Node>, width: usize, constants: Vec<(&str, Array)>) -> Model {
    let floats = |shape: &[usize]| Array::new(shape.to_vec(), Values::F32(vec![0.5; shape.iter().product()])).unwrap();
    let mut nodes = vec![node("Conv", &["x", "w"], "conv")];
    nodes.extend(between);
    nodes.push(node("MatMul", &["flat", "m"], "scores"));
    let mut initializers: std::collections::BTreeMap<_, _> =
        [("w".to_owned(), floats(&[2, 1, 2, 2])), ("m".to_owned(), floats(&[width, 3]))].into();
    initializers.extend(constants.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Model {
        opsets: [(String::new(), 17)].into(),
        inputs: vec![Value { name: "x".into(), shape: Some(vec![None, Some(1), Some(5), Some(5)]), dtype: None }],
        outputs: vec![Value { name: "scores".into(), ..Value::default() }],
        nodes,
        initializers,
        ..Model::default()
    }
}
