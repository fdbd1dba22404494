//! The folder of a run: what was asked, what came out, what it cost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bezoar_config::{Source, parse};
use bezoar_core::{Context, Error, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::stages::read_json;
use crate::store::{file_name, folders, hold, write_whole};
use crate::study::FILE as STUDY;
use crate::{Metrics, Pipeline, StageCost, machine};

pub(crate) const RESOLVED: &str = "resolved.yaml";
const METRICS: &str = "metrics.json";
const BALANCE: &str = "balance.json";
const TIMINGS: &str = "timings.json";
const LOCK: &str = "lock";

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

/// The folder of a run under way. Nobody else works in it meanwhile.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// What the run depends on.
    fingerprint: String,
    /// Held until the folder is dropped.
    _lock: File,
}

/// What `timings.json` says: what varies from run to run. It is written last, and says that the run is whole.
#[derive(Serialize, Deserialize)]
struct Timings {
    fingerprint: String,
    /// The one that the run came to its end on.
    machine: String,
    stages: Vec<StageCost>,
}

impl Folder {
    /// The pipeline's folder, named after it and a digest of it, made if it is not there. Waits while another run works in it.
    pub(crate) fn open(cx: &Context, runs: &Path, pipeline: &Pipeline) -> Result<Self> {
        let path = runs.join(name_of(pipeline)?);
        fs::create_dir_all(&path).map_err(|error| Error::io(&path, error))?;
        Self::at(cx, path, pipeline)
    }

    /// A folder that is there as the pipeline's, whatever its name.
    pub(crate) fn at(cx: &Context, path: PathBuf, pipeline: &Pipeline) -> Result<Self> {
        let lock = lock(cx, &path)?;
        Ok(Self { path, fingerprint: pipeline.fingerprint()?, _lock: lock })
    }

    /// What the run found and what its stages cost, if it came to its end with the same data, plugins and files.
    pub(crate) fn finished(&self) -> Option<(Metrics, Vec<StageCost>)> {
        finished_in(&self.path, &self.fingerprint)
    }

    /// Begins the run. What an earlier try left is out of date.
    pub(crate) fn begin(&self, pipeline: &Pipeline) -> Result<()> {
        let timings = self.path.join(TIMINGS);
        match fs::remove_file(&timings) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(&timings, error)),
            _ => write_whole(&self.path.join(RESOLVED), pipeline.resolved_yaml()?.as_bytes()),
        }
    }

    /// Writes what came out.
    pub(crate) fn finish(&self, metrics: &Metrics, balances: &BTreeMap<String, serde_json::Value>, stages: &[StageCost]) -> Result<()> {
        write_pretty(&self.path.join(METRICS), metrics)?;
        if !balances.is_empty() {
            write_pretty(&self.path.join(BALANCE), balances)?;
        }
        let timings = Timings { fingerprint: self.fingerprint.clone(), machine: machine::describe(), stages: stages.to_vec() };
        write_pretty(&self.path.join(TIMINGS), &timings)
    }
}

/// Keeps others from writing into a folder until it is dropped. Waits for whoever does.
pub(crate) fn lock(cx: &Context, folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let lock = File::create(&path).map_err(|error| Error::io(&path, error))?;
    hold(cx, &lock, &path, folder)?;
    Ok(lock)
}

/// Whether a pipeline's run is finished.
pub(crate) fn is_finished(runs: &Path, pipeline: &Pipeline) -> Result<bool> {
    Ok(finished_in(&runs.join(name_of(pipeline)?), &pipeline.fingerprint()?).is_some())
}

fn finished_in(folder: &Path, fingerprint: &str) -> Option<(Metrics, Vec<StageCost>)> {
    let timings: Timings = read_json(folder, TIMINGS).ok().filter(|timings: &Timings| timings.fingerprint == fingerprint)?;
    Some((metrics(folder).ok()?, timings.stages))
}

/// The name of a pipeline's folder.
pub(crate) fn name_of(pipeline: &Pipeline) -> Result<String> {
    let digest = hex(&Sha256::digest(pipeline.resolved()?.to_string()));
    Ok(format!("{}-{}", pipeline.name, &digest[..8]))
}

/// The pipeline of a run, as it was run.
///
/// # Errors
/// When the folder is no run's, or its plugins are not linked.
pub fn pipeline(folder: &Path) -> Result<Pipeline> {
    Pipeline::read(&file_of(folder, RESOLVED)?, &[])
}

/// What a finished run found.
///
/// # Errors
/// When the folder is no finished run's, or its `metrics.json` is another program's.
pub fn metrics(folder: &Path) -> Result<Metrics> {
    file_of(folder, METRICS)?;
    read_json(folder, METRICS)
}

/// A file of a run.
fn file_of(folder: &Path, name: &str) -> Result<PathBuf> {
    let (file, has) = (folder.join(name), |name: &str| folder.join(name).is_file());
    if file.is_file() {
        return Ok(file);
    }
    let what = if has(STUDY) {
        "a study's folder, no run's"
    } else if has(RESOLVED) {
        "the folder of a run that is not finished"
    } else {
        "no run's folder"
    };
    Err(Error::request(format!("{} is {what}", folder.display())).with_help("`bezoar runs` lists the runs"))
}

/// What a finished run cost.
pub(crate) struct RunCosts {
    /// The plugin of its net.
    pub(crate) model: String,
    pub(crate) machine: String,
    pub(crate) stages: Vec<StageCost>,
}

impl RunCosts {
    /// Those of the run in a folder, if it is finished.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let Timings { machine, stages, .. } = read_json(folder, TIMINGS).ok()?;
        let resolved = parse(&Source::read(&folder.join(RESOLVED)).ok()?).ok()?;
        Some(Self { model: resolved.get("model")?.get("use")?.as_str()?.to_owned(), machine, stages })
    }
}

fn write_pretty(path: &Path, value: &impl Serialize) -> Result<()> {
    write_whole(path, &pretty(value)?)
}

/// JSON for people to read.
pub(crate) fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(Error::request)?;
    text.push(b'\n');
    Ok(text)
}
