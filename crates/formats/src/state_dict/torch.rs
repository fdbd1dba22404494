//! The files of `torch.save`: the zip archive of PyTorch 1.6 and later, and the row of pickles before.

use std::collections::BTreeMap;
use std::io::Cursor;

use bezoar_core::{Error, Result};
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{Fault, Global, Id, Pickle, Value};
use crate::array::{Array, Dtype, Endian, Values, byte_count};
use crate::strides::Strided;

/// A pickle of the number that older files begin with.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// How often a file's bytes may be used: several tensors can be views of one, and a few numbers can be repeated to a large tensor.
const SHARING: usize = 16;

/// How deep a state dict may lie within other dicts.
const NESTING: usize = 3;

const SAVE_STATE_DICT: &str = "save the parameters alone, with `torch.save(model.state_dict(), path)` or as safetensors";

pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(LEGACY)
}

/// The tensors of an archive.
pub(super) fn decode_zip(bytes: &[u8], place: &str) -> Result<BTreeMap<String, Array>> {
    let refuse = |problem: String| Error::data(place, format!("no whole file of PyTorch: {problem}"));
    let mut archive = Archive::open(bytes).map_err(refuse)?;
    let endian = match archive.entry("byteorder") {
        Ok(b"big") => Endian::Big,
        _ => Endian::Little,
    };
    let (pickle, _) = pickle(archive.entry("data.pkl").map_err(refuse)?, place)?;
    tensors(&pickle, place, bytes.len(), endian, |key| archive.entry(&format!("data/{key}")))
}

/// The tensors of an older file: after the number come pickles of the format's version, of the system, of the state dict and of its
/// storages' keys, and then the storages.
pub(super) fn decode_legacy(bytes: &[u8], place: &str) -> Result<BTreeMap<String, Array>> {
    let (_version, rest) = pickle(&bytes[LEGACY.len()..], place)?;
    let (_system, rest) = pickle(rest, place)?;
    let (state, rest) = pickle(rest, place)?;
    let (keys, rest) = pickle(rest, place)?;
    let refuse = |problem: &str| Error::data(place, format!("no whole file of PyTorch: {problem}"));
    let mut sizes = BTreeMap::new();
    for value in state.values() {
        if let &Value::Storage(id) = value
            && let Some((dtype, key)) = storage(&state, id)
        {
            sizes.insert(key, dtype.size());
        }
    }
    let mut storages = BTreeMap::new();
    let mut rest = rest;
    for &key in keys.items(keys.root()).ok_or_else(|| refuse("it lacks the list of its storages"))? {
        let key = keys.text(key).ok_or_else(|| refuse("a storage's key is no text"))?;
        let size = sizes.get(key).ok_or_else(|| refuse("it has a storage that no tensor uses"))?;
        let cut_off = || refuse("its storages are cut off");
        let (&length, data) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let length = usize::try_from(u64::from_le_bytes(length)).ok().and_then(|length| length.checked_mul(*size));
        let (data, after) = length.and_then(|length| data.split_at_checked(length)).ok_or_else(cut_off)?;
        storages.insert(key, data);
        rest = after;
    }
    // These files have the lowest byte first whatever machine wrote them.
    tensors(&state, place, bytes.len(), Endian::Little, |key| storages.get(key).copied().ok_or_else(|| "its storage is missing".into()))
}

fn pickle<'a>(bytes: &'a [u8], place: &str) -> Result<(Pickle<'a>, &'a [u8])> {
    Pickle::read(bytes).map_err(|fault| match fault {
        Fault::Broken(problem) => Error::data(place, format!("its pickle is broken: {problem}")),
        Fault::Foreign(name) => {
            let problem = format!("its pickle calls `{name}`, which no state dict needs; nothing of it was run");
            Error::data(place, problem).with_help(SAVE_STATE_DICT)
        }
    })
}

/// A zip archive whose entries are stored as they are.
struct Archive<'a> {
    bytes: &'a [u8],
    entries: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder in it.
    root: String,
    /// What was checked already.
    known: BTreeMap<String, &'a [u8]>,
    /// No byte belongs to two entries, so that checking all takes no longer than reading the file.
    unread: usize,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let root = archive.file_names().filter_map(Result::ok).find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let root = root.ok_or("the archive has no `data.pkl`")?;
        Ok(Self { bytes, entries: archive, root, known: BTreeMap::new(), unread: bytes.len() })
    }

    /// The content of an entry, whose checksum holds.
    fn entry(&mut self, name: &str) -> Result<&'a [u8], String> {
        if let Some(known) = self.known.get(name) {
            return Ok(known);
        }
        let refuse = |problem: String| format!("the archive's entry `{}`: {problem}", name.escape_debug());
        let mut entry = self.entries.by_name(&format!("{}{name}", self.root)).map_err(|error| refuse(error.to_string()))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(refuse("is compressed, which PyTorch does not do".into()));
        }
        let size = entry.size() as usize;
        self.unread = self.unread.checked_sub(size).ok_or_else(|| refuse("overlaps others".into()))?;
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let content = start.and_then(|start| self.bytes.get(start..)?.get(..size)).ok_or_else(|| refuse("is cut off".into()))?;
        std::io::copy(&mut entry, &mut std::io::sink()).map_err(|error| refuse(error.to_string()))?;
        self.known.insert(name.to_owned(), content);
        Ok(content)
    }
}

/// The tensors of a state dict, whose storages `bytes_of` gives.
fn tensors<'a>(
    pickle: &Pickle<'_>,
    place: &str,
    file_size: usize,
    endian: Endian,
    mut bytes_of: impl FnMut(&str) -> Result<&'a [u8], String>,
) -> Result<BTreeMap<String, Array>> {
    let mut budget = file_size.saturating_mul(SHARING);
    let entries = state_dict(pickle).ok_or_else(|| Error::data(place, "holds no state dict").with_help(SAVE_STATE_DICT))?;
    let mut parameters = BTreeMap::new();
    for &(key, value) in entries {
        let Some(name) = pickle.text(key) else { return Err(Error::data(place, "its dict has keys that are no names")) };
        let refuse = |problem: String| Error::data(format!("{place}, tensor `{}`", name.escape_debug()), problem);
        let View { key, dtype, offset, shape, strides } = view(pickle, value).map_err(refuse)?;
        let array = (|| {
            let bytes = byte_count(&shape, dtype)?;
            budget = budget.checked_sub(bytes).ok_or("it and those before are far larger than the file")?;
            let data = Strided { offset, shape: &shape, strides: &strides }.gather(bytes_of(key)?, dtype)?;
            let values = Values::from_bytes(dtype, &data, endian)?;
            Array::from_values(shape, values)
        })();
        parameters.insert(name.to_owned(), array.map_err(refuse)?);
    }
    Ok(parameters)
}

/// The entries of the dict that holds the tensors: the whole, or an entry of a usual name.
fn state_dict<'p>(pickle: &'p Pickle<'_>) -> Option<&'p [(Id, Id)]> {
    let mut entries = pickle.dict(pickle.root())?;
    for _ in 0..NESTING {
        let inner = |wanted| entries.iter().find(|(key, _)| pickle.text(*key) == Some(wanted)).and_then(|&(_, value)| pickle.dict(value));
        match inner("state_dict").or_else(|| inner("model")) {
            Some(within) => entries = within,
            None => break,
        }
    }
    Some(entries)
}

/// A tensor as a pickle describes it.
struct View<'a> {
    key: &'a str,
    dtype: Dtype,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

fn view<'a>(pickle: &Pickle<'a>, id: Id) -> Result<View<'a>, String> {
    let &Value::Tensor(arguments) = pickle.get(id) else { return Err("is no tensor, and a state dict holds nothing else".into()) };
    let Some(&[storage_id, offset, shape, strides, ..]) = pickle.items(arguments) else { return Err("is made of too little".into()) };
    let &Value::Storage(storage_id) = pickle.get(storage_id) else { return Err("has no storage".into()) };
    let (dtype, key) = storage(pickle, storage_id).ok_or("has a storage of an unknown kind")?;
    let size = |id| pickle.int(id).and_then(|size| usize::try_from(size).ok());
    let sizes = |id| pickle.items(id)?.iter().map(|&id| size(id)).collect::<Option<Vec<_>>>();
    let (Some(offset), Some(shape), Some(strides)) = (size(offset), sizes(shape), sizes(strides)) else {
        return Err("has a shape, strides or an offset that are no sizes".into());
    };
    Ok(View { key, dtype, offset, shape, strides })
}

/// The type and the key of `("storage", class, key, device, length)`.
fn storage<'a>(pickle: &Pickle<'a>, id: Id) -> Option<(Dtype, &'a str)> {
    let &[kind, class, key, ..] = pickle.items(id)? else { return None };
    let &Value::Global(Global::Storage(dtype)) = pickle.get(class) else { return None };
    (pickle.text(kind)? == "storage").then_some((dtype, pickle.text(key)?))
}
