//! Names for blocks that may name the same plugin more than once.

use bezoar_core::{Kind, Part};
use serde_json::Value;

/// Most fields that a name may list.
const FIELDS: usize = 3;

/// Most characters that a name may have.
const LENGTH: usize = 72;

/// A name for each part, all different: its plugin's, and where a plugin has several parts, the preset that each is or is nearest to, as in
/// `heatmap-clustering (recommended)`. A part that is near a preset only, and from the second part of a plugin and preset on every one, is told
/// by what it sets otherwise than the first, as in `heatmap-clustering (recommended, composite: epsilon)`; where that says too much, by its number.
pub(crate) fn names<K: Kind + ?Sized>(parts: &[&Part<K>]) -> Vec<String> {
    tell_apart(&parts.iter().map(|part| Told::of(part)).collect::<Vec<_>>())
}

/// What a name is made of.
struct Told {
    block: Value,
    preset: Option<&'static str>,
    /// The preset's own block, where this one only comes near it.
    near: Option<Value>,
}

impl Told {
    fn of<K: Kind + ?Sized>(part: &Part<K>) -> Self {
        let (block, preset) = (part.block(), part.preset());
        let of = |preset: Option<&str>| part.registration().preset_block(preset);
        if preset.is_some() || of(None).is_none() {
            return Self { block, preset, near: None };
        }
        Self::nearest(block, part.registration().presets().iter().map(|preset| preset.name), of)
    }

    /// The block by the preset that it differs least from, if by less than from the plugin without any and by no more than a name can say.
    fn nearest(block: Value, presets: impl Iterator<Item = &'static str>, of: impl Fn(Option<&str>) -> Option<Value>) -> Self {
        let whole = |name: Option<&'static str>| Some((name, of(name)?));
        let all = std::iter::once(None).chain(presets.map(Some)).filter_map(whole);
        let least = all.min_by_key(|(_, whole)| differences(whole, &block).len());
        match least {
            Some((Some(preset), whole)) if described(plugin(&block).unwrap_or_default(), Some(preset), &whole, &block).is_some() => {
                Self { block, preset: Some(preset), near: Some(whole) }
            }
            _ => Self { block, preset: None, near: None },
        }
    }

    fn plugin(&self) -> &str {
        plugin(&self.block).unwrap_or_default()
    }

    fn is_alike(&self, other: &Self) -> bool {
        (self.plugin(), self.preset) == (other.plugin(), other.preset)
    }
}

fn tell_apart(parts: &[Told]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let is_one_of_several = parts.iter().filter(|other| other.plugin() == part.plugin()).nth(1).is_some();
        let preset = part.preset.filter(|_| is_one_of_several);
        let mut whole = parts.iter().enumerate().filter(|(_, other)| part.is_alike(other) && other.near.is_none());
        let first = whole.next().filter(|(place, _)| *place < at || part.near.is_some()).map(|(_, first)| &first.block);
        let name = match first.or(part.near.as_ref()).filter(|_| is_one_of_several) {
            None => said(part.plugin(), preset, &[]),
            Some(first) => {
                let before = parts[..at].iter().filter(|other| part.is_alike(other)).count();
                let numbered = |number: usize| format!("{} {number}", said(part.plugin(), preset, &[]));
                let mut named = described(part.plugin(), preset, first, &part.block).into_iter().chain((before.max(1) + 1..).map(numbered));
                named.find(|name| !names.contains(name)).unwrap_or_default()
            }
        };
        names.push(name);
    }
    names
}

/// Words for values that are set in one place, all different: blocks by their plugin, and where several have the same plugin, by the fields
/// that they differ in.
pub(crate) fn labels(values: &[Value]) -> Vec<String> {
    let label = |value: &Value| {
        let Some(plugin) = plugin(value) else { return short(value) };
        let alike: Vec<&Value> = values.iter().filter(|other| self::plugin(other) == Some(plugin)).collect();
        let fields = |block: &Value| differences(&serde_json::json!({ "use": plugin }), block);
        let of_all: Vec<Vec<(String, String)>> = alike.iter().map(|block| fields(block)).collect();
        let differ = |field: &(String, String)| !of_all.iter().all(|others| others.contains(field));
        said(plugin, None, &fields(value).into_iter().filter(differ).collect::<Vec<_>>())
    };
    let mut labels: Vec<String> = Vec::new();
    for label in values.iter().map(label) {
        let same = labels.iter().filter(|other| **other == label).count();
        labels.push(if same == 0 { label } else { format!("{label} {}", same + 1) });
    }
    labels
}

fn plugin(block: &Value) -> Option<&str> {
    block["use"].as_str()
}

/// A plugin with what is said of it.
fn said(plugin: &str, preset: Option<&str>, fields: &[(String, String)]) -> String {
    let fields = fields.iter().map(|(key, value)| format!("{key}: {value}"));
    let said: Vec<String> = preset.map(str::to_owned).into_iter().chain(fields).collect();
    if said.is_empty() { plugin.to_owned() } else { format!("{plugin} ({})", said.join(", ")) }
}

/// The plugin and preset with the fields in which `block` differs from `first`, if they make a name.
fn described(plugin: &str, preset: Option<&str>, first: &Value, block: &Value) -> Option<String> {
    let fields = differences(first, block);
    let mut keys: Vec<_> = fields.iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let clear = !fields.is_empty() && keys.len() == fields.len() && fields.len() <= FIELDS;
    Some(said(plugin, preset, &fields)).filter(|name| clear && name.chars().count() <= LENGTH)
}

/// The innermost fields of `block` that `first` has otherwise. Another plugin counts as one field, under its block's key.
fn differences(first: &Value, block: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    collect("", first, block, &mut fields);
    fields
}

fn collect(key: &str, first: &Value, block: &Value, fields: &mut Vec<(String, String)>) {
    match (first, block) {
        _ if first == block => {}
        (Value::Object(before), Value::Object(after)) if plugin(first) == plugin(block) => {
            for (key, value) in after {
                collect(key, before.get(key).unwrap_or(&Value::Null), value, fields);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (first, block) in before.iter().zip(after) {
                collect(key, first, block, fields);
            }
        }
        _ => fields.push((key.to_owned(), short(block))),
    }
}

/// A value in a few words: of a block its plugin.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(short).collect::<Vec<_>>().join(", ")),
        block => plugin(block).map_or_else(|| block.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_say_what_differs() {
        let lrp = |composite: &str| json!({ "use": "lrp", "composite": composite });
        let clusterer = |k: u32| json!({ "use": "k-means", "k": k, "seed": 1 });
        let detector = |represent: Value, process: Value, cluster: Value, suspects: Value| json!({ "use": "hc", "represent": represent, "process": process, "cluster": cluster, "suspects": suspects });
        let pca = json!([{ "use": "min-max" }, { "use": "pca", "dimensions": 2 }]);
        let blocks = [
            detector(lrp("epsilon"), json!([]), clusterer(2), json!(null)),
            json!({ "use": "ac" }),
            detector(lrp("epsilon-plus"), json!([]), clusterer(2), json!(null)),
            detector(lrp("epsilon-plus"), json!([]), json!({ "use": "dbscan", "radius": 0.1 }), json!(["stop", 3])),
            detector(lrp("epsilon"), pca, clusterer(4), json!(null)),
            detector(lrp("epsilon"), json!([]), clusterer(2), json!(null)),
            detector(lrp("epsilon-plus"), json!([]), clusterer(2), json!(null)),
            detector(lrp("epsilon"), json!([]), clusterer(2), json!(vec!["a class with a long name"; 3])),
            json!({ "use": "ac" }),
        ];
        assert_eq!(
            tell_apart(&blocks.map(plain)),
            [
                "hc",
                "ac",
                "hc (composite: epsilon-plus)",
                "hc (composite: epsilon-plus, cluster: dbscan, suspects: [stop, 3])",
                "hc (process: [min-max, pca], k: 4)",
                "hc 5",
                "hc 6",
                "hc 7",
                "ac 2",
            ]
        );
    }

    #[test]
    fn values_of_an_axis_are_told_by_what_they_differ_in() {
        let sticker = |share: f64, size: u32| json!({ "use": "sticker", "share": share, "size": size });
        let values =
            [json!("none"), sticker(0.05, 3), sticker(0.15, 3), json!({ "use": "blended", "share": 0.1 }), json!(null), json!(0.5)];
        assert_eq!(labels(&values), ["none", "sticker (share: 0.05)", "sticker (share: 0.15)", "blended", "none 2", "0.5"]);
        let blocks = [sticker(0.1, 1), json!({ "use": "sticker", "share": 0.1, "trigger": { "use": "patch" } })];
        assert_eq!(labels(&blocks), ["sticker (size: 1)", "sticker (trigger: patch)"]);
    }

    #[test]
    fn fields_of_one_name_in_two_places_make_no_name() {
        let named = tell_apart(&[of_two(1, 1), of_two(2, 1), of_two(2, 2)].map(plain));
        assert_eq!(named, ["x", "x (k: 2)", "x 3"]);
    }

    #[test]
    fn parts_of_one_plugin_are_told_by_their_presets() {
        let presets = [None, Some("old"), Some("new"), Some("new"), Some("new"), None];
        let blocks = [of_two(1, 1), of_two(2, 2), of_two(3, 3), of_two(4, 4), of_two(4, 3), of_two(1, 5)];
        let of = |(block, preset)| Told { preset, ..plain(block) };
        let named = tell_apart(&blocks.into_iter().zip(presets).map(of).collect::<Vec<_>>());
        assert_eq!(named, ["x", "x (old)", "x (new)", "x (new) 2", "x (new, k: 4)", "x (k: 5)"]);
        assert_eq!(tell_apart(&[of((of_two(1, 1), Some("old")))]), ["x"], "nothing to tell it from");
    }

    #[test]
    fn a_part_near_a_preset_is_told_by_what_it_changes() {
        let near = |left, right| {
            let of = |preset: Option<&str>| Some(if preset.is_none() { of_two(1, 1) } else { of_two(5, 6) });
            Told::nearest(of_two(left, right), std::iter::once("new"), of)
        };
        let whole = || Told { preset: Some("new"), ..plain(of_two(5, 6)) };
        assert_eq!(tell_apart(&[near(5, 7), near(1, 3), near(5, 8)]), ["x (new, k: 7)", "x", "x (new, k: 8)"]);
        assert_eq!(tell_apart(&[near(5, 7), whole(), whole()]), ["x (new, k: 7)", "x (new)", "x (new) 3"]);
        assert_eq!(tell_apart(&[near(5, 7)]), ["x"], "nothing to tell it from");
        let far =
            Told::nearest(of_two(7, 8), std::iter::once("new"), |preset| Some(if preset.is_none() { json!({}) } else { of_two(5, 6) }));
        assert_eq!(tell_apart(&[whole(), far]), ["x (new)", "x"], "two fields of one name say nothing");
    }

    fn plain(block: Value) -> Told {
        Told { block, preset: None, near: None }
    }

    fn of_two(left: u32, right: u32) -> Value {
        json!({ "use": "x", "left": { "k": left }, "right": { "k": right } })
    }
}
