use bezoar_core::{Edit, ImageShape, Mask, Plugin, Sample};
use proptest::prelude::*;

use super::*;
use crate::{ImageFolder, Parquet};

const CLASSES: [&str; 2] = ["cat", "dog"];

fn images(count: usize, channels: usize) -> ImageSet {
    let shape = ImageShape { height: 8, width: 8, channels };
    let rows = (0..count).map(|row| Edit {
        sample: Sample { id: format!("{row}"), label: (row % 2) as u32, path: String::new() },
        image: Image::new(shape, (0..shape.len()).map(|at| (at * 31 + row * 7) as u8).collect()).unwrap(),
    });
    ImageSet::from_images(CLASSES.map(str::to_owned).to_vec(), rows.collect()).unwrap()
}

fn origin() -> Origin {
    Origin { bezoar: "test".into(), seed: 3, dataset: "signs".into(), attack: "none".into(), facts: vec![("images".into(), "2".into())] }
}

/// Every third image is poison.
fn write(set: &ImageSet, form: Form, out: &Path) -> Result<Manifest> {
    write_with(set, &(0..set.len()).step_by(3).collect::<Vec<_>>(), form, out)
}

/// Some images are poison whose true label is the other class.
fn write_with(set: &ImageSet, poison: &[usize], form: Form, out: &Path) -> Result<Manifest> {
    let mut truth = GroundTruth::clean(set.len());
    let mut labels: Vec<u32> = set.samples().iter().map(|sample| sample.label).collect();
    for &row in poison {
        (truth.roles[row], labels[row]) = (Role::Poison, 1 - labels[row]);
        truth.masks[row] = vec![Mask { top: 1, left: 2, height: 3, width: 4 }];
    }
    let train = Split { name: "train", images: set, labels: labels.clone(), truth: truth.clone(), targets: None };
    let targets = vec![1; set.len()];
    let triggered = Split { name: "triggered", images: set, labels, truth: GroundTruth::clean(set.len()), targets: Some(&targets) };
    export(&Context::quiet(5), origin(), &[train, triggered], form, out)
}

fn read(form: Form, root: &Path) -> ImageSet {
    let block = serde_json::json!({ "root": root, "size": 8, "validation-share": 0.0, "test-share": 0.0 });
    let dataset = match form {
        Form::Folder => serde_json::from_value::<ImageFolder>(block).unwrap().build(),
        Form::Parquet => serde_json::from_value::<Parquet>(block).unwrap().build(),
    };
    dataset.unwrap().load(&Context::quiet(0)).unwrap().train
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_written_is_read_back_bit_for_bit(count in 2..40usize, is_table: bool) {
        let (set, root) = (images(count, 3), tempfile::tempdir().unwrap());
        let (form, out) = (if is_table { Form::Parquet } else { Form::Folder }, root.path().join("out"));
        let manifest = write(&set, form, &out).unwrap();
        prop_assert!(verify_export(&Context::quiet(0), &out).unwrap().problems.is_empty());
        prop_assert_eq!(Manifest::read(&out).unwrap().samples, manifest.samples.clone());
        let found = read(form, &out);
        prop_assert_eq!(found.len(), count);
        for (row, sample) in found.samples().iter().enumerate() {
            let file = sample.id.strip_prefix("train/").unwrap();
            let is_it = |record: &&Record| record.split == "train" && record.file.ends_with(file);
            let record = manifest.samples.iter().find(is_it).unwrap();
            let source: usize = record.source.parse().unwrap();
            prop_assert_eq!(found.image(row).unwrap(), set.image(source).unwrap());
            prop_assert_eq!((sample.label, &record.label), (set.label(source), &CLASSES[set.label(source) as usize].to_owned()));
            prop_assert_eq!(record.role == Role::Poison, source.is_multiple_of(3));
            prop_assert_eq!(record.label != record.true_label, source.is_multiple_of(3));
        }
    }
}

#[test]
fn what_changed_is_found() {
    for form in [Form::Folder, Form::Parquet] {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let manifest = write(&images(12, 1), form, &out).unwrap();
        let problems = || -> Vec<String> {
            verify_export(&Context::quiet(0), &out).unwrap().problems.into_iter().map(|problem| problem.problem).collect()
        };
        fs::write(out.join("more.png"), "more").unwrap();
        assert_eq!(problems(), ["it is not in the manifest"]);
        fs::remove_file(out.join("more.png")).unwrap();
        let changed = match form {
            Form::Folder => {
                fs::remove_file(out.join(&manifest.samples[0].file)).unwrap();
                fs::write(out.join(&manifest.samples[1].file), "no image").unwrap();
                vec!["it is missing", "it has changed"]
            }
            Form::Parquet => {
                fs::remove_file(out.join("train.parquet")).unwrap();
                vec!["it is missing"]
            }
        };
        assert_eq!(problems(), changed);
        let refused = write(&images(12, 1), form, &out).unwrap_err();
        assert!(refused.to_string().ends_with("is there already"), "{refused}");
    }
}

#[test]
fn files_are_looked_at_inside_the_folder_alone() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let manifest = write(&images(12, 1), Form::Folder, &out).unwrap();
    let problems = || -> Vec<String> {
        let found = verify_export(&Context::quiet(0), &out).unwrap().problems.into_iter();
        found.map(|problem| format!("{}: {}", problem.path, problem.problem)).collect()
    };
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&out, out.join("train/loop")).unwrap();
        assert_eq!(problems(), ["train/loop: it is not in the manifest"]);
        fs::remove_file(out.join("train/loop")).unwrap();
    }
    let mut outside = manifest.clone();
    for (sample, file) in outside.samples.iter_mut().zip(["/dev/zero", "../out/train/cat/000000.png"]) {
        sample.file = file.to_owned();
    }
    outside.write(&out).unwrap();
    assert_eq!(problems()[..2], ["/dev/zero: it is outside the folder", "../out/train/cat/000000.png: it is outside the folder"]);
    fs::remove_file(out.join("manifest.json")).unwrap();
    let missing = verify_export(&Context::quiet(0), &out).unwrap_err();
    assert!(missing.to_string().ends_with("there is no manifest.json here") && missing.help().is_some(), "{missing}");
}

#[test]
fn tables_are_compared_row_by_row() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let manifest = write(&images(12, 1), Form::Parquet, &out).unwrap();
    let problems = |change: &dyn Fn(&mut Manifest)| -> Vec<String> {
        let mut other = manifest.clone();
        change(&mut other);
        other.write(&out).unwrap();
        verify_export(&Context::quiet(0), &out).unwrap().problems.into_iter().map(|problem| problem.problem).collect()
    };
    assert!(problems(&|_| ()).is_empty());
    assert_eq!(problems(&|manifest| manifest.samples[1].sha256 = "0".repeat(64)), ["it has changed"]);
    assert_eq!(problems(&|manifest| manifest.samples[1].file = "1.png".into()), ["the table calls it `train/000001.png`"]);
    assert_eq!(problems(&|manifest| manifest.samples[1].label = "cow".into()), ["the manifest labels it `cow`"]);
    assert_eq!(problems(&|manifest| drop(manifest.samples.remove(1))), ["it has 12 rows where the manifest has 11"]);
    fs::write(out.join("train.parquet"), "no table").unwrap();
    let found = problems(&|_| ());
    assert!(found.len() == 1 && found[0].starts_with("no usable Parquet table"), "the other table is looked at too: {found:?}");
}

#[test]
fn a_set_is_there_as_a_whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let entries = || fs::read_dir(root.path()).unwrap().count();
    assert!(write(&images(4, 2), Form::Folder, &root.path().join("out")).is_err(), "no PNG has two channels");
    assert_eq!(entries(), 0);
    let nameless = write(&images(4, 1), Form::Folder, &root.path().join("nothing/..")).unwrap_err();
    assert!(nameless.to_string().ends_with("is no name of a folder"), "{nameless}");
    fs::create_dir(root.path().join("out")).unwrap();
    write(&images(4, 1), Form::Folder, &root.path().join("out/")).unwrap();
    assert_eq!(entries(), 1);
    assert!(root.path().join("out/manifest.json").is_file());
}

#[test]
fn names_do_not_tell_poison_apart() {
    let root = tempfile::tempdir().unwrap();
    let first: Vec<usize> = (0..20).collect();
    let write = |name| write_with(&images(60, 3), &first, Form::Folder, &root.path().join(name)).unwrap();
    let manifest = write("out");
    let place = |role: Role| {
        let places: Vec<usize> = manifest
            .samples
            .iter()
            .filter(|sample| sample.split == "train")
            .enumerate()
            .filter(|(_, sample)| sample.role == role)
            .map(|(at, _)| at)
            .collect();
        places.iter().sum::<usize>() as f64 / places.len() as f64
    };
    assert!((place(Role::Poison) - place(Role::Clean)).abs() < 15.0, "poison is not at one end");
    assert_eq!(write("other").samples, manifest.samples, "the seed alone decides");
}
