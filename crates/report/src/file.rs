use std::fs;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};

/// Writes `folder/name` aside and renames it, so that the file is never there in part.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    let aside = folder.join(format!("{name}.partial"));
    fs::write(&aside, bytes).map_err(|error| Error::io(&aside, error))?;
    fs::rename(&aside, &path).map_err(|error| Error::io(&path, error))?;
    Ok(path)
}
