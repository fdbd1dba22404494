use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use bezoar_core::{Error, Mask, Result, Role};
use serde::{Deserialize, Serialize};

use super::Form;

/// The manifest's file.
pub(super) const FILE: &str = "manifest.json";

/// What a folder holds: `manifest.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// Version of this format: 1.
    pub format: u32,
    /// How the images lie on disk.
    pub form: Form,
    /// What made them.
    #[serde(flatten)]
    pub origin: Origin,
    /// The names of the classes, in order.
    pub classes: Vec<String>,
    /// Every image.
    pub samples: Vec<Record>,
}

/// What made a poisoned data set: the same again makes the same files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Origin {
    /// The program and its version.
    pub bezoar: String,
    /// Everything random follows from it.
    pub seed: u32,
    /// The clean data set, as a pipeline says it.
    pub dataset: serde_json::Value,
    /// The attack, as a pipeline says it.
    pub attack: serde_json::Value,
    /// What the attack did, in numbers.
    pub facts: Vec<(String, String)>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// `train`, `validation`, `test`, or `triggered`: test images with the trigger, for the attack success rate.
    pub split: String,
    /// Its file; in a table, the `path` of its row. A table has its rows in this order.
    pub file: String,
    /// What the attack made of it.
    pub role: Role,
    /// The class that it is given as.
    pub label: String,
    /// The class that it is of.
    pub true_label: String,
    /// What the attacker wants it to be taken for, of triggered test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Where the trigger lies; nowhere where all of the image may have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
    /// The clean image's id.
    pub source: String,
    /// Of the encoded image.
    pub sha256: String,
}

impl Manifest {
    /// Images of each split by role.
    pub fn counts(&self) -> BTreeMap<&str, BTreeMap<Role, usize>> {
        let mut counts: BTreeMap<&str, BTreeMap<Role, usize>> = BTreeMap::new();
        for sample in &self.samples {
            *counts.entry(&sample.split).or_default().entry(sample.role).or_default() += 1;
        }
        counts
    }

    /// Writes it as JSON, a line an image.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let lines = self.samples.iter().map(|sample| Ok(format!("    {}", serde_json::to_string(sample)?)));
        let lines = lines.collect::<Result<Vec<_>, serde_json::Error>>().map_err(Error::request)?;
        let head = serde_json::to_string_pretty(&Self { samples: Vec::new(), ..self.clone() }).map_err(Error::request)?;
        let head = head.trim_end().trim_end_matches("[]\n}");
        let path = folder.join(FILE);
        fs::write(&path, format!("{head}[\n{}\n  ]\n}}\n", lines.join(",\n"))).map_err(|error| Error::io(&path, error))
    }

    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// When there is none, or it is no manifest.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Error::data(folder.display(), format!("there is no {FILE} here")).with_help("`bezoar poison` writes one with its images")
            }
            _ => Error::io(&path, error),
        })?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| Error::data(path.display(), error))?;
        match manifest.format {
            1 => Ok(manifest),
            other => Err(Error::data(path.display(), format!("manifests of format {other} are not known here"))),
        }
    }
}
