use std::fs;
use std::path::Path;

use bezoar_core::{Context, Error, Result};

use super::{Verified, beside, make_room, open, verify};
use crate::Card;
use crate::raw::list_folder;

/// How a data set is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Its files are copied.
    Copy,
    /// A symbolic link leads to its folder.
    Link,
}

/// Takes the data set in the folder `from` over into `to`, after checking that it is whole.
///
/// # Errors
/// When there is no folder `from`, when `to` is taken, when an image is broken, or when the images are not those of an edition on the card.
pub fn import(card: &Card, from: &Path, to: &Path, transfer: Transfer, cx: &Context) -> Result<Verified> {
    list_folder(from)?;
    make_room(to)?;
    let verified = verify(card, from, cx)?;
    if let Some(broken) = verified.broken.first() {
        return Err(Error::data(&broken.path, &broken.problem).with_help(format!(
            "{} of its images are broken: get the data set anew, or use it as it is by `root:`",
            verified.broken.len()
        )));
    }
    if verified.edition.is_none() {
        let known: Vec<_> = card.editions.iter().map(|edition| format!("{}: {}", edition.name, edition.images)).collect();
        return Err(Error::data(from.display(), format!("{} are no edition of {} ({})", verified.counts(), card.name, known.join("; ")))
            .with_help("to use it all the same, name the folder in the pipeline by `root:`"));
    }
    match transfer {
        Transfer::Copy => copy(card, from, to, cx)?,
        Transfer::Link => {
            let from = from.canonicalize().map_err(|error| Error::io(from, error))?;
            // An empty folder of this name is no loss, and links do not replace it.
            let _ = fs::remove_dir(to);
            link(&from, to).map_err(|error| Error::io(to, error))?;
        }
    }
    Ok(verified)
}

/// Copies the files that the data set is read from, beside the goal first, so that it appears whole or not at all.
fn copy(card: &Card, from: &Path, to: &Path, cx: &Context) -> Result<()> {
    let staging = beside(to, ".part");
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(|error| Error::io(&staging, error))?;
    }
    let files = open(card, from)?.files;
    let task = cx.task("copying files", files.len() as u64);
    for file in files {
        cx.check()?;
        let target = staging.join(file.strip_prefix(from).unwrap_or(&file));
        let parent = target.parent().unwrap_or(&staging);
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
        fs::copy(&file, &target).map_err(|error| Error::io(&target, error))?;
        task.advance(1);
    }
    fs::rename(&staging, to).map_err(|error| Error::io(to, error))
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(windows)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(from, to)
}

#[cfg(test)]
mod tests {
    use super::super::verify::tests::tiny_card;
    use super::*;
    use crate::{card, official};

    fn run(card: &Card, from: &Path, to: &Path, transfer: Transfer) -> Result<Verified> {
        import(card, from, to, transfer, &Context::quiet(0))
    }

    #[test]
    fn a_whole_data_set_is_copied_or_linked() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from");
        official::tests::tree(&from, 43, 1);
        let fingerprint = |folder: &Path| open(&tiny_card(), folder).unwrap().fingerprint().unwrap();
        for (name, transfer) in [("copied", Transfer::Copy), ("linked", Transfer::Link)] {
            let to = root.path().join("data").join(name);
            assert_eq!(run(&tiny_card(), &from, &to, transfer).unwrap().edition.unwrap().name, "final");
            assert_eq!(fingerprint(&to), fingerprint(&from));
            assert_eq!(to.is_symlink(), transfer == Transfer::Link);
            assert!(run(&tiny_card(), &from, &to, transfer).unwrap_err().to_string().contains("there already"));
        }
        assert_eq!(fs::read_dir(root.path().join("data")).unwrap().count(), 2, "nothing else is left behind");
    }

    #[test]
    fn what_is_broken_or_incomplete_stays_outside() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        official::tests::tree(&from, 43, 1);
        let error = run(card("gtsrb").unwrap(), &from, &to, Transfer::Copy).unwrap_err().to_string();
        assert!(error.contains("129 training, 0 validation and 86 test images are no edition of gtsrb"), "{error}");
        fs::write(from.join("GTSRB/Final_Test/Images/00004.ppm"), b"").unwrap();
        let error = run(&tiny_card(), &from, &to, Transfer::Copy).unwrap_err().to_string();
        assert!(error.contains("00004.ppm"), "{error}");
        assert!(!to.exists());
        let error = run(&tiny_card(), &root.path().join("nowhere"), &to, Transfer::Link).unwrap_err();
        assert!(error.to_string().contains("no such folder") && !error.help().unwrap().contains("import"), "no circular advice: {error:?}");
    }
}
