//! Named arrays in safetensors files.

use std::collections::BTreeMap;

use bezoar_core::{Error, Result};
use safetensors::tensor::TensorView;
use safetensors::{SafeTensors, serialize};

use crate::{Array, Dtype};

/// The arrays in the bytes of a safetensors file; `place` is what errors call them.
///
/// # Errors
/// When it is no such file, is cut off, or holds types of numbers that [`Dtype`] lacks.
pub fn decode(bytes: &[u8], place: &str) -> Result<BTreeMap<String, Array>> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| Error::data(place, format!("no whole safetensors file: {error}")))?;
    let arrays = file.iter().map(|(name, view)| {
        let refuse = |problem: String| Error::data(format!("{place}, tensor `{name}`"), problem);
        let dtype = number_type(view.dtype()).ok_or_else(|| refuse(format!("numbers of type {:?} are not known", view.dtype())))?;
        Ok((name.to_owned(), Array::from_le_bytes(view.shape().to_vec(), dtype, view.data()).map_err(refuse)?))
    });
    arrays.collect()
}

/// The arrays as the bytes of a safetensors file.
///
/// # Errors
/// When a name is one that the format reserves.
pub fn encode(arrays: &BTreeMap<String, Array>) -> Result<Vec<u8>> {
    let bytes: Vec<_> = arrays.values().map(|array| array.values().to_le_bytes()).collect();
    let views = arrays.iter().zip(&bytes).map(|((name, array), bytes)| {
        let refuse = |error| Error::request(format!("tensor `{name}`: {error}"));
        Ok((name, TensorView::new(stored(array.values().dtype()), array.shape().to_vec(), bytes).map_err(refuse)?))
    });
    serialize(views.collect::<Result<Vec<_>>>()?, None).map_err(Error::request)
}

const fn number_type(dtype: safetensors::Dtype) -> Option<Dtype> {
    Some(match dtype {
        safetensors::Dtype::BOOL => Dtype::Bool,
        safetensors::Dtype::U8 => Dtype::U8,
        safetensors::Dtype::I8 => Dtype::I8,
        safetensors::Dtype::U16 => Dtype::U16,
        safetensors::Dtype::I16 => Dtype::I16,
        safetensors::Dtype::U32 => Dtype::U32,
        safetensors::Dtype::I32 => Dtype::I32,
        safetensors::Dtype::U64 => Dtype::U64,
        safetensors::Dtype::I64 => Dtype::I64,
        safetensors::Dtype::F16 => Dtype::F16,
        safetensors::Dtype::BF16 => Dtype::Bf16,
        safetensors::Dtype::F32 => Dtype::F32,
        safetensors::Dtype::F64 => Dtype::F64,
        _ => return None,
    })
}

const fn stored(dtype: Dtype) -> safetensors::Dtype {
    match dtype {
        Dtype::Bool => safetensors::Dtype::BOOL,
        Dtype::U8 => safetensors::Dtype::U8,
        Dtype::I8 => safetensors::Dtype::I8,
        Dtype::U16 => safetensors::Dtype::U16,
        Dtype::I16 => safetensors::Dtype::I16,
        Dtype::U32 => safetensors::Dtype::U32,
        Dtype::I32 => safetensors::Dtype::I32,
        Dtype::U64 => safetensors::Dtype::U64,
        Dtype::I64 => safetensors::Dtype::I64,
        Dtype::F16 => safetensors::Dtype::F16,
        Dtype::Bf16 => safetensors::Dtype::BF16,
        Dtype::F32 => safetensors::Dtype::F32,
        Dtype::F64 => safetensors::Dtype::F64,
    }
}
