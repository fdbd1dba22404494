//! What was measured, in a file that is committed: a run is made once, and the page can be written from it at any time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::outcome::Run;

/// One run of a cell.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) study: String,
    /// The cell's values but for its seed.
    pub(super) settings: String,
    pub(super) seed: String,
    /// How much was run: the name of an effort.
    pub(super) effort: String,
    /// The revision that measured it.
    pub(super) revision: String,
    pub(super) machine: String,
    pub(super) seconds: f64,
    pub(super) accuracy: f64,
    pub(super) attack_success: f64,
    /// The mean over the classes that triggered images are of, where they are of several; older records lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attack_success_by_class: Option<f64>,
    pub(super) detectors: Vec<Rates>,
}

/// What a detector found, in shares of one, over the attacked class but for the last two; none where it is undefined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rates {
    pub(super) detector: String,
    pub(super) acc: Option<f64>,
    pub(super) tpr: Option<f64>,
    pub(super) tnr: Option<f64>,
    pub(super) auroc: Option<f64>,
    /// Whether it accuses the attacked class.
    pub(super) found: Option<f64>,
    /// How many other classes it accuses.
    pub(super) false_alarms: Option<f64>,
}

impl Rates {
    /// All of a run's.
    pub(super) fn of(run: &Run) -> Vec<Self> {
        let rates = |detector: &str| {
            let value = |metric, scope| run.value(metric, Some(detector), scope);
            Self {
                detector: detector.to_owned(),
                acc: value("acc", "attacked"),
                tpr: value("tpr", "attacked"),
                tnr: value("tnr", "attacked"),
                auroc: value("auroc", "attacked"),
                found: value("class-detection-rate", "all"),
                false_alarms: value("class-false-alarms", "all"),
            }
        };
        run.detectors().map(rates).collect()
    }
}

pub(super) fn file() -> PathBuf {
    crate::root().join("docs/reproduction.json")
}

/// All runs so far.
pub(super) fn read(file: &Path) -> Result<Vec<Measured>> {
    let text = fs::read(file).with_context(|| file.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| file.display().to_string())
}

/// Adds a run to those that the file has by now: others may have added some since it was read. Gives all.
pub(super) fn add(file: &Path, run: Measured) -> Result<Vec<Measured>> {
    let mut all = read(file)?;
    all.push(run);
    write_whole(file, &(serde_json::to_string_pretty(&all)? + "\n"))?;
    Ok(all)
}

/// Writes a file aside and renames it, so that others read either its old text or its new one.
pub(super) fn write_whole(file: &Path, text: &str) -> Result<()> {
    let aside = file.with_extension(std::process::id().to_string());
    fs::write(&aside, text).and_then(|()| fs::rename(&aside, file)).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::run;
    use super::*;

    #[test]
    fn a_run_is_added_to_what_others_wrote_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reproduction.json");
        fs::write(&file, "[]").unwrap();
        let before = read(&file).unwrap();
        add(&file, run("0", 0.5)).unwrap();
        let seeds: Vec<String> = add(&file, run("1", 0.5)).unwrap().into_iter().map(|run| run.seed).collect();
        assert_eq!((before.len(), seeds), (0, vec!["0".to_owned(), "1".to_owned()]));
        assert_eq!(read(&file).unwrap().len(), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn records_without_the_success_by_class_are_read() {
        let older = run("0", 0.5);
        let text = serde_json::to_string(&older).unwrap();
        assert!(!text.contains("by_class"), "{text}");
        assert_eq!(serde_json::from_str::<Measured>(&text).unwrap().attack_success_by_class, None);
    }
}
