use std::path::Path;

use bezoar_core::{Context, Counts, Result, Skipped};

use super::open;
use crate::load::read;
use crate::raw::Layout;
use crate::{Card, Edition};

/// What a folder holds of a data set.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How the files are laid out.
    pub layout: Layout,
    /// The splits that are there.
    pub splits: Vec<VerifiedSplit>,
    /// The edition with just as many images in each split; none if this is some other selection of images.
    pub edition: Option<Edition>,
    /// Images that cannot be decoded.
    pub broken: Vec<Skipped>,
}

/// What is there of a split.
#[derive(Clone, Debug)]
pub struct VerifiedSplit {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    /// The number of images of each class, in the order of the card.
    pub images: Vec<usize>,
}

impl Verified {
    /// Images in each split.
    pub fn counts(&self) -> Counts {
        let count = |name| self.splits.iter().filter(|split| split.name == name).flat_map(|split| &split.images).sum();
        Counts { train: count("train"), validation: count("validation"), test: count("test") }
    }
}

/// Lists and decodes all images of the data set in `folder`.
///
/// # Errors
/// When the folder holds no such data set. Broken images are no error: they are listed.
pub fn verify(card: &Card, folder: &Path, cx: &Context) -> Result<Verified> {
    card.edition(None)?;
    let raw = open(card, folder)?;
    let mut splits = Vec::new();
    let mut broken = Vec::new();
    for (name, split) in raw.splits() {
        let mut images = vec![0; card.classes.len()];
        read(cx, name, split, &split.entries, 8, &mut |sample, image| {
            images[sample.label as usize] += 1;
            broken.extend(image.err().map(|problem| Skipped { path: sample.path.clone(), problem }));
            Ok(())
        })?;
        splits.push(VerifiedSplit { name, images });
    }
    let mut verified = Verified { layout: raw.layout, splits, edition: None, broken };
    verified.edition = card.editions.iter().find(|edition| edition.images == verified.counts()).cloned();
    Ok(verified)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::{card, official};

    /// GTSRB's card with an edition of the size of a tiny tree.
    pub(in crate::store) fn tiny_card() -> Card {
        let mut card = card("gtsrb").unwrap().clone();
        card.editions[0].images = Counts { train: 129, validation: 0, test: 86 };
        card
    }

    #[test]
    fn images_are_counted_and_broken_ones_listed() {
        let root = tempfile::tempdir().unwrap();
        official::tests::tree(root.path(), 43, 1);
        let check = || verify(&tiny_card(), root.path(), &Context::quiet(0)).unwrap();
        let verified = check();
        assert_eq!((verified.layout, verified.edition.unwrap().name.as_str()), (Layout::Gtsrb, "final"));
        assert!(verified.broken.is_empty());
        assert_eq!(verified.splits[0].images, [3; 43]);
        assert_eq!(verified.splits[1].images, [2; 43]);

        fs::write(root.path().join("GTSRB/Final_Test/Images/00004.ppm"), b"P6").unwrap();
        assert!(check().broken[0].path.ends_with("00004.ppm"));
        let table = root.path().join("GT-final_test.csv");
        let text = fs::read_to_string(&table).unwrap();
        fs::write(&table, text.rsplit_once("00085.ppm").unwrap().0).unwrap();
        assert!(check().edition.is_none());
    }

    #[test]
    fn rendered_sets_have_nothing_to_verify() {
        let error = verify(card("signs").unwrap(), Path::new("."), &Context::quiet(0)).unwrap_err();
        assert!(error.to_string().contains("rendered"), "{error}");
    }
}
