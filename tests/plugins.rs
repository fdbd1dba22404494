//! The contract that every registered plugin keeps.

use std::collections::BTreeMap;

use bezoar_attacks::trigger::Trigger;
use bezoar_config::{Node, Source, parse, to_yaml};
use bezoar_core::{Kind, Part};
use bezoar_tests::{example_block, registry};
use serde_json::{Value, json};

/// Builds a block as its kind and gives it back with defaults filled in.
fn build(kind: &str, block: &Value) -> Result<Value, String> {
    use bezoar_core::{Attack, Clusterer, Dataset, Decision, Detector, Distance, Metric, Reporter, Representation, Transform};
    use bezoar_nn::Architecture;
    use bezoar_nn::augmentation::Augmentation;
    use bezoar_nn::optimizer::Optimizer;
    use bezoar_nn::schedule::Schedule;
    fn of<K: Kind + ?Sized>(block: &Value) -> Result<Value, String> {
        Part::<K>::from_json(block.clone()).map(|part| part.block()).map_err(|error| error.to_string())
    }
    match kind {
        <dyn Attack>::NAME => of::<dyn Attack>(block),
        <dyn Architecture>::NAME => of::<dyn Architecture>(block),
        <dyn Augmentation>::NAME => of::<dyn Augmentation>(block),
        <dyn Clusterer>::NAME => of::<dyn Clusterer>(block),
        <dyn Dataset>::NAME => of::<dyn Dataset>(block),
        <dyn Decision>::NAME => of::<dyn Decision>(block),
        <dyn Detector>::NAME => of::<dyn Detector>(block),
        <dyn Distance>::NAME => of::<dyn Distance>(block),
        <dyn Metric>::NAME => of::<dyn Metric>(block),
        <dyn Optimizer>::NAME => of::<dyn Optimizer>(block),
        <dyn Reporter>::NAME => of::<dyn Reporter>(block),
        <dyn Representation>::NAME => of::<dyn Representation>(block),
        <dyn Schedule>::NAME => of::<dyn Schedule>(block),
        <dyn Transform>::NAME => of::<dyn Transform>(block),
        <dyn Trigger>::NAME => of::<dyn Trigger>(block),
        other => Err(format!("this test does not know the kind {other}")),
    }
}

#[test]
fn every_kind_has_plugins() {
    let mut count = BTreeMap::new();
    for plugin in registry().iter() {
        *count.entry(plugin.kind).or_insert(0) += 1;
    }
    let kinds: Vec<_> = count.keys().copied().collect();
    assert_eq!(
        kinds,
        [
            "attack",
            "augmentation",
            "clusterer",
            "dataset",
            "decision",
            "detector",
            "distance",
            "metric",
            "model",
            "optimizer",
            "report",
            "representation",
            "schedule",
            "transform",
            "trigger"
        ]
    );
}

#[test]
fn every_example_parses_builds_and_round_trips() {
    for plugin in registry().iter() {
        let block = example_block(plugin);
        let text = to_yaml(&block);
        let parsed = parse(&Source::new("example.yaml", text.as_str())).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(parsed.to_json(), block, "{}/{} does not survive YAML", plugin.kind, plugin.name);
        let built = build(plugin.kind, &block).unwrap_or_else(|error| panic!("{}/{}: {error}", plugin.kind, plugin.name));
        let again = build(plugin.kind, &built).unwrap_or_else(|error| panic!("{}/{}: {error}", plugin.kind, plugin.name));
        assert_eq!(built, again, "{}/{} changes when it is read back", plugin.kind, plugin.name);
    }
}

#[test]
fn every_plugin_is_documented() {
    for plugin in registry().iter() {
        let name = format!("{}/{}", plugin.kind, plugin.name);
        let summary = plugin.summary();
        assert!(
            summary.len() > 15 && summary.ends_with('.'),
            "{name}: the first line of the documentation is its summary, a sentence: {summary:?}"
        );
        assert!(!plugin.kind_summary.is_empty());
        for (field, schema) in plugin.schema()["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].as_str().is_some_and(|text| text.len() > 5), "{name}: the field {field} has no documentation");
        }
    }
}

#[test]
fn every_plugin_names_its_unknown_fields() {
    for plugin in registry().iter() {
        let mut block = example_block(plugin);
        block["no-such-field"] = 1.into();
        let mistakes = registry().check(plugin.kind, &Node::from_json(block));
        let unknown = mistakes.iter().any(|mistake| mistake.message.contains("no-such-field"));
        assert!(unknown, "{}/{} takes a field that it does not have: {mistakes:?}", plugin.kind, plugin.name);
    }
}

#[test]
fn every_schema_is_one_and_accepts_the_example() {
    let schema = bezoar_engine::schema(registry());
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    for plugin in registry().iter() {
        let mut part = schema.clone();
        part["$ref"] = format!("#/$defs/{}", plugin.kind).into();
        for key in ["properties", "required", "type", "additionalProperties"] {
            part.as_object_mut().unwrap().remove(key);
        }
        let validator = jsonschema::validator_for(&part).unwrap_or_else(|error| panic!("{error}"));
        let block = example_block(plugin);
        if let Err(error) = validator.validate(&block) {
            panic!("{}/{}: {error}\n{block}", plugin.kind, plugin.name);
        }
    }
}

/// A plugin's block with nothing in it that has a default.
fn essential_block(kind: &str, name: &str) -> Value {
    let mut block = registry().get(kind, name).unwrap().essentials();
    block["use"] = name.into();
    block
}

#[test]
fn what_an_example_needs_is_enough_for_it() {
    for plugin in registry().iter() {
        let needed = essential_block(plugin.kind, plugin.name);
        let [short, long] = [needed, example_block(plugin)].map(|block| build(plugin.kind, &block).unwrap());
        assert_eq!(short, long, "{}/{}", plugin.kind, plugin.name);
    }
    assert_eq!(essential_block("attack", "badnets"), json!({ "to": "speed-limit-80", "share": 0.05, "use": "badnets" }));
}

#[test]
fn every_preset_builds_and_gives_way_to_fields() {
    for plugin in registry().iter() {
        for preset in plugin.presets() {
            let mut block = essential_block(plugin.kind, plugin.name);
            block["preset"] = preset.name.into();
            let built = build(plugin.kind, &block).unwrap_or_else(|error| panic!("{}/{}: {error}", plugin.name, preset.name));
            assert!(built.get("preset").is_none(), "a resolved block has fields alone");
            for (field, value) in preset.fields.as_object().unwrap() {
                assert!(!built[field].is_null(), "{}/{}: {field}", plugin.name, preset.name);
                block[field] = value.clone();
            }
            assert_eq!(build(plugin.kind, &block).unwrap(), built);
            assert!(preset.summary.ends_with('.'));
        }
        let mut block = essential_block(plugin.kind, plugin.name);
        block["preset"] = "no-such-preset".into();
        let mistakes = registry().check(plugin.kind, &Node::from_json(block));
        assert!(mistakes.iter().any(|mistake| mistake.message.contains("no such preset")), "{}/{}", plugin.kind, plugin.name);
    }
}

#[test]
fn a_block_in_a_preset_is_the_presets_with_other_fields() {
    let sig = |trigger: Value| build("attack", &json!({ "use": "sig", "to": "stop", "share": 0.2, "trigger": trigger }));
    let changed = sig(json!({ "frequency": 3.0 })).unwrap();
    assert_eq!(changed["trigger"], json!({ "use": "sinusoid", "amplitude": 40.0, "test-amplitude": null, "frequency": 3.0 }));
    assert_eq!(sig(json!({ "use": "patch" })).unwrap()["trigger"]["use"], "patch");
    assert!(sig(json!({ "height": 3 })).unwrap_err().contains("height"), "a wave has none");
    let consistent =
        json!({ "use": "label-consistent", "to": "stop", "share": 0.2, "craft": { "surrogate": { "train": { "epochs": 3 } } } });
    let surrogate = build("attack", &consistent).unwrap()["craft"]["surrogate"].clone();
    assert_eq!((&surrogate["train"]["epochs"], &surrogate["model"]["use"]), (&json!(3), &json!("compact-cnn")));
    let schema = jsonschema::validator_for(&bezoar_engine::schema(registry())).unwrap();
    let pipeline =
        |attack: Value| json!({ "version": 1, "name": "a", "dataset": "signs", "model": "compact-cnn", "detect": [], "attack": attack });
    assert!(schema.is_valid(&pipeline(json!({ "use": "sig", "to": "stop", "share": 0.2, "trigger": { "frequency": 3.0 } }))));
    assert!(schema.is_valid(&pipeline(json!({ "use": "amplitude", "preset": "as-published", "to": "stop", "share": 0.2 }))));
    assert!(schema.is_valid(&pipeline("none".into())));
    assert!(!schema.is_valid(&pipeline("nothing".into())));
}

#[test]
fn a_name_alone_is_a_block_without_fields() {
    assert_eq!(build("attack", &"none".into()).unwrap(), json!({ "use": "none" }));
    assert_eq!(build("model", &"compact-cnn".into()), build("model", &json!({ "use": "compact-cnn" })));
    assert!(build("attack", &"sticker".into()).unwrap_err().contains("share"), "it lacks fields");
}
