//! The plugins of this crate, as YAML reaches them.

use bezoar_config::{Source, parse};
use bezoar_core::{Context, Dataset, Registry};
// Links the plugins.
use bezoar_data as _;

const NAMES: [&str; 4] = ["gtsrb", "image-folder", "parquet", "signs"];

#[test]
fn all_datasets_are_registered_and_documented() {
    let plugins: Vec<_> = Registry::global().unwrap().of_kind("dataset").collect();
    assert_eq!(plugins.iter().map(|plugin| plugin.name).collect::<Vec<_>>(), NAMES);
    for plugin in plugins {
        assert!(plugin.summary().len() > 20, "{} says too little of itself", plugin.name);
        let schema = plugin.schema();
        for (field, schema) in schema["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{}.{field} is not documented", plugin.name);
        }
    }
}

#[test]
fn examples_build_and_come_back() {
    let registry = Registry::global().unwrap();
    for plugin in registry.of_kind("dataset") {
        let mut block = plugin.example();
        block["use"] = plugin.name.into();
        let part = registry.part::<dyn Dataset>(&bezoar_config::Node::from_json(block.clone())).unwrap();
        assert_eq!(part.block(), block, "{}", plugin.name);
    }
}

#[test]
fn yaml_becomes_images() {
    let yaml = "{ use: signs, classes: [stop, yield], train: 2, validation: 0, test: 1 }";
    let part = Registry::global().unwrap().part::<dyn Dataset>(&parse(&Source::new("test.yaml", yaml)).unwrap()).unwrap();
    assert_eq!(part.load(&Context::quiet(0)).unwrap().train.len(), 4);
}

#[test]
fn mistakes_are_found_before_anything_is_read() {
    for (yaml, problem) in [
        ("{ use: signs, train: 0 }", "train"),
        ("{ use: signs, classes: [] }", "classes"),
        ("{ use: signs, classes: speed-limit }", "speed-limits"),
        ("{ use: signs, classes: [stopp] }", "stop"),
        ("{ use: gtsrb, validation-share: 0.9 }", "validation-share"),
        ("{ use: gtsrb, on-error: ignore }", "ignore"),
        ("{ use: image-folder }", "root"),
        ("{ use: parquet, root: x, limit: 0 }", "limit"),
        ("{ use: image-folder, root: x, sise: 64 }", "sise"),
    ] {
        let node = parse(&Source::new("test.yaml", yaml)).unwrap();
        let mistakes = Registry::global().unwrap().part::<dyn Dataset>(&node).err().unwrap_or_else(|| panic!("{yaml} was accepted"));
        let text = mistakes.render(false);
        assert!(text.contains(problem) && text.contains("test.yaml"), "{yaml}: {text}");
    }
}
