use bezoar_core::{Error, KIND_KEY, Preset, Registration, Registry, with_article};
use clap::Args;
use serde_json::Value;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Describe {
    /// The plugin, as `kind/name`.
    #[arg(required_unless_present = "all")]
    plugin: Option<String>,
    /// All plugins, as Markdown.
    #[arg(long, conflicts_with = "plugin")]
    all: bool,
}

impl Describe {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let registry = Registry::global().map_err(Error::request)?;
        let Some(asked) = self.plugin else {
            let pages: Vec<_> = registry.iter().map(|plugin| Page::new(plugin).markdown()).collect();
            terminal.result(&pages.join("\n"));
            return Ok(());
        };
        let found = asked.split_once('/').and_then(|(kind, name)| registry.get(kind, name));
        let plugin = found.ok_or_else(|| unknown(registry, &asked))?;
        terminal.result(&Page::new(plugin).text());
        Ok(())
    }
}

fn unknown(registry: &Registry, asked: &str) -> Error {
    let all: Vec<_> = registry.iter().map(|plugin| format!("{}/{}", plugin.kind, plugin.name)).collect();
    let same_name = all.iter().find(|full| full.split_once('/').is_some_and(|(_, name)| name == asked.rsplit('/').next().unwrap_or(asked)));
    let near = same_name.map(String::as_str).or_else(|| bezoar_config::suggest(asked, all.iter().map(String::as_str)));
    let hint = near.map_or_else(|| "`bezoar list` shows all plugins".to_owned(), |near| format!("did you mean `{near}`?"));
    Error::request(format!("there is no plugin `{asked}`; plugins are named `kind/name`")).with_help(hint)
}

/// All that is known of a plugin.
struct Page {
    title: String,
    doc: String,
    paper: Option<&'static str>,
    presets: Vec<Preset>,
    fields: Vec<Field>,
    example: String,
    package: &'static str,
    source: String,
}

/// A field of a plugin's configuration.
struct Field {
    name: String,
    facts: String,
    description: String,
}

impl Page {
    fn new(plugin: &Registration) -> Self {
        Self {
            title: format!("{}/{}", plugin.kind, plugin.name),
            doc: plugin.doc(),
            paper: plugin.paper,
            presets: plugin.presets(),
            fields: fields("", &plugin.schema(), &plugin.schema()),
            example: example(plugin),
            package: plugin.package,
            source: format!("{} {}, {}:{}", plugin.package, plugin.version, plugin.file, plugin.line),
        }
    }

    fn text(&self) -> String {
        let mut page = format!("{}\n\n{}\n", self.title, self.doc);
        if let Some(paper) = self.paper {
            page += &format!("\nPaper: {paper}\n");
        }
        if !self.presets.is_empty() {
            page += "\nPresets:\n";
        }
        for preset in &self.presets {
            page += &format!("  preset: {}\n    {}\n", preset.name, preset.summary);
        }
        if !self.fields.is_empty() {
            page += "\nFields:\n";
        }
        for field in &self.fields {
            page += &format!("  {} ({})\n{}", field.name, field.facts, indent(&indent(&field.description)));
        }
        page + &format!("\nExample:\n{}\nSource: {}\n", indent(&self.example), self.source)
    }

    fn markdown(&self) -> String {
        let mut page = format!("## {}\n\n{}\n", self.title, self.doc);
        if let Some(paper) = self.paper {
            page += &format!("\nPaper: {paper}\n");
        }
        if !self.presets.is_empty() {
            page += "\n| preset | meaning |\n|---|---|\n";
        }
        for preset in &self.presets {
            page += &format!("| `{}` | {} |\n", preset.name, preset.summary);
        }
        if !self.fields.is_empty() {
            page += "\n| field | type | meaning |\n|---|---|---|\n";
        }
        for field in &self.fields {
            let meaning = field.description.replace('\n', " ").replace('|', "\\|");
            page += &format!("| `{}` | {} | {meaning} |\n", field.name, field.facts.replace('|', "\\|"));
        }
        page + &format!("\n```yaml\n{}```\n\nCrate: {}\n", self.example, self.package)
    }
}

/// The plugin's example as the block that stands in a pipeline.
fn example(plugin: &Registration) -> String {
    let mut block = serde_json::Map::from_iter([("use".to_owned(), plugin.name.into())]);
    block.extend(plugin.example().as_object().cloned().unwrap_or_default());
    bezoar_config::to_yaml(&block.into())
}

/// The fields of `schema`, a part of `root`, and behind each those inside it. Their names begin with `path`.
fn fields(path: &str, schema: &Value, root: &Value) -> Vec<Field> {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let field = |(name, field): (&String, &Value)| {
        let mut facts = vec![kind_of(field, root)];
        facts.extend(range(field));
        facts.extend(match &field["default"] {
            _ if required.contains(&name.as_str()) => Some("required".to_owned()),
            Value::Null => None,
            default => Some(format!("default `{default}`")),
        });
        let path = format!("{path}{name}");
        let inner = fields(&format!("{path}."), mapping(field, root), root);
        let description = field["description"].as_str().unwrap_or_default().to_owned();
        [Field { name: path, facts: facts.join(", "), description }].into_iter().chain(inner)
    };
    schema["properties"].as_object().into_iter().flatten().flat_map(field).collect()
}

/// What a field that may hold a mapping says of it; itself if that is nothing.
fn mapping<'a>(field: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(target) = field["$ref"].as_str().and_then(|pointer| root.pointer(pointer.strip_prefix('#')?)) {
        return mapping(target, root);
    }
    let choices = field["anyOf"].as_array().into_iter().flatten();
    choices.map(|choice| mapping(choice, root)).find(|choice| choice["properties"].is_object()).unwrap_or(field)
}

/// What a field holds, in a word or two.
fn kind_of(field: &Value, root: &Value) -> String {
    if let Some(kind) = field[KIND_KEY].as_str() {
        return format!("{} block", with_article(kind));
    }
    if let Some(target) = field["$ref"].as_str().and_then(|pointer| root.pointer(pointer.strip_prefix('#')?)) {
        return kind_of(target, root);
    }
    if let Some(choices) = field["anyOf"].as_array() {
        let kinds: Vec<_> = choices.iter().map(|choice| kind_of(choice, root)).collect();
        return kinds.join(" or ");
    }
    if let Some(values) = field["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ").replace('"', "");
    }
    if let Some(choices) = field["oneOf"].as_array() {
        let values: Vec<_> =
            choices.iter().map(|choice| choice["const"].as_str().map_or_else(|| kind_of(choice, root), str::to_owned)).collect();
        return values.join(" or ");
    }
    match &field["type"] {
        Value::String(name) if name == "array" => match field["items"][KIND_KEY].as_str() {
            Some(kind) => format!("a list of {kind} blocks"),
            None => format!("a list of {}", kind_of(&field["items"], root)),
        },
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "a value".to_owned(),
    }
}

/// The numbers that a field may hold.
fn range(field: &Value) -> Option<String> {
    let bound = |key: &str, sign: &str| field.get(key).map(|limit| format!("{sign} {limit}"));
    let bounds = [bound("minimum", "≥"), bound("exclusiveMinimum", ">"), bound("maximum", "≤"), bound("exclusiveMaximum", "<")];
    let bounds: Vec<_> = bounds.into_iter().flatten().collect();
    (!bounds.is_empty()).then(|| bounds.join(" and "))
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_fields_are_shown_behind_them() {
        let schema = json!({
            "properties": { "window": { "anyOf": [{ "$ref": "#/$defs/Window" }, { "type": "null" }] }, "size": { "type": "integer" } },
            "$defs": { "Window": { "type": "object", "properties": { "top": { "type": "array", "items": { "type": "integer" } } }, "required": ["top"] } },
        });
        let shown: Vec<_> = fields("", &schema, &schema).into_iter().map(|field| format!("{}: {}", field.name, field.facts)).collect();
        assert_eq!(shown, ["window: object or null", "window.top: a list of integer, required", "size: integer"]);
    }
}
