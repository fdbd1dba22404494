//! NumPy's file of one array (format versions 1 to 3, as NumPy's documentation of `numpy.lib.format` defines them).

use bezoar_core::{Error, Result};

use crate::array::{Array, Dtype, Endian, Values, byte_count};
use crate::strides::{Strided, column_major};

/// The first bytes of every such file.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The numbers begin at a multiple of so many bytes.
const ALIGNMENT: usize = 64;

/// The array in the bytes of a `.npy` file; `place` is what errors call them. Fortran's order is turned into row-major order.
///
/// # Errors
/// When it is no such file, is cut off or too long, or holds something else than booleans, integers or floats.
pub fn decode(bytes: &[u8], place: &str) -> Result<Array> {
    array(bytes).map_err(|problem| Error::data(place, format!("no whole NumPy array: {problem}")))
}

/// The array as the bytes of a `.npy` file of version 1, in row-major order.
pub fn encode(array: &Array) -> Vec<u8> {
    [beginning(array.shape(), descr(array.values())), array.values().to_le_bytes()].concat()
}

/// The beginning of a `.npy` file of 32-bit floats of this shape; they follow it in row-major order, the least byte first.
pub fn floats(shape: &[usize]) -> Vec<u8> {
    beginning(shape, descr(&Values::F32(Vec::new())))
}

fn beginning(shape: &[usize], descr: &str) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one needs a comma.
    let sizes = sizes.join(", ") + if sizes.len() == 1 { "," } else { "" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let start = MAGIC.len() + 4;
    let padded = (start + header.len() + 1).next_multiple_of(ALIGNMENT);
    header.extend(std::iter::repeat_n(' ', padded - start - header.len() - 1));
    header.push('\n');
    // 64 dimensions of at most 20 digits each stay below 2^16 characters.
    let length = (header.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &length, header.as_bytes()].concat()
}

fn array(bytes: &[u8]) -> Result<Array, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it begins otherwise")?;
    let cut_off = "its header is cut off";
    let ([major, _], rest) = rest.split_first_chunk().ok_or(cut_off)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(&length, rest)| (u16::from_le_bytes(length).into(), rest)).ok_or(cut_off)?,
        2 | 3 => rest.split_first_chunk().map(|(&length, rest)| (u32::from_le_bytes(length) as usize, rest)).ok_or(cut_off)?,
        _ => return Err(format!("version {major} of the format is not known")),
    };
    let (header, data) = rest.split_at_checked(length).ok_or(cut_off)?;
    let header = str::from_utf8(header).map_err(|_| "its header is no text")?;
    let Header { dtype, endian, fortran_order, shape } = Scanner(header.trim()).header()?;
    let wanted = byte_count(&shape, dtype)?;
    if wanted != data.len() {
        return Err(format!("{shape:?} numbers of type {dtype:?} are {wanted} bytes, not {}", data.len()));
    }
    let strides = column_major(&shape);
    let data = if fortran_order { Strided { offset: 0, shape: &shape, strides: &strides }.gather(data, dtype)? } else { data.into() };
    Array::from_values(shape, Values::from_bytes(dtype, &data, endian)?)
}

struct Header {
    dtype: Dtype,
    endian: Endian,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// What is left of the header, a Python dictionary of three entries.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn header(mut self) -> Result<Header, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.take('}') {
            match self.quoted()? {
                "descr" => descr = Some(self.colon(Self::quoted)?),
                "fortran_order" => fortran_order = Some(self.colon(Self::truth)?),
                "shape" => shape = Some(self.colon(Self::tuple)?),
                other => return Err(format!("its header has the unknown entry `{}`", other.escape_debug())),
            }
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        let missing = |name| move || format!("its header lacks `{name}`");
        let (dtype, endian) = number_type(descr.ok_or_else(missing("descr"))?)?;
        let fortran_order = fortran_order.ok_or_else(missing("fortran_order"))?;
        Ok(Header { dtype, endian, fortran_order, shape: shape.ok_or_else(missing("shape"))? })
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("its header lacks a `{wanted}`")) }
    }

    fn colon<T>(&mut self, value: impl Fn(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.expect(':')?;
        value(self)
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' && !self.take(quote) {
            return Err("its header has something else where a text is due; records are not known".into());
        }
        let (text, rest) = self.0.split_once(quote).ok_or("a text in its header does not end")?;
        self.0 = rest;
        Ok(text)
    }

    fn word(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }

    fn truth(&mut self) -> Result<bool, String> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err("`fortran_order` is neither True nor False".into()),
        }
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            // Python 2 marks long integers.
            let size = self.word().trim_end_matches('L');
            sizes.push(size.parse().map_err(|_| "its shape holds something else than sizes")?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

fn number_type(descr: &str) -> Result<(Dtype, Endian), String> {
    let unknown = || format!("numbers of type `{}` are not known", descr.escape_debug());
    let (endian, kind) = match descr.split_at_checked(1).ok_or_else(unknown)? {
        ("<" | "|", kind) => (Endian::Little, kind),
        (">", kind) => (Endian::Big, kind),
        _ => return Err(unknown()),
    };
    let dtype = match kind {
        "b1" => Dtype::Bool,
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "u8" => Dtype::U64,
        "i8" => Dtype::I64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => return Err(unknown()),
    };
    Ok((dtype, endian))
}

const fn descr(values: &Values) -> &'static str {
    match values {
        Values::Bool(_) => "|b1",
        Values::U8(_) => "|u1",
        Values::I8(_) => "|i1",
        Values::I32(_) => "<i4",
        Values::I64(_) => "<i8",
        Values::F32(_) => "<f4",
        Values::F64(_) => "<f8",
    }
}
