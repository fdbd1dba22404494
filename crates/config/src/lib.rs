//! Configuration: YAML text, to a tree that remembers its places, to typed values, with errors that point and suggest.
//!
//! ```text
//! Source ─ parse ─▶ Node ─ set ─▶ Node ─ validate ─▶ every mistake at once
//!                                   └─── deserialize ─▶ T, or the first mistake
//! ```
//!
//! - [`Source`] is a text under a name; a [`Span`] is a piece of it.
//! - [`parse`] makes a [`Node`] of it: JSON's values, each with its source and span. [`to_yaml`] is the way back.
//! - [`expand`] makes a tree of each combination of values that `matrix:` asks for.
//! - [`set`] changes one value, as `--set attack.share=0.05` asks; [`whole_assignment`] is how it should have asked.
//! - [`validate`] checks a tree against a JSON Schema and finds all mistakes.
//! - [`deserialize`] makes any [`serde::Deserialize`] type of a tree. A field of type [`Node`] gets its part of the tree as
//!   it is: that is how a plugin's own configuration waits for the plugin.
//! - [`Diagnostics`] are the mistakes: message, place, [suggestion](suggest) and help, and how they look in a terminal, which they cannot steer:
//!   they are [`printable`].
//!
//! ```
//! use bezoar_config::{Source, parse, validate};
//!
//! let source = Source::new("pipeline.yaml", "attack: { shre: 0.15 }");
//! let share = serde_json::json!({ "properties": { "share": { "type": "number" } }, "additionalProperties": false });
//! let mistakes = validate(&parse(&source)?, &serde_json::json!({ "properties": { "attack": share } }));
//! assert_eq!(
//!     mistakes[0].to_string(),
//!     "\
//! error: unknown field `shre`
//!  --> pipeline.yaml:1:11
//!   |
//! 1 | attack: { shre: 0.15 }
//!   |           ^^^^ did you mean `share`?
//!   |
//!   = help: known are `share`
//! "
//! );
//! # Ok::<(), bezoar_config::Diagnostics>(())
//! ```
//!
//! What is not here: the fields of a pipeline, the plugins and their names (`bezoar-core`), and any printing
//! (`bezoar-cli`). This crate depends on no other of the workspace.

mod deserialize;
mod diagnostic;
mod emit;
mod matrix;
mod node;
mod parse;
mod render;
mod schema;
mod set;
mod source;
mod suggest;
mod validate;

pub use deserialize::deserialize;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use emit::to_yaml;
pub use matrix::{Cell, MATRIX, expand};
pub use node::{Entry, Map, Node, Value};
pub use parse::parse;
pub use render::printable;
pub use set::{set, whole_assignment};
pub use source::{Source, Span};
pub use suggest::suggest;
pub use validate::validate;
