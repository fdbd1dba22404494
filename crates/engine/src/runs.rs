//! The folder of a run: what was asked, what came out, what it cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bezoar_core::{Error, Measurement, Outcome, Result, hex};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::store::{file_name, folders, write_whole};
use crate::{Pipeline, StageCost};

const RESOLVED: &str = "resolved.yaml";
const METRICS: &str = "metrics.json";
const BALANCE: &str = "balance.json";
const TIMINGS: &str = "timings.json";

/// A run as `bezoar runs` lists it.
#[derive(Clone, Debug)]
pub struct ListedRun {
    /// The run's folder.
    pub folder: PathBuf,
    /// Whether it came to its end.
    pub finished: bool,
    /// When it was last written.
    pub written: SystemTime,
}

/// All runs in a folder of runs, the one written last at the end.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(runs: &Path) -> Result<Vec<ListedRun>> {
    let written = |file: &Path| file.metadata().and_then(|facts| facts.modified()).ok();
    let listed = |folder: PathBuf| {
        let (begun, finished) = (written(&folder.join(RESOLVED))?, written(&folder.join(TIMINGS)));
        Some(ListedRun { finished: finished.is_some(), written: finished.map_or(begun, |finished| finished.max(begun)), folder })
    };
    let mut all: Vec<_> = folders(runs)?.into_iter().filter_map(listed).collect();
    all.sort_by_key(|run| run.written);
    Ok(all)
}

/// The name of a run's folder, without what lies above it.
pub fn name(run: &ListedRun) -> String {
    file_name(&run.folder)
}

/// Makes the run's folder, named after the pipeline and a digest of it. What an earlier try left there is out of date.
pub(crate) fn begin(runs: &Path, pipeline: &Pipeline, resolved: &serde_json::Value) -> Result<PathBuf> {
    let digest = hex(&Sha256::digest(resolved.to_string()));
    let folder = runs.join(format!("{}-{}", pipeline.name, &digest[..8]));
    fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
    write_whole(&folder.join(RESOLVED), pipeline.resolved_yaml()?.as_bytes())?;
    Ok(folder)
}

/// Writes what came out. The same pipeline on the same machine gives the same `metrics.json`, byte for byte; what varies
/// from run to run is in `timings.json`, which comes last and says that the run is whole.
pub(crate) fn finish(
    folder: &Path,
    outcome: &Outcome,
    measurements: &[Measurement],
    balances: &BTreeMap<String, serde_json::Value>,
    stages: &[StageCost],
) -> Result<()> {
    let detectors: Vec<_> = outcome
        .detections
        .iter()
        .map(
            |detection| json!({ "detector": detection.detector, "inputs": detection.verdict.inputs, "classes": detection.verdict.classes }),
        )
        .collect();
    let metrics = json!({
        "version": 1,
        "name": outcome.name,
        "images": outcome.counts,
        "classes": outcome.images.classes(),
        "attack": outcome.facts.iter().cloned().collect::<BTreeMap<String, String>>(),
        "measurements": measurements,
        "detectors": detectors,
        "skipped": outcome.skipped,
    });
    write_pretty(&folder.join(METRICS), &metrics)?;
    if !balances.is_empty() {
        write_pretty(&folder.join(BALANCE), &json!(balances))?;
    }
    write_pretty(&folder.join(TIMINGS), &json!({ "stages": stages }))
}

fn write_pretty(path: &Path, value: &serde_json::Value) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(Error::request)?;
    text.push(b'\n');
    write_whole(path, &text)
}
