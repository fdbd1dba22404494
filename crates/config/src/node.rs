//! The tree between text and types: JSON's values, each with its place.

use indexmap::{IndexMap, map};
use serde_json::{Number, Value as Json};

use crate::{Source, Span};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its text within `source`; `None` for values that code has made.
    pub span: Option<Span>,
    /// The text that it comes from.
    pub source: Source,
}

/// What a YAML node can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `null`, `~` or no text at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; finite when it comes from text.
    Float(f64),
    /// A string.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping.
    Map(Map),
}

/// A mapping from strings to nodes that keeps the order of its text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map(IndexMap<String, Entry>);

/// A mapping's value and the place of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text, in the same source as the value.
    pub key_span: Option<Span>,
    /// The value.
    pub value: Node,
}

impl Map {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.value)
    }

    /// The value under `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.get_mut(key).map(|entry| &mut entry.value)
    }

    /// The value under `key` and the key's place.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }

    /// Sets what stands under `key`, at the end if `key` is new, and returns what stood there.
    pub fn insert(&mut self, key: impl Into<String>, key_span: Option<Span>, value: Node) -> Option<Entry> {
        self.0.insert(key.into(), Entry { key_span, value })
    }

    /// Takes `key` out; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.0.shift_remove(key).map(|entry| entry.value)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), &entry.value))
    }

    /// Keys with their places and values, in order.
    pub(crate) fn entries(&self) -> map::Iter<'_, String, Entry> {
        self.0.iter()
    }

    /// The key and its value, if there is but one.
    pub(crate) fn only(&self) -> Option<(&str, &Node)> {
        self.iter().next().filter(|_| self.len() == 1)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Value> for Node {
    /// A node that code has made: it has no place.
    fn from(value: Value) -> Self {
        Self { value, span: None, source: Source::default() }
    }
}

impl Node {
    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The node at a path of keys and list indices, this node for the empty path.
    pub(crate) fn at_path<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |node, step| match &node.value {
            Value::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => node.get(step),
        })
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The mapping to change, if this is one.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// This node without one of its keys; itself when it has no such key.
    pub fn without(&self, key: &str) -> Self {
        let mut node = self.clone();
        if let Some(map) = node.as_map_mut() {
            map.remove(key);
        }
        node
    }

    /// What the value is, as an error tells it: "the string `adam`", "a list".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value:?}"),
            Value::String(text) => format!("the string {}", quote(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
        }
    }

    /// The tree of a JSON value, without places. A whole number above `i64::MAX` becomes the nearest float.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Value::Int(value),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::String(text),
            Json::Array(items) => Value::List(items.into_iter().map(Self::from_json).collect()),
            Json::Object(fields) => {
                let mut map = Map::default();
                for (key, value) in fields {
                    map.insert(key, None, Self::from_json(value));
                }
                Value::Map(map)
            }
        }
        .into()
    }

    /// The value as JSON, keys in order, places forgotten. Only code can make a float that is not finite: it becomes null.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::String(text) => Json::from(text.as_str()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(map) => map.iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect(),
        }
    }
}

/// Text from a file within an error's sentence: in backquotes, on one line, and only its beginning if it is long.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 48;
    let (start, end) = text.char_indices().nth(LONGEST).map_or((text, ""), |(end, _)| (&text[..end], "…"));
    format!("`{}{end}`", start.replace('\n', "\\n"))
}
