//! JSON values to YAML text.

use serde_json::Value;

/// The value as YAML in block style, such that [`parse`](crate::parse) gives it back; only a key `<<` it refuses.
///
/// # Panics
/// Never: every JSON value is a YAML value.
pub fn to_yaml(value: &Value) -> String {
    serde_yaml::to_string(value).expect("every JSON value is a YAML value")
}
