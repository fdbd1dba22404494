//! A tree of nodes to typed values, through serde, with errors that keep their places.

use std::{cell::Cell, fmt};

use indexmap::map;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, Unexpected, VariantAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value as Json;

use crate::{Diagnostic, Diagnostics, Map, Node, Value, node::Entry, suggest::unknown_name};

/// Makes a `T` of a node.
///
/// # Errors
/// The first thing that does not fit: an unknown field points to its key, a bad value to its text, a missing field to the
/// mapping that lacks it.
pub fn deserialize<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostics> {
    T::deserialize(NodeDeserializer(node))
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'n>(&'n Node);

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Diagnostics;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostics> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::List(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(NodeDeserializer));
                visitor.visit_seq(&mut items).and_then(|value| items.end().map(|()| value))
            }
            Value::Map(map) => visitor.visit_map(Fields { mapping: self.0, rest: map.entries(), value: None }),
        }
        .map_err(|error| error.or_at(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Diagnostics> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }.map_err(|error| error.or_at(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Diagnostics> {
        if name == HANDOVER {
            HANDED.set(Some(self.0.clone()));
        }
        visitor.visit_newtype_struct(self).map_err(|error| error.or_at(self.0))
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Diagnostics> {
        let variant = match (self.0.as_str(), self.0.as_map().and_then(Map::only)) {
            (Some(name), _) => Variant { node: self.0, name, content: None },
            (_, Some((name, content))) => Variant { node: self.0, name, content: Some(content) },
            _ => return Err(wrong_type(&"a name, or a mapping of one name to its value", self.0.describe()).or_at(self.0)),
        };
        visitor.visit_enum(variant).map_err(|error| error.or_at(self.0))
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Diagnostics> {
        // serde's derived visitors would take a list of the fields' values too.
        match &self.0.value {
            Value::Map(_) => self.deserialize_any(visitor),
            _ => Err(wrong_type(&"a mapping", self.0.describe()).or_at(self.0)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl<'n> IntoDeserializer<'_, Diagnostics> for NodeDeserializer<'n> {
    type Deserializer = NodeDeserializer<'n>;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Fields<'n> {
    mapping: &'n Node,
    rest: map::Iter<'n, String, Entry>,
    value: Option<&'n Node>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Diagnostics;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Diagnostics> {
        let Some((key, entry)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(&entry.value);
        let name = seed.deserialize(name(key)).map_err(|error| error.or_at_key(self.mapping, key))?;
        Ok(Some(name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Diagnostics> {
        let node = self.value.take().ok_or_else(|| <Diagnostics as de::Error>::custom("a value asked for before its key"))?;
        seed.deserialize(NodeDeserializer(node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// An enum's value: its variant's name alone, or with what the variant holds.
struct Variant<'n> {
    node: &'n Node,
    name: &'n str,
    content: Option<&'n Node>,
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = Diagnostics;
    type Variant = Content<'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'n>), Diagnostics> {
        let variant = seed.deserialize(name(self.name)).map_err(|error| error.or_at_key(self.node, self.name))?;
        Ok((variant, Content(self.content)))
    }
}

/// What an enum's variant holds, if it holds something.
struct Content<'n>(Option<&'n Node>);

impl<'n> Content<'n> {
    fn deserializer(&self, expected: &dyn Expected) -> Result<NodeDeserializer<'n>, Diagnostics> {
        self.0.map(NodeDeserializer).ok_or_else(|| de::Error::invalid_type(Unexpected::UnitVariant, expected))
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Diagnostics;

    fn unit_variant(self) -> Result<(), Diagnostics> {
        self.0.map_or(Ok(()), |node| Err(wrong_type(&"the name alone", node.describe()).or_at(node)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Diagnostics> {
        seed.deserialize(self.deserializer(&"a variant with a value")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Diagnostics> {
        self.deserializer(&visitor)?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Diagnostics> {
        self.deserializer(&visitor)?.deserialize_struct("", fields, visitor)
    }
}

fn name(text: &str) -> StrDeserializer<'_, Diagnostics> {
    text.into_deserializer()
}

fn wrong_type(expected: &dyn Expected, found: impl fmt::Display) -> Diagnostics {
    Diagnostic::new("wrong-type", format!("wrong type: expected {expected}, found {found}")).label(format!("expected {expected}")).into()
}

fn unknown(code: &'static str, what: &str, name: &str, expected: &[&str]) -> Diagnostics {
    unknown_name(code, what, name, expected.iter().copied()).into()
}

impl de::Error for Diagnostics {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Diagnostic::new("bad-value", message.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong_type(expected, found)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Diagnostic::new("bad-value", format!("bad value: expected {expected}, found {found}")).label(format!("expected {expected}")).into()
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Diagnostic::new("bad-value", format!("wrong length: expected {expected}, found {length} items"))
            .label(format!("expected {expected}"))
            .into()
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        unknown("not-one-of", "name", variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        unknown("unknown-field", "field", field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Diagnostic::new("missing-field", format!("missing field `{field}`")).label(format!("`{field}` is missing here")).into()
    }

    fn duplicate_field(field: &'static str) -> Self {
        Diagnostic::new("duplicate-key", format!("field `{field}` is given twice")).into()
    }
}

/// The name by which [`Node`] asks whoever deserializes it for the node itself.
const HANDOVER: &str = "$bezoar_config::Node";

thread_local! {
    /// The node on its way from [`NodeDeserializer`] to the visitor that asked for it by [`HANDOVER`]: serde's data model
    /// has no way to carry it.
    static HANDED: Cell<Option<Node>> = const { Cell::new(None) };
}

impl<'de> Deserialize<'de> for Node {
    /// From [`deserialize`] the node itself, with its places; from any other format a tree without places.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(HANDOVER, NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match HANDED.take() {
            Some(node) => Ok(node),
            None => Json::deserialize(deserializer).map(Node::from_json),
        }
    }
}

impl Serialize for Node {
    /// The value alone, without its places.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}
