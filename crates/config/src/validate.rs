//! All that is wrong with a tree by a JSON Schema.

use serde_json::Value as Json;

use crate::{Diagnostic, Node};

/// Checks a tree against a JSON Schema.
pub fn validate(node: &Node, schema: &Json) -> Vec<Diagnostic> {
    let validator = jsonschema::validator_for(schema).unwrap();
    let json = node.to_json();
    validator.iter_errors(&json).map(|e| Diagnostic::new("x", e.to_string()).at_node(node)).collect()
}
