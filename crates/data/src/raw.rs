//! A data set as it lies on disk: which images there are, before any is decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Error, Result, Sample, Skipped, digest_file, hex};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// One image that is not decoded yet.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its row in the split's store.
    pub(crate) row: usize,
    /// What is known of it; the label is an index into the classes of the whole data set.
    pub(crate) sample: Sample,
}

/// The bytes of an image.
pub(crate) enum Encoded {
    /// In a file of their own.
    File(PathBuf),
    /// Here.
    Bytes(Vec<u8>),
    /// Nowhere.
    Missing,
}

/// Where the bytes of a split's images are.
pub(crate) trait Store: Send + Sync {
    /// Gives the bytes of `rows`, which ascend, in order, some at a time.
    fn read(&self, rows: &[usize], sink: &mut dyn FnMut(Vec<Encoded>) -> Result<()>) -> Result<()>;
}

/// Images in files of their own.
impl Store for Vec<PathBuf> {
    fn read(&self, rows: &[usize], sink: &mut dyn FnMut(Vec<Encoded>) -> Result<()>) -> Result<()> {
        rows.chunks(512).try_for_each(|rows| sink(rows.iter().map(|&row| Encoded::File(self[row].clone())).collect()))
    }
}

/// The images of one split, rows ascending.
#[derive(Clone)]
pub(crate) struct RawSplit {
    pub(crate) entries: Vec<Entry>,
    pub(crate) store: Arc<dyn Store>,
}

impl Default for RawSplit {
    fn default() -> Self {
        Self::of_files(Vec::new())
    }
}

impl RawSplit {
    /// Images in files of their own, with what is known of each.
    pub(crate) fn of_files(images: Vec<(PathBuf, Sample)>) -> Self {
        let (files, samples): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let entries = samples.into_iter().enumerate().map(|(row, sample)| Entry { row, sample }).collect();
        Self { entries, store: Arc::new(files) }
    }

    /// Takes about `share` of each class out into a split of its own. Images with the same `group` stay together; of a class
    /// with several groups at least one stays and at least one goes.
    pub(crate) fn take(&mut self, share: f64, rng: &mut impl rand::Rng, group: impl Fn(&Sample) -> String) -> Self {
        let mut groups: BTreeMap<u32, BTreeMap<String, usize>> = BTreeMap::new();
        for Entry { sample, .. } in &self.entries {
            *groups.entry(sample.label).or_default().entry(group(sample)).or_default() += 1;
        }
        let mut gone = BTreeSet::new();
        for (label, groups) in groups {
            let mut names: Vec<_> = groups.keys().cloned().collect();
            names.shuffle(rng);
            let count = (names.len() as f64 * share).round() as usize;
            names.truncate(if names.len() > 1 { count.clamp(1, names.len() - 1) } else { 0 });
            gone.extend(names.into_iter().map(|name| (label, name)));
        }
        let goes = |entry: &Entry| gone.contains(&(entry.sample.label, group(&entry.sample)));
        let (taken, kept) = std::mem::take(&mut self.entries).into_iter().partition(goes);
        self.entries = kept;
        Self { entries: taken, store: self.store.clone() }
    }
}

/// How the files of a data set are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Tables with encoded images.
    Parquet,
    /// The folders and CSV tables of GTSRB's own archives.
    Gtsrb,
    /// One folder a class.
    Folders,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet tables",
            Self::Gtsrb => "GTSRB's own folders and CSV tables",
            Self::Folders => "one folder a class",
        })
    }
}

/// A data set as it lies on disk.
pub(crate) struct Raw {
    pub(crate) layout: Layout,
    pub(crate) root: PathBuf,
    /// All files that it is read from.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) classes: Vec<String>,
    pub(crate) train: RawSplit,
    pub(crate) validation: Option<RawSplit>,
    pub(crate) test: Option<RawSplit>,
    /// Images that belong to no split.
    pub(crate) left_out: Vec<Skipped>,
}

/// What to split off the training images where the data set itself has no such split.
#[derive(Clone, Copy)]
pub(crate) struct Shares {
    pub(crate) validation: f64,
    pub(crate) test: f64,
}

pub(crate) fn default_validation_share() -> f64 {
    0.1
}

pub(crate) fn default_test_share() -> f64 {
    0.2
}

impl Raw {
    /// The splits that the data set has, by name.
    pub(crate) fn splits(&self) -> impl Iterator<Item = (&'static str, &RawSplit)> {
        let optional = [("validation", self.validation.as_ref()), ("test", self.test.as_ref())];
        [("train", &self.train)].into_iter().chain(optional.into_iter().filter_map(|(name, split)| Some((name, split?))))
    }

    /// Splits off what is missing, by chance and by class.
    pub(crate) fn complete(mut self, cx: &Context, shares: Shares) -> Self {
        let group: fn(&Sample) -> String = match self.layout {
            Layout::Gtsrb => crate::official::physical_sign,
            Layout::Parquet | Layout::Folders => |sample| sample.id.clone(),
        };
        let whole = if self.test.is_none() && shares.test > 0.0 {
            self.test = Some(self.train.take(shares.test, &mut cx.rng("test split"), group));
            1.0 - shares.test
        } else {
            1.0
        };
        if self.validation.is_none() && shares.validation > 0.0 {
            self.validation = Some(self.train.take((shares.validation / whole).min(1.0), &mut cx.rng("validation split"), group));
        }
        self
    }

    /// Gives the classes the names of a card, and the images their labels.
    ///
    /// A class fits if it is called as on the card or by its number there. Other names are taken for translations if there
    /// are as many classes as on the card and those that fit stand where they stand there.
    ///
    /// # Errors
    /// When a class does not fit.
    pub(crate) fn adopt(mut self, classes: &[String]) -> Result<Self> {
        let find = |name: &String| {
            let plain = name.to_lowercase().replace([' ', '_'], "-");
            let number = || plain.parse().ok().filter(|&number: &usize| number < classes.len());
            classes.iter().position(|class| *class == plain).or_else(number)
        };
        let found: Vec<Option<usize>> = self.classes.iter().map(find).collect();
        let in_order = found.len() == classes.len() && found.iter().enumerate().all(|(i, place)| place.is_none_or(|place| place == i));
        let label = |(i, place): (usize, &Option<usize>)| {
            let place = if in_order { Some(i) } else { *place };
            place.map(|place| place as u32).ok_or_else(|| {
                Error::data(self.root.display(), format!("`{}` is no class of this data set", self.classes[i]))
                    .with_help(format!("classes are called {}, {}, ... or 0, 1, ...", classes[0], classes[1]))
            })
        };
        let labels = found.iter().enumerate().map(label).collect::<Result<Vec<u32>>>()?;
        for split in [Some(&mut self.train), self.validation.as_mut(), self.test.as_mut()].into_iter().flatten() {
            for entry in &mut split.entries {
                entry.sample.label = labels[entry.sample.label as usize];
            }
        }
        self.classes = classes.to_vec();
        Ok(self)
    }

    /// SHA-256 over the names and contents of all files.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let named = |path: &PathBuf| {
            let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
            Ok((name, digest_file::<Sha256>(path)?))
        };
        let mut digests = self.files.par_iter().map(named).collect::<Result<Vec<_>>>()?;
        digests.sort();
        let mut hash = Sha256::new();
        for (name, digest) in digests {
            hash.update(format!("{digest} {}\n", name.replace('\\', "/")));
        }
        Ok(hex(&hash.finalize()))
    }
}

/// What lies in a folder, by name; hidden files are passed over.
pub(crate) fn list_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| unlisted(folder, error))?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(|error| Error::io(folder, error))?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

/// Why a folder cannot be listed, in words.
fn unlisted(folder: &Path, error: io::Error) -> Error {
    let problem = match error.kind() {
        io::ErrorKind::NotFound => "there is no such folder",
        io::ErrorKind::NotADirectory => "this is no folder",
        io::ErrorKind::PermissionDenied => {
            return Error::data(folder.display(), "you have no right to read this folder")
                .with_help("change its rights, or copy it as a user who may");
        }
        _ => return Error::io(folder, error),
    };
    let help = match std::env::current_dir() {
        _ if folder.to_string_lossy().starts_with('~') => "`~` is not expanded here: write the whole path".to_owned(),
        Ok(here) if folder.is_relative() => format!("a path like this starts from the folder that the command runs in, {}", here.display()),
        _ => "check the path".to_owned(),
    };
    Error::data(folder.display(), problem).with_help(help)
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(groups: &[(u32, u8)]) -> RawSplit {
        let image = |(i, &(label, group)): (usize, &(u32, u8))| {
            (PathBuf::new(), Sample { id: format!("{label}/{group}/{i}"), label, path: String::new() })
        };
        RawSplit::of_files(groups.iter().enumerate().map(image).collect())
    }

    fn group(sample: &Sample) -> String {
        sample.id.rsplit_once('/').unwrap().0.to_owned()
    }

    proptest! {
        #[test]
        fn a_split_tears_no_group_apart(images in proptest::collection::vec((0u32..3, 0u8..6), 1..80), share in 0.01f64..0.99, seed: u64) {
            let all = split(&images);
            let mut kept = all.clone();
            let taken = kept.take(share, &mut Context::quiet(seed).rng("split"), group);
            let ids = |split: &RawSplit| split.entries.iter().map(|entry| entry.sample.id.clone()).collect::<Vec<_>>();
            let mut together = [ids(&kept), ids(&taken)].concat();
            together.sort();
            let mut before = ids(&all);
            before.sort();
            prop_assert_eq!(together, before);
            let groups = |split: &RawSplit| split.entries.iter().map(|entry| group(&entry.sample)).collect::<BTreeSet<_>>();
            prop_assert!(groups(&kept).is_disjoint(&groups(&taken)));
            prop_assert!(kept.entries.is_sorted_by_key(|entry| entry.row) && taken.entries.is_sorted_by_key(|entry| entry.row));
            for label in 0..3 {
                let of = |split: &RawSplit| groups(split).into_iter().filter(|name| name.starts_with(&label.to_string())).count();
                prop_assert_eq!(of(&taken) > 0, of(&all) > 1);
                prop_assert_eq!(of(&kept) > 0, of(&all) > 0);
            }
        }
    }
}
