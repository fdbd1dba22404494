//! The stage cache: outputs under a digest of everything that they depend on.
//!
//! An entry is a folder `STAGE/KEY` with the stage's files and `entry.json`, which lists their sizes and checksums. It is
//! built in `STAGE/KEY.partial`, synced and renamed, so that a killed run leaves either a whole entry or none; what a stage
//! leaves in its partial folder is there when it is tried again. A lock a key keeps two processes from building the same one.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bezoar_core::{Context, Error, Result, digest_file, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::meter::{Cost, Meter};

/// The list of an entry's files.
const LIST: &str = "entry.json";

/// What earlier tries took, in the folder of a stage under way; written when a try begins.
const SPENT: &str = "spent";

/// A folder of finished stages.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What a stage's output depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    stage: &'static str,
    inputs: String,
    digest: String,
}

impl Key {
    /// The key of `stage` for these inputs, which are kept in the entry for people to read.
    pub fn new(stage: &'static str, inputs: &serde_json::Value) -> Self {
        let inputs = inputs.to_string();
        let digest = hex(&Sha256::digest(format!("{stage}\0{inputs}")))[..32].to_owned();
        Self { stage, inputs, digest }
    }

    /// The digest that names the entry.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// What `entry.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Listing {
    inputs: String,
    cost: Cost,
    files: BTreeMap<String, Proof>,
}

/// What a file must look like.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    bytes: u64,
    sha256: String,
}

/// A finished stage.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The folder with the stage's files.
    pub folder: PathBuf,
    /// What it cost to build.
    pub cost: Cost,
    /// Whether it was there already.
    pub reused: bool,
}

/// An entry as `bezoar cache` lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The stage's name.
    pub stage: String,
    /// The digest that names the entry.
    pub digest: String,
    /// Its size on disk.
    pub bytes: u64,
    /// Whether it is whole, or was left by a run that stopped.
    pub finished: bool,
}

impl Store {
    /// The cache in this folder, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry for `key`, built by `make` in a folder of its own unless it is there. An entry whose files do not match
    /// their checksums is reported, thrown away and built again.
    pub fn get_or_make(&self, cx: &Context, key: &Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<Entry> {
        let stage = self.root.join(key.stage);
        fs::create_dir_all(&stage).map_err(|error| Error::io(&stage, error))?;
        let (lock_path, lock) = lock_file(&stage, &key.digest)?;
        let folder = stage.join(&key.digest);
        hold(cx, &lock, &lock_path, &folder)?;
        if folder.exists() {
            match check(&folder) {
                Ok(cost) => return Ok(Entry { folder, cost, reused: true }),
                Err(problem) => {
                    cx.note(&format!("the cache entry {} is damaged ({problem}); it is built again", folder.display()));
                    fs::remove_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
                }
            }
        }
        let partial = stage.join(format!("{}.partial", key.digest));
        fs::create_dir_all(&partial).map_err(|error| Error::io(&partial, error))?;
        let before = spent(&partial)?;
        let meter = Meter::start();
        make(&partial)?;
        let cost = meter.stop().after(before);
        fs::remove_file(partial.join(SPENT)).map_err(|error| Error::io(&partial, error))?;
        seal(&partial, &key.inputs, cost)?;
        fs::rename(&partial, &folder).map_err(|error| Error::io(&folder, error))?;
        sync_folder(&stage)?;
        Ok(Entry { folder, cost, reused: false })
    }

    /// The folder of the entry for `key`, if it is there. Its files are not compared with their checksums.
    pub(crate) fn find(&self, key: &Key) -> Option<PathBuf> {
        let folder = self.root.join(key.stage).join(&key.digest);
        folder.join(LIST).is_file().then_some(folder)
    }

    /// The entry of one stage of a run, whose context is its own; nothing is begun once the run is cancelled.
    pub fn stage(&self, cx: &Context, label: &str, key: &Key, make: impl FnOnce(&Context, &Path) -> Result<()>) -> Result<Entry> {
        cx.check()?;
        let cx = cx.stage(label);
        self.get_or_make(&cx, key, |folder| make(&cx, folder))
    }

    /// All entries, by stage and digest.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for stage in folders(&self.root)? {
            for entry in folders(&stage)? {
                let name = file_name(&entry);
                let bytes = files(&entry)?.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
                let finished = !name.ends_with(".partial");
                all.push(Listed { stage: file_name(&stage), digest: name.trim_end_matches(".partial").to_owned(), bytes, finished });
            }
        }
        Ok(all)
    }

    /// Removes all entries, or those of one stage, but for those that a process works on.
    pub fn clear(&self, stage: Option<&str>) -> Result<Cleared> {
        let mut cleared = Cleared::default();
        for Listed { stage, digest, bytes, finished } in self.list()?.iter().filter(|entry| stage.is_none_or(|stage| stage == entry.stage))
        {
            let stage = self.root.join(stage);
            // The lock's file stays: a process may wait for it, and would build what another locks by a file made anew.
            let (path, lock) = lock_file(&stage, digest)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    cleared.busy += 1;
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(Error::io(&path, error)),
            }
            let folder = stage.join(if *finished { digest.clone() } else { format!("{digest}.partial") });
            match fs::remove_dir_all(&folder) {
                Ok(()) => cleared.bytes += bytes,
                // It was finished, or thrown away, since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(&folder, error)),
            }
        }
        Ok(cleared)
    }
}

/// What was removed from a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Bytes that it freed.
    pub bytes: u64,
    /// Entries that were left, since a process works on them.
    pub busy: usize,
}

/// The file by which an entry is locked, opened.
fn lock_file(stage: &Path, digest: &str) -> Result<(PathBuf, File)> {
    let path = stage.join(format!("{digest}.lock"));
    let file = File::create(&path).map_err(|error| Error::io(&path, error))?;
    Ok((path, file))
}

/// How often a lock that another holds is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long others may work before it is worth a note.
const PATIENCE: Duration = Duration::from_secs(2);

/// Locks what lies in a folder by the file `lock`. Waits for whoever works there, and says so if it takes long, until the run is cancelled.
pub(crate) fn hold(cx: &Context, lock: &File, path: &Path, folder: &Path) -> Result<()> {
    let (began, mut told) = (Instant::now(), false);
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => cx.check()?,
            Err(TryLockError::Error(error)) => return Err(Error::io(path, error)),
        }
        if !told && began.elapsed() >= PATIENCE {
            cx.note(&format!("another run works in {}; waiting for it", folder.display()));
            told = true;
        }
        thread::sleep(PAUSE);
    }
}

/// [`write_whole`], unless the file has this content.
pub(crate) fn update(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) { Ok(()) } else { write_whole(path, content) }
}

/// Writes a file's whole content, synced, through a neighbour that is renamed: readers see the old content or the new.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let aside = path.with_added_extension("new");
    let write = || {
        let mut file = File::create(&aside)?;
        io::Write::write_all(&mut file, content)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|error| Error::io(path, error))
}

/// Seconds that tries which were stopped took until they last wrote something; what they did after that is lost. Notes them for the next try.
fn spent(partial: &Path) -> Result<f64> {
    let path = partial.join(SPENT);
    let before: f64 = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let began = path.metadata().and_then(|facts| facts.modified()).ok();
    let last = began.zip(last_written(partial)?).and_then(|(began, last)| last.duration_since(began).ok()).unwrap_or_default();
    let spent = before + last.as_secs_f64();
    fs::write(&path, spent.to_string()).map_err(|error| Error::io(&path, error))?;
    Ok(spent)
}

/// When a file in a folder, or in one below it, was last written.
fn last_written(folder: &Path) -> Result<Option<SystemTime>> {
    let mut last = files(folder)?.iter().filter_map(|file| file.metadata().and_then(|facts| facts.modified()).ok()).max();
    for below in folders(folder)? {
        last = last.max(last_written(&below)?);
    }
    Ok(last)
}

/// Lists the files of a finished stage with their checksums, and syncs them.
fn seal(folder: &Path, inputs: &str, cost: Cost) -> Result<()> {
    let mut proofs = BTreeMap::new();
    for file in files(folder)? {
        if file_name(&file) != LIST {
            proofs.insert(file_name(&file), prove(&file)?);
            File::open(&file).and_then(|file| file.sync_all()).map_err(|error| Error::io(&file, error))?;
        }
    }
    let listing = Listing { inputs: inputs.to_owned(), cost, files: proofs };
    write_whole(&folder.join(LIST), &serde_json::to_vec_pretty(&listing).map_err(Error::request)?)?;
    sync_folder(folder)
}

/// Compares an entry's files with their checksums.
fn check(folder: &Path) -> Result<Cost, String> {
    let text = fs::read(folder.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    let listing: Listing = serde_json::from_slice(&text).map_err(|error| format!("{LIST}: {error}"))?;
    for (name, proof) in &listing.files {
        if prove(&folder.join(name)).ok().as_ref() != Some(proof) {
            return Err(format!("{name} is not what was written"));
        }
    }
    Ok(listing.cost)
}

fn prove(path: &Path) -> Result<Proof> {
    let bytes = fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    Ok(Proof { bytes, sha256: digest_file::<Sha256>(path)? })
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::io(folder, error))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

/// The entries of a folder that `keep` accepts, by name; none if there is no such folder.
fn entries(folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let io = |error| Error::io(folder, error);
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(io)?,
    };
    let mut paths = found.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(io)?;
    paths.retain(|path| keep(path));
    paths.sort();
    Ok(paths)
}

pub(crate) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, Path::is_dir)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, Path::is_file)
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bezoar_core::{Cancel, Device, Silent};

    use super::*;

    fn write(text: &'static str) -> impl FnOnce(&Path) -> Result<()> {
        move |folder| fs::write(folder.join("f"), text).map_err(|error| Error::io(folder, error))
    }

    fn unwanted(_: &Path) -> Result<()> {
        Err(Error::request("made twice"))
    }

    #[test]
    fn an_entry_is_made_once_and_again_when_damaged() {
        let root = tempfile::tempdir().unwrap();
        let (store, cx) = (Store::new(root.path()), Context::quiet(0));
        let key = Key::new("test", &serde_json::json!({ "a": 1 }));
        let entry = store.get_or_make(&cx, &key, write("one")).unwrap();
        assert!(!entry.reused);
        assert!(store.get_or_make(&cx, &key, unwanted).unwrap().reused);
        for damage in ["two", "on"] {
            fs::write(entry.folder.join("f"), damage).unwrap();
            assert!(!store.get_or_make(&cx, &key, write("one")).unwrap().reused, "{damage:?} in place of \"one\" must be noticed");
        }
        fs::remove_file(entry.folder.join("f")).unwrap();
        assert!(!store.get_or_make(&cx, &key, write("one")).unwrap().reused);
        let other = Key::new("test", &serde_json::json!({ "a": 2 }));
        assert!(store.get_or_make(&cx, &other, unwanted).is_err());
    }

    #[test]
    fn what_a_stopped_stage_left_is_there_again() {
        let root = tempfile::tempdir().unwrap();
        let (store, cx) = (Store::new(root.path()), Context::quiet(0));
        let key = Key::new("test", &serde_json::json!(null));
        let stopped = store.get_or_make(&cx, &key, |folder| {
            write("half")(folder)?;
            Err(Error::Cancelled)
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert!(!store.list().unwrap()[0].finished);
        store
            .get_or_make(&cx, &key, |folder| {
                assert_eq!(fs::read_to_string(folder.join("f")).unwrap(), "half");
                Ok(())
            })
            .unwrap();
        assert!(store.list().unwrap()[0].finished);
        assert_eq!(store.clear(Some("other")).unwrap(), Cleared::default());
        let cleared = store.clear(None).unwrap();
        assert!(cleared.bytes > 4 && cleared.busy == 0, "{cleared:?}");
        assert!(store.list().unwrap().is_empty());
    }

    #[test]
    fn a_stage_that_went_on_cost_what_all_tries_took() {
        let root = tempfile::tempdir().unwrap();
        let (store, cx) = (Store::new(root.path()), Context::quiet(0));
        let key = Key::new("test", &serde_json::json!(null));
        // Each try saves something 100 s after it began.
        let stopped = || {
            store.get_or_make(&cx, &key, |folder| {
                let below = folder.join("checkpoints");
                fs::create_dir_all(&below).unwrap();
                let late = SystemTime::now() + Duration::from_secs(100);
                File::create(below.join("epoch")).and_then(|file| file.set_modified(late)).unwrap();
                Err(Error::Cancelled)
            })
        };
        assert!(stopped().is_err() && stopped().is_err());
        let entry = store.get_or_make(&cx, &key, write("whole")).unwrap();
        assert!((199.0..210.0).contains(&entry.cost.seconds), "{:?}", entry.cost);
        assert_eq!(store.get_or_make(&cx, &key, unwanted).unwrap().cost, entry.cost);
        assert!(!entry.folder.join(SPENT).exists());
    }

    #[test]
    fn who_waits_for_another_can_be_stopped() {
        let root = tempfile::tempdir().unwrap();
        let (path, cancel) = (root.path().join("lock"), Cancel::default());
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let cx = Context::new(0, Device::Cpu, Arc::new(Silent), cancel.clone());
        cancel.cancel();
        let waiting = hold(&cx, &File::create(&path).unwrap(), &path, root.path());
        assert!(matches!(waiting, Err(Error::Cancelled)), "{waiting:?}");
        held.unlock().unwrap();
        hold(&Context::quiet(0), &File::create(&path).unwrap(), &path, root.path()).unwrap();
    }

    #[test]
    fn what_is_under_way_is_not_cleared() {
        let root = tempfile::tempdir().unwrap();
        let (store, cx) = (Store::new(root.path()), Context::quiet(0));
        let key = |number: u32| Key::new("test", &serde_json::json!(number));
        store.get_or_make(&cx, &key(1), write("one")).unwrap();
        store
            .get_or_make(&cx, &key(2), |folder| {
                write("two")(folder)?;
                let cleared = store.clear(None)?;
                assert!(cleared.bytes > 3 && cleared.busy == 1, "{cleared:?}");
                assert_eq!(fs::read_to_string(folder.join("f")).unwrap(), "two");
                let other = File::create(folder.with_extension("lock")).unwrap();
                assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)), "the lock still holds");
                Ok(())
            })
            .unwrap();
        let left: Vec<_> = store.list().unwrap().into_iter().map(|entry| entry.digest).collect();
        assert_eq!(left, [key(2).digest()]);
    }
}
