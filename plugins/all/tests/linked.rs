//! Every `register!` in the folders of the workspace is in the registry.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bezoar_core::Registry;

/// The crates of a folder that register plugins, with the number that they register: `register!(..)`, or `preset! {..}` in the zoo of
/// attacks. Tests may register their own, and macros have theirs: those are indented.
fn registering(folder: &str, found: &mut BTreeMap<String, usize>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    for member in fs::read_dir(folder).unwrap() {
        let member = member.unwrap().path();
        let texts = sources(&member.join("src")).into_iter().map(|source| fs::read_to_string(source).unwrap());
        let registered: usize =
            texts.map(|text| text.lines().filter(|line| line.starts_with("register!(") || *line == "preset! {").count()).sum();
        if registered > 0 {
            let manifest = fs::read_to_string(member.join("Cargo.toml")).unwrap();
            let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
            found.insert(name.trim_matches('"').to_owned(), registered);
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn every_plugin_of_the_workspace_is_linked() {
    bezoar_plugins::link();
    let mut linked = BTreeMap::new();
    for plugin in Registry::global().unwrap().iter() {
        *linked.entry(plugin.package.to_owned()).or_insert(0) += 1;
    }
    let mut registering_crates = BTreeMap::new();
    registering("crates", &mut registering_crates);
    registering("plugins", &mut registering_crates);
    assert_eq!(linked, registering_crates, "plugins/all must name every crate that registers plugins, in Cargo.toml and src/lib.rs");
}
