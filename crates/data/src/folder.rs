//! Images in files, one folder a class.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Dataset, Error, Plugin, Result, Sample, Skipped, Splits, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::known_format;
use crate::load::{OnError, Options, default_size, load};
use crate::raw::{Layout, Raw, RawSplit, Shares, default_test_share, default_validation_share, list_folder, name};
use crate::selection::{Kept, Selection};

/// Images in files, one folder a class.
///
/// The folder holds one folder for each class, or the folders `train`, `test` and, if there is one, `validation`, each of
/// which holds one folder for each class. Names of folders are names of classes, in alphabetical order, or by value if all
/// are numbers. Every file is taken for an image (JPEG, PNG, PPM or WebP, known by its content); only names that begin with
/// a dot are passed over. Images beside the folders of the classes have no class: they are left out and listed.
///
/// Splits that are missing are split off the training images, by class and by chance; only what remains is trained on and
/// scanned for poison. To have more images scanned, hold out fewer: `validation-share: 0` and `test-share: 0` hold out none;
/// accuracy is then not measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageFolder {
    /// The folder.
    pub root: PathBuf,
    /// The classes to keep, names or indices; all if not given. Kept classes are numbered anew from 0, in the data set's order.
    #[serde(default)]
    pub classes: Option<Selection>,
    /// Height and width that all images are brought to, in pixels.
    #[serde(default = "default_size")]
    #[schemars(range(min = 8, max = 1024))]
    pub size: usize,
    /// Share of the images that become the validation split if there is none; 0 for no validation.
    #[serde(default = "default_validation_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub validation_share: f64,
    /// Share of the images that become the test split if there is none; 0 for no test images.
    #[serde(default = "default_test_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub test_share: f64,
    /// At most so many images of each class and split, drawn by chance; for trials.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<usize>,
    /// Whether an image that cannot be read stops the run or is left out and listed.
    #[serde(default)]
    pub on_error: OnError,
}

impl Plugin for ImageFolder {
    type Kind = dyn Dataset;
    const NAME: &'static str = "image-folder";

    fn example() -> Self {
        Self {
            root: "my-images".into(),
            classes: Some(Selection::Classes(vec!["cat".into(), "dog".into()])),
            size: 64,
            validation_share: default_validation_share(),
            test_share: default_test_share(),
            limit: None,
            on_error: OnError::Skip,
        }
    }

    fn build(self) -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(self))
    }
}

register!(ImageFolder);

impl Dataset for ImageFolder {
    fn fingerprint(&self) -> Result<String> {
        open(&self.root)?.fingerprint()
    }

    fn load(&self, cx: &Context) -> Result<Splits> {
        let raw = open(&self.root)?.complete(cx, Shares { validation: self.validation_share, test: self.test_share });
        let kept = Kept::new(self.classes.as_ref(), &raw.classes, &BTreeMap::new())?;
        load(cx, &raw, &kept, Options { size: self.size, on_error: self.on_error, limit: self.limit })
    }
}

/// What a split's folder may be called.
const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 3] = ["validation", "valid", "val"];
const TEST: [&str; 2] = ["test", "testing"];

/// Lists the images under `root`.
pub(crate) fn open(root: &Path) -> Result<Raw> {
    let folders = subfolders(root)?;
    let find = |names: &[&str]| folders.iter().find(|folder| names.iter().any(|split| name(folder).eq_ignore_ascii_case(split)));
    // A folder `train` without folders in it is the class of trains.
    let train = find(&TRAIN).filter(|train| subfolders(train).is_ok_and(|classes| !classes.is_empty()));
    let splits = match train {
        Some(train) => [("train/", Some(train)), ("validation/", find(&VALIDATION)), ("test/", find(&TEST))],
        None => [("", Some(&root.to_owned())), ("", None), ("", None)],
    };
    let mut classes = Vec::new();
    for folder in splits.iter().filter_map(|(_, folder)| *folder) {
        classes.extend(subfolders(folder)?.iter().map(|folder| name(folder)));
    }
    if classes.is_empty() {
        return Err(Error::data(root.display(), "there is no folder for any class")
            .with_help("put the images of each class into a folder of its name"));
    }
    classes.sort_by_key(|class| (class.parse::<u64>().unwrap_or(u64::MAX), class.clone()));
    classes.dedup();
    let mut files = Vec::new();
    let mut read = |(prefix, folder): (&str, Option<&PathBuf>)| -> Result<_> {
        let Some(folder) = folder else { return Ok(None) };
        let images = images(prefix, folder, &classes)?;
        files.extend(images.iter().map(|(path, _)| path.clone()));
        Ok(Some(RawSplit::of_files(images)))
    };
    let [train, validation, test] = splits;
    let folders: BTreeSet<&Path> =
        [Some(root)].into_iter().chain(splits.map(|(_, folder)| folder.map(PathBuf::as_path))).flatten().collect();
    let loose = folders.into_iter().map(loose_images).collect::<Result<Vec<_>>>()?.concat();
    let (train, validation, test) = (read(train)?.unwrap_or_default(), read(validation)?, read(test)?);
    let left_out =
        loose.iter().map(|path| Skipped { path: path.display().to_string(), problem: "it lies in no class’s folder".to_owned() });
    let left_out = left_out.collect();
    files.extend(loose);
    Ok(Raw { layout: Layout::Folders, root: root.to_owned(), files, classes, train, validation, test, left_out })
}

/// The images that lie straight in `folder`, where folders of classes should.
fn loose_images(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_image = |path: &PathBuf| {
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut head));
        read.is_ok() && known_format(&head).is_some()
    };
    Ok(list_folder(folder)?.into_iter().filter(|path| path.is_file()).filter(is_image).collect())
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(list_folder(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// The images of one split, class by class; their ids begin with `prefix`.
fn images(prefix: &str, folder: &Path, classes: &[String]) -> Result<Vec<(PathBuf, Sample)>> {
    let mut images = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let folder = folder.join(class);
        if !folder.is_dir() {
            continue;
        }
        for path in list_folder(&folder)? {
            if path.is_dir() {
                return Err(Error::data(path.display(), "a folder inside the folder of a class")
                    .with_help("put the images straight into the class's folder"));
            }
            let id = format!("{prefix}{class}/{}", name(&path));
            images.push((path.clone(), Sample { id, label: label as u32, path: path.display().to_string() }));
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bezoar_core::Cancel;
    use image::ImageFormat;

    use super::*;
    use crate::decode::tests::encoded;

    fn config(root: &Path) -> ImageFolder {
        ImageFolder {
            root: root.to_owned(),
            classes: None,
            size: 8,
            validation_share: 0.1,
            test_share: 0.2,
            limit: None,
            on_error: OnError::Stop,
        }
    }

    fn put(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn load(config: &ImageFolder) -> Result<Splits> {
        config.load(&Context::quiet(3))
    }

    fn unsplit() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (class, format) in [("cat", ImageFormat::Png), ("dog", ImageFormat::Jpeg)] {
            for i in 0..20 {
                // Formats are known by content: the extension lies.
                put(root.path(), &format!("{class}/{i}.webp"), &encoded(format, 8 + i, 8));
            }
        }
        put(root.path(), "cat/.DS_Store", b"junk");
        put(root.path(), "README.md", b"no class");
        root
    }

    #[test]
    fn missing_splits_are_split_off() {
        let root = unsplit();
        let splits = load(&config(root.path())).unwrap();
        let validation = splits.validation.unwrap();
        assert_eq!([splits.train.len(), validation.len(), splits.test.len()], [28, 4, 8]);
        assert_eq!(splits.train.classes(), ["cat", "dog"]);
        assert_eq!([0, 1].map(|label| splits.train.rows_of(label).len()), [14, 14]);
        assert_eq!(validation.shape().height, 8);
        let without = load(&ImageFolder { validation_share: 0.0, ..config(root.path()) }).unwrap();
        assert!(without.validation.is_none());
        let all = load(&ImageFolder { validation_share: 0.0, test_share: 0.0, ..config(root.path()) }).unwrap();
        assert_eq!((all.train.len(), all.test.len(), all.test.classes()), (40, 0, all.train.classes()));
        assert_eq!(splits.skipped, []);
    }

    #[test]
    fn given_splits_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let png = encoded(ImageFormat::Png, 8, 8);
        for path in ["train/10/a", "train/9/b", "train/9/c", "val/9/d", "test/10/e", "test/11/f"] {
            put(root.path(), path, &png);
        }
        let splits = load(&config(root.path())).unwrap();
        assert_eq!(splits.train.classes(), ["9", "10", "11"]);
        assert_eq!(
            splits.train.samples().iter().map(|sample| sample.id.as_str()).collect::<Vec<_>>(),
            ["train/9/b", "train/9/c", "train/10/a"]
        );
        assert_eq!(splits.validation.unwrap().samples()[0].id, "validation/9/d");
        assert_eq!(splits.test.samples().iter().map(|sample| sample.label).collect::<Vec<_>>(), [1, 2]);
        assert!(fs::read(&splits.train.samples()[0].path).is_ok());
    }

    #[test]
    fn broken_images_stop_or_are_listed() {
        let root = unsplit();
        let jpeg = encoded(ImageFormat::Jpeg, 30, 30);
        put(root.path(), "dog/cut.jpeg", &jpeg[..jpeg.len() / 2]);
        put(root.path(), "dog/empty.jpeg", b"");
        put(root.path(), "cat/notes.txt", b"a list of cats");
        let error = load(&config(root.path())).unwrap_err();
        assert!(error.to_string().contains("notes.txt") && error.help().unwrap().contains("on-error: skip"), "{error}");
        let help = error.help().unwrap();
        assert!(help.contains("2 others") && help.contains("cut.jpeg") && help.contains("empty.jpeg"), "all are named at once: {help}");
        let splits = load(&ImageFolder { on_error: OnError::Skip, ..config(root.path()) }).unwrap();
        let mut names: Vec<_> = splits.skipped.iter().map(|skipped| name(Path::new(&skipped.path))).collect();
        names.sort();
        assert_eq!(names, ["cut.jpeg", "empty.jpeg", "notes.txt"]);
        assert_eq!(splits.train.len() + splits.validation.unwrap().len() + splits.test.len(), 40);
    }

    #[test]
    fn images_without_a_class_are_listed() {
        let root = unsplit();
        let png = encoded(ImageFormat::Png, 8, 8);
        put(root.path(), "stray.jpg", &png);
        let before = config(root.path()).fingerprint().unwrap();
        put(root.path(), "lost", &png);
        assert_ne!(config(root.path()).fingerprint().unwrap(), before, "what is listed is part of what is read");
        let skipped = load(&config(root.path())).unwrap().skipped;
        let names: Vec<_> = skipped.iter().map(|skipped| name(Path::new(&skipped.path))).collect();
        assert_eq!(names, ["lost", "stray.jpg"], "README.md is no image");
    }

    #[test]
    fn classes_and_limits_choose() {
        let root = unsplit();
        let classes = Some(Selection::Classes(vec!["dog".into()]));
        let splits = load(&ImageFolder { classes, limit: Some(3), ..config(root.path()) }).unwrap();
        assert_eq!(splits.train.classes(), ["dog"]);
        assert_eq!([splits.train.len(), splits.test.len()], [3, 3]);
        assert!(splits.train.samples().iter().all(|sample| sample.id.starts_with("dog/") && sample.label == 0));
        let classes = Some(Selection::Classes(vec!["dgo".into()]));
        assert_eq!(load(&ImageFolder { classes, ..config(root.path()) }).unwrap_err().help(), Some("did you mean `dog`?"));
    }

    #[test]
    fn folders_that_are_no_data_set_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let refused = |path: &Path| {
            let error = load(&config(path)).unwrap_err();
            format!("{error}\n{}", error.help().unwrap_or_default())
        };
        assert!(refused(&root.path().join("absent")).contains("absent: there is no such folder\ncheck the path"));
        assert!(refused(Path::new("~/cats")).contains("`~` is not expanded"));
        let here = std::env::current_dir().unwrap().display().to_string();
        assert!(refused(Path::new("cats")).contains(&here), "a relative path starts where the program runs");
        put(root.path(), "file", b"");
        assert!(refused(&root.path().join("file")).contains("no folder"));
        assert!(load(&config(root.path())).unwrap_err().to_string().contains("no folder for any class"));
        put(root.path(), "cat/kitten/1.png", b"");
        assert!(load(&config(root.path())).unwrap_err().to_string().contains("kitten"));
        fs::remove_dir_all(root.path().join("cat/kitten")).unwrap();
        assert!(load(&config(root.path())).unwrap_err().to_string().contains("no training image"));
    }

    #[test]
    fn the_fingerprint_follows_the_content() {
        let root = unsplit();
        let fingerprint = || config(root.path()).fingerprint().unwrap();
        let before = fingerprint();
        assert_eq!(before, fingerprint());
        put(root.path(), "dog/3.webp", b"something else");
        assert_ne!(before, fingerprint());
    }

    #[test]
    fn a_cancelled_load_stops() {
        struct Silent;
        impl bezoar_core::Progress for Silent {
            fn task(&self, _: &str, _: u64) -> Box<dyn bezoar_core::Task> {
                Box::new(Self)
            }
            fn note(&self, _: &str) {}
        }
        impl bezoar_core::Task for Silent {
            fn advance(&self, _: u64) {}
            fn remark(&self, _: &str) {}
        }
        let cancel = Cancel::default();
        cancel.cancel();
        let cx = Context::new(0, bezoar_core::Device::Cpu, Arc::new(Silent), cancel);
        let root = unsplit();
        assert!(matches!(config(root.path()).load(&cx), Err(Error::Cancelled)));
    }
}
