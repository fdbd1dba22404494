//! Plugins as the command line names them.

use bezoar_config::{Node, Source, parse, set};
use bezoar_core::{Error, Kind, Part, Registry, Result};
use serde_json::{Value, json};

/// The plugin of kind `K` that an option names: a name, or a block as in a pipeline, with fields set otherwise.
pub(crate) fn part<K: Kind + ?Sized>(option: &str, block: &str, settings: &[String]) -> Result<Part<K>> {
    let registry = Registry::global().map_err(Error::request)?;
    let node = parse(&Source::new(option, block))?;
    let mut node = if let Value::String(name) = node.to_json() { Node::from_json(json!({ "use": name })) } else { node };
    for assignment in settings {
        set(&mut node, assignment)?;
    }
    Ok(registry.part(&node)?)
}
