//! Poisoned data sets as files, and pictures of attacks.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the program says on stdout and stderr, and whether it was content.
fn bezoar(folder: &Path, arguments: &[&str]) -> (String, String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_bezoar")).args(arguments).current_dir(folder).env_remove("BEZOAR_DATA").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

const SMALL: [&str; 6] = ["--set", "dataset.train=20", "--set", "dataset.validation=5", "--set", "dataset.test=5"];

fn poison(folder: &Path, more: &[&str]) -> (String, String, bool) {
    bezoar(folder, &[&["poison", "signs"], more, &SMALL].concat())
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_poisoned_set_is_written_checked_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (out, format) in [("set", "folder"), ("tables", "parquet")] {
        let (said, error, is_done) = poison(here, &["--attack", "sticker", "--set", "attack.share=0.2", "--out", out, "--format", format]);
        assert!(is_done, "{error}");
        assert!(said.contains("poisoned training images: 5") && said.contains("share of the target class: 20.00 %"), "{said}");
        let (said, error, is_right) = bezoar(here, &["verify", out]);
        assert!(is_right && said.contains("all 605 images are as the manifest says"), "{said}{error}");
        // What was written is a data set: it can be attacked once more.
        let again = format!("{out}-again");
        let (_, error, is_done) = bezoar(here, &["poison", out, "--attack", "sig", "--out", &again]);
        assert!(is_done, "{error}");
        assert_eq!(manifest(&here.join(again))["classes"].as_array().unwrap().len(), 20);
    }
    let (folders, tables) = (manifest(&here.join("set")), manifest(&here.join("tables")));
    let images = |manifest: &Value| {
        let samples = manifest["samples"].as_array().unwrap().iter();
        let mut images: Vec<_> = samples.map(|sample| ["source", "sha256", "role"].map(|fact| sample[fact].to_string())).collect();
        images.sort();
        images
    };
    assert_eq!(images(&folders), images(&tables), "the same images in either form");
    let (said, error, is_done) = poison(here, &["--attack", "sticker", "--out", "set"]);
    assert!(!is_done && error.contains("set is there already"), "{said}{error}");
    std::fs::write(here.join("set/train/stop/more.png"), "").unwrap();
    let (said, error, is_right) = bezoar(here, &["verify", "set"]);
    assert!(!is_right && said.contains("it is not in the manifest") && error.contains("in 1 place"), "{said}{error}");
}

#[test]
fn wrong_requests_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--attack", "stiker"][..], "did you mean `sticker`?"),
        (&["--attack", "sticker", "--set", "attack.to=stopp"], "did you mean `stop`?"),
        (&["--attack", "sticker", "--set", "attack.share=2"], "share"),
        (&["--attack", "sticker", "--set", "model.use=vgg"], "there is no `model` here"),
        (&["--attack", "label-consistent", "--set", "attack.preset=published"], "no such preset"),
    ] {
        let (_, error, is_done) = poison(folder.path(), &[arguments, &["--out", "set"]].concat());
        assert!(!is_done && error.contains(expected), "{arguments:?}: {error}");
        assert!(!folder.path().join("set").exists() && !folder.path().join(".set.partial").exists());
    }
    let (_, error, _) = bezoar(folder.path(), &["poison", "nowhere", "--attack", "sticker", "--out", "set"]);
    assert!(error.contains("nowhere is neither a folder, nor a file, nor a data set's name") && error.contains("gtsrb, signs"), "{error}");
    let (_, error, _) = bezoar(folder.path(), &["verify", "."]);
    assert!(error.contains("manifest.json"), "{error}");
}

#[test]
fn a_gallery_shows_attacks() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["gallery", "signs", "--attack", "sticker", "--attack", "blended", "--images", "2", "--out", "gallery.png"];
    let (_, error, is_done) = bezoar(folder.path(), &[&arguments[..], &SMALL].concat());
    assert!(is_done, "{error}");
    let picture = image::open(folder.path().join("gallery.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (4 + 8 * 68, 4 + 2 * (17 + 64 + 4)));
}
