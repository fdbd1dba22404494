//! What moves values about: reshapes, transpositions, parts, joins and margins.

use bezoar_formats::Values;
use bezoar_formats::onnx::Node;
use bezoar_nn::Op;

use super::attributes::Attributes;
use super::call::{Call, axis, resolve, scalar, size, whole};
use super::value::{Batch, Layer, Value};
use super::views::range;
use super::{Importer, Problem};

/// Pieces that a `Gather` may be made of.
const MOST_RUNS: usize = 1024;

impl Importer<'_> {
    pub(super) fn reshape(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let name = call.name();
        if call.node.op_type == "Reshape" {
            let target = resolve(&call.ints("shape", 1)?.ok_or("its shape is missing")?, &layer.shape)?;
            return self.reshaped(&name, layer, target).map(Value::Layer);
        }
        let target = reshape_target(call, &layer.shape)?;
        match batch_place(call, layer, target.len())? {
            Some(place) => {
                let batch = layer.batch.moved(place);
                let id = self.layers.reshape(&name, layer.id, batch.sample(&target, self.images))?;
                Ok(Value::Layer(Layer { id, shape: target, batch }))
            }
            None => self.reshaped(&name, layer, target).map(Value::Layer),
        }
    }

    /// The same values in another shape.
    pub(super) fn reshaped(&mut self, name: &str, layer: &Layer, target: Vec<usize>) -> Result<Layer, Problem> {
        let batch = layer.batch_in(&target, self.images)?;
        let id = self.layers.reshape(name, layer.id, batch.sample(&target, self.images))?;
        Ok(Layer { id, shape: target, batch })
    }

    pub(super) fn transpose(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        self.transposed(&call.name(), layer, &order(call.node, layer.shape.len())?).map(Value::Layer)
    }

    /// The axes in another order. Where only the batch moves, nothing is to be done.
    pub(super) fn transposed(&mut self, name: &str, layer: &Layer, order: &[usize]) -> Result<Layer, Problem> {
        let place = layer.batch.place();
        let batch = layer.batch.moved(order.iter().position(|axis| *axis == place).unwrap_or_default());
        let of_sample = match layer.batch {
            Batch::Axis(_) => order.iter().filter(|axis| **axis != place).map(|&axis| axis - usize::from(axis > place)).collect(),
            Batch::Within { .. } => order.to_vec(),
        };
        let id = self.layers.transpose(name, layer.id, of_sample)?;
        Ok(self.layer_at(id, batch))
    }

    pub(super) fn slice(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let mut part = layer.clone();
        for (axis, start, end, step) in cuts(call, layer.shape.len())? {
            let (start, count, step) = range(start, end, step, part.shape[axis])?;
            part = match step {
                1 => self.part(&call.name(), &part, axis, start, count)?,
                2.. => self.every(&call.name(), &part, axis, start, count, step.unsigned_abs())?,
                _ => return Err(format!("takes steps of {step} through {:?}", layer.shape)),
            };
        }
        Ok(Value::Layer(part))
    }

    /// So many places along an axis.
    fn part(&mut self, name: &str, layer: &Layer, axis: usize, start: usize, count: usize) -> Result<Layer, Problem> {
        if start == 0 && count == layer.shape[axis] {
            return Ok(layer.clone());
        }
        let op = Op::Slice { axis: layer.sample_axis(axis, self.images)?, start, len: count };
        let id = self.layers.add(name, op, &[layer.id], Vec::new())?;
        Ok(self.layer_at(id, layer.batch))
    }

    /// The first of every `step` places along an axis: a row of a table that is `step` wide.
    fn every(&mut self, name: &str, layer: &Layer, axis: usize, start: usize, count: usize, step: usize) -> Result<Layer, Problem> {
        let at = layer.sample_axis(axis, self.images)?;
        let mut id = self.part(&format!("{name}.part"), layer, axis, start, (layer.shape[axis] - start).min(count * step))?.id;
        let shape = self.layers.shape(id).to_vec();
        if shape[at] < count * step {
            let (before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
            after[at] = count * step - shape[at];
            id = self.layers.add(&format!("{name}.filled"), Op::Pad { before, after, value: 0.0 }, &[id], Vec::new())?;
        }
        let table = [&shape[..at], &[count, step], &shape[at + 1..]].concat();
        let rows = self.layers.reshape(&format!("{name}.rows"), id, table)?;
        let column = self.layers.add(name, Op::Slice { axis: at + 1, start: 0, len: 1 }, &[rows], Vec::new())?;
        let id = self.layers.reshape(&format!("{name}.shape"), column, [&shape[..at], &[count], &shape[at + 1..]].concat())?;
        Ok(self.layer_at(id, layer.batch))
    }

    pub(super) fn split(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Problem> {
        let layer = call.layer(0)?;
        let (axis, sizes) = parts(call, &layer.shape)?;
        let mut start = 0;
        let mut outputs = Vec::new();
        for size in sizes {
            outputs.push(Value::Layer(self.part(&call.name(), layer, axis, start, size)?));
            start += size;
        }
        Ok(outputs)
    }

    /// One or several places along an axis; one alone loses the axis.
    pub(super) fn gather(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let (layer, index) = (call.layer(0)?, call.constant(1)?);
        let at = axis(call.node.int("axis", 0)?, layer.shape.len())?;
        let places = whole(index)?.into_iter().map(|place| axis(place, layer.shape[at])).collect::<Result<Vec<_>, Problem>>()?;
        let name = call.name();
        if let ([], &[place]) = (index.shape(), places.as_slice()) {
            let target = [&layer.shape[..at], &layer.shape[at + 1..]].concat();
            let of_sample = layer.sample_axis(at, self.images)?;
            let part = self.part(&format!("{name}.part"), layer, at, place, 1)?;
            let batch = layer.batch.moved(layer.batch.place() - usize::from(at < layer.batch.place()));
            let mut shape = self.layers.shape(part.id).to_vec();
            shape.remove(of_sample);
            let id = self.layers.reshape(&name, part.id, shape)?;
            return Ok(Value::Layer(Layer { id, shape: target, batch }));
        }
        let target = [&layer.shape[..at], index.shape(), &layer.shape[at + 1..]].concat();
        if places.iter().copied().eq(0..layer.shape[at]) {
            return self.reshaped(&name, layer, target).map(Value::Layer);
        }
        let of_sample = layer.sample_axis(at, self.images)?;
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for place in places {
            match runs.last_mut() {
                Some((start, count)) if *start + *count == place => *count += 1,
                _ => runs.push((place, 1)),
            }
        }
        if runs.is_empty() || runs.len() > MOST_RUNS {
            return Err(format!("picks places in {} pieces", runs.len()));
        }
        let pieces = runs.into_iter().map(|(start, count)| self.part(&format!("{name}.part"), layer, at, start, count));
        let ids = pieces.map(|piece| piece.map(|piece| piece.id)).collect::<Result<Vec<_>, Problem>>()?;
        let id = if let [only] = *ids { only } else { self.layers.add(&name, Op::Concat { axis: of_sample }, &ids, Vec::new())? };
        let picked = self.layer_at(id, layer.batch);
        self.reshaped(&format!("{name}.shape"), &picked, target).map(Value::Layer)
    }

    /// Layers and constants one after the other.
    pub(super) fn concat(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let name = call.name();
        let layers: Vec<Layer> = (0..call.inputs.len()).filter_map(|place| call.layer(place).ok().cloned()).collect();
        let layers = self.aligned(&name, &layers)?;
        let first = layers.first().ok_or("has no input that depends on the image")?;
        let at = axis(call.node.int("axis", 1)?, first.shape.len())?;
        let of_sample = first.sample_axis(at, self.images)?;
        let (mut ids, mut rest) = (Vec::new(), layers.iter());
        for place in 0..call.inputs.len() {
            ids.push(match (call.constant(place), call.layer(place).is_ok().then(|| rest.next()).flatten()) {
                (_, Some(layer)) if layer.shape.len() == first.shape.len() => layer.id,
                (Ok(constant), None) if constant.shape().len() == first.shape.len() => {
                    let one = self.of_one_image(constant, first.batch, first.shape[first.batch.place()]);
                    let one = one.ok_or_else(|| format!("joins a constant {:?}, which differs between the images", constant.shape()))?;
                    self.layers.constant(&format!("{name}.constant"), &one)?
                }
                _ => return Err(format!("joins {:?} and something of another rank", first.shape)),
            });
        }
        match *ids {
            [only] => Ok(Value::Layer(self.layer_at(only, first.batch))),
            _ => self.layer(call, Op::Concat { axis: of_sample }, &ids, first.batch, Vec::new()),
        }
    }

    pub(super) fn pad(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let mode = call.node.word("mode", "constant")?;
        if mode != "constant" {
            return Err(format!("fills its margin by `{mode}`, and only a constant is known"));
        }
        let rank = layer.shape.len();
        let pads = call.ints("pads", 1)?.ok_or("`pads` are missing")?;
        let axes = match call.optional(3)? {
            Some(axes) => whole(axes)?.into_iter().map(|at| axis(at, rank)).collect::<Result<Vec<_>, Problem>>()?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Err(format!("`pads` are {} numbers for {} axes", pads.len(), axes.len()));
        }
        let value = match call.optional(2)? {
            Some(value) => scalar(value).ok_or("fills its margin with no number")?,
            None => call.node.float("value", 0.0)?,
        };
        let sample = self.layers.shape(layer.id).len();
        let (mut before, mut after) = (vec![0; sample], vec![0; sample]);
        for (place, &at) in axes.iter().enumerate() {
            let margin = |value: i64| size(value).map_err(|_| format!("`pads` are {pads:?}, out of range"));
            let (low, high) = (margin(pads[place])?, margin(pads[place + axes.len()])?);
            if low + high > 0 {
                let of_sample = layer.sample_axis(at, self.images)?;
                (before[of_sample], after[of_sample]) = (low, high);
            }
        }
        if before.iter().chain(&after).all(|margin| *margin == 0) {
            return Ok(Value::Layer(layer.clone()));
        }
        self.layer(call, Op::Pad { before, after, value }, &[layer.id], layer.batch, Vec::new())
    }

    /// Repetition along axes of 1: the sum with zeros, unless it changes nothing.
    pub(super) fn expand(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let layer = call.layer(0)?;
        let target = whole(call.constant(1)?)?.into_iter().map(size).collect::<Result<Vec<_>, Problem>>()?;
        let shape = super::views::common(&layer.shape, &target)?;
        if shape == layer.shape {
            return Ok(Value::Layer(layer.clone()));
        }
        if shape.len() != layer.shape.len() {
            return Err(format!("makes {shape:?} of {:?}", layer.shape));
        }
        if shape[layer.batch.place()] != layer.shape[layer.batch.place()] {
            return Err(format!("repeats the batch of {:?}", layer.shape));
        }
        let sample = layer.batch.sample(&shape, self.images);
        self.layers.charge(&sample)?;
        let zeros = super::array(sample.clone(), Values::F32(vec![0.0; sample.iter().product()]))?;
        let zeros = self.layers.constant(&format!("{}.zeros", call.name()), &zeros)?;
        self.layer(call, Op::Add, &[layer.id, zeros], layer.batch, Vec::new())
    }
}

/// The shape that `Flatten`, `Squeeze` or `Unsqueeze` makes.
pub(super) fn reshape_target(call: &Call<'_>, shape: &[usize]) -> Result<Vec<usize>, Problem> {
    match call.node.op_type.as_str() {
        "Flatten" => {
            let at = axis(call.node.int("axis", 1)?, shape.len() + 1)?;
            Ok(vec![shape[..at].iter().product(), shape[at..].iter().product()])
        }
        "Squeeze" => {
            let axes = call.axes(1, shape.len())?.unwrap_or_else(|| (0..shape.len()).filter(|at| shape[*at] == 1).collect());
            if axes.iter().any(|at| shape[*at] != 1) {
                return Err(format!("drops the axes {axes:?} of {shape:?}"));
            }
            Ok((0..shape.len()).filter(|at| !axes.contains(at)).map(|at| shape[at]).collect())
        }
        _ => {
            let count = call.ints("axes", 1)?.ok_or("`axes` are missing")?.len();
            let axes = call.axes(1, shape.len() + count)?.unwrap_or_default();
            let mut target = shape.to_vec();
            for at in axes {
                target.insert(at.min(target.len()), 1);
            }
            Ok(target)
        }
    }
}

/// Where the batch's axis is after a `Squeeze` or `Unsqueeze` that keeps it.
fn batch_place(call: &Call<'_>, layer: &Layer, rank: usize) -> Result<Option<usize>, Problem> {
    let place = layer.batch.place();
    Ok(match call.node.op_type.as_str() {
        "Unsqueeze" => {
            let new = call.axes(1, rank)?.unwrap_or_default();
            (0..rank).filter(|at| !new.contains(at)).nth(place)
        }
        "Squeeze" => {
            let gone = call.axes(1, layer.shape.len())?.filter(|gone| !gone.contains(&place));
            gone.map(|gone| place - gone.iter().filter(|at| **at < place).count())
        }
        _ => None,
    })
}

/// The order of axes that a transposition asks for.
pub(super) fn order(node: &Node, rank: usize) -> Result<Vec<usize>, Problem> {
    let Some(given) = node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let order = given.iter().map(|&at| axis(at, rank)).collect::<Result<Vec<_>, Problem>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted.into_iter().eq(0..rank) { Ok(order) } else { Err(format!("`perm` is {given:?}, no order of {rank} axes")) }
}

/// The cuts that a `Slice` makes: axis, start, end and step.
pub(super) fn cuts(call: &Call<'_>, rank: usize) -> Result<Vec<(usize, i64, i64, i64)>, Problem> {
    let starts = call.ints("starts", 1)?.ok_or("`starts` are missing")?;
    let ends = call.ints("ends", 2)?.ok_or("`ends` are missing")?;
    let axes = call.ints("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.ints("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("`starts`, `ends`, `axes` and `steps` are not as many".into());
    }
    let cuts = (0..starts.len()).map(|place| Ok((axis(axes[place], rank)?, starts[place], ends[place], steps[place])));
    cuts.collect()
}

/// The axis along which a `Split` cuts, and the sizes of its parts.
pub(super) fn parts(call: &Call<'_>, shape: &[usize]) -> Result<(usize, Vec<usize>), Problem> {
    let at = axis(call.node.int("axis", 0)?, shape.len())?;
    let sizes = if let Some(sizes) = call.ints("split", 1)? {
        sizes.into_iter().map(size).collect::<Result<Vec<_>, Problem>>()?
    } else {
        let (len, count) = (shape[at], call.node.outputs.len().max(1));
        let part = len.div_ceil(count);
        (0..count).map(|place| part.min(len.saturating_sub(place * part))).collect()
    };
    if sizes.iter().sum::<usize>() == shape[at] && sizes.len() == call.node.outputs.len() {
        Ok((at, sizes))
    } else {
        Err(format!("splits {} places into {sizes:?}", shape[at]))
    }
}
