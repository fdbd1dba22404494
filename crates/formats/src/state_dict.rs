//! The parameters of a net by name, as PyTorch saves them: in its own files or as safetensors.
//!
//! PyTorch's files are pickles, programs that can call anything in Python. Here none is run: the few calls that a state dict is made of
//! are known, every other is refused by its name.

mod pickle;
mod torch;

use std::collections::BTreeMap;
use std::path::Path;

use bezoar_core::{Error, Result};

use crate::files::read_file;
use crate::{Array, safetensors};

/// What parallel training puts before each name.
const PARALLEL: &str = "module.";

/// Reads the parameters of a `.safetensors`, `.pt` or `.pth` file; the content counts, not the extension. A dict within an entry
/// `state_dict` or `model` is taken out, and `module.` before all names is left out.
///
/// # Errors
/// When the file is none of these, is broken, or holds more than tensors by name; the error names the tensor, or the call in a pickle.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array>> {
    decode(&read_file(path)?, &path.display().to_string())
}

/// The parameters in the bytes of such a file; `place` is what errors call them.
///
/// # Errors
/// As [`read`].
pub fn decode(bytes: &[u8], place: &str) -> Result<BTreeMap<String, Array>> {
    let parameters = if torch::is_zip(bytes) {
        torch::decode_zip(bytes, place)?
    } else if torch::is_legacy(bytes) {
        torch::decode_legacy(bytes, place)?
    } else if bytes.get(8) == Some(&b'{') {
        safetensors::decode(bytes, place)?
    } else {
        return Err(Error::data(place, "neither a safetensors file nor one of `torch.save`"));
    };
    if parameters.is_empty() {
        return Err(Error::data(place, "holds no tensors"));
    }
    Ok(without_prefix(parameters))
}

fn without_prefix(parameters: BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    if !parameters.keys().all(|name| name.len() > PARALLEL.len() && name.starts_with(PARALLEL)) {
        return parameters;
    }
    parameters.into_iter().map(|(name, array)| (name[PARALLEL.len()..].to_owned(), array)).collect()
}
