//! What a finished run of `bezoar` says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// An attack that less often succeeds leaves detectors nothing to find.
pub(crate) const WORKS: f64 = 0.5;

/// What a run found.
pub(crate) struct Run {
    metrics: Value,
    timings: Value,
}

impl Run {
    /// The one run in a folder of runs.
    pub(crate) fn only(runs: &Path) -> Result<Self> {
        let run = fs::read_dir(runs)?.filter_map(Result::ok).map(|run| run.path()).find(|run| run.join("timings.json").is_file());
        let run = run.context("the run left no results")?;
        let read = |name: &str| Ok::<Value, anyhow::Error>(serde_json::from_slice(&fs::read(run.join(name))?)?);
        Ok(Self { metrics: read("metrics.json")?, timings: read("timings.json")? })
    }

    /// The detectors, in the order of the pipeline.
    pub(crate) fn detectors(&self) -> impl Iterator<Item = &str> {
        list(&self.metrics["detectors"]).iter().filter_map(|found| found["detector"].as_str())
    }

    /// A fact of the attack.
    pub(crate) fn fact(&self, name: &str) -> Option<&str> {
        self.metrics["attack"][name].as_str()
    }

    /// A measurement; none where it is not there.
    pub(crate) fn value(&self, metric: &str, detector: Option<&str>, scope: &str) -> Option<f64> {
        let is_it = |found: &&Value| found["metric"] == metric && found["detector"].as_str() == detector && found["scope"] == scope;
        list(&self.metrics["measurements"]).iter().find(is_it).and_then(|found| found["value"].as_f64())
    }

    /// A measurement in percent with two digits, or a dash where it is not there.
    pub(crate) fn percent(&self, metric: &str, detector: Option<&str>, scope: &str) -> String {
        self.value(metric, detector, scope).map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
    }

    /// The classes whose p-values a detector finds below 0.05.
    pub(crate) fn significant(&self, detector: &str) -> Vec<String> {
        let found = list(&self.metrics["detectors"]).iter().find(|found| found["detector"] == detector);
        let classes = found.map_or(&[][..], |found| list(&found["classes"]));
        let below = classes.iter().filter(|class| class["p_value"].as_f64().is_some_and(|p_value| p_value < 0.05));
        below.filter_map(|class| Some(self.metrics["classes"][class["class"].as_u64()? as usize].as_str()?.to_owned())).collect()
    }

    /// The stages, as in `timings.json`.
    pub(crate) fn stages(&self) -> &[Value] {
        list(&self.timings["stages"])
    }

    /// What all stages took, when they were made.
    pub(crate) fn seconds(&self) -> f64 {
        self.stages().iter().filter_map(|stage| stage["seconds"].as_f64()).sum()
    }

    /// What the run itself took: without stages that came from the cache.
    pub(crate) fn seconds_spent(&self) -> f64 {
        self.stages().iter().filter(|stage| stage["reused"] == false).filter_map(|stage| stage["seconds"].as_f64()).sum()
    }
}

/// Stages that are made anew for each run: their outputs are too large to keep, or what the code of today decides.
const FRESH: [&str; 4] = ["attack", "represent", "detect", "evaluate"];

/// Removes what no later run should take from a cache. Trained nets stay.
pub(crate) fn forget(cache: &Path) {
    for stage in FRESH {
        let _ = fs::remove_dir_all(cache.join(stage));
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
