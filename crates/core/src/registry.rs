//! Plugins register themselves at link time through `inventory`; the registry is an ordinary value made from that.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bezoar_config::{Diagnostic, Diagnostics, Node, Value, deserialize, suggest, validate, whole_assignment};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Part, Result};

/// A kind of plugin: a stage trait, as the trait object that plugins of the kind build.
pub trait Kind: Send + Sync + 'static {
    /// What `bezoar list` calls it.
    const NAME: &'static str;
    /// What plugins of this kind do, in a few words after "a plugin that".
    const SUMMARY: &'static str;
}

/// A plugin's configuration: data that YAML can say, and that builds the working object.
///
/// The doc comment of the type is the plugin's documentation, its first line the summary; doc comments of the fields are
/// theirs. Ranges are declared once, with `#[schemars(range(..))]`: YAML is checked against the schema.
pub trait Plugin: Serialize + DeserializeOwned + JsonSchema + 'static {
    /// The stage trait, as in `type Kind = dyn Attack`.
    type Kind: Kind + ?Sized;
    /// What YAML says after `use:`.
    const NAME: &'static str;
    /// The source of the method, such as `arXiv 1811.03728`.
    const PAPER: Option<&'static str> = None;

    /// Fields that YAML may leave out and what then stands there, as YAML would say it. For presets: the default of a
    /// [`Part`] can only be built where its plugin is linked, which serde's own defaults cannot say.
    fn defaults() -> serde_json::Value {
        serde_json::json!({})
    }

    /// Named settings, which YAML asks for by `preset: NAME` and changes by further fields.
    fn presets() -> Vec<Preset> {
        Vec::new()
    }

    /// A configuration worth showing in the documentation; it parses, builds and round-trips.
    fn example() -> Self;

    /// Makes the working object. Checks here what no schema can say, such as that two fields agree.
    fn build(self) -> Result<Arc<Self::Kind>>;
}

/// Settings of a plugin under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// What YAML says after `preset:`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub summary: &'static str,
    /// The fields that differ from the plugin's defaults, as YAML would say them.
    pub fields: serde_json::Value,
}

/// Registers a plugin under its name and kind: `register!(Sticker);`
#[macro_export]
macro_rules! register {
    ($plugin:ty) => {
        $crate::inventory::submit! {
            $crate::Registration::of::<$plugin>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), file!(), line!())
        }
    };
}

/// What the registry knows of a plugin.
pub struct Registration {
    /// The kind's name.
    pub kind: &'static str,
    /// What plugins of the kind do.
    pub kind_summary: &'static str,
    /// The plugin's name.
    pub name: &'static str,
    /// The source of the method.
    pub paper: Option<&'static str>,
    /// The crate that registers it.
    pub package: &'static str,
    /// That crate's version; part of every cache key.
    pub version: &'static str,
    /// The file that registers it.
    pub file: &'static str,
    /// The line in that file.
    pub line: u32,
    schema: fn() -> serde_json::Value,
    example: fn() -> serde_json::Value,
    defaults: fn() -> serde_json::Value,
    presets: fn() -> Vec<Preset>,
    build: fn(&Node) -> Result<Built, Diagnostics>,
}

inventory::collect!(Registration);

/// A plugin's object, as an `Arc<K>` for its kind `K`, with its configuration.
struct Built {
    object: Box<dyn Any + Send + Sync>,
    config: serde_json::Value,
}

impl Registration {
    /// The registration of `P`. Use [`register!`](crate::register).
    pub const fn of<P: Plugin>(package: &'static str, version: &'static str, file: &'static str, line: u32) -> Self {
        Self {
            kind: <P::Kind as Kind>::NAME,
            kind_summary: <P::Kind as Kind>::SUMMARY,
            name: P::NAME,
            paper: P::PAPER,
            package,
            version,
            file,
            line,
            schema: || with_defaults(schemars::schema_for!(P).to_value(), &P::defaults()),
            example: || to_json(&P::example()),
            defaults: P::defaults,
            presets: P::presets,
            build: |node| {
                let config: P = deserialize(node)?;
                let json = to_json(&config);
                let object = config.build().map_err(|error| refusal(&error).at_node(node))?;
                Ok(Built { object: Box::new(object), config: json })
            },
        }
    }

    /// The JSON Schema of its fields, without `use`.
    pub fn schema(&self) -> serde_json::Value {
        (self.schema)()
    }

    /// The example's fields, without `use`.
    pub fn example(&self) -> serde_json::Value {
        (self.example)()
    }

    /// Its named settings.
    pub fn presets(&self) -> Vec<Preset> {
        (self.presets)()
    }

    /// The fields that a block of it gives, completed by the preset that it names and by the plugin's defaults.
    fn fields(&self, block: &Node) -> Result<Node, Diagnostics> {
        let (mut fields, schema) = (block.without("use"), self.schema());
        if block.as_str().is_some() {
            fields.value = Value::Map(bezoar_config::Map::default());
        }
        if let Some(wanted) = fields.as_map_mut().and_then(|fields| fields.remove(PRESET)) {
            let presets = self.presets();
            let names = || presets.iter().map(|preset| preset.name);
            let Some(preset) = presets.iter().find(|preset| wanted.as_str() == Some(preset.name)) else {
                let known = if presets.is_empty() {
                    "it has none".to_owned()
                } else {
                    format!("presets: {}", names().collect::<Vec<_>>().join(", "))
                };
                let unknown = Diagnostic::new("unknown-preset", format!("`{}` has no such preset", self.name)).at_node(&wanted).help(known);
                let near = wanted.as_str().and_then(|wanted| suggest(wanted, names()));
                return Err(match near {
                    Some(near) => unknown.label(format!("did you mean `{near}`?")).into(),
                    None => unknown.into(),
                });
            };
            complete(&mut fields, &preset.fields, &schema, &schema);
        }
        complete(&mut fields, &(self.defaults)(), &schema, &schema);
        Ok(fields)
    }

    /// All fields of a block that gives these; none if they do not suit it.
    fn config(&self, fields: &serde_json::Value) -> Option<serde_json::Value> {
        let fields = self.fields(&Node::from_json(fields.clone())).ok()?;
        (self.build)(&fields).ok().map(|built| built.config)
    }

    /// The block with these fields.
    pub(crate) fn block(&self, fields: &serde_json::Value) -> serde_json::Value {
        let mut block = serde_json::Map::from_iter([("use".to_owned(), self.name.into())]);
        if let serde_json::Value::Object(fields) = fields {
            block.extend(fields.clone());
        }
        block.into()
    }

    /// The whole block of the preset, or of the plugin without any; none if it has no such preset or does not stand without further fields.
    pub fn preset_block(&self, preset: Option<&str>) -> Option<serde_json::Value> {
        let fields = preset.map_or_else(|| serde_json::json!({}), |preset| serde_json::json!({ PRESET: preset }));
        Some(self.block(&self.config(&fields)?))
    }

    /// The preset that a whole block stands for: that of which it has all that the preset changes; of several the one that changes most.
    pub fn preset_of(&self, block: &serde_json::Value) -> Option<&'static str> {
        let changed = |preset: &Preset| preset.fields.as_object().map_or(0, serde_json::Map::len);
        let is_it = |preset: &Preset| {
            let keeps = |whole: serde_json::Value| {
                preset.fields.as_object().is_some_and(|fields| fields.keys().all(|field| block[field] == whole[field]))
            };
            changed(preset) > 0 && self.preset_block(Some(preset.name)).is_some_and(keeps)
        };
        self.presets().into_iter().filter(is_it).max_by_key(changed).map(|preset| preset.name)
    }

    /// The example's fields that are not as they are by default.
    pub fn essentials(&self) -> serde_json::Value {
        let mut essential = self.example();
        let whole = self.config(&essential);
        for field in self.example().as_object().into_iter().flat_map(serde_json::Map::keys) {
            let mut rest = essential.clone();
            rest.as_object_mut().map(|fields| fields.shift_remove(field));
            if self.config(&rest) == whole {
                essential = rest;
            }
        }
        essential
    }

    /// Its documentation, Markdown.
    pub fn doc(&self) -> String {
        self.schema()["description"].as_str().unwrap_or_default().to_owned()
    }

    /// The first line of its documentation.
    pub fn summary(&self) -> String {
        self.doc().lines().next().unwrap_or_default().to_owned()
    }
}

/// What a plugin says against its configuration, as a mistake in it.
pub(crate) fn refusal(error: &Error) -> Diagnostic {
    let refusal = Diagnostic::new("refused-by-plugin", error.to_string());
    match error.help() {
        Some(help) => refusal.help(help),
        None => refusal,
    }
}

/// The schema in which fields with defaults are no longer required.
fn with_defaults(mut schema: serde_json::Value, defaults: &serde_json::Value) -> serde_json::Value {
    for (field, default) in defaults.as_object().into_iter().flatten() {
        schema["properties"][field]["default"] = default.clone();
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|name| name != field);
        }
    }
    schema
}

/// Adds the defaults of fields that are left out, at any depth. `schema`, a part of `root`, describes the fields. A plugin block that does
/// not say what to use is the default's with other fields.
fn complete(node: &mut Node, defaults: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value) {
    let Some(fields) = node.as_map_mut() else { return };
    for (name, default) in defaults.as_object().into_iter().flatten() {
        let Some(given) = fields.get_mut(name) else {
            fields.insert(name, None, Node::from_json(default.clone()));
            continue;
        };
        let field = described(&schema["properties"][name], root);
        let is_same_block = field[KIND_KEY].is_string() && default.get("use").is_some() && given.get("use").is_none();
        if is_same_block || field["properties"].is_object() {
            complete(given, default, field, root);
        }
    }
}

/// What a schema, a part of `root`, says of a value that is there: behind references, and behind the choice to leave it out.
fn described<'a>(schema: &'a serde_json::Value, root: &'a serde_json::Value) -> &'a serde_json::Value {
    if let Some(target) = schema["$ref"].as_str().and_then(|pointer| root.pointer(pointer.strip_prefix('#')?)) {
        return described(target, root);
    }
    let mut choices = schema["anyOf"].as_array().into_iter().flatten().filter(|choice| choice["type"] != "null");
    match (choices.next(), choices.next()) {
        (Some(only), None) => described(only, root),
        _ => schema,
    }
}

/// Configurations are plain data, which JSON can always say.
#[expect(clippy::expect_used, reason = "a configuration that JSON cannot say breaks the contract test of its plugin")]
fn to_json(config: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(config).expect("a plugin's configuration is plain data")
}

/// All plugins by kind and name.
#[derive(Default)]
pub struct Registry(BTreeMap<(&'static str, &'static str), &'static Registration>);

impl Registry {
    /// A registry of these plugins.
    ///
    /// # Errors
    /// Says which two plugins claim the same name, and where they stand.
    pub fn new(plugins: impl IntoIterator<Item = &'static Registration>) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for plugin in plugins {
            if let Some(other) = all.insert((plugin.kind, plugin.name), plugin) {
                let mut places = [other, plugin].map(|plugin| format!("{} ({}:{})", plugin.package, plugin.file, plugin.line));
                places.sort();
                return Err(format!("two plugins are called {}/{}: {} and {}", plugin.kind, plugin.name, places[0], places[1]));
            }
        }
        if all.is_empty() {
            return Err("no plugin is linked; does the program name the crate bezoar-plugins?".to_owned());
        }
        Ok(Self(all))
    }

    /// All plugins that are linked into this program.
    ///
    /// # Errors
    /// As [`Registry::new`].
    pub fn global() -> Result<&'static Self, &'static str> {
        static GLOBAL: OnceLock<Result<Registry, String>> = OnceLock::new();
        GLOBAL.get_or_init(|| Self::new(inventory::iter::<Registration>)).as_ref().map_err(String::as_str)
    }

    /// All plugins by kind, then name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Registration> {
        self.0.values().copied()
    }

    /// The plugins of a kind by name.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'static Registration> + 'a {
        self.iter().filter(move |plugin| plugin.kind == kind)
    }

    /// The kinds that have plugins.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.iter().map(|plugin| plugin.kind).collect();
        kinds.dedup();
        kinds
    }

    /// One plugin.
    pub fn get(&self, kind: &str, name: &str) -> Option<&'static Registration> {
        self.iter().find(|plugin| plugin.kind == kind && plugin.name == name)
    }

    /// Builds the plugin that a `{ use: name, ... }` block names.
    ///
    /// # Errors
    /// All mistakes of the block and of the blocks inside it, each with its place.
    pub fn part<K: Kind + ?Sized>(&self, node: &Node) -> Result<Part<K>, Diagnostics> {
        Diagnostics::check(self.check(K::NAME, node))?;
        let plugin = self.resolve(K::NAME, node)?;
        let built = (plugin.build)(&plugin.fields(node)?)?;
        match built.object.downcast::<Arc<K>>() {
            Ok(object) => Ok(Part::assemble(plugin, built.config, *object, node)),
            Err(_) => Err(Diagnostic::new(
                "wrong-kind",
                format!("{} claims to be {} and builds something else", plugin.name, with_article(K::NAME)),
            )
            .at_node(node)
            .into()),
        }
    }

    /// All mistakes of a block against the schema of the plugin that it names, those of the blocks inside it too.
    pub fn check(&self, kind: &str, node: &Node) -> Vec<Diagnostic> {
        match self.resolve(kind, node) {
            Err(mistakes) => mistakes.into_iter().collect(),
            Ok(plugin) => {
                let fields = match plugin.fields(node) {
                    Ok(fields) => fields,
                    Err(mistakes) => return mistakes.into_iter().collect(),
                };
                let mistakes = self.check_fields(&fields, &plugin.schema());
                if !mistakes.is_empty() {
                    return mistakes;
                }
                // Building is cheap, and only the plugin knows how its fields must agree.
                (plugin.build)(&fields).err().into_iter().flatten().collect()
            }
        }
    }

    /// All mistakes of a block against a schema in which [`Part`] fields stand for the plugins of their kind.
    pub fn check_fields(&self, node: &Node, schema: &serde_json::Value) -> Vec<Diagnostic> {
        let mut mistakes = validate(node, schema);
        self.check_parts(node, schema, schema, &mut mistakes);
        mistakes
    }

    /// The mistakes of all plugin blocks inside `node`, which `schema`, a part of `root`, describes.
    fn check_parts(&self, node: &Node, schema: &serde_json::Value, root: &serde_json::Value, mistakes: &mut Vec<Diagnostic>) {
        if let Some(kind) = schema[KIND_KEY].as_str() {
            if matches!(node.value, Value::Map(_) | Value::String(_)) {
                mistakes.extend(self.check(kind, node));
            }
        } else if !std::ptr::eq(described(schema, root), schema) {
            if node.value != Value::Null {
                self.check_parts(node, described(schema, root), root, mistakes);
            }
        } else if let Some(choices) = schema["anyOf"].as_array() {
            // An optional field: null, or the one thing it may be.
            for choice in choices.iter().filter(|choice| choice["type"] != "null" && node.value != Value::Null) {
                self.check_parts(node, choice, root, mistakes);
            }
        } else if let (Some(fields), Value::Map(_)) = (schema["properties"].as_object(), &node.value) {
            for (name, field) in fields {
                if let Some(inner) = node.get(name) {
                    self.check_parts(inner, field, root, mistakes);
                }
            }
        } else if let (items @ serde_json::Value::Object(_), Value::List(list)) = (&schema["items"], &node.value) {
            for item in list {
                self.check_parts(item, items, root, mistakes);
            }
        }
    }

    /// The one plugin of a kind that has all fields of a block.
    fn only_with_fields(&self, kind: &str, block: &Node) -> Option<&'static str> {
        let has = |plugin: &&Registration| {
            let schema = plugin.schema();
            block.as_map().is_some_and(|fields| fields.keys().all(|field| schema["properties"].get(field).is_some()))
        };
        let mut fitting = self.of_kind(kind).filter(has);
        fitting.next().filter(|_| fitting.next().is_none()).map(|plugin| plugin.name)
    }

    fn resolve(&self, kind: &str, node: &Node) -> Result<&'static Registration, Diagnostics> {
        let known: Vec<_> = self.of_kind(kind).map(|plugin| plugin.name).collect();
        let listing = format!("{kind} plugins: {}", known.join(", "));
        if !matches!(node.value, Value::Map(_) | Value::String(_)) {
            let problem = format!("{} is a block `{{ use: name, ... }}`", with_article(kind));
            return Err(Diagnostic::new("no-block", problem).at_node(node).help(listing).into());
        }
        // A name alone is a block without fields.
        let Some(name) = node.get("use").or(node.as_str().map(|_| node)) else {
            let missing = Diagnostic::new("missing-use", format!("this {kind} does not say which plugin to use"));
            let help = match whole_assignment(node, &format!("use: {}", self.only_with_fields(kind, node).unwrap_or("NAME"))) {
                Some(assignment) => format!("the file has no such block: set the whole of it, as in `{assignment}`; {listing}"),
                None => listing,
            };
            return Err(missing.at_node(node).label("`use:` is missing").help(help).into());
        };
        let Some(text) = name.as_str() else {
            return Err(Diagnostic::new("no-plugin-name", format!("`use` wants the name of a {kind} plugin"))
                .at_node(name)
                .help(listing)
                .into());
        };
        self.get(kind, text).ok_or_else(|| {
            let unknown =
                Diagnostic::new("unknown-plugin", format!("there is no {kind} plugin called `{text}`")).at_node(name).help(listing);
            let elsewhere = self.iter().find(|plugin| plugin.name == text);
            let unknown = match (suggest(text, known.iter().copied()), elsewhere) {
                (Some(near), _) => unknown.label(format!("did you mean `{near}`?")),
                (None, Some(other)) => unknown.label(format!("`{text}` is {} plugin", with_article(other.kind))),
                (None, None) => unknown,
            };
            unknown.into()
        })
    }
}

/// A noun behind its article: `an attack`.
pub fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// The field that names a preset.
const PRESET: &str = "preset";

/// The schema keyword that marks a plugin block and names its kind.
pub const KIND_KEY: &str = "x-bezoar-kind";
