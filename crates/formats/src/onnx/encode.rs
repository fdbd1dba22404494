//! A [`Model`] as ONNX's messages.

use prost::Message;

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, attribute_type,
};
use super::{Attribute, Model, Node, Value, tensor};

/// The version of the file format: of 2021, the newest that needs nothing that is left out here, and known to all current programs.
const IR_VERSION: i64 = 8;

/// The bytes of the model; none when they are too many for the format.
pub(super) fn model(model: &Model) -> Option<Vec<u8>> {
    let graph = GraphProto {
        node: model.nodes.iter().map(|each| node(each).encode_to_vec().into()).collect(),
        name: model.name.clone(),
        initializer: model.initializers.iter().map(|(name, array)| tensor::encode(name, array).encode_to_vec().into()).collect(),
        input: model.inputs.iter().map(|each| value(each).encode_to_vec().into()).collect(),
        output: model.outputs.iter().map(|each| value(each).encode_to_vec().into()).collect(),
        sparse_initializer: Vec::new(),
    };
    let opsets = model.opsets.iter().map(|(domain, &version)| OperatorSetIdProto { domain: domain.clone(), version });
    let proto = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: model.producer.clone(),
        producer_version: model.producer_version.clone(),
        graph: Some(graph),
        opset_import: opsets.map(|each| each.encode_to_vec().into()).collect(),
        functions: Vec::new(),
    };
    i32::try_from(proto.encoded_len()).is_ok().then(|| proto.encode_to_vec())
}

fn value(Value { name, shape, dtype }: &Value) -> ValueInfoProto {
    let dimension = |size: &Option<usize>| DimensionProto { dim_value: size.map(|size| size as i64) };
    let shape = shape.as_ref().map(|sizes| TensorShapeProto { dim: sizes.iter().map(dimension).collect() });
    let tensor_type = TensorTypeProto { elem_type: tensor::type_number(*dtype), shape };
    ValueInfoProto { name: name.clone(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

fn node(node: &Node) -> NodeProto {
    NodeProto {
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: node.name.clone(),
        op_type: node.op_type.clone(),
        attribute: node.attributes.iter().map(|(name, value)| attribute(name, value).encode_to_vec().into()).collect(),
        domain: node.domain.clone(),
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    match value.clone() {
        Attribute::Float(f) => AttributeProto { f: Some(f), r#type: attribute_type::FLOAT, ..proto },
        Attribute::Int(i) => AttributeProto { i: Some(i), r#type: attribute_type::INT, ..proto },
        Attribute::String(s) => AttributeProto { s: Some(s), r#type: attribute_type::STRING, ..proto },
        Attribute::Tensor(array) => AttributeProto { t: Some(tensor::encode("", &array)), r#type: attribute_type::TENSOR, ..proto },
        Attribute::Floats(floats) => AttributeProto { floats, r#type: attribute_type::FLOATS, ..proto },
        Attribute::Ints(ints) => AttributeProto { ints, r#type: attribute_type::INTS, ..proto },
        Attribute::Strings(strings) => AttributeProto { strings, r#type: attribute_type::STRINGS, ..proto },
    }
}
