//! The JSON Schema of pipeline files, for editors: the plain schema with every plugin's fields filled in.

use bezoar_config::MATRIX;
use bezoar_core::{KIND_KEY, Registration, Registry};
use serde_json::{Map, Value, json};

use crate::Pipeline;

/// The schema of a pipeline file, with all plugins of `registry`.
pub fn schema(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    for kind in registry.kinds() {
        let mut blocks: Vec<_> = registry.of_kind(kind).map(|plugin| block(plugin, &mut definitions)).collect();
        blocks.push(json!({ "enum": registry.of_kind(kind).map(|plugin| plugin.name).collect::<Vec<_>>() }));
        definitions.insert(kind.to_owned(), json!({ "oneOf": blocks }));
    }
    let mut root = Pipeline::plain_schema();
    rewrite(&mut root, &mut |reference| reference.to_owned());
    if let Some(inner) = root.as_object_mut().and_then(|root| root.remove("$defs")) {
        definitions.extend(inner.as_object().cloned().unwrap_or_default());
    }
    definitions.sort_keys();
    root["$defs"] = definitions.into();
    root["title"] = "A Bezoar pipeline".into();
    root["properties"][MATRIX] = matrix();
    root
}

/// The schema of a matrix, whose axes are paths of the pipeline.
fn matrix() -> Value {
    let combinations = |what: &str| json!({ "type": "array", "items": { "type": "object" }, "description": what });
    json!({
        "type": "object",
        "description": "Makes a study of the pipeline: a run for each combination of values. An axis is a path, such as `attack.share`, with a list of values.",
        "properties": {
            "include": combinations("Further combinations: each of one value a path, or of a list of values, whose product it then is."),
            "exclude": combinations("Combinations to leave out, each of one value a path or of a list of values: the cells that have one of these of each path."),
        },
        "minProperties": 1,
    })
}

/// The schema of a plugin's block. The definitions that it needs go to `definitions`, under names of its own.
fn block(plugin: &Registration, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = plugin.schema();
    let prefix = format!("{}/{}", plugin.kind, plugin.name).replace('/', ".");
    rewrite(&mut schema, &mut |name| format!("{prefix}.{name}"));
    let Some(fields) = schema.as_object_mut() else { return schema };
    fields.remove("$schema");
    fields.remove("title");
    if let Some(Value::Object(inner)) = fields.remove("$defs") {
        definitions.extend(inner.into_iter().map(|(name, schema)| (format!("{prefix}.{name}"), schema)));
    }
    let properties = fields.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.values_mut().for_each(allow_changes);
        properties.shift_insert(0, "use".to_owned(), json!({ "const": plugin.name, "description": plugin.summary() }));
        let presets = plugin.presets();
        if !presets.is_empty() {
            let presets: Vec<_> = presets.iter().map(|preset| json!({ "const": preset.name, "description": preset.summary })).collect();
            properties.shift_insert(1, "preset".to_owned(), json!({ "oneOf": presets }));
        }
    }
    if let Some(required) = fields.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        required.insert(0, "use".into());
    }
    schema
}

/// Lets a block that a preset fills leave out `use`: it is then the preset's with other fields.
fn allow_changes(field: &mut Value) {
    if field["default"]["use"].is_string()
        && let Some(block) = field.as_object_mut().and_then(|field| field.remove("$ref"))
    {
        field["anyOf"] = json!([{ "$ref": block }, { "type": "object", "not": { "required": ["use"] } }]);
    }
}

/// Renames the references of a schema, and turns the marks of plugin blocks into references to their kind.
fn rewrite(schema: &mut Value, rename: &mut impl FnMut(&str) -> String) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, rename)),
        Value::Object(fields) => {
            if let Some(Value::String(kind)) = fields.remove(KIND_KEY) {
                let types = fields.remove("type");
                let block = json!({ "$ref": format!("#/$defs/{kind}") });
                if types.is_some_and(|types| types.as_array().is_some_and(|types| types.contains(&"null".into()))) {
                    fields.insert("anyOf".to_owned(), json!([block, { "type": "null" }]));
                } else {
                    fields.insert("$ref".to_owned(), block["$ref"].clone());
                }
                return;
            }
            if let Some(name) = fields.get("$ref").and_then(|reference| reference.as_str()?.strip_prefix("#/$defs/")) {
                let renamed = format!("#/$defs/{}", rename(name));
                fields.insert("$ref".to_owned(), renamed.into());
            }
            fields.values_mut().for_each(|field| rewrite(field, rename));
        }
        _ => {}
    }
}
