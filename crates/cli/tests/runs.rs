//! Whole runs of the program on a small rendered data set: killed in every stage, and on one thread or two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A run of seconds that goes through every stage.
const PIPELINE: &str = "
version: 1
name: small
seed: 3
device: cpu
dataset: { use: signs, train: 24, validation: 6, test: 8 }
attack: { use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.3 }
model: { use: compact-cnn }
train: { epochs: 2, batch: 32 }
detect:
  - use: heatmap-clustering
  - use: activation-clustering
";

struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("small.yaml"), PIPELINE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bezoar"));
        command.args(["eval", "small.yaml", "--cache", "cache", "--runs", "runs"]).current_dir(self.folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn finish(&self, options: &[&str]) -> Vec<u8> {
        let output = self.command().args(options).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let run = folders(&self.path("runs")).pop().unwrap();
        std::fs::read(run.join("metrics.json")).unwrap()
    }

    /// Starts a run and kills it while it works on `stage`. Says whether it was caught there.
    fn kill_in(&self, stage: &str) -> bool {
        let mut child = self.command().spawn().unwrap();
        let folder = self.path("cache").join(stage);
        let caught = |folder: &Path| folders(folder).iter().any(|entry| entry.extension().is_some_and(|end| end == "partial"));
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            if caught(&folder) {
                child.kill().unwrap();
                child.wait().unwrap();
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "the run hangs before {stage}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// When each finished stage was finished.
    fn finished(&self) -> BTreeMap<PathBuf, SystemTime> {
        let entries = folders(&self.path("cache")).into_iter().flat_map(|stage| folders(&stage));
        let listed =
            entries.map(|entry| entry.join("entry.json")).filter(|list| !list.parent().unwrap().to_string_lossy().ends_with(".partial"));
        listed.filter_map(|list| Some((list.clone(), std::fs::metadata(&list).ok()?.modified().ok()?))).collect()
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect();
    all.retain(|path| path.is_dir() && !path.ends_with("cache"));
    all.sort();
    all
}

#[test]
fn a_run_killed_in_every_stage_ends_like_an_undisturbed_one() {
    let undisturbed = Workplace::new().finish(&[]);
    let workplace = Workplace::new();
    let mut caught = Vec::new();
    for stage in ["dataset", "attack", "train", "predict", "represent", "detect", "evaluate"] {
        let before = workplace.finished();
        if workplace.kill_in(stage) {
            caught.push(stage);
        }
        let after = workplace.finished();
        for (entry, time) in &before {
            assert_eq!(after.get(entry), Some(time), "{} was made twice", entry.display());
        }
    }
    assert!(caught.len() >= 5, "most stages must be caught at work: {caught:?}");
    assert_eq!(workplace.finish(&[]), undisturbed);
}

#[test]
fn threads_change_no_byte() {
    let results = ["1", "2"].map(|threads| Workplace::new().finish(&["--threads", threads]));
    assert_eq!(results[0], results[1]);
}
