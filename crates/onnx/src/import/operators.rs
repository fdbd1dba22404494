//! What each operator becomes.

use bezoar_formats::Array;
use bezoar_formats::onnx::Node;
use bezoar_nn::{Activation, Border, NodeId, Op, Window};
use candle_core::Tensor;

use super::attributes::Attributes;
use super::constants::{fold, whole};
use super::windows::window;
use super::{Importer, Problem, Value, tensor};

/// A layer's number, and what it gives with a batch of 1.
type Layer<'a> = (NodeId, &'a [usize]);

impl Importer {
    /// What a node's outputs stand for.
    pub(super) fn outputs(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Vec<Value>, Problem> {
        if !["", "ai.onnx"].contains(&node.domain.as_str()) {
            return Err(format!("is an operator of the domain `{}`", node.domain));
        }
        if let Some(constant) = fold(node, inputs) {
            return Ok(vec![Value::Constant(constant?)]);
        }
        let output = match node.op_type.as_str() {
            "Identity" | "Dropout" | "Cast" => passed(inputs),
            "Conv" => self.convolution(node, inputs),
            "BatchNormalization" => self.batch_norm(node, inputs),
            "Relu" | "LeakyRelu" | "Elu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" | "Softplus" | "Gelu" | "Clip" => {
                let function = activation(node, inputs)?;
                self.unary(node, Op::Activation { function }, inputs)
            }
            "Mul" => self.product(node, inputs),
            "MaxPool" => self.max_pool(node, inputs),
            "AveragePool" => self.average_pool(node, inputs),
            "GlobalAveragePool" => self.global_average_pool(node, inputs),
            "ReduceMean" => self.reduce_mean(node, inputs),
            "Add" => self.add_layers(node, inputs),
            "Sum" => self.joined(node, Op::Add, inputs),
            "Concat" => self.concat(node, inputs),
            "Flatten" => self.flatten(node, inputs),
            "Reshape" => self.reshape(node, inputs),
            "Squeeze" | "Unsqueeze" => self.squeeze(node, inputs),
            "Gemm" => self.gemm(node, inputs),
            "MatMul" => self.matrix_product(node, inputs),
            "Softmax" | "LogSoftmax" => softmax(node, inputs),
            _ => Err("is an operator that is not known here".into()),
        };
        Ok(vec![output?])
    }

    fn unary(&mut self, node: &Node, op: Op, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (id, _) = layer(inputs, 0)?;
        self.layer(node, op, &[id], Vec::new())
    }

    fn convolution(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let ((id, shape), weights) = (maps(inputs)?, constant(inputs, 1)?);
        let &[channels, _, rows, columns] = weights.shape() else {
            return Err(format!("weights of the shape {:?}: only convolutions of images are known", weights.shape()));
        };
        let window = window(node, [shape[2], shape[3]], Some([rows, columns]))?;
        let groups = usize::try_from(node.int("group", 1)?).map_err(|_| "`group` is negative")?;
        let bias = optional(inputs, 2)?;
        let mut parameters = vec![("weight", tensor(weights)?)];
        parameters.extend(bias.map(|bias| Ok::<_, Problem>(("bias", tensor(bias)?))).transpose()?);
        self.layer(node, Op::Conv2d { channels, window, groups, bias: bias.is_some() }, &[id], parameters)
    }

    fn batch_norm(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        if node.int("training_mode", 0)? != 0 || node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("is in training; export the model for use (`model.eval()`)".into());
        }
        let (id, _) = layer(inputs, 0)?;
        let names = ["weight", "bias", "running_mean", "running_var"];
        let parameters = names.iter().zip(1..).map(|(name, place)| Ok((*name, tensor(constant(inputs, place)?)?)));
        let parameters = parameters.collect::<Result<Vec<_>, Problem>>()?;
        self.layer(node, Op::BatchNorm { eps: node.float("epsilon", 1e-5)?, momentum: 0.1 }, &[id], parameters)
    }

    fn max_pool(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (id, shape) = maps(inputs)?;
        let window = window(node, [shape[2], shape[3]], None)?;
        self.layer(node, Op::MaxPool { window }, &[id], Vec::new())
    }

    fn average_pool(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (id, shape) = maps(inputs)?;
        let window = window(node, [shape[2], shape[3]], None)?;
        let border = if node.int("count_include_pad", 0)? == 0 { Border::Ignored } else { Border::Counted };
        if border == Border::Counted && node.int("ceil_mode", 0)? != 0 {
            return Err("counts its border and rounds up (`count_include_pad` with `ceil_mode`)".into());
        }
        self.layer(node, Op::AvgPool { window, border }, &[id], Vec::new())
    }

    fn global_average_pool(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (id, shape) = maps(inputs)?;
        self.layer(node, Op::avg_pool(Window::rectangle([shape[2], shape[3]])), &[id], Vec::new())
    }

    /// The mean over all positions, as Keras writes a global average pool.
    fn reduce_mean(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (_, shape) = maps(inputs)?;
        let axes = match optional(inputs, 1)? {
            Some(axes) => whole(axes)?,
            None => node.ints("axes")?.unwrap_or_default().to_vec(),
        };
        let mut axes = axes.into_iter().map(|axis| if axis < 0 { axis + 4 } else { axis }).collect::<Vec<_>>();
        axes.sort_unstable();
        if axes != [2, 3] {
            return Err(format!("takes the mean over the axes {axes:?} of {shape:?}"));
        }
        let pooled = self.global_average_pool(node, inputs)?;
        if node.int("keepdims", 1)? != 0 { Ok(pooled) } else { self.flat(node, &pooled) }
    }

    fn add_layers(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        match inputs {
            [Some(Value::Layer(..)), Some(Value::Layer(..))] => self.joined(node, Op::Add, inputs),
            _ => Err("adds a constant".into()),
        }
    }

    fn product(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let ((a, _), (b, _)) = (layer(inputs, 0)?, layer(inputs, 1)?);
        self.layer(node, Op::Mul, &[a, b], Vec::new())
    }

    fn joined(&mut self, node: &Node, op: Op, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let ids = (0..inputs.len()).map(|place| Ok(layer(inputs, place)?.0)).collect::<Result<Vec<_>, Problem>>()?;
        match ids.as_slice() {
            [_] => passed(inputs),
            ids => self.layer(node, op, ids, Vec::new()),
        }
    }

    fn concat(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (_, shape) = layer(inputs, 0)?;
        match axis(node.int("axis", 1)?, shape.len())? {
            0 => Err("joins along the batch".into()),
            axis => self.joined(node, Op::Concat { axis: axis - 1 }, inputs),
        }
    }

    fn flatten(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (_, shape) = layer(inputs, 0)?;
        match axis(node.int("axis", 1)?, shape.len() + 1)? {
            1 => self.flat(node, inputs[0].as_ref().ok_or("has no input")?),
            axis => Err(format!("flattens from the axis {axis} on")),
        }
    }

    fn reshape(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let ((_, shape), target) = (layer(inputs, 0)?, whole(constant(inputs, 1)?)?);
        self.reshaped(node, inputs, &resolve(&target, shape)?)
    }

    fn squeeze(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let (_, shape) = layer(inputs, 0)?;
        let axes = match optional(inputs, 1)? {
            Some(axes) => Some(whole(axes)?),
            None => node.ints("axes")?.map(<[i64]>::to_vec),
        };
        let mut target = shape.to_vec();
        if node.op_type == "Squeeze" {
            let axes = axes.map_or_else(
                || Ok((1..shape.len()).filter(|at| shape[*at] == 1).collect::<Vec<_>>()),
                |axes| axes.into_iter().map(|at| axis(at, shape.len())).collect::<Result<Vec<_>, Problem>>(),
            )?;
            if axes.iter().any(|at| shape[*at] != 1 || *at == 0) {
                return Err(format!("drops the axes {axes:?} of {shape:?}"));
            }
            target = (0..shape.len()).filter(|at| !axes.contains(at)).map(|at| shape[at]).collect();
        } else {
            let axes = axes.ok_or("`axes` are missing")?;
            let rank = shape.len() + axes.len();
            let mut axes = axes.into_iter().map(|at| axis(at, rank)).collect::<Result<Vec<_>, Problem>>()?;
            axes.sort_unstable();
            for at in axes {
                target.insert(at.min(target.len()), 1);
            }
        }
        self.reshaped(node, inputs, &target)
    }

    /// The same values in another shape, of which the first axis is the batch.
    fn reshaped(&mut self, node: &Node, inputs: &[Option<Value>], target: &[usize]) -> Result<Value, Problem> {
        let (_, shape) = layer(inputs, 0)?;
        match target {
            same if same == shape => passed(inputs),
            [1, _] => self.flat(node, inputs[0].as_ref().ok_or("has no input")?),
            other => Err(format!("makes {other:?} of {shape:?}")),
        }
    }

    fn flat(&mut self, node: &Node, value: &Value) -> Result<Value, Problem> {
        match value {
            Value::Layer(_, shape) if shape.len() == 2 => Ok(value.clone()),
            Value::Layer(id, _) => self.layer(node, Op::Flatten, &[*id], Vec::new()),
            other => Err(format!("flattens {other:?}")),
        }
    }

    /// `alpha A B + beta C` with constant `B` and `C`.
    fn gemm(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        if node.int("transA", 0)? != 0 {
            return Err("turns its first matrix, the batch".into());
        }
        let weight = scaled(&tensor(constant(inputs, 1)?)?, node.float("alpha", 1.0)?)?;
        let weight = if node.int("transB", 0)? == 0 { turned(&weight)? } else { weight };
        let bias = optional(inputs, 2)?.map(|bias| scaled(&tensor(bias)?, node.float("beta", 1.0)?)).transpose()?;
        self.linear(node, inputs, weight, bias)
    }

    fn matrix_product(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
        let weight = turned(&tensor(constant(inputs, 1)?)?)?;
        self.linear(node, inputs, weight, None)
    }

    fn linear(&mut self, node: &Node, inputs: &[Option<Value>], weight: Tensor, bias: Option<Tensor>) -> Result<Value, Problem> {
        let (id, _) = layer(inputs, 0)?;
        let features = weight.dims2().map_err(|error| error.to_string())?.0;
        let bias =
            bias.map(|bias| bias.flatten_all()?.broadcast_as(features)?.contiguous()).transpose().map_err(|error| error.to_string())?;
        let op = Op::Linear { features, bias: bias.is_some() };
        let parameters = [("weight", weight)].into_iter().chain(bias.map(|bias| ("bias", bias))).collect();
        self.layer(node, op, &[id], parameters)
    }
}

/// Left out at the end, where it makes probabilities of scores.
fn softmax(node: &Node, inputs: &[Option<Value>]) -> Result<Value, Problem> {
    let (_, shape) = layer(inputs, 0)?;
    let last = axis(node.int("axis", -1)?, shape.len())? + 1 == shape.len();
    if shape.len() == 2 && last { passed(inputs) } else { Err(format!("is over an axis of {shape:?}")) }
}

fn activation(node: &Node, inputs: &[Option<Value>]) -> Result<Activation, Problem> {
    Ok(match node.op_type.as_str() {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu { slope: node.float("alpha", 0.01)? },
        "Elu" => Activation::Elu { alpha: node.float("alpha", 1.0)? },
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "HardSigmoid" => Activation::HardSigmoid { alpha: node.float("alpha", 0.2)?, beta: node.float("beta", 0.5)? },
        "HardSwish" => Activation::HardSwish,
        "Softplus" => Activation::Softplus,
        "Gelu" if node.word("approximate", "none")? == "tanh" => Activation::GeluTanh,
        "Gelu" => Activation::Gelu,
        _ => {
            let end = |name: &str, place: usize, default: f32| match optional(inputs, place)? {
                Some(array) => array
                    .to_floats()
                    .and_then(|values| values.first().copied())
                    .map(f64::from)
                    .ok_or_else(|| format!("`{name}` is no number")),
                None => node.float(name, default),
            };
            let (low, high) = (end("min", 1, f32::MIN)?, end("max", 2, f32::MAX)?);
            if low > high || !low.is_finite() || !high.is_finite() {
                return Err(format!("keeps values between {low} and {high}"));
            }
            Activation::Clip { low, high }
        }
    })
}

/// The first input as it is.
fn passed(inputs: &[Option<Value>]) -> Result<Value, Problem> {
    inputs.first().and_then(Clone::clone).ok_or_else(|| "has no input".into())
}

fn layer(inputs: &[Option<Value>], place: usize) -> Result<Layer<'_>, Problem> {
    match inputs.get(place) {
        Some(Some(Value::Layer(id, shape))) => Ok((*id, shape)),
        Some(Some(Value::Constant(_))) => Err(format!("its input {place} is a constant")),
        _ => Err(format!("its input {place} is missing")),
    }
}

/// The first input, which must be maps `[1, channels, height, width]`.
fn maps(inputs: &[Option<Value>]) -> Result<Layer<'_>, Problem> {
    match layer(inputs, 0)? {
        found @ (_, [1, _, _, _]) => Ok(found),
        (_, shape) => Err(format!("takes {shape:?}, and only images of two dimensions are known")),
    }
}

fn optional(inputs: &[Option<Value>], place: usize) -> Result<Option<&Array>, Problem> {
    match inputs.get(place) {
        None | Some(None) => Ok(None),
        Some(Some(Value::Constant(array))) => Ok(Some(array)),
        Some(Some(_)) => Err(format!("its input {place} depends on the image")),
    }
}

fn constant(inputs: &[Option<Value>], place: usize) -> Result<&Array, Problem> {
    optional(inputs, place)?.ok_or_else(|| format!("its input {place} is missing"))
}

/// An axis of a tensor of this rank, counted from the end if it is negative.
fn axis(axis: i64, rank: usize) -> Result<usize, Problem> {
    let at = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("the axis {axis} of {rank}"))
}

/// The shape that a reshape asks for: 0 for the size that was there, -1 for what is left.
pub(super) fn resolve(target: &[i64], shape: &[usize]) -> Result<Vec<usize>, Problem> {
    let refuse = || format!("makes {target:?} of {shape:?}");
    let total = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size)).ok_or_else(refuse)?;
    let known = target.iter().enumerate().map(|(at, &size)| match size {
        -1 => Ok(None),
        0 => shape.get(at).copied().map(Some).ok_or_else(refuse),
        size => usize::try_from(size).map(Some).map_err(|_| refuse()),
    });
    let known = known.collect::<Result<Vec<_>, Problem>>()?;
    let product = known.iter().flatten().try_fold(1usize, |product, size| product.checked_mul(*size)).ok_or_else(refuse)?;
    let rest = match known.iter().filter(|size| size.is_none()).count() {
        0 if product == total => 1,
        1 if product > 0 && total.is_multiple_of(product) => total / product,
        _ => return Err(refuse()),
    };
    Ok(known.into_iter().map(|size| size.unwrap_or(rest)).collect())
}

fn scaled(values: &Tensor, factor: f64) -> Result<Tensor, Problem> {
    (values * factor).map_err(|error| error.to_string())
}

fn turned(matrix: &Tensor) -> Result<Tensor, Problem> {
    matrix.t().and_then(|turned| turned.contiguous()).map_err(|error| error.to_string())
}
