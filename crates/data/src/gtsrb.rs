//! The German Traffic Sign Recognition Benchmark, in whichever form it is at hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Dataset, Plugin, Result, Splits, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::{OnError, Options, default_size, load};
use crate::raw::{Raw, Shares, default_validation_share};
use crate::selection::{Kept, Selection};
use crate::{Card, card, store};

/// German traffic signs: 43 classes, 51,839 photographs.
///
/// Reads whichever form is at hand: the Parquet tables of the Heatmap Clustering thesis (32x32 JPEG; 34,799 training,
/// 4,410 validation and 12,630 test images), the folders of PPM images and CSV tables that the benchmark's own archives
/// unpack to (`cargo xtask data fetch gtsrb`), or one folder a class. Classes are called as on the card in
/// `datasets/gtsrb`, whatever the files call them.
///
/// The archives have no validation split: one is split off by physical sign, since thirty images in a row are frames of one
/// approach to one sign. Whole images are used, with the border around the sign, as in the thesis.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gtsrb {
    /// The folder of the files. If not given: `gtsrb` in the folder that the environment variable `BEZOAR_DATA` names, then `datasets/gtsrb/data`.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The classes to keep: names, indices, or a group (`speed-limits`, `prohibitions`, `warnings`, `mandatory`, `ends`); all if not given. Kept classes are numbered anew from 0, in the data set's order.
    #[serde(default)]
    pub classes: Option<Selection>,
    /// Height and width that all images are brought to, in pixels.
    #[serde(default = "default_size")]
    #[schemars(range(min = 8, max = 1024))]
    pub size: usize,
    /// Share of the signs whose images become the validation split if there is none; 0 for no validation.
    #[serde(default = "default_validation_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub validation_share: f64,
    /// At most so many images of each class and split, drawn by chance; for trials.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<usize>,
    /// Whether an image that cannot be read stops the run or is left out and listed.
    #[serde(default)]
    pub on_error: OnError,
}

impl Plugin for Gtsrb {
    type Kind = dyn Dataset;
    const NAME: &'static str = "gtsrb";
    const PAPER: Option<&'static str> = Some("doi:10.1016/j.neunet.2012.02.016");

    fn example() -> Self {
        Self {
            root: None,
            classes: Some(Selection::Group("speed-limits".to_owned())),
            size: default_size(),
            validation_share: default_validation_share(),
            limit: None,
            on_error: OnError::Stop,
        }
    }

    fn build(self) -> Result<Arc<dyn Dataset>> {
        let card = card(Self::NAME)?;
        let kept = Kept::new(self.classes.as_ref(), &card.classes, &card.groups)?;
        Ok(Arc::new(Reader { card, kept, config: self }))
    }
}

register!(Gtsrb);

struct Reader {
    card: &'static Card,
    kept: Kept,
    config: Gtsrb,
}

impl Reader {
    fn open(&self) -> Result<Raw> {
        let root: &Path = &match &self.config.root {
            Some(root) => root.clone(),
            None => store::find(self.card)?,
        };
        store::open(self.card, root)
    }
}

impl Dataset for Reader {
    fn fingerprint(&self) -> Result<String> {
        self.open()?.fingerprint()
    }

    fn load(&self, cx: &Context) -> Result<Splits> {
        let Gtsrb { size, on_error, limit, validation_share, .. } = self.config;
        let raw = self.open()?.complete(cx, Shares { validation: validation_share, test: 0.0 });
        load(cx, &raw, &self.kept, Options { size, on_error, limit })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use bezoar_core::ImageSet;
    use image::ImageFormat;

    use super::*;
    use crate::decode::tests::encoded;
    use crate::official;
    use crate::tables::tests::{Row, real_data, write};

    fn config(root: &Path) -> Gtsrb {
        Gtsrb { root: Some(root.to_owned()), classes: None, ..Gtsrb::example() }
    }

    fn load(config: Gtsrb) -> Result<Splits> {
        config.build()?.load(&Context::quiet(1))
    }

    fn signs(set: &ImageSet) -> BTreeSet<String> {
        set.samples().iter().map(official::physical_sign).collect()
    }

    #[test]
    fn the_archives_layout_is_split_by_physical_sign() {
        let root = tempfile::tempdir().unwrap();
        official::tests::tree(root.path(), 43, 5);
        let splits = load(Gtsrb { validation_share: 0.2, ..config(root.path()) }).unwrap();
        let validation = splits.validation.unwrap();
        assert_eq!([splits.train.len(), validation.len(), splits.test.len()], [43 * 12, 43 * 3, 86]);
        assert!(signs(&splits.train).is_disjoint(&signs(&validation)));
        assert!((0..43).all(|label| validation.rows_of(label).len() == 3));
        assert_eq!(splits.train.classes(), card("gtsrb").unwrap().classes);
        assert!(splits.train.samples()[0].id.starts_with("train/00000/0000"));
        assert_eq!(splits.test.samples()[1].id, "test/00001.ppm");
        assert_eq!(splits.test.label(1), 5);
        assert_eq!(splits.train.shape().width, 32);

        let limits = Gtsrb { classes: Some(Selection::Group("speed-limits".to_owned())), ..config(root.path()) };
        let splits = load(limits).unwrap();
        assert_eq!((splits.train.classes().len(), splits.train.len()), (8, 8 * 12));
        let eighty = splits.train.classes().iter().position(|class| class == "speed-limit-80").unwrap() as u32;
        assert!(splits.train.rows_of(eighty).iter().all(|&row| splits.train.samples()[row].id.starts_with("train/00005/")));
    }

    #[test]
    fn a_listed_image_that_is_missing_or_cut_is_named() {
        let root = tempfile::tempdir().unwrap();
        official::tests::tree(root.path(), 43, 2);
        let folder = root.path().join("GTSRB/Final_Training/Images/00007");
        fs::remove_file(folder.join("00001_00002.ppm")).unwrap();
        fs::write(folder.join("00001_00001.ppm"), &encoded(ImageFormat::Pnm, 16, 17)[..300]).unwrap();
        let error = load(config(root.path())).unwrap_err().to_string();
        assert!(error.contains("00001_0000"), "{error}");
        let splits = load(Gtsrb { on_error: OnError::Skip, ..config(root.path()) }).unwrap();
        assert_eq!(splits.skipped.len(), 2);
        assert!(splits.skipped[1].path.ends_with("00001_00002.ppm") && splits.skipped[1].problem.contains("cannot be read"));
    }

    #[test]
    fn tables_and_folders_get_the_names_of_the_card() {
        let root = tempfile::tempdir().unwrap();
        let png = || Some(encoded(ImageFormat::Png, 32, 32));
        let rows: Vec<Row> = vec![(png(), Some("x"), 0), (png(), Some("y"), 1)];
        let metadata = |names: &str| format!(r#"{{"info": {{"features": {{"label": {{"names": {names}}}}}}}}}"#);
        for split in ["train", "validation", "test"] {
            // Names in alphabetical order, as tools that read folders write them.
            write(&root.path().join(format!("{split}.parquet")), Some(&metadata(r#"["00010", "stop"]"#)), &rows);
        }
        let train = load(config(root.path())).unwrap().train;
        assert_eq!(train.samples().iter().map(|sample| sample.label).collect::<Vec<_>>(), [10, 14]);
        let classes = Some(Selection::Classes(vec!["stop".into()]));
        assert_eq!(load(Gtsrb { classes, ..config(root.path()) }).unwrap().train.samples()[0].id, "train/y");
        let with_names = |names: &[String]| {
            for split in ["train", "validation", "test"] {
                write(&root.path().join(format!("{split}.parquet")), Some(&metadata(&serde_json::to_string(names).unwrap())), &rows);
            }
            load(config(root.path())).map(|splits| splits.train.samples().iter().map(|sample| sample.label).collect::<Vec<_>>())
        };
        assert!(with_names(&["00010".into(), "halt".into()]).unwrap_err().to_string().contains("`halt` is no class"));
        let mut names: Vec<_> = card("gtsrb").unwrap().classes.iter().map(|name| name.replace('-', " ")).collect();
        names[14] = "halt".to_owned();
        assert_eq!(with_names(&names).unwrap(), [0, 1], "one name is a translation");
        names.sort();
        assert!(with_names(&names).unwrap_err().to_string().contains("`halt` is no class"), "the order shows that they are not in place");

        let root = tempfile::tempdir().unwrap();
        for folder in ["train/2", "train/stop", "test/2", "test/stop"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("image"), png().unwrap()).unwrap();
        }
        let splits = load(config(root.path())).unwrap();
        assert_eq!(splits.test.samples().iter().map(|sample| sample.label).collect::<Vec<_>>(), [2, 14]);
    }

    #[test]
    fn mistakes_in_the_selection_show_before_anything_is_read() {
        let classes = Some(Selection::Group("speed-limit".to_owned()));
        let error = Gtsrb { classes, ..config(Path::new("nowhere")) }.build().err().unwrap();
        assert_eq!(error.help(), Some("did you mean `speed-limits`?"));
    }

    #[test]
    fn the_thesis_tables_are_read_whole() {
        let Some(root) = real_data("gtsrb") else { return };
        let reader = config(&root).build().unwrap();
        let splits = reader.load(&Context::quiet(0)).unwrap();
        let validation = splits.validation.unwrap();
        assert_eq!([splits.train.len(), validation.len(), splits.test.len()], [34_799, 4_410, 12_630]);
        assert!(splits.skipped.is_empty());
        let of = |set: &ImageSet| [2, 5].map(|label| set.rows_of(label).len());
        assert_eq!((of(&splits.train), of(&splits.test)), ([2010, 1650], [750, 630]));
        for set in [&splits.train, &validation, &splits.test] {
            for sample in set.samples() {
                let folder = sample.id.split('/').nth(1).unwrap();
                assert_eq!(folder.parse(), Ok(sample.label), "{}", sample.id);
            }
        }
        assert_eq!(reader.fingerprint().unwrap().len(), 64);
        let verified = store::verify(card("gtsrb").unwrap(), &root, &Context::quiet(0)).unwrap();
        assert_eq!((verified.edition.unwrap().name.as_str(), verified.broken.len()), ("thesis", 0));
    }
}
