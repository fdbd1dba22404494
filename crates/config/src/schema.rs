//! JSON Schemas in the words of error messages.

use serde_json::Value as Json;

use crate::suggest::list;

/// A schema within the one that holds its `$defs`, references followed.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'a> {
    root: &'a Json,
    this: &'a Json,
}

impl<'a> Schema<'a> {
    pub(crate) fn new(root: &'a Json, mut this: &'a Json) -> Self {
        let target = |schema: &Json| root.pointer(schema["$ref"].as_str()?.strip_prefix('#')?);
        while let Some(next) = target(this) {
            this = next;
        }
        Self { root, this }
    }

    /// The names of a mapping's fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.this["properties"].as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str))
    }

    pub(crate) fn field(&self, name: &str) -> Schema<'a> {
        Self::new(self.root, &self.this["properties"][name])
    }

    /// The first line of what a field's documentation says, or else that of its type.
    pub(crate) fn field_summary(&self, name: &str) -> Option<&'a str> {
        let field = &self.this["properties"][name];
        let description = field["description"].as_str().or_else(|| self.field(name).this["description"].as_str());
        description?.lines().next()
    }

    /// The first line of what the documentation of the value itself says.
    pub(crate) fn summary(&self) -> Option<&'a str> {
        self.this["description"].as_str()?.lines().next()
    }

    /// Whether a mapping may hold no other fields than those it names.
    pub(crate) fn is_closed(&self) -> bool {
        self.this["additionalProperties"] == false || self.this["unevaluatedProperties"] == false
    }

    /// The schemas of which a value must fit one.
    fn branches(&self) -> impl Iterator<Item = Schema<'a>> + use<'a> {
        let root = self.root;
        let lists = ["anyOf", "oneOf"].map(|keyword| self.this[keyword].as_array());
        lists.into_iter().flatten().flatten().map(move |branch| Self::new(root, branch))
    }

    /// The constants that a value must be one of.
    fn constants(&self) -> impl Iterator<Item = &'a Json> + use<'a> {
        self.this.get("const").into_iter().chain(self.this["enum"].as_array().into_iter().flatten())
    }

    /// The one field of an enum's variant that holds something, as serde writes it by default: `{ name: content }`.
    pub(crate) fn variant(&self) -> Option<&'a str> {
        let mut fields = self.fields();
        let name = fields.next()?;
        let alone = fields.next().is_none() && self.is_closed() && self.this["required"][0] == name;
        let alone = alone && self.field(name).constants().next().is_none();
        alone.then_some(name)
    }

    /// The names of the variants that hold something.
    pub(crate) fn variants(&self) -> Vec<&'a str> {
        self.collect(|schema| schema.variant().into_iter().collect())
    }

    /// The strings that a value may be.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        self.collect(|schema| schema.constants().filter_map(Json::as_str).collect())
    }

    /// The JSON types that a value may have.
    pub(crate) fn types(&self) -> Vec<&'a str> {
        self.collect(|schema| match &schema.this["type"] {
            Json::String(name) => vec![name.as_str()],
            Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        })
    }

    /// What `of` finds here and in all branches, however deep.
    fn collect<T>(&self, of: impl Copy + Fn(&Self) -> Vec<T>) -> Vec<T> {
        let mut found = of(self);
        for branch in self.branches() {
            found.extend(branch.collect(of));
        }
        found
    }

    /// What a value must be: "a number between 0 and 1", "one of `adam`, `sgd`"; `None` if it may be anything.
    pub(crate) fn wanted(&self) -> Option<String> {
        let constants: Vec<_> = self.collect(|schema| schema.constants().map(constant).collect());
        let mut wanted = match &constants[..] {
            [] => Vec::new(),
            [only] => vec![only.clone()],
            several => vec![format!("one of {}", list(several.iter().cloned()))],
        };
        for noun in self.collect(Self::nouns) {
            if !wanted.contains(&noun) {
                wanted.push(noun);
            }
        }
        let last = wanted.pop()?;
        if wanted.is_empty() { Some(last) } else { Some(format!("{} or {last}", list(wanted.into_iter()))) }
    }

    /// The kinds of values that fit this schema, its branches and constants left aside.
    fn nouns(&self) -> Vec<String> {
        if self.constants().next().is_some() || self.branches().next().is_some() {
            return Vec::new();
        }
        if let Some(name) = self.variant() {
            return vec![format!("`{name}: …`")];
        }
        self.types().into_iter().map(|name| self.noun(name)).collect()
    }

    fn noun(&self, name: &str) -> String {
        let number = |noun: &str| match self.range() {
            Some(only) if only.parse::<f64>().is_ok() => only,
            Some(range) if range.starts_with("at ") => format!("{noun} of {range}"),
            Some(range) => format!("{noun} {range}"),
            None => noun.to_owned(),
        };
        match name {
            "null" => "`null`".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "integer" => number("a whole number"),
            "number" => number("a number"),
            "string" => "a string".to_owned(),
            "array" => "a list".to_owned(),
            _ => "a mapping".to_owned(),
        }
    }

    /// The range of a number: "between 0 and 1, exclusive", "at least 1", or "1" if that is all it may be.
    pub(crate) fn range(&self) -> Option<String> {
        let limit = |keyword: &str| self.this[keyword].as_f64();
        let tighter = |inclusive: Option<f64>, exclusive: Option<f64>, sign: f64| match (inclusive, exclusive) {
            (Some(inclusive), Some(exclusive)) if (inclusive - exclusive) * sign > 0.0 => Some((inclusive, false)),
            (_, Some(exclusive)) => Some((exclusive, true)),
            (inclusive, None) => inclusive.map(|inclusive| (inclusive, false)),
        };
        let low = tighter(limit("minimum"), limit("exclusiveMinimum"), 1.0);
        let high = tighter(limit("maximum"), limit("exclusiveMaximum"), -1.0);
        let above = |(low, exclusive)| if exclusive { format!("above {low}") } else { format!("at least {low}") };
        let below = |(high, exclusive)| if exclusive { format!("below {high}") } else { format!("at most {high}") };
        match (low, high) {
            (Some((low, false)), Some((high, false))) if low.total_cmp(&high).is_eq() => Some(low.to_string()),
            (Some((low, false)), Some((high, false))) => Some(format!("between {low} and {high}")),
            (Some((low, true)), Some((high, true))) => Some(format!("between {low} and {high}, exclusive")),
            (Some(low), Some(high)) => Some(format!("{} and {}", above(low), below(high))),
            (low, high) => low.map(above).or_else(|| high.map(below)),
        }
    }
}

fn constant(value: &Json) -> String {
    match value {
        Json::String(name) => format!("`{name}`"),
        other => format!("`{other}`"),
    }
}
