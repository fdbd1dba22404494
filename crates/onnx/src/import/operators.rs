//! What each operator becomes.

use super::attributes::Attributes;
use super::call::Call;
use super::value::Value;
use super::{Importer, Problem};

impl Importer<'_> {
    /// What a node's outputs stand for.
    pub(super) fn outputs(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Problem> {
        let node = call.node;
        if !["", "ai.onnx"].contains(&node.domain.as_str()) {
            return Err(format!("is an operator of the domain `{}`", node.domain.escape_debug()));
        }
        if let Some(constants) = self.fold(call) {
            return constants;
        }
        let output = match node.op_type.as_str() {
            "Identity" | "Dropout" | "CastLike" => passed(call),
            "Cast" => cast(call),
            "Conv" => self.convolution(call),
            "Gemm" => self.gemm(call),
            "MatMul" => self.matrix_product(call),
            "Attention" => self.attention(call),
            "BatchNormalization" => self.batch_norm(call),
            "LayerNormalization" => self.layer_norm(call),
            "Relu" | "LeakyRelu" | "PRelu" | "Elu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" | "Swish" | "Softplus" | "Gelu"
            | "Clip" => self.activation(call),
            "Softmax" => self.softmax(call),
            "Add" | "Sum" => self.sum(call),
            "Sub" => self.difference(call),
            "Mul" => self.product(call),
            "Div" => self.quotient(call),
            "Neg" => self.negated(call),
            "MaxPool" => self.max_pool(call),
            "AveragePool" => self.average_pool(call),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(call),
            "ReduceMean" => self.reduce_mean(call),
            "Resize" | "Upsample" => self.resize(call),
            "Pad" => self.pad(call),
            "Concat" => self.concat(call),
            "Split" => return self.split(call),
            "Slice" => self.slice(call),
            "Gather" => self.gather(call),
            "Transpose" => self.transpose(call),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(call),
            "Expand" => self.expand(call),
            _ => Err("is an operator that is not known here".into()),
        };
        Ok(vec![output?])
    }
}

/// The first input as it is.
pub(super) fn passed(call: &Call<'_>) -> Result<Value, Problem> {
    call.layer(0).cloned().map(Value::Layer)
}

/// Between floats, a cast leaves the numbers as they are: the net has one type.
fn cast(call: &Call<'_>) -> Result<Value, Problem> {
    match call.node.int("to", 0)? {
        1 | 10 | 11 | 16 => passed(call),
        other => Err(format!("makes other numbers than floats (ONNX's type {other}) of what depends on the image")),
    }
}
