//! Studies on a small rendered data set: killed at random, by two processes at once, grown, and with cells that fail.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

/// 40 cells of four nets, the cheapest there are.
const STUDY: &str = "
version: 1
name: small
device: cpu
dataset: { use: signs, train: 8, validation: 0, test: 2 }
attack: { use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.3 }
model: { use: compact-cnn }
train: { epochs: 1, batch: 64 }
detect: [{ use: activation-clustering }, { use: spectral-signatures, share: 0.2 }]
report: []
matrix:
  attack.share: [0.2, 0.4]
  detect.0.cluster: [{ use: k-means, k: 2 }, { use: k-means, k: 3 }, { use: agglomerative }, { use: gaussian-mixture }, { use: k-medoids }]
  detect.0.decide: [{ use: smaller-cluster }, { use: relative-size }]
  seed: [0, 1]
";

struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new(study: &str) -> Self {
        let workplace = Self { folder: tempfile::tempdir().unwrap() };
        workplace.write(study);
        workplace
    }

    fn write(&self, study: &str) {
        std::fs::write(self.folder.path().join("study.yaml"), study).unwrap();
    }

    fn start(&self, options: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bezoar"));
        command.args(["eval", "study.yaml", "--cache", "cache", "--runs", "runs"]).args(options).current_dir(self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the study to its end, and gives what it says and its `study.json`.
    fn finish(&self, options: &[&str]) -> (String, Vec<u8>) {
        let Output { status, stdout, stderr } = self.start(options).wait_with_output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let text = String::from_utf8(stdout).unwrap();
        let folder = self.folder.path().join(text.trim_end().lines().last().unwrap());
        (text, std::fs::read(folder.join("study.json")).unwrap())
    }

    /// How many stages of each kind were made, and not taken from the cache, in all cells.
    fn made(&self) -> BTreeMap<String, usize> {
        let runs = folders(&self.folder.path().join("runs"));
        let timings = runs.iter().filter_map(|run| std::fs::read(run.join("timings.json")).ok());
        let stages = timings.flat_map(|text| serde_json::from_slice::<Value>(&text).unwrap()["stages"].as_array().unwrap().clone());
        let mut made = BTreeMap::new();
        for stage in stages.filter(|stage| stage["reused"] == false && !stage["key"].is_null()) {
            *made.entry(stage["stage"].as_str().unwrap().split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
        made
    }

    /// Every file of every run and of the study, and when it was written.
    fn files(&self) -> BTreeMap<PathBuf, SystemTime> {
        let all = folders(&self.folder.path().join("runs")).into_iter().flat_map(|run| std::fs::read_dir(run).unwrap());
        let files = all.map(|file| file.unwrap().path()).filter(|path| !path.ends_with("lock"));
        files.map(|path| (path.clone(), path.metadata().unwrap().modified().unwrap())).collect()
    }
}

/// What the study makes: its cells share data sets (one a seed), nets (one a seed and share) and what detectors look at.
fn each_once() -> BTreeMap<String, usize> {
    let kinds = [("dataset", 2), ("attack", 4), ("train", 4), ("predict", 4), ("represent", 4), ("detect", 40 + 4), ("evaluate", 40)];
    kinds.map(|(kind, count)| (kind.to_owned(), count)).into()
}

/// Panics unless a file's content is what the committed schema says.
fn satisfies(schema: &str, content: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../schemas/{schema}.schema.json"));
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    jsonschema::validate(&schema, content).unwrap_or_else(|error| panic!("{error} at {}", error.instance_path()));
}

fn folders(path: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[test]
fn a_study_killed_at_random_ends_like_an_undisturbed_one() {
    let workplace = Workplace::new(STUDY);
    let start = Instant::now();
    let (text, undisturbed) = workplace.finish(&[]);
    let took = start.elapsed();
    assert!(text.contains("40 cells, 40 of them new"), "{text}");
    assert_eq!(workplace.made(), each_once());
    let results: Value = serde_json::from_slice(&undisturbed).unwrap();
    assert_eq!(results["told"], serde_json::json!([{ "detector": "spectral-signatures", "input": "share", "origin": "given" }]));
    satisfies("study", &results);
    let written = workplace.files();
    let metrics = written.keys().find(|path| path.ends_with("metrics.json")).unwrap();
    satisfies("metrics", &serde_json::from_slice(&std::fs::read(metrics).unwrap()).unwrap());
    assert!(["study.json", "study.yaml", "report.html"].iter().all(|name| written.keys().any(|path| path.ends_with(name))));
    let (text, again) = workplace.finish(&[]);
    assert!(text.contains("all 40 cells were finished before: nothing was left to do") && again == undisturbed, "{text}");
    assert_eq!(workplace.files(), written, "nothing was written");
    let page = written.keys().find(|path| path.ends_with("report.html")).unwrap();
    // As if the first process had been killed between figures and page.
    File::options().write(true).open(page).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    workplace.finish(&[]);
    assert!(page.metadata().unwrap().modified().unwrap() > written[page], "an old page is written again");

    let disturbed = Workplace::new(STUDY);
    // Parts of the undisturbed time, drawn once: some kill within the first training, some between later cells.
    for part in [0.03, 0.21, 0.11, 0.02, 0.16, 0.07, 0.13, 0.05, 0.19, 0.09] {
        let mut child = disturbed.start(&[]);
        std::thread::sleep(took.mul_f64(part).max(Duration::from_millis(20)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(disturbed.finish(&[]).1, undisturbed);
}

#[test]
fn two_processes_share_the_work() {
    let workplace = Workplace::new(STUDY);
    // Both are read at once: one that nobody reads would stop where its pipe is full, and the other wait for what it makes.
    let read = |child: Child| std::thread::spawn(move || child.wait_with_output().unwrap());
    let [first, second] = [(), ()].map(|()| read(workplace.start(&["--jobs", "2"]))).map(|output| output.join().unwrap());
    assert!(first.status.success() && second.status.success(), "{first:?} {second:?}");
    assert_eq!(workplace.made(), each_once());
    let (text, together) = workplace.finish(&[]);
    assert!(text.contains("nothing was left to do"), "{text}");
    assert_eq!(together, Workplace::new(STUDY).finish(&["--jobs", "3", "--threads", "1"]).1);
}

#[test]
fn a_grown_study_runs_what_is_new_and_a_failed_cell_stops_no_other() {
    let small =
        STUDY.replace("[0.2, 0.4]", "[0.2]").replace("[{ use: smaller-cluster }, { use: relative-size }]", "[{ use: smaller-cluster }]");
    let workplace = Workplace::new(&small);
    assert!(workplace.finish(&[]).0.contains("10 cells, 10 of them new"));
    // A class of eight images has no tenth of an image to poison.
    workplace.write(&small.replace("seed: [0, 1]", "seed: [0, 1]\n  include: [{ attack.share: 0.4 }, { attack.share: 0.01, seed: 5 }]"));
    let Output { status, stdout, stderr } = workplace.start(&[]).wait_with_output().unwrap();
    let (text, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(1), "{text}{errors}");
    assert!(text.contains("12 cells, 2 of them new") && text.contains("failed: small-"), "{text}");
    assert!(errors.contains("1 of 12 cells failed"), "{errors}");
    let folder = workplace.folder.path().join(text.trim_end().lines().last().unwrap());
    let study: Value = serde_json::from_slice(&std::fs::read(folder.join("study.json")).unwrap()).unwrap();
    let failed: Vec<&Value> = study["cells"].as_array().unwrap().iter().filter(|cell| !cell["problem"].is_null()).collect();
    assert_eq!((failed.len(), failed[0]["settings"][0].as_str()), (1, Some("0.01")));
}

/// Two cells of which one's folder is gone: the page counts what the other one's stages cost.
#[test]
fn a_page_is_written_again_without_a_run() {
    let (start, _) = STUDY.split_once("matrix:").unwrap();
    let workplace = Workplace::new(&format!("{start}matrix:\n  seed: [0, 1]\n"));
    let (text, _) = workplace.finish(&[]);
    let folder = workplace.folder.path().join(text.trim_end().lines().last().unwrap());
    let write = || {
        let mut report = Command::new(env!("CARGO_BIN_EXE_bezoar"));
        let output = report.arg("report").arg(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(folder.join("report.html")).unwrap()
    };
    let times = |page: String| {
        let row = page.split("<tr>").find(|row| row.contains(">train<")).unwrap().to_owned();
        row.split("<td").nth(1).unwrap().split(['>', '<']).nth(1).unwrap().to_owned()
    };
    assert_eq!(times(write()), "2");
    let study: Value = serde_json::from_slice(&std::fs::read(folder.join("study.json")).unwrap()).unwrap();
    std::fs::remove_dir_all(folder.with_file_name(study["cells"][0]["run"].as_str().unwrap())).unwrap();
    assert_eq!(times(write()), "1");

    std::fs::remove_file(folder.join("report.html")).unwrap();
    let lock = File::open(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let mut report = Command::new(env!("CARGO_BIN_EXE_bezoar"));
    let mut child = report.arg("report").arg(&folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("another run works in"), "{said}");
    assert!(!folder.join("report.html").exists(), "the page is written by who holds the study");
    drop(lock);
    assert!(child.wait().unwrap().success() && folder.join("report.html").exists());
}

#[test]
fn an_axis_cannot_be_set_from_outside() {
    for (assignment, axis, help) in [
        ("seed=3", "seed", "--set 'matrix={ seed: [3] }'"),
        ("attack.share=0.1", "attack.share", "--set 'matrix={ attack.share: [0.1] }'"),
        ("detect.0.cluster.k=5", "detect.0.cluster", "change the values of `detect.0.cluster`"),
    ] {
        let output = Workplace::new(STUDY).start(&["--set", assignment]).wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(errors.contains(&format!("the matrix sets `{axis}` in every cell")) && errors.contains(help), "{errors}");
    }
}
