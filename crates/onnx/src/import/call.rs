//! A node with what its inputs stand for.

use std::rc::Rc;

use bezoar_formats::Array;
use bezoar_formats::onnx::Node;

use super::attributes::Attributes;
use super::value::{Batch, Layer, Value};
use super::{LONGEST, Problem};

/// A node with what its inputs stand for.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) inputs: &'a [Option<Value>],
    /// The version of the operators.
    pub(super) opset: i64,
}

impl Call<'_> {
    /// A wish for the layer's name: that of its weights, as PyTorch names modules, else the node's, else its output's.
    pub(super) fn name(&self) -> String {
        let node = self.node;
        let of_weights = |name: &String| [".weight", ".bias", ".value"].iter().find_map(|end| name.strip_suffix(end).map(str::to_owned));
        let weights = node.inputs.iter().skip(1).find_map(of_weights).filter(|name| !name.is_empty());
        let own = if node.name.is_empty() { node.outputs.first().map_or("", String::as_str) } else { &node.name };
        weights.unwrap_or_else(|| own.to_owned()).trim_start_matches('/').to_owned()
    }

    /// An input that a layer gives.
    pub(super) fn layer(&self, place: usize) -> Result<&Layer, Problem> {
        match self.inputs.get(place) {
            Some(Some(Value::Layer(layer))) => Ok(layer),
            Some(Some(Value::Constant(_))) => Err(format!("its input {place} is a constant")),
            _ => Err(format!("its input {place} is missing")),
        }
    }

    /// The first input, which must be maps `[batch, channels, height, width]`.
    pub(super) fn maps(&self) -> Result<&Layer, Problem> {
        match self.layer(0)? {
            layer @ Layer { batch: Batch::Axis(0), shape, .. } if shape.len() == 4 => Ok(layer),
            Layer { shape, .. } => Err(format!("takes {shape:?}, and only images of two dimensions are known")),
        }
    }

    /// An input that is the same for every image, if it is given.
    pub(super) fn optional(&self, place: usize) -> Result<Option<&Rc<Array>>, Problem> {
        match self.inputs.get(place) {
            None | Some(None) => Ok(None),
            Some(Some(Value::Constant(array))) => Ok(Some(array)),
            Some(Some(_)) => Err(format!("its input {place} depends on the image")),
        }
    }

    /// An input that is the same for every image.
    pub(super) fn constant(&self, place: usize) -> Result<&Rc<Array>, Problem> {
        self.optional(place)?.ok_or_else(|| format!("its input {place} is missing"))
    }

    /// Whole numbers that old operators have as an attribute and new ones as an input.
    pub(super) fn ints(&self, name: &str, place: usize) -> Result<Option<Vec<i64>>, Problem> {
        match self.optional(place)? {
            Some(array) => whole(array).map(Some),
            None => Ok(self.node.ints(name)?.map(<[i64]>::to_vec)),
        }
    }

    /// Axes that old operators have as an attribute and new ones as an input, ascending.
    pub(super) fn axes(&self, place: usize, rank: usize) -> Result<Option<Vec<usize>>, Problem> {
        let Some(axes) = self.ints("axes", place)? else { return Ok(None) };
        let mut axes = axes.into_iter().map(|at| axis(at, rank)).collect::<Result<Vec<_>, Problem>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(Some(axes))
    }
}

/// An axis of a tensor of this rank, counted from the end if it is negative.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Problem> {
    let at = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("there is no axis {axis} among {rank}"))
}

/// The whole numbers of a constant.
pub(super) fn whole(array: &Array) -> Result<Vec<i64>, Problem> {
    array.to_integers().ok_or_else(|| "wants whole numbers".into())
}

/// The only number of a constant.
pub(super) fn scalar(array: &Array) -> Option<f64> {
    if array.values().len() != 1 {
        return None;
    }
    match array.values() {
        bezoar_formats::Values::F64(values) => values.first().copied(),
        _ => array.to_floats().map(|values| f64::from(values[0])).or_else(|| array.to_integers().map(|values| values[0] as f64)),
    }
}

/// A size that a model states.
pub(super) fn size(value: i64) -> Result<usize, Problem> {
    usize::try_from(value).ok().filter(|size| *size <= LONGEST).ok_or_else(|| format!("the size {value} is out of range"))
}

/// The shape that a reshape asks for: -1 for what is left, 0 for the size that was there.
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
