//! Arrays in files of their own, their format chosen by the file's extension.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use bezoar_core::{Error, Result};

use crate::{Array, npy, safetensors};

/// The name of an array that stands alone in a safetensors file.
const NAME: &str = "array";

enum Format {
    Npy,
    Safetensors,
}

fn format(path: &Path) -> Result<Format> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => Ok(Format::Npy),
        Some("safetensors") => Ok(Format::Safetensors),
        _ => {
            Err(Error::data(path.display(), "arrays are kept in `.npy` and `.safetensors` files").with_help("give the file that extension"))
        }
    }
}

/// Reads the array of a `.npy` file, or of a `.safetensors` file that holds just one.
///
/// # Errors
/// When the extension is another one, or the file is broken or holds several arrays.
pub fn read_array(path: &Path) -> Result<Array> {
    let format = format(path)?;
    let (bytes, place) = (read_file(path)?, path.display().to_string());
    match format {
        Format::Npy => npy::decode(&bytes, &place),
        Format::Safetensors => {
            let arrays = safetensors::decode(&bytes, &place)?;
            let count = arrays.len();
            let one = arrays.into_values().next().filter(|_| count == 1);
            one.ok_or_else(|| Error::data(place, format!("holds {count} tensors where one is due")))
        }
    }
}

/// Writes an array to a `.npy` or `.safetensors` file, which is there as a whole or not at all.
///
/// # Errors
/// When the extension is another one, or the file cannot be written.
pub fn write_array(path: &Path, array: &Array) -> Result<()> {
    let bytes = match format(path)? {
        Format::Npy => npy::encode(array),
        Format::Safetensors => safetensors::encode(&[(NAME.to_owned(), array.clone())].into())?,
    };
    write_file(path, &bytes)
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::io(path, error))
}

/// Writes a file, which is there as a whole or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&partial, path)).map_err(|error| Error::io(path, error))
}
