//! Data sets on this machine: where they are kept, and how they get there.

mod fetch;
mod import;
mod unpack;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};

pub use self::fetch::fetch;
pub use self::import::{Transfer, import};
pub use self::verify::{Verified, VerifiedSplit, verify};
use crate::raw::Raw;
use crate::{Card, folder, official, tables};

/// The environment variable that names the folder of all data sets.
const VARIABLE: &str = "BEZOAR_DATA";

/// Where a data set belongs: in a folder of its name in the folder that the environment variable `BEZOAR_DATA` names, or
/// else in `datasets/NAME/data`.
pub fn home(card: &Card) -> PathBuf {
    places(card, std::env::var_os(VARIABLE)).swap_remove(0)
}

/// Where a data set is looked for; the first place is its home.
fn places(card: &Card, variable: Option<OsString>) -> Vec<PathBuf> {
    let given = variable.filter(|value| !value.is_empty()).map(|folder| Path::new(&folder).join(&card.name));
    given.into_iter().chain([Path::new("datasets").join(&card.name).join("data")]).collect()
}

/// Where a data set is.
///
/// # Errors
/// When it is nowhere: says where it was looked for, and how to get it.
pub(crate) fn find(card: &Card) -> Result<PathBuf> {
    find_in(card, places(card, std::env::var_os(VARIABLE)))
}

fn find_in(card: &Card, places: Vec<PathBuf>) -> Result<PathBuf> {
    let looked: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    let missing = || format!("the data set {} is not at hand; looked for {}", card.name, looked.join(" and "));
    places.into_iter().find(|place| place.is_dir()).ok_or_else(|| Error::request(missing()).with_help(ways_to_get(card)))
}

/// Where a data set is, if it is here.
pub fn here(card: &Card) -> Option<PathBuf> {
    find(card).ok()
}

fn ways_to_get(card: &Card) -> String {
    format!("`cargo xtask data fetch {}` downloads it, {}", card.name, ways_to_use_a_copy(card))
}

fn ways_to_use_a_copy(card: &Card) -> String {
    format!(
        "`cargo xtask data import {} FOLDER` takes over a copy that you have, and `root:` or the environment variable {VARIABLE} point to \
         another place",
        card.name
    )
}

/// Lists the images of a data set in any layout that is known, under the card's class names.
pub(crate) fn open(card: &Card, root: &Path) -> Result<Raw> {
    if !root.is_dir() {
        return Err(Error::data(root.display(), "there is no such folder").with_help(ways_to_get(card)));
    }
    let raw = if tables::is_there(root) {
        tables::open(root)
    } else if official::is_there(root) {
        official::open(root)
    } else {
        folder::open(root)
    };
    raw?.adopt(&card.classes)
}

/// A path beside `path`, with something added to its name.
fn beside(path: &Path, addition: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(addition);
    path.with_file_name(name)
}

/// Makes sure that `folder` is free for a data set, and that there is a folder to put it into.
fn make_room(folder: &Path) -> Result<()> {
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::request(format!("{} is there already", folder.display()))
            .with_help("check it by `cargo xtask data verify`, or remove it first"));
    }
    let parent = folder.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card;

    #[test]
    fn a_data_set_is_looked_for_in_the_named_folder_first() {
        let gtsrb = card("gtsrb").unwrap();
        let default = Path::new("datasets/gtsrb/data");
        assert_eq!(places(gtsrb, None), [default]);
        assert_eq!(places(gtsrb, Some(OsString::new())), [default]);
        assert_eq!(places(gtsrb, Some("/somewhere".into())), [Path::new("/somewhere/gtsrb"), default]);
    }

    #[test]
    fn what_is_nowhere_is_explained() {
        let root = tempfile::tempdir().unwrap();
        let places = || vec![root.path().join("a"), root.path().join("b")];
        let error = find_in(card("gtsrb").unwrap(), places()).unwrap_err();
        assert!(error.to_string().contains(&root.path().join("b").display().to_string()), "{error}");
        assert!(error.help().unwrap().contains("data fetch gtsrb") && error.help().unwrap().contains("data import gtsrb"));
        std::fs::create_dir(root.path().join("b")).unwrap();
        assert_eq!(find_in(card("gtsrb").unwrap(), places()).unwrap(), root.path().join("b"));
    }

    #[test]
    fn folders_of_something_else_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let gtsrb = card("gtsrb").unwrap();
        assert!(open(gtsrb, root.path()).is_err());
        assert!(open(gtsrb, &root.path().join("absent")).err().unwrap().help().unwrap().contains("data fetch gtsrb"));
        std::fs::create_dir_all(root.path().join("cats")).unwrap();
        let error = open(gtsrb, root.path()).err().unwrap();
        assert!(error.to_string().contains("`cats` is no class") && error.help().unwrap().contains("speed-limit-20"), "{error}");
    }
}
