//! ONNX models: a graph of operators with its weights. What the operators mean is not known here.
//!
//! Of ONNX's features, these are left out, and a model that has them is refused: subgraphs (`If`, `Loop`), functions of its own, sparse
//! weights, and inputs or outputs that are no tensors.

mod decode;
mod encode;
mod external;
mod proto;
mod tensor;

use std::collections::BTreeMap;
use std::path::Path;

use bezoar_core::{Error, Result};

use crate::files::{read_file, write_file};
use crate::{Array, Dtype};

/// What an ONNX file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The program that wrote it.
    pub producer: String,
    /// That program's version.
    pub producer_version: String,
    /// The version of each set of operators by its domain; ONNX's own domain is `""`.
    pub opsets: BTreeMap<String, i64>,
    /// The graph's name.
    pub name: String,
    /// What the graph takes, without weights: older files name these among the inputs too.
    pub inputs: Vec<Value>,
    /// What the graph gives.
    pub outputs: Vec<Value>,
    /// The operators; ONNX asks for an order in which each comes after those it takes from. It is not checked here.
    pub nodes: Vec<Node>,
    /// The weights and other constants.
    pub initializers: BTreeMap<String, Array>,
}

/// An input or output of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// What nodes call it.
    pub name: String,
    /// Its size along each dimension, none where it is open (a name such as `batch`, or negative); none at all if not even their
    /// number is known.
    pub shape: Option<Vec<Option<usize>>>,
    /// The type of its numbers, if the file says it and [`Dtype`] knows it.
    pub dtype: Option<Dtype>,
}

/// One operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its name; many programs leave it empty.
    pub name: String,
    /// What it does, as `Conv`.
    pub op_type: String,
    /// Who says what that means; ONNX itself is `""`.
    pub domain: String,
    /// The values that it takes; an optional one that is left out is empty.
    pub inputs: Vec<String>,
    /// The values that it gives; one that is left out is empty.
    pub outputs: Vec<String>,
    /// Its settings.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A setting of an operator.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Attribute {
    Int(i64),
    Float(f32),
    String(String),
    Tensor(Array),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Strings(Vec<String>),
}

/// Reads a model. Weights may lie in other files of its folder.
///
/// # Errors
/// When the file is no ONNX model, is broken, uses what is left out here, or takes data from outside its folder; the error names the
/// tensor or node.
pub fn read(path: &Path) -> Result<Model> {
    // The parent of a bare name is empty, which is no folder.
    let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    decode(read_file(path)?, &path.display().to_string(), folder)
}

/// The model in the bytes of an ONNX file; `place` is what errors call them, and weights may lie in files of `folder`.
///
/// # Errors
/// As [`read`]; and when weights lie in other files and there is no folder.
pub fn decode(bytes: Vec<u8>, place: &str, folder: Option<&Path>) -> Result<Model> {
    decode::model(bytes.into(), folder).map_err(|fault| {
        let place = if fault.part.is_empty() { place.to_owned() } else { format!("{place}, {}", fault.part) };
        let error = Error::data(place, fault.problem);
        match fault.help {
            Some(help) => error.with_help(help),
            None => error,
        }
    })
}

/// Writes a model, weights included; the file is there as a whole or not at all.
///
/// # Errors
/// When the model is larger than the 2 GB that ONNX allows, or the file cannot be written.
pub fn write(path: &Path, model: &Model) -> Result<()> {
    write_file(path, &encode(model)?)
}

/// The model as the bytes of an ONNX file.
///
/// # Errors
/// When the model is larger than the 2 GB that ONNX allows.
pub fn encode(model: &Model) -> Result<Vec<u8>> {
    encode::model(model).ok_or_else(|| Error::request(format!("the model `{}` is larger than the 2 GB of an ONNX file", model.name)))
}
