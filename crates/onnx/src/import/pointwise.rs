//! Functions of each value, and sums and products of values at the same place.

use std::rc::Rc;

use bezoar_formats::{Array, Values};
use bezoar_nn::{Activation, NodeId, Op};

use super::arithmetic::{combined, mapped, numbers, same};
use super::attributes::Attributes;
use super::call::{Call, axis, scalar};
use super::value::{Batch, Layer, Value};
use super::views::View;
use super::{Importer, Problem, array};

impl Importer<'_> {
    pub(super) fn activation(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let (layer, function) = (call.layer(0)?, function(call)?);
        self.layer(call, Op::Activation { function }, &[layer.id], layer.batch, Vec::new())
    }

    pub(super) fn softmax(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let at = axis(call.node.int("axis", if call.opset < 13 { 1 } else { -1 })?, layer.shape.len())?;
        if call.opset < 13 && layer.shape[at + 1..].iter().any(|size| *size != 1) {
            return Err(format!("is over all axes from {at} on of {:?}, as before opset 13", layer.shape));
        }
        let of_sample = layer.sample_axis(at, self.images)?;
        self.layer(call, Op::Softmax { axis: of_sample }, &[layer.id], layer.batch, Vec::new())
    }

    /// The sum of all inputs.
    pub(super) fn sum(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        match call.inputs {
            [Some(Value::Layer(layer)), Some(Value::Constant(constant))] | [Some(Value::Constant(constant)), Some(Value::Layer(layer))] => {
                self.with_constant(call, Op::Add, layer, constant)
            }
            _ => {
                let layers = (0..call.inputs.len()).map(|place| call.layer(place).cloned()).collect::<Result<Vec<_>, Problem>>()?;
                match layers.split_first().ok_or("has no input")? {
                    (only, []) => Ok(Value::Layer(only.clone())),
                    (first, rest) => self.together(&call.name(), Op::Add, first, rest),
                }
            }
        }
    }

    pub(super) fn difference(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        match call.inputs {
            [Some(Value::Layer(layer)), Some(Value::Constant(constant))] => {
                self.with_constant(call, Op::Add, layer, &Rc::new(mapped(constant, |value| -value)?))
            }
            [Some(first), Some(Value::Layer(layer))] => {
                let negative = self.times(&format!("{}.negative", call.name()), layer, -1.0)?;
                match first {
                    Value::Constant(constant) => self.with_constant(call, Op::Add, &negative, constant),
                    _ => self.together(&call.name(), Op::Add, call.layer(0)?, &[negative]),
                }
            }
            _ => Err("does not take two inputs".into()),
        }
    }

    pub(super) fn product(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        match call.inputs {
            [Some(Value::Layer(layer)), Some(Value::Constant(constant))] | [Some(Value::Constant(constant)), Some(Value::Layer(layer))] => {
                self.with_constant(call, Op::Mul, layer, constant)
            }
            _ => self.together(&call.name(), Op::Mul, call.layer(0)?, &[call.layer(1)?.clone()]),
        }
    }

    pub(super) fn quotient(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let Some(Some(Value::Constant(divisor))) = call.inputs.get(1) else { return Err("divides by what depends on the image".into()) };
        let one = array(Vec::new(), Values::F32(vec![1.0]))?;
        self.with_constant(call, Op::Mul, call.layer(0)?, &Rc::new(combined("Div", &one, divisor)?))
    }

    pub(super) fn negated(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        self.times(&call.name(), call.layer(0)?, -1.0).map(Value::Layer)
    }

    /// A layer times a number.
    pub(super) fn times(&mut self, name: &str, layer: &Layer, factor: f64) -> Result<Layer, Problem> {
        if same(factor, 1.0) {
            return Ok(layer.clone());
        }
        let factor = self.layers.constant(&format!("{name}.factor"), &array(vec![1], Values::F64(vec![factor]))?)?;
        let id = self.layers.add(name, Op::Mul, &[layer.id, factor], Vec::new())?;
        Ok(self.layer_at(id, layer.batch))
    }

    /// A sum or product of a layer and a constant, unless that changes nothing.
    fn with_constant(&mut self, call: &Call<'_>, op: Op, layer: &Layer, constant: &Rc<Array>) -> Result<Value, Problem> {
        let neutral = if op == Op::Add { 0.0 } else { 1.0 };
        if scalar(constant) == Some(neutral) && constant.shape().len() <= layer.shape.len() {
            return Ok(Value::Layer(layer.clone()));
        }
        let name = call.name();
        let constant = self.aligned_constant(&format!("{name}.constant"), layer, constant)?;
        self.layer(call, op, &[layer.id, constant], layer.batch, Vec::new())
    }

    /// A constant as what is added to or multiplied with each sample of a layer.
    fn aligned_constant(&mut self, name: &str, layer: &Layer, constant: &Array) -> Result<NodeId, Problem> {
        let rank = layer.shape.len();
        let skipped = constant.shape().len().saturating_sub(rank);
        let refuse = || format!("joins {:?} with a constant {:?}, which differs between the images", layer.shape, constant.shape());
        if constant.shape()[..skipped].iter().any(|size| *size != 1) {
            return Err(refuse());
        }
        let shape = constant.shape()[skipped..].to_vec();
        let whole = array(shape.clone(), constant.values().clone())?;
        match (layer.batch.place() + shape.len()).checked_sub(rank) {
            None => self.layers.constant(name, &whole),
            Some(at) => {
                let one = self.of_one_image(&whole, layer.batch.moved(at), layer.shape[layer.batch.place()]).ok_or_else(refuse)?;
                self.layers.constant(name, &one)
            }
        }
    }

    /// What a constant is for each image, if it is the same for all of them: it has 1 in the batch's place, or copies.
    pub(super) fn of_one_image(&self, constant: &Array, batch: Batch, whole: usize) -> Option<Array> {
        let (at, shape) = (batch.place(), constant.shape());
        let (size, rest) = (shape[at], whole / self.images);
        let has_parts = matches!(batch, Batch::Within { outer: 2.., .. }) && self.images > 1;
        if size != 1 && (size != whole || has_parts) {
            return None;
        }
        let part = View::of(shape).sliced(at, 0, if size == 1 { 1 } else { rest }, 1).take(constant).ok()?;
        let inner = part.shape()[at..].iter().product::<usize>();
        let copies: Vec<usize> = {
            let outer = shape[..at].iter().product::<usize>();
            let count = size / part.shape()[at].max(1);
            (0..outer).flat_map(|row| (0..count).flat_map(move |_| row * inner..(row + 1) * inner)).collect()
        };
        let repeated = super::views::picked(&part, shape.to_vec(), &copies).ok()?;
        if repeated != *constant {
            return None;
        }
        let mut sample = part.shape().to_vec();
        if matches!(batch, Batch::Axis(_)) {
            sample.remove(at);
        }
        Array::new(sample, part.values().clone()).ok()
    }

    /// A sum or product of layers.
    fn together(&mut self, name: &str, op: Op, first: &Layer, rest: &[Layer]) -> Result<Value, Problem> {
        let all = self.aligned(name, &[std::slice::from_ref(first), rest].concat())?;
        let ids: Vec<NodeId> = all.iter().map(|layer| layer.id).collect();
        let id = self.layers.add(name, op, &ids, Vec::new())?;
        let widest = all.iter().max_by_key(|layer| layer.shape.len()).map_or(first.batch, |layer| layer.batch);
        Ok(Value::Layer(self.layer_at(id, widest)))
    }

    /// The same layers with the batch at one place of all, counted from the end of their shapes.
    pub(super) fn aligned(&mut self, name: &str, layers: &[Layer]) -> Result<Vec<Layer>, Problem> {
        let rank = layers.iter().map(|layer| layer.shape.len()).max().unwrap_or_default();
        let mut places = layers.iter().map(|layer| layer.batch.moved(layer.batch.place() + rank - layer.shape.len()));
        let first = places.next();
        if places.all(|place| Some(place) == first) {
            return Ok(layers.to_vec());
        }
        if self.images > 1 {
            let shapes: Vec<_> = layers.iter().map(|layer| &layer.shape).collect();
            return Err(format!("joins {shapes:?}, whose images stand at different places"));
        }
        // One image may stand anywhere.
        let spread = |layer: &Layer| {
            let batch = Batch::Within { axis: layer.batch.place(), outer: 1 };
            let id = self.layers.reshape(&format!("{name}.shape"), layer.id, layer.shape.clone())?;
            Ok(Layer { id, shape: layer.shape.clone(), batch })
        };
        layers.iter().map(spread).collect()
    }
}

fn function(call: &Call<'_>) -> Result<Activation, Problem> {
    let node = call.node;
    Ok(match node.op_type.as_str() {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu { slope: node.float("alpha", 0.01)? },
        "PRelu" => {
            let slopes = numbers(call.constant(1)?);
            match slopes.split_first() {
                Some((&slope, rest)) if rest.iter().all(|other| same(*other, slope)) => Activation::LeakyRelu { slope },
                _ => return Err("has slopes that differ between channels".into()),
            }
        }
        "Elu" => Activation::Elu { alpha: node.float("alpha", 1.0)? },
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "HardSigmoid" => Activation::HardSigmoid { alpha: node.float("alpha", 0.2)?, beta: node.float("beta", 0.5)? },
        "HardSwish" => Activation::HardSwish,
        "Swish" if same(node.float("alpha", 1.0)?, 1.0) => Activation::Silu,
        "Swish" => return Err("has an `alpha` other than 1".into()),
        "Softplus" => Activation::Softplus,
        "Gelu" if node.word("approximate", "none")? == "tanh" => Activation::GeluTanh,
        "Gelu" => Activation::Gelu,
        _ => clip(call)?,
    })
}

fn clip(call: &Call<'_>) -> Result<Activation, Problem> {
    let end = |name: &str, place: usize, default: f32| match call.optional(place)? {
        Some(array) => scalar(array).ok_or_else(|| format!("`{name}` is no number")),
        None => call.node.float(name, default),
    };
    let open = f64::from(f32::MAX);
    let (low, high) = (end("min", 1, f32::MIN)?.max(-open), end("max", 2, f32::MAX)?.min(open));
    if low > high || low.is_nan() || high.is_nan() {
        return Err(format!("keeps values between {low} and {high}"));
    }
    Ok(if low == 0.0 && same(high, open) { Activation::Relu } else { Activation::Clip { low, high } })
}
