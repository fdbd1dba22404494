//! Layers with weights, norms, and products of layers.

use std::rc::Rc;

use bezoar_formats::{Array, Values};
use bezoar_nn::Op;

use super::arithmetic::{floats, numbers, same};
use super::attributes::Attributes;
use super::call::{Call, axis};
use super::value::{Batch, Layer, Value};
use super::views::View;
use super::windows::window;
use super::{Importer, Problem};

impl Importer<'_> {
    pub(super) fn convolution(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let (maps, weight) = (call.maps()?, call.constant(1)?);
        let &[channels, _, rows, columns] = weight.shape() else {
            return Err(format!("weights of the shape {:?}: only convolutions of images are known", weight.shape()));
        };
        let window = window(call.node, [maps.shape[2], maps.shape[3]], Some([rows, columns]))?;
        let groups = usize::try_from(call.node.int("group", 1)?).map_err(|_| "`group` is negative")?;
        let bias = call.optional(2)?;
        let parameters = [("weight", &**weight)].into_iter().chain(bias.map(|bias| ("bias", &**bias))).collect();
        self.layer(call, Op::Conv2d { channels, window, groups, bias: bias.is_some() }, &[maps.id], maps.batch, parameters)
    }

    /// `alpha A B + beta C` with constant `B` and `C`.
    pub(super) fn gemm(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        if call.node.int("transA", 0)? != 0 {
            return Err("turns its first matrix, the batch".into());
        }
        let weight = scaled(call.constant(1)?, call.node.float("alpha", 1.0)?)?;
        let weight = if call.node.int("transB", 0)? == 0 { self.turned(&weight)? } else { weight };
        let bias = call.optional(2)?.map(|bias| scaled(bias, call.node.float("beta", 1.0)?)).transpose()?;
        self.linear(call, &weight, bias.as_deref())
    }

    pub(super) fn matrix_product(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        match call.inputs {
            [Some(Value::Layer(a)), Some(Value::Layer(b))] => self.product_of_layers(&call.name(), a, b).map(Value::Layer),
            [Some(Value::Constant(left)), Some(Value::Layer(right))] => self.mixed_rows(call, left, right),
            _ => {
                let weight = self.turned(call.constant(1)?)?;
                self.linear(call, &weight, None)
            }
        }
    }

    /// A constant matrix times a layer: a linear layer along the last axis but one.
    fn mixed_rows(&mut self, call: &Call<'_>, left: &Array, right: &Layer) -> Result<Value, Problem> {
        let rank = right.shape.len();
        let &[features, _] = left.shape() else { return Err(format!("multiplies with a constant {:?}, which is no matrix", left.shape())) };
        let rows = rank.checked_sub(2).ok_or_else(|| format!("mixes the rows of {:?}, which has none", right.shape))?;
        (rows..rank).try_for_each(|axis| right.sample_axis(axis, self.images).map(drop))?;
        let name = call.name();
        let mut swapped: Vec<usize> = (0..rank).collect();
        swapped.swap(rank - 2, rank - 1);
        let turned = self.transposed(&format!("{name}.columns"), right, &swapped)?;
        let op = Op::Linear { features, bias: false };
        let id = self.layers.add(&name, op, &[turned.id], vec![("weight", left)])?;
        let mixed = self.layer_at(id, right.batch);
        self.transposed(&format!("{name}.rows"), &mixed, &swapped).map(Value::Layer)
    }

    fn linear(&mut self, call: &Call<'_>, weight: &Array, bias: Option<&Array>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let &[features, _] = weight.shape() else { return Err(format!("multiplies with {:?}, which is no matrix", weight.shape())) };
        layer.sample_axis(layer.shape.len().saturating_sub(1), self.images)?;
        let bias = bias.map(|bias| {
            let flat = super::array(vec![bias.values().len()], bias.values().clone())?;
            View::of(flat.shape()).broadcast(&[features])?.take(&flat)
        });
        let bias = bias.transpose()?;
        let parameters = [("weight", weight)].into_iter().chain(bias.as_ref().map(|bias| ("bias", bias))).collect();
        self.layer(call, Op::Linear { features, bias: bias.is_some() }, &[layer.id], layer.batch, parameters)
    }

    /// The matrix product of two layers.
    pub(super) fn product_of_layers(&mut self, name: &str, a: &Layer, b: &Layer) -> Result<Layer, Problem> {
        let rank = a.shape.len();
        if b.shape.len() != rank || rank < 3 {
            return Err(format!("multiplies {:?} and {:?}, which are not as many matrices", a.shape, b.shape));
        }
        let both = self.aligned(name, &[a.clone(), b.clone()])?;
        for layer in &both {
            (rank - 2..rank).try_for_each(|axis| layer.sample_axis(axis, self.images).map(drop))?;
        }
        let id = self.layers.add(name, Op::MatMul, &[both[0].id, both[1].id], Vec::new())?;
        Ok(self.layer_at(id, both[0].batch))
    }

    /// `softmax(scale q kᵀ) v`.
    pub(super) fn attention(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        if call.inputs.iter().skip(3).any(Option::is_some) || call.node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("has a mask or a cache, which is not known here".into());
        }
        if call.node.int("is_causal", 0)? != 0 || call.node.float("softcap", 0.0)? != 0.0 {
            return Err("is causal or caps its scores, which is not known here".into());
        }
        let [query, key, value] = [call.layer(0)?, call.layer(1)?, call.layer(2)?];
        let &[_, _, _, width] = query.shape.as_slice() else {
            return Err(format!("takes {:?}, and only [batch, heads, places, features] is known", query.shape));
        };
        let name = call.name();
        let factor = match call.node.float("scale", 0.0)? {
            0.0 => (width as f64).sqrt().recip(),
            given => given,
        };
        let columns = self.transposed(&format!("{name}.columns"), key, &[0, 1, 3, 2])?;
        let products = self.product_of_layers(&format!("{name}.products"), query, &columns)?;
        let scaled = self.times(&format!("{name}.scaled"), &products, factor)?;
        let last = self.layers.shape(scaled.id).len() - 1;
        let shares = self.layers.add(&format!("{name}.softmax"), Op::Softmax { axis: last }, &[scaled.id], Vec::new())?;
        let shares = self.layer_at(shares, products.batch);
        self.product_of_layers(&name, &shares, value).map(Value::Layer)
    }

    pub(super) fn batch_norm(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        if call.node.int("training_mode", 0)? != 0 || call.node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("is in training; export the model for use (`model.eval()`)".into());
        }
        let layer = call.layer(0)?;
        if layer.batch != Batch::Axis(0) {
            return Err(format!("normalises {:?}, whose first axis is not the batch", layer.shape));
        }
        let names = ["weight", "bias", "running_mean", "running_var"];
        let parameters = names.iter().zip(1..).map(|(name, place)| Ok((*name, &**call.constant(place)?)));
        let parameters = parameters.collect::<Result<Vec<_>, Problem>>()?;
        self.layer(call, Op::BatchNorm { eps: call.node.float("epsilon", 1e-5)?, momentum: 0.1 }, &[layer.id], layer.batch, parameters)
    }

    pub(super) fn layer_norm(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        if call.node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("gives its mean or deviation, which is not known here".into());
        }
        let layer = call.layer(0)?;
        let first = axis(call.node.int("axis", -1)?, layer.shape.len())?;
        (first..layer.shape.len()).try_for_each(|axis| layer.sample_axis(axis, self.images).map(drop))?;
        let shape = &layer.shape[first..];
        let whole = |given: Option<&Rc<Array>>, missing: f64| match given {
            Some(given) => View::of(given.shape()).broadcast(shape)?.take(given),
            None => floats_of(shape, missing),
        };
        self.layers.charge(shape)?;
        let (weight, bias) = (whole(call.optional(1)?, 1.0)?, whole(call.optional(2)?, 0.0)?);
        let op = Op::LayerNorm { axes: shape.len(), eps: call.node.float("epsilon", 1e-5)? };
        self.layer(call, op, &[layer.id], layer.batch, vec![("weight", &weight), ("bias", &bias)])
    }

    /// A matrix with rows for columns.
    fn turned(&mut self, matrix: &Array) -> Result<Rc<Array>, Problem> {
        if matrix.shape().len() != 2 {
            return Err(format!("multiplies with {:?}, which is no matrix", matrix.shape()));
        }
        self.layers.charge(matrix.shape())?;
        View::of(matrix.shape()).transposed(&[1, 0]).take(matrix).map(Rc::new)
    }
}

fn floats_of(shape: &[usize], value: f64) -> Result<Array, Problem> {
    super::array(shape.to_vec(), Values::F32(vec![value as f32; shape.iter().product()]))
}

fn scaled(values: &Rc<Array>, factor: f64) -> Result<Rc<Array>, Problem> {
    if same(factor, 1.0) {
        return Ok(Rc::clone(values));
    }
    floats(values, values.shape().to_vec(), numbers(values).into_iter().map(|value| value * factor)).map(Rc::new)
}
