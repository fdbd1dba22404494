use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};

/// Writes `folder/name` aside and renames it, so that the file is never there in part.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    let aside = folder.join(format!("{name}.partial"));
    fs::write(&aside, bytes).map_err(|error| Error::io(&aside, error))?;
    fs::rename(&aside, &path).map_err(|error| Error::io(&path, error))?;
    Ok(path)
}

/// Letters that a file's name takes of another name.
const LONGEST: usize = 60;

/// A name as part of a file's, which no other has.
pub(crate) fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let plain: String = if words.is_empty() { "detector".to_owned() } else { words.join("-").chars().take(LONGEST).collect() };
    let mut names = std::iter::once(plain.clone()).chain((2..).map(|number| format!("{plain}-{number}")));
    names.find(|name| taken.insert(name.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_safe_names_of_their_own() {
        let mut taken = BTreeSet::new();
        let names = ["../Heatmap Clustering (k: 2)", "lrp", "lrp", "lrp-2", "<>"].map(|detector| free_name(detector, &mut taken));
        assert_eq!(names, ["heatmap-clustering-k-2", "lrp", "lrp-2", "lrp-2-2", "detector"]);
    }

    #[test]
    fn names_make_files() {
        assert_eq!(free_name("lrp (composite: epsilon-plus, layer: a/b)", &mut BTreeSet::new()), "lrp-composite-epsilon-plus-layer-a-b");
    }
}
