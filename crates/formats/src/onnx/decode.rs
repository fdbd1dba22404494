//! ONNX's messages as a [`Model`].

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::external::Folder;
use super::proto::{AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, attribute_type};
use super::{Attribute, Model, Node, Value, tensor};
use crate::Array;

/// What is wrong, in which part of the model, and how to mend it.
pub(super) struct Fault {
    pub(super) part: String,
    pub(super) problem: String,
    pub(super) help: Option<&'static str>,
}

impl Fault {
    fn new(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { part: part.into(), problem: problem.into(), help: None }
    }

    fn with_help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

type Result<T> = std::result::Result<T, Fault>;

pub(super) fn model(bytes: Bytes, folder: Option<&Path>) -> Result<Model> {
    let ModelProto { ir_version, producer_name, producer_version, graph, opset_import, functions } =
        ModelProto::decode(bytes).map_err(|error| Fault::new("", format!("no whole ONNX model: {error}")))?;
    // Any bytes without a known field are an empty message.
    let (Some(_), Some(graph)) = (ir_version, graph) else { return Err(Fault::new("", "no ONNX model: it has no graph")) };
    if !functions.is_empty() {
        return Err(Fault::new("", "the model has functions of its own")
            .with_help("replace their calls with `onnx.inliner.inline_local_functions`"));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(Fault::new("", "the model has sparse weights").with_help("store them densely"));
    }
    let folder = &mut Folder::new(folder);
    let mut model = Model { producer: producer_name, producer_version, name: graph.name, ..Model::default() };
    for bytes in opset_import {
        let OperatorSetIdProto { domain, version } = message(bytes, "its list of operator sets")?;
        model.opsets.insert(canonical(domain), version);
    }
    for bytes in graph.initializer {
        let proto: TensorProto = message(bytes, "an initializer")?;
        let (name, part) = (proto.name.clone(), format!("tensor `{}`", proto.name.escape_debug()));
        let array = tensor::decode(proto, folder).map_err(|problem| Fault::new(&part, problem))?;
        if model.initializers.insert(name, array).is_some() {
            return Err(Fault::new(part, "is there twice"));
        }
    }
    for bytes in graph.node {
        let node = node(bytes, model.nodes.len(), folder)?;
        model.nodes.push(node);
    }
    model.inputs = values(graph.input, &model.initializers)?;
    model.outputs = values(graph.output, &BTreeMap::new())?;
    Ok(model)
}

fn message<M: Message + Default>(bytes: Bytes, part: &str) -> Result<M> {
    M::decode(bytes).map_err(|error| Fault::new(part, format!("cannot be read: {error}")))
}

/// ONNX's own domain has two names.
fn canonical(domain: String) -> String {
    if domain == "ai.onnx" { String::new() } else { domain }
}

fn values(messages: Vec<Bytes>, known: &BTreeMap<String, Array>) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for bytes in messages {
        let ValueInfoProto { name, r#type } = message(bytes, "an input or output")?;
        if known.contains_key(&name) {
            continue;
        }
        let part = || format!("input or output `{}`", name.escape_debug());
        let tensor = r#type.and_then(|kind| kind.tensor_type).ok_or_else(|| Fault::new(part(), "is no tensor"))?;
        let shape = tensor.shape.map(|shape| shape.dim.iter().map(|dim| dim.dim_value.and_then(|size| size.try_into().ok())).collect());
        values.push(Value { name, shape, dtype: tensor::dtype(tensor.elem_type) });
    }
    Ok(values)
}

fn node(bytes: Bytes, number: usize, folder: &mut Folder<'_>) -> Result<Node> {
    let NodeProto { input, output, name, op_type, attribute, domain } = message(bytes, &format!("node {number}"))?;
    let part = format!("node {number} (`{}`, {})", name.escape_debug(), op_type.escape_debug());
    if op_type.is_empty() {
        return Err(Fault::new(part, "has no operator"));
    }
    let mut attributes = BTreeMap::new();
    for bytes in attribute {
        let proto: AttributeProto = message(bytes, &part)?;
        let part = format!("{part}, attribute `{}`", proto.name.escape_debug());
        let name = proto.name.clone();
        let value = attribute_value(proto, &part, folder)?;
        if attributes.insert(name, value).is_some() {
            return Err(Fault::new(part, "is there twice"));
        }
    }
    Ok(Node { name, op_type, domain: canonical(domain), inputs: input, outputs: output, attributes })
}

fn attribute_value(proto: AttributeProto, part: &str, folder: &mut Folder<'_>) -> Result<Attribute> {
    let AttributeProto { f, i, s, t, floats, ints, strings, r#type, .. } = proto;
    Ok(match r#type {
        attribute_type::FLOAT => Attribute::Float(f.unwrap_or_default()),
        attribute_type::INT => Attribute::Int(i.unwrap_or_default()),
        attribute_type::STRING => Attribute::String(s.unwrap_or_default()),
        attribute_type::TENSOR => {
            Attribute::Tensor(tensor::decode(t.unwrap_or_default(), folder).map_err(|problem| Fault::new(part, problem))?)
        }
        attribute_type::FLOATS => Attribute::Floats(floats),
        attribute_type::INTS => Attribute::Ints(ints),
        attribute_type::STRINGS => Attribute::Strings(strings),
        attribute_type::GRAPH | attribute_type::GRAPHS => {
            let help =
                "export the model without control flow, as with `torch.onnx.export` in evaluation mode, or simplify it with `onnxsim`";
            return Err(Fault::new(part, "is a graph within the graph, which is not known here").with_help(help));
        }
        other => return Err(Fault::new(part, format!("attributes of ONNX's type {other} are not known"))),
    })
}
