//! What images the command line means by a word.

use std::path::Path;

use bezoar_core::{Dataset, Error, Kind, Registry};
use serde_json::{Value, json};

/// The block of the data set: a folder of images, a Parquet file or a folder of them, or a data set's name.
pub(crate) fn block(data: &str) -> Result<Value, Error> {
    let path = Path::new(data);
    if path.is_dir() {
        let use_tables = bezoar_data::has_tables(path);
        return Ok(json!({ "use": if use_tables { "parquet" } else { "image-folder" }, "root": path }));
    }
    if path.is_file() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let root = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok(json!({ "use": "parquet", "root": root, "train": name }));
    }
    let registry = Registry::global().map_err(Error::request)?;
    let named: Vec<_> = registry
        .of_kind(<dyn Dataset as Kind>::NAME)
        .filter(|plugin| plugin.schema()["required"].as_array().is_none_or(Vec::is_empty))
        .map(|plugin| plugin.name)
        .collect();
    if named.contains(&data) {
        return Ok(json!({ "use": data }));
    }
    Err(Error::request(format!("{data} is neither a folder, nor a file, nor a data set's name"))
        .with_help(format!("data sets: {}", named.join(", "))))
}
