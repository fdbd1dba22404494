use std::sync::Arc;

use bezoar_config::{Diagnostics, Node, Source, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::registry::{KIND_KEY, refusal};
use crate::{Error, Kind, Registration, Registry, Result};

/// A `{ use: name, ... }` block of YAML and the working object that it built, for use as a field of a configuration.
pub struct Part<K: Kind + ?Sized> {
    plugin: &'static Registration,
    config: serde_json::Value,
    object: Arc<K>,
    place: Option<(Source, Span)>,
}

impl<K: Kind + ?Sized> Part<K> {
    pub(crate) fn assemble(plugin: &'static Registration, config: serde_json::Value, object: Arc<K>, node: &Node) -> Self {
        Self { plugin, config, object, place: node.span.map(|span| (node.source.clone(), span)) }
    }

    /// The plugin `name` with these fields, as YAML would say it; for defaults of presets.
    ///
    /// # Errors
    /// When the plugin is not linked or the fields do not suit it.
    pub fn from_json(block: serde_json::Value) -> Result<Self> {
        let registry = Registry::global().map_err(Error::request)?;
        Ok(registry.part(&Node::from_json(block))?)
    }

    /// The plugin's name.
    pub fn name(&self) -> &'static str {
        self.plugin.name
    }

    /// What the registry knows of the plugin.
    pub fn registration(&self) -> &'static Registration {
        self.plugin
    }

    /// The block with all defaults filled in.
    pub fn block(&self) -> serde_json::Value {
        self.plugin.block(&self.config)
    }

    /// The preset that it stands for, if any; see [`Registration::preset_of`].
    pub fn preset(&self) -> Option<&'static str> {
        self.plugin.preset_of(&self.config)
    }

    /// What tells this part from every other, for cache keys: the block, and the version of the crate behind it.
    pub fn identity(&self) -> String {
        format!("{}@{} {}", self.plugin.package, self.plugin.version, self.block())
    }

    /// What the working object gave. Where it says that a request cannot be met, the error points to this block's text.
    pub fn blame<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match (&self.place, error) {
            (Some((source, span)), error @ Error::Request { .. }) => Error::Config(refusal(&error).at(source, *span).into()),
            (_, error) => error,
        })
    }

    /// The working object.
    pub fn object(&self) -> &Arc<K> {
        &self.object
    }
}

impl<K: Kind + ?Sized> std::ops::Deref for Part<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.object
    }
}

impl<K: Kind + ?Sized> Clone for Part<K> {
    fn clone(&self) -> Self {
        Self { plugin: self.plugin, config: self.config.clone(), object: self.object.clone(), place: self.place.clone() }
    }
}

impl<K: Kind + ?Sized> std::fmt::Debug for Part<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.identity())
    }
}

impl<K: Kind + ?Sized> Serialize for Part<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.block().serialize(serializer)
    }
}

impl<'de, K: Kind + ?Sized> Deserialize<'de> for Part<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let registry = Registry::global().map_err(serde::de::Error::custom)?;
        registry.part(&node).map_err(|mistakes: Diagnostics| serde::de::Error::custom(mistakes))
    }
}

impl<K: Kind + ?Sized> JsonSchema for Part<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        K::NAME.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A string is let through for the sake of a better message: the registry says what block was meant.
        schemars::json_schema!({ "type": ["object", "string"], KIND_KEY: K::NAME })
    }
}
