//! Every pipeline of the project is one, and resolves to itself.

use std::path::{Path, PathBuf};

use bezoar_config::Source;
use bezoar_engine::{Pipeline, Study};
use bezoar_tests::registry;

fn pipelines(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pipelines(&path));
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_pipeline_is_right_and_resolves_to_itself() {
    registry();
    let all = pipelines(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines"));
    assert!(all.len() >= 3);
    for path in all {
        let study = Study::read(&path, &[]).unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        let stem = path.file_stem().unwrap().to_string_lossy().replace('.', "-");
        assert_eq!(stem, study.name, "a pipeline is named after its file");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{} does not name its schema", path.display());
        for cell in study.cells {
            let resolved = cell.pipeline.resolved_yaml().unwrap();
            let again = Pipeline::from_source(&Source::new("resolved.yaml", resolved.as_str()), &[]).unwrap();
            assert_eq!(again.resolved_yaml().unwrap(), resolved);
        }
    }
}

#[test]
fn the_thesis_surrogates_are_trained_as_its_suspect_nets() {
    registry();
    for table in ["3.6", "3.7"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../pipelines/paper/table-{table}.yaml"));
        let study = Study::read(&path, &[]).unwrap();
        let resolved = study.cells[0].pipeline.resolved().unwrap();
        assert_eq!(resolved["attack"]["craft"]["surrogate"]["train"], resolved["train"], "table {table}");
        assert_eq!(resolved["attack"]["craft"]["surrogate"]["model"], resolved["model"], "table {table}");
    }
}

#[test]
fn every_pipeline_satisfies_the_committed_schema() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("schemas/pipeline.schema.json")).unwrap()).unwrap();
    assert_eq!(schema, bezoar_engine::schema(registry()), "out of date: run `cargo xtask codegen`");
    let validator = jsonschema::validator_for(&schema).unwrap();
    for path in pipelines(&folder.join("pipelines")) {
        let node = bezoar_config::parse(&Source::read(&path).unwrap()).unwrap();
        if let Err(error) = validator.validate(&node.to_json()) {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        }
    }
}
