//! All that is wrong with a tree by a JSON Schema.
//!
//! The `jsonschema` crate finds the mistakes; the places and the words are ours.

use std::cmp::Reverse;

use jsonschema::{ValidationError, error::ValidationErrorKind as Kind, paths::Location};
use serde_json::{Value as Json, json};

use crate::{
    Diagnostic, Map, Node, Value,
    diagnostic::in_text_order,
    parse::number,
    schema::Schema,
    suggest::{suggest, unknown_name},
};

/// Checks a tree against a JSON Schema (draft 2020-12, as schemars writes it) and returns all mistakes, in the order of the text.
///
/// An unknown field points to its key, a bad value to its text, a missing field to the mapping that lacks it. A missing field
/// goes unsaid where an unknown one looks like its misspelling. Keywords that JSON Schema does not know allow everything.
pub fn validate(node: &Node, schema: &Json) -> Vec<Diagnostic> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            return vec![
                Diagnostic::new("bad-schema", format!("the schema itself is wrong: {error}")).help("this is a defect of the program"),
            ];
        }
    };
    let instance = node.to_json();
    let mut report = Report { root: node, schema, found: Vec::new() };
    for error in validator.iter_errors(&instance) {
        report.error(&error);
    }
    in_text_order(&mut report.found);
    report.found
}

struct Report<'a> {
    root: &'a Node,
    schema: &'a Json,
    found: Vec<Diagnostic>,
}

/// Where an error stands: the node, and the words for it.
struct Spot<'a> {
    node: &'a Node,
    subject: String,
}

impl<'a> Report<'a> {
    /// Adds a mistake, unless another keyword of the schema has said the same.
    fn add(&mut self, mistake: Diagnostic) {
        let same = |other: &Diagnostic| other.message == mistake.message && other.span == mistake.span && other.source == mistake.source;
        if !self.found.iter().any(same) {
            self.found.push(mistake);
        }
    }

    fn spot(&self, path: &Location) -> Spot<'a> {
        let steps: Vec<_> = path.iter().map(|step| step.to_string()).collect();
        let node = self.root.at_path(steps.iter().map(String::as_str)).unwrap_or(self.root);
        let key = steps.iter().rev().find(|step| step.parse::<usize>().is_err());
        let subject = match (steps.last(), key) {
            (Some(last), Some(key)) if last == key => format!("`{key}`"),
            (_, Some(key)) => format!("an item of `{key}`"),
            (_, None) => "this".to_owned(),
        };
        Spot { node, subject }
    }

    /// The schema that holds the keyword which an error is about.
    fn schema_of(&self, error: &ValidationError<'_>) -> Schema<'a> {
        let keyword = error.schema_path().as_str();
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        Schema::new(self.schema, self.schema.pointer(parent).unwrap_or(self.schema))
    }

    fn error(&mut self, error: &ValidationError<'_>) {
        let spot = self.spot(error.instance_path());
        let schema = self.schema_of(error);
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                for field in unexpected {
                    self.add(unknown_name("unknown-field", "field", field, schema.fields()).at_key(spot.node, field));
                }
            }
            // What `additionalProperties` becomes where there are no properties at all.
            Kind::FalseSchema if error.schema_path().as_str().ends_with("additionalProperties") => {
                for field in spot.node.as_map().into_iter().flat_map(Map::keys) {
                    self.add(unknown_name("unknown-field", "field", field, schema.fields()).at_key(spot.node, field));
                }
            }
            Kind::Required { property } => {
                let field = property.as_str().unwrap_or_default();
                if !is_misspelt(field, spot.node, &schema) {
                    self.add(missing_field(field, spot.node, &schema));
                }
            }
            Kind::Type { .. } => self.add(mismatch("wrong-type", &spot, &schema)),
            Kind::Enum { .. } | Kind::Constant { .. } => self.add(mismatch("not-one-of", &spot, &schema)),
            Kind::Minimum { .. } | Kind::Maximum { .. } | Kind::ExclusiveMinimum { .. } | Kind::ExclusiveMaximum { .. } => {
                let range = schema.range().unwrap_or_default();
                let message = format!("{} must be {range}, found {}", spot.subject, error.instance());
                self.add(Diagnostic::new("out-of-range", message).at_node(spot.node).label(format!("must be {range}")));
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.union(error, context, &spot, &schema),
            Kind::Pattern { .. } => {
                let wrong = Diagnostic::new("bad-value", format!("{} cannot be {}", spot.subject, spot.node.describe())).at_node(spot.node);
                self.add(match schema.summary() {
                    Some(summary) => wrong.help(summary),
                    None => wrong,
                });
            }
            _ => {
                let message = error.masked_with(spot.subject.as_str()).to_string();
                self.add(Diagnostic::new("bad-value", message).at_node(spot.node));
            }
        }
    }

    /// The value fits none of several schemas: reports what keeps it from the one that it was meant for.
    fn union(&mut self, error: &ValidationError<'_>, context: &[Vec<ValidationError<'_>>], spot: &Spot<'a>, schema: &Schema<'a>) {
        let here = error.instance_path();
        let live = || context.iter().filter(|errors| !errors.iter().any(|error| is_wrong_type(error, here)));
        let named = spot.node.as_str().is_some() && !schema.names().is_empty();
        if named || live().next().is_none() {
            return self.add(mismatch("not-one-of", spot, schema));
        }
        // Enums that hold something: `{ name: content }`.
        let variants = schema.variants();
        let only = spot.node.as_map().and_then(Map::only);
        if let Some((key, _)) = only.filter(|(key, _)| !variants.is_empty() && !variants.contains(key)) {
            return self.add(unknown_name("not-one-of", "name", key, variants.into_iter()).at_key(spot.node, key));
        }
        // Enums that name their variant in a field: `{ kind: name, ... }`.
        let tags: Vec<_> = live().filter_map(|errors| errors.iter().find_map(|error| self.tag(error, here))).collect();
        if let Some((tag, _)) = tags.first().filter(|_| tags.len() == live().count()) {
            let names: Vec<_> = tags.iter().map(|(_, name)| name).collect();
            let names = json!({ "properties": { tag: { "enum": names } } });
            let names = Schema::new(&names, &names);
            return self.add(match spot.node.get(tag) {
                Some(node) => mismatch("not-one-of", &Spot { node, subject: format!("`{tag}`") }, &names.field(tag)),
                None => missing_field(tag, spot.node, &names),
            });
        }
        let strangeness = |errors: &&Vec<ValidationError<'_>>| {
            let depth = errors.iter().map(|error| error.instance_path().iter().count()).max();
            let unlike = errors.iter().any(|error| self.tag(error, here).is_some() || is_other_variant(error, here));
            (unlike, Reverse(depth), errors.len())
        };
        for error in live().min_by_key(strangeness).into_iter().flatten() {
            self.error(error);
        }
    }

    /// If a field that names the variant is missing or names another one: the field, and the name that it should say.
    fn tag(&self, error: &ValidationError<'_>, here: &Location) -> Option<(String, &'a str)> {
        let schema = self.schema_of(error);
        let (path, names) = (error.instance_path(), schema.names());
        let (tag, names) = match error.kind() {
            Kind::Required { property } if path == here => {
                let tag = property.as_str()?;
                (tag.to_owned(), schema.field(tag).names())
            }
            Kind::Constant { .. } if path.iter().count() == here.iter().count() + 1 => (path.iter().last()?.to_string(), names),
            _ => return None,
        };
        Some((tag, names.first()?))
    }
}

/// Whether the value as a whole has a type that the schema does not allow.
fn is_wrong_type(error: &ValidationError<'_>, here: &Location) -> bool {
    error.instance_path() == here && matches!(error.kind(), Kind::Type { .. })
}

/// The mapping has a field that is unknown here, where only one is known.
fn is_other_variant(error: &ValidationError<'_>, here: &Location) -> bool {
    error.instance_path() == here && matches!(error.kind(), Kind::AdditionalProperties { .. })
}

/// Whether the mapping has an unknown field instead, one that will be said to look like this one.
fn is_misspelt(field: &str, mapping: &Node, schema: &Schema<'_>) -> bool {
    let known: Vec<_> = schema.fields().collect();
    let mut keys = mapping.as_map().into_iter().flat_map(Map::keys);
    schema.is_closed() && keys.any(|key| !known.contains(&key) && suggest(key, schema.fields()) == Some(field))
}

fn missing_field(field: &str, mapping: &Node, schema: &Schema<'_>) -> Diagnostic {
    let mistake =
        Diagnostic::new("missing-field", format!("missing field `{field}`")).at_node(mapping).label(format!("`{field}` is missing here"));
    let meaning = match (schema.field(field).wanted(), schema.field_summary(field)) {
        (Some(wanted), Some(summary)) => format!("`{field}` is {wanted}: {summary}"),
        (Some(wanted), None) => format!("`{field}` is {wanted}"),
        (None, Some(summary)) => format!("`{field}`: {summary}"),
        (None, None) => return mistake,
    };
    mistake.help(meaning)
}

/// The value is not what the schema wants.
fn mismatch(code: &'static str, spot: &Spot<'_>, schema: &Schema<'_>) -> Diagnostic {
    let wanted = schema.wanted().unwrap_or_else(|| "something else".to_owned());
    let message = format!("{} must be {wanted}, found {}", spot.subject, spot.node.describe());
    let near = spot.node.as_str().and_then(|text| suggest(text, schema.names()));
    let label = near.map_or_else(|| format!("must be {wanted}"), |near| format!("did you mean `{near}`?"));
    let mistake = Diagnostic::new(code, message).at_node(spot.node).label(label);
    match hint(spot.node, schema) {
        Some(hint) => mistake.help(hint),
        None => mistake,
    }
}

/// How a value that is nearly right becomes right.
fn hint(node: &Node, schema: &Schema<'_>) -> Option<String> {
    let types = schema.types();
    let may_be = |name: &str| types.contains(&name);
    match &node.value {
        Value::String(text) if schema.variants().contains(&text.as_str()) => Some(format!("it holds a value: write `{text}: …`")),
        Value::String(text) if (may_be("number") || may_be("integer")) && number(text).is_some() => Some("remove the quotes".to_owned()),
        Value::String(text) if may_be("boolean") => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some("write `true`, without quotes".to_owned()),
            "false" | "no" | "off" => Some("write `false`, without quotes".to_owned()),
            _ => None,
        },
        Value::Bool(_) | Value::Int(_) | Value::Float(_) if may_be("string") && schema.names().is_empty() => {
            Some("put it in quotes".to_owned())
        }
        Value::String(_) | Value::Int(_) | Value::Float(_) if may_be("array") => Some("a list is written in brackets: `[…]`".to_owned()),
        Value::Map(_) if may_be("array") => Some("a list is written in brackets, even of one item: `[{ … }]`".to_owned()),
        _ => None,
    }
}
