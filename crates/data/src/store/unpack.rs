use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bezoar_core::{Context, Error, Result};
use zip::ZipArchive;

/// How many times its size an archive may unpack to. Photographs and tables stay far below it; bombs do not.
const MAX_GROWTH: u64 = 50;

/// Unpacks a ZIP file into a folder.
///
/// # Errors
/// When an entry would leave the folder, is a link, stands twice or does not match its checksum, or when the archive unpacks
/// to suspiciously much. What was unpacked until then stays.
pub(super) fn unpack(archive: &Path, folder: &Path, cx: &Context) -> Result<()> {
    let refuse = |problem: &dyn std::fmt::Display| Error::data(archive.display(), problem);
    let file = File::open(archive).map_err(|error| Error::io(archive, error))?;
    let mut budget = file.metadata().map_err(|error| Error::io(archive, error))?.len().saturating_mul(MAX_GROWTH);
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| refuse(&error))?;
    let task = cx.task(&format!("unpacking {}", archive.file_name().unwrap_or_default().display()), zip.len() as u64);
    for i in 0..zip.len() {
        cx.check()?;
        let mut entry = zip.by_index(i).map_err(|error| refuse(&error))?;
        let name = entry.name().map_err(|error| refuse(&error))?.into_owned();
        let place = inside(&name).ok_or_else(|| refuse(&format_args!("the entry {name:?} would leave the folder")))?;
        let target = folder.join(place);
        if entry.is_dir() {
            fs::create_dir_all(&target).map_err(|error| Error::io(&target, error))?;
        } else if entry.is_file() {
            let parent = target.parent().unwrap_or(folder);
            fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
            let mut out = OpenOptions::new().write(true).create_new(true).open(&target).map_err(|error| Error::io(&target, error))?;
            let written =
                io::copy(&mut entry.by_ref().take(budget + 1), &mut out).map_err(|error| refuse(&format_args!("{name}: {error}")))?;
            budget =
                budget.checked_sub(written).ok_or_else(|| refuse(&format_args!("it unpacks to more than {MAX_GROWTH} times its size")))?;
        } else {
            return Err(refuse(&format_args!("the entry {name:?} is a link or something else that is no file")));
        }
        task.advance(1);
    }
    Ok(())
}

/// The path that an entry's name stands for, if it is a plain path below the folder.
fn inside(name: &str) -> Option<PathBuf> {
    let parts: Vec<_> = name.strip_suffix('/').unwrap_or(name).split('/').collect();
    let plain = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
    parts.iter().all(plain).then(|| parts.iter().collect())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// A ZIP file of these files.
    pub(in crate::store) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn try_unpack(bytes: &[u8]) -> (tempfile::TempDir, Result<()>) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.zip"), bytes).unwrap();
        let result = unpack(&root.path().join("a.zip"), &root.path().join("out/deep"), &Context::quiet(0));
        (root, result)
    }

    fn refused(bytes: &[u8], problem: &str) {
        let (root, result) = try_unpack(bytes);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(!root.path().join("out/evil").exists() && !root.path().join("evil").exists());
    }

    #[test]
    fn files_come_out_where_they_belong() {
        let (root, result) = try_unpack(&archive(&[("a/b/c.txt", b"hello"), ("d", b"")]));
        result.unwrap();
        assert_eq!(fs::read(root.path().join("out/deep/a/b/c.txt")).unwrap(), b"hello");
        assert!(root.path().join("out/deep/d").is_file());
    }

    #[test]
    fn entries_that_leave_the_folder_are_refused() {
        for name in ["../evil", "a/../../evil", "/evil", "a//evil", "./evil", "..\\evil", "C:evil", "C:\\evil"] {
            refused(&archive(&[("good", b"1"), (name, b"2")]), "would leave the folder");
        }
    }

    #[test]
    fn links_are_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("evil", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        refused(&zip.finish().unwrap().into_inner(), "is a link");
    }

    #[test]
    fn bombs_are_refused() {
        refused(&archive(&[("zeros", &vec![0; 4 << 20])]), "more than 50 times its size");
    }

    #[test]
    fn damaged_archives_are_refused() {
        let good = archive(&[("a", b"some text that is long enough to hold a changed byte")]);
        let mut changed = good.clone();
        changed[40] ^= 1;
        for bytes in [&changed[..], &good[..good.len() - 30], b"", b"no zip"] {
            assert!(try_unpack(bytes).1.is_err());
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_outside(name in "[a./\\\\:]{0,12}") {
            if let Some(place) = inside(&name) {
                prop_assert!(place.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(place.components().count() > 0);
            }
        }
    }
}
