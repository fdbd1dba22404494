//! Arrays of numbers: what every format here gives and takes.

use bezoar_core::{Error, Result};
use half::{bf16, f16};

/// The most dimensions of an array, as in NumPy and PyTorch.
pub const MAX_RANK: usize = 64;

/// How a file stores one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it: kind and bits")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Dtype {
    /// Bytes a number.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// Which byte of a number comes first in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

/// Numbers of one type. Files know more types; each is read as the smallest of these that holds its values.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Truth values.
    Bool(Vec<bool>),
    /// Bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Integers; also what was stored as `i16` or `u16`.
    I32(Vec<i32>),
    /// Integers; also what was stored as `u32` or `u64`.
    I64(Vec<i64>),
    /// Floats; also what was stored as `f16` or `bf16`.
    F32(Vec<f32>),
    /// Floats.
    F64(Vec<f64>),
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type under which they are written.
    pub const fn dtype(&self) -> Dtype {
        match self {
            Self::Bool(_) => Dtype::Bool,
            Self::U8(_) => Dtype::U8,
            Self::I8(_) => Dtype::I8,
            Self::I32(_) => Dtype::I32,
            Self::I64(_) => Dtype::I64,
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
        }
    }

    /// The numbers that `bytes` stand for; bytes that make no whole number at the end are ignored.
    ///
    /// # Errors
    /// When an unsigned number is too large for `i64`.
    pub(crate) fn from_bytes(dtype: Dtype, bytes: &[u8], endian: Endian) -> Result<Self, String> {
        Ok(match dtype {
            Dtype::Bool => Self::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
            Dtype::U8 => Self::U8(bytes.to_vec()),
            Dtype::I8 => Self::I8(bytes.iter().map(|&byte| byte as i8).collect()),
            Dtype::U16 => Self::I32(numbers(bytes, endian, |b| u16::from_le_bytes(b).into())),
            Dtype::I16 => Self::I32(numbers(bytes, endian, |b| i16::from_le_bytes(b).into())),
            Dtype::U32 => Self::I64(numbers(bytes, endian, |b| u32::from_le_bytes(b).into())),
            Dtype::I32 => Self::I32(numbers(bytes, endian, i32::from_le_bytes)),
            Dtype::U64 => {
                let values = numbers(bytes, endian, u64::from_le_bytes);
                let signed = values.into_iter().map(|value| i64::try_from(value).map_err(|_| format!("{value} is too large")));
                Self::I64(signed.collect::<Result<_, _>>()?)
            }
            Dtype::I64 => Self::I64(numbers(bytes, endian, i64::from_le_bytes)),
            Dtype::F16 => Self::F32(numbers(bytes, endian, |b| f16::from_le_bytes(b).into())),
            Dtype::Bf16 => Self::F32(numbers(bytes, endian, |b| bf16::from_le_bytes(b).into())),
            Dtype::F32 => Self::F32(numbers(bytes, endian, f32::from_le_bytes)),
            Dtype::F64 => Self::F64(numbers(bytes, endian, f64::from_le_bytes)),
        })
    }

    /// The bytes of all numbers, the lowest byte first.
    pub(crate) fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::Bool(values) => values.iter().map(|&value| value.into()).collect(),
            Self::U8(values) => values.clone(),
            Self::I8(values) => values.iter().map(|&value| value as u8).collect(),
            Self::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], endian: Endian, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.as_chunks().0.iter().copied();
    match endian {
        Endian::Little => chunks.map(read).collect(),
        Endian::Big => chunks
            .map(|mut chunk| {
                chunk.reverse();
                read(chunk)
            })
            .collect(),
    }
}

/// Numbers in row-major (C) order with their shape; no dimension is a scalar.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

impl Array {
    /// An array.
    ///
    /// # Errors
    /// When the shape has more than [`MAX_RANK`] dimensions or is not that of so many values.
    pub fn new(shape: Vec<usize>, values: Values) -> Result<Self> {
        match count(&shape) {
            Ok(count) if count == values.len() => Ok(Self { shape, values }),
            Ok(_) => Err(Error::request(format!("{} values have not the shape {shape:?}", values.len()))),
            Err(problem) => Err(Error::request(problem)),
        }
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The shape and the numbers.
    pub fn into_parts(self) -> (Vec<usize>, Values) {
        (self.shape, self.values)
    }

    /// Its floats, `f64` rounded to `f32`; none when it holds integers.
    pub fn to_floats(&self) -> Option<Vec<f32>> {
        match &self.values {
            Values::F32(values) => Some(values.clone()),
            Values::F64(values) => Some(values.iter().map(|&value| value as f32).collect()),
            _ => None,
        }
    }

    /// Its integers; none when it holds floats.
    pub fn to_integers(&self) -> Option<Vec<i64>> {
        match &self.values {
            Values::Bool(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::U8(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::I8(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::I32(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Values::I64(values) => Some(values.clone()),
            Values::F32(_) | Values::F64(_) => None,
        }
    }

    /// The array of all of `bytes`, or what is wrong with them.
    pub(crate) fn from_le_bytes(shape: Vec<usize>, dtype: Dtype, bytes: &[u8]) -> Result<Self, String> {
        let wanted = byte_count(&shape, dtype)?;
        if wanted != bytes.len() {
            return Err(format!("{shape:?} numbers of type {dtype:?} are {wanted} bytes, not {}", bytes.len()));
        }
        Ok(Self { shape, values: Values::from_bytes(dtype, bytes, Endian::Little)? })
    }

    /// As [`new`](Self::new) where a file's own words gave both; says what is wrong.
    pub(crate) fn from_values(shape: Vec<usize>, values: Values) -> Result<Self, String> {
        let wanted = count(&shape)?;
        if wanted != values.len() {
            return Err(format!("{} values have not the shape {shape:?}", values.len()));
        }
        Ok(Self { shape, values })
    }
}

/// How many values an array of this shape holds.
pub(crate) fn count(shape: &[usize]) -> Result<usize, String> {
    if shape.len() > MAX_RANK {
        return Err(format!("{} dimensions are more than {MAX_RANK}", shape.len()));
    }
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    count.ok_or_else(|| format!("the shape {shape:?} is too large"))
}

/// How many bytes an array of this shape takes in a file.
pub(crate) fn byte_count(shape: &[usize], dtype: Dtype) -> Result<usize, String> {
    count(shape)?.checked_mul(dtype.size()).ok_or_else(|| format!("the shape {shape:?} is too large"))
}
