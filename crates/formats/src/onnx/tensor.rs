//! Arrays as ONNX's tensors, and back.

use half::{bf16, f16};
use prost::Message;
use prost::bytes::Bytes;

use super::external::{Folder, Location};
use super::proto::{EXTERNAL, StringStringEntryProto, TensorProto};
use crate::array::{Array, Dtype, Values, byte_count, count};

/// ONNX's number of each type that is known here.
const TYPES: [(i32, Dtype); 13] = [
    (1, Dtype::F32),
    (2, Dtype::U8),
    (3, Dtype::I8),
    (4, Dtype::U16),
    (5, Dtype::I16),
    (6, Dtype::I32),
    (7, Dtype::I64),
    (9, Dtype::Bool),
    (10, Dtype::F16),
    (11, Dtype::F64),
    (12, Dtype::U32),
    (13, Dtype::U64),
    (16, Dtype::Bf16),
];

/// The type that ONNX gives this number.
pub(super) fn dtype(number: i32) -> Option<Dtype> {
    TYPES.iter().find(|(known, _)| *known == number).map(|&(_, dtype)| dtype)
}

/// ONNX's number of a type; 0 where it is unknown.
pub(super) fn type_number(dtype: Option<Dtype>) -> i32 {
    TYPES.iter().find(|(_, known)| Some(*known) == dtype).map_or(0, |&(number, _)| number)
}

/// The array that a tensor holds, or what is wrong with it.
pub(super) fn decode(tensor: TensorProto, folder: &mut Folder<'_>) -> Result<Array, String> {
    let dtype = dtype(tensor.data_type).ok_or_else(|| format!("numbers of ONNX's type {} are not known", tensor.data_type))?;
    let sizes = tensor.dims.iter().map(|&size| size.try_into().map_err(|_| format!("the shape has the negative size {size}")));
    let shape: Vec<usize> = sizes.collect::<Result<_, _>>()?;
    if tensor.data_location == EXTERNAL {
        let bytes = folder.read(&location(&tensor.external_data)?, byte_count(&shape, dtype)?)?;
        return Array::from_le_bytes(shape, dtype, &bytes);
    }
    match &tensor.raw_data {
        Some(bytes) if !bytes.is_empty() => Array::from_le_bytes(shape, dtype, bytes),
        _ if count(&shape)? == 0 => Array::from_le_bytes(shape, dtype, &[]),
        _ => Array::from_values(shape, typed(tensor, dtype)?),
    }
}

/// The numbers in the field for their type; small ones share the field of `i32`.
fn typed(tensor: TensorProto, dtype: Dtype) -> Result<Values, String> {
    let small = tensor.int32_data;
    Ok(match dtype {
        Dtype::Bool => Values::Bool(small.into_iter().map(|value| value != 0).collect()),
        Dtype::U8 => Values::U8(narrow(small)?),
        Dtype::I8 => Values::I8(narrow(small)?),
        Dtype::U16 | Dtype::I16 | Dtype::I32 => Values::I32(small),
        Dtype::U32 | Dtype::U64 => Values::I64(narrow(tensor.uint64_data)?),
        Dtype::I64 => Values::I64(tensor.int64_data),
        Dtype::F16 => Values::F32(narrow(small)?.into_iter().map(|bits| f16::from_bits(bits).into()).collect()),
        Dtype::Bf16 => Values::F32(narrow(small)?.into_iter().map(|bits| bf16::from_bits(bits).into()).collect()),
        Dtype::F32 => Values::F32(tensor.float_data),
        Dtype::F64 => Values::F64(tensor.double_data),
    })
}

fn narrow<A: Copy + std::fmt::Display, B: TryFrom<A>>(values: Vec<A>) -> Result<Vec<B>, String> {
    values.into_iter().map(|value| value.try_into().map_err(|_| format!("{value} is out of its type's range"))).collect()
}

fn location(entries: &[Bytes]) -> Result<Location, String> {
    let mut location = Location::default();
    for entry in entries {
        let StringStringEntryProto { key, value } =
            StringStringEntryProto::decode(entry.clone()).map_err(|error| format!("where its data lies is unreadable: {error}"))?;
        let number = || value.parse().map_err(|_| format!("the {key} of its data is `{}`", value.escape_debug()));
        match key.as_str() {
            "offset" => location.offset = number()?,
            "length" => location.length = Some(number()?),
            "location" => location.file = value,
            _ => {}
        }
    }
    Ok(location)
}

/// The array as a tensor; an empty name is left out.
pub(super) fn encode(name: &str, array: &Array) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: array.shape().iter().map(|&size| size as i64).collect(),
        data_type: type_number(Some(array.values().dtype())),
        raw_data: Some(array.values().to_le_bytes().into()),
        ..TensorProto::default()
    }
}
