//! A node's settings.

use bezoar_formats::onnx::{Attribute, Node};

use super::Problem;

/// Typed access to a node's settings.
pub(super) trait Attributes {
    /// A whole number, or its default.
    fn int(&self, name: &str, default: i64) -> Result<i64, Problem>;
    /// A number, or its default.
    fn float(&self, name: &str, default: f32) -> Result<f64, Problem>;
    /// Whole numbers, if they are given.
    fn ints(&self, name: &str) -> Result<Option<&[i64]>, Problem>;
    /// A word, or its default.
    fn word<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, Problem>;
}

impl Attributes for Node {
    fn int(&self, name: &str, default: i64) -> Result<i64, Problem> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(other) => Err(format!("`{name}` is {other:?}, not a whole number")),
        }
    }

    fn float(&self, name: &str, default: f32) -> Result<f64, Problem> {
        match self.attributes.get(name) {
            None => Ok(default.into()),
            // The decimal that was rounded to `f32`: 1e-5, not 9.99999974738e-6.
            Some(Attribute::Float(value)) if value.is_finite() => Ok(value.to_string().parse().unwrap_or_else(|_| (*value).into())),
            Some(other) => Err(format!("`{name}` is {other:?}, not a number")),
        }
    }

    fn ints(&self, name: &str) -> Result<Option<&[i64]>, Problem> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(other) => Err(format!("`{name}` is {other:?}, not whole numbers")),
        }
    }

    fn word<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, Problem> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::String(value)) => Ok(value),
            Some(other) => Err(format!("`{name}` is {other:?}, not a word")),
        }
    }
}
