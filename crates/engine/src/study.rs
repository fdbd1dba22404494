//! A study: the cells of a pipeline's matrix, each a run.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bezoar_config::{Diagnostic, Diagnostics, MATRIX, Node, Source, expand, parse, set, to_yaml};
use bezoar_core::{Context, Error, Measurement, Result, hex};
use bezoar_evaluation::repeats::{self, Results};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::machine::{available_memory, cores};
use crate::names::labels;
use crate::runs::{RESOLVED, RunCosts, lock, name_of, pretty};
use crate::stages::read_json;
use crate::store::update;
use crate::{Findings, Finished, Pipeline, Places, run};

pub(crate) const FILE: &str = "study.yaml";
const RESULTS: &str = "study.json";

/// What a YAML file with a `matrix:` asks for, checked as a whole before anything runs. A file without one is a study of one cell.
#[derive(Debug)]
pub struct Study {
    /// Names the study's folder.
    pub name: String,
    /// The paths that cells differ in, in the order of the matrix; none in a study of one cell.
    pub axes: Vec<String>,
    /// The cells, in the order of the matrix.
    pub cells: Vec<Cell>,
    file: Value,
}

/// One run of a study.
#[derive(Debug)]
pub struct Cell {
    /// Its value of each axis, in words; empty where it does not set the axis.
    pub settings: Vec<String>,
    /// The run.
    pub pipeline: Pipeline,
}

/// A study all of whose cells were tried. Nobody else writes into its folder until this is dropped.
#[derive(Debug)]
pub struct Conducted {
    /// The study's folder.
    pub folder: PathBuf,
    /// What came out.
    pub results: Results,
    /// The study as YAML.
    pub file: String,
    /// Cells that were finished before.
    pub before: usize,
    _lock: File,
}

impl Conducted {
    /// What the folder of a study says of it; none where the folder is no study's.
    ///
    /// # Errors
    /// When the folder has files of these names that are no study's, or cannot be locked.
    pub fn open(cx: &Context, folder: &Path) -> Result<Option<Self>> {
        if !folder.join(RESULTS).is_file() {
            return Ok(None);
        }
        let lock = lock(cx, folder)?;
        let path = folder.join(FILE);
        let file = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let results: Results = read_json(folder, RESULTS)?;
        let before = results.cells.iter().filter(|cell| cell.problem.is_none()).count();
        Ok(Some(Self { folder: folder.to_owned(), results, file, before, _lock: lock }))
    }

    /// Whether all cells were finished before, and this file of the study's folder was written after their figures.
    pub fn had(&self, name: &str) -> bool {
        let written = |name: &str| self.folder.join(name).metadata().and_then(|facts| facts.modified()).ok();
        self.before == self.results.cells.len() && written(name) >= written(RESULTS)
    }

    /// The pipeline of the first cell with all defaults filled in, as YAML; none where its run never began.
    pub fn resolved(&self) -> Option<String> {
        let run = &self.results.cells.first()?.run;
        std::fs::read_to_string(self.folder.parent()?.join(run).join(RESOLVED)).ok()
    }

    /// What the study's runs cost, all together.
    pub fn costs(&self) -> repeats::Costs {
        let beside = self.folder.parent().unwrap_or(&self.folder);
        let runs: Vec<RunCosts> = runs_of(&self.results).into_iter().filter_map(|run| RunCosts::read(&beside.join(run))).collect();
        let stages = runs.iter().flat_map(|run| &run.stages).map(|stage| (stage.stage.as_str(), stage.seconds, stage.peak_bytes));
        repeats::Costs { stages: repeats::StageSummary::over(stages), machines: runs.iter().map(|run| run.machine.clone()).collect() }
    }
}

impl Study {
    /// The study in a file, with `assignments` such as `attack.share=0.05` carried out on it first.
    ///
    /// # Errors
    /// All mistakes of all cells at once, each with its place.
    pub fn read(path: &Path, assignments: &[String]) -> Result<Self> {
        Ok(Self::from_source(&Source::read(path)?, assignments)?)
    }

    /// The study in a text.
    ///
    /// # Errors
    /// As [`Study::read`].
    pub fn from_source(source: &Source, assignments: &[String]) -> Result<Self, Diagnostics> {
        let mut root = parse(source)?;
        for assignment in assignments {
            set(&mut root, assignment)?;
            overruled(&root, assignment)?;
        }
        let cells = expand(&root)?;
        let mut axes: Vec<String> = Vec::new();
        for (path, _) in cells.iter().flat_map(|cell| &cell.settings) {
            if !axes.contains(path) {
                axes.push(path.clone());
            }
        }
        let named: Vec<Vec<(Value, String)>> = axes.iter().map(|axis| words(axis, &cells)).collect();
        let (mut read, mut mistakes): (Vec<Cell>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
        for cell in &cells {
            let settings = axes.iter().zip(&named).map(|(axis, words)| {
                let value = cell.settings.iter().find(|(path, _)| path == axis).map(|(_, value)| value.to_json());
                words.iter().find(|(of, _)| Some(of) == value.as_ref()).map(|(_, word)| word.clone()).unwrap_or_default()
            });
            match Pipeline::from_node(&cell.node) {
                Ok(pipeline) => read.push(Cell { settings: settings.collect(), pipeline }),
                Err(found) => found.into_iter().for_each(|mistake| {
                    if !mistakes.contains(&mistake) {
                        mistakes.push(mistake);
                    }
                }),
            }
        }
        Diagnostics::check(mistakes)?;
        let name = read.first().map(|cell| cell.pipeline.name.clone()).unwrap_or_default();
        Ok(Self { name, axes, cells: read, file: root.to_json() })
    }

    /// The settings of a cell in a line.
    pub fn describe(&self, settings: &[String]) -> String {
        let said = self.axes.iter().zip(settings).filter(|(_, value)| !value.is_empty());
        said.map(|(axis, value)| format!("{axis}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// Runs all cells, `jobs` at once, and puts their figures together. What is finished is not run again; a cell that fails does not stop the
    /// others.
    ///
    /// `jobs` of none works out how many are worth while: one for each four cores, as far as there is memory for as many of what the first
    /// cell took.
    ///
    /// # Errors
    /// When the run is cancelled, or the study's folder cannot be written. What a cell fails of is in the results.
    pub fn conduct(&self, cx: &Context, places: &Places, jobs: Option<usize>) -> Result<Conducted> {
        let folder = self.open(cx, places)?;
        let task = cx.task(&format!("study {}", self.name), self.cells.len() as u64);
        let ended: Vec<Mutex<Option<Result<Finished>>>> = self.cells.iter().map(|_| Mutex::default()).collect();
        let next = AtomicUsize::new(0);
        let step = || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(cell), Ok(())) = (self.cells.get(at), cx.check()) else { return None };
            let pipeline = &cell.pipeline;
            task.remark(&self.describe(&cell.settings));
            let outcome = run(&cx.of_run(pipeline.seed.into(), pipeline.device), pipeline, places);
            match &outcome {
                Ok(Finished { before: true, .. }) => task.resume(1),
                Ok(_) => task.advance(1),
                Err(error) => {
                    task.advance(1);
                    if !matches!(error, Error::Cancelled) {
                        cx.note(&format!("{} failed: {error}", self.describe(&cell.settings)));
                    }
                }
            }
            let peak = outcome.as_ref().ok().filter(|finished| !finished.before).and_then(peak);
            if let Ok(mut ended) = ended[at].lock() {
                *ended = Some(outcome);
            }
            Some(peak)
        };
        let jobs = match jobs {
            Some(jobs) => jobs,
            // The first cell that has to be run shows what a cell takes.
            None => std::iter::from_fn(step).flatten().next().map_or(1, |peak| worth_while(peak, cores(), available_memory())),
        };
        std::thread::scope(|scope| {
            for _ in 1..jobs {
                scope.spawn(|| while step().is_some() {});
            }
            while step().is_some() {}
        });
        cx.check()?;
        drop(task);
        let ended = ended.into_iter().map(|ended| ended.into_inner().ok().flatten().unwrap_or(Err(Error::Cancelled)));
        self.put_together(cx, folder, ended.collect())
    }

    fn put_together(&self, cx: &Context, folder: PathBuf, ended: Vec<Result<Finished>>) -> Result<Conducted> {
        let before = ended.iter().flatten().filter(|finished| finished.before).count();
        let findings: Vec<Findings> = ended.iter().flatten().flat_map(|finished| finished.findings.clone()).collect();
        let cells: Vec<(repeats::Cell, Option<Vec<Measurement>>)> = self
            .cells
            .iter()
            .zip(ended)
            .map(|(Cell { settings, pipeline }, ended)| {
                let (measured, problem) = match ended {
                    Ok(finished) => (Some(finished.measurements), None),
                    Err(error) => (None, Some(error.to_string())),
                };
                Ok((repeats::Cell { settings: settings.clone(), run: name_of(pipeline)?, problem }, measured))
            })
            .collect::<Result<_>>()?;
        let seed = self.cells.first().map_or(0, |cell| cell.pipeline.seed);
        let mut results = Results::of(&Context::quiet(seed.into()).stage("study"), &self.name, &self.axes, cells);
        for Findings { detector, inputs, .. } in &findings {
            results.tell(detector, inputs);
        }
        let lock = lock(cx, &folder)?;
        update(&folder.join(RESULTS), &pretty(&results)?)?;
        Ok(Conducted { folder, results, file: to_yaml(&self.file), before, _lock: lock })
    }

    /// The study's folder, named after it and a digest of it.
    fn open(&self, cx: &Context, places: &Places) -> Result<PathBuf> {
        let digest = hex(&Sha256::digest(self.file.to_string()));
        let folder = places.runs.join(format!("{}-study-{}", self.name, &digest[..8]));
        std::fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        // Several processes may run one study, but they write its files one after the other.
        let _lock = lock(cx, &folder)?;
        update(&folder.join(FILE), to_yaml(&self.file).as_bytes())?;
        Ok(folder)
    }
}

/// The runs of a study, each once: several cells may say the same run in other words.
fn runs_of(results: &Results) -> BTreeSet<&str> {
    results.cells.iter().map(|cell| cell.run.as_str()).collect()
}

/// Refuses an assignment whose value no cell would have, since the matrix sets the same.
fn overruled(root: &Node, assignment: &str) -> Result<(), Diagnostics> {
    let Some((path, value)) = assignment.split_once('=') else { return Ok(()) };
    let Some(matrix) = root.get(MATRIX) else { return Ok(()) };
    let is_over = |axis: &&str| path.strip_prefix(axis).is_some_and(|below| below.is_empty() || below.starts_with('.'));
    let Some(axis) = matrix.as_map().and_then(|axes| axes.keys().find(is_over)) else { return Ok(()) };
    let help = if axis == path {
        format!("change its values in the file, or set the whole matrix: `--set 'matrix={{ {axis}: [{value}] }}'`")
    } else {
        format!("change the values of `{axis}` in the file's matrix")
    };
    Err(Diagnostic::new("bad-assignment", format!("the matrix sets `{axis}` in every cell")).at_key(matrix, axis).help(help).into())
}

/// The values of an axis, with words for each.
fn words(axis: &str, cells: &[bezoar_config::Cell]) -> Vec<(Value, String)> {
    let mut values: Vec<Value> = Vec::new();
    for (_, value) in cells.iter().flat_map(|cell| &cell.settings).filter(|(path, _)| path == axis) {
        let value = value.to_json();
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let labels = labels(&values);
    values.into_iter().zip(labels).collect()
}

/// The most memory that any stage of a run took; none where the system does not tell.
fn peak(finished: &Finished) -> Option<u64> {
    finished.stages.iter().map(|stage| stage.peak_bytes).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// How many cells to run at once where one takes `peak` bytes, on so many cores and with so many bytes that the system could give, where it
/// tells.
fn worth_while(peak: u64, cores: usize, memory: Option<u64>) -> usize {
    let fit = memory.unwrap_or(0) / peak.max(1);
    (cores / 4).min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_two_cells_stand_for_is_paid_once() {
        let cell = |seed: &str, run: &str| repeats::Cell { settings: vec![seed.to_owned()], run: run.to_owned(), problem: None };
        let cells = [("", "s-0"), ("0", "s-0"), ("1", "s-1")].map(|(seed, run)| (cell(seed, run), None)).to_vec();
        let results = Results::of(&Context::quiet(0), "test", &["seed".to_owned()], cells);
        assert_eq!(Vec::from_iter(runs_of(&results)), ["s-0", "s-1"]);
    }

    #[test]
    fn cells_run_at_once_as_far_as_cores_and_memory_go() {
        let gib = 1 << 30;
        for (peak, cores, memory, expected) in [
            (gib, 16, Some(64 * gib), 4),
            (gib, 19, Some(64 * gib), 4),
            (gib, 20, Some(64 * gib), 5),
            (gib, 64, Some(3 * gib), 3),
            (gib, 64, Some(4 * gib - 1), 3),
            (gib, 64, Some(gib / 2), 1),
            (gib, 64, None, 1),
            (gib, 3, Some(64 * gib), 1),
            (0, 8, Some(gib), 2),
        ] {
            assert_eq!(worth_while(peak, cores, memory), expected, "{peak} {cores} {memory:?}");
        }
    }
}
