//! Whole runs of the program on a small rendered data set: killed in every stage, and on one thread or two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

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

    /// A run of another pipeline, and what it says on stdout.
    fn evaluate(&self, pipeline: &str, options: &[&str]) -> (PathBuf, String) {
        std::fs::write(self.path("small.yaml"), pipeline).unwrap();
        let output = self.command().args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        (self.path(text.trim_end().lines().last().unwrap()), text)
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

/// Images of one's own, which nobody has poisoned on purpose, and detectors of one plugin.
const OWN: &str = "
version: 1
name: own
device: cpu
dataset: { use: image-folder, root: images }
model: { use: compact-cnn }
train: { epochs: 1, batch: 16 }
detect:
  - use: heatmap-clustering
  - { use: heatmap-clustering, represent: { use: lrp, composite: epsilon-plus } }
  - { use: heatmap-clustering, represent: { use: lrp, composite: epsilon-plus }, cluster: { use: dbscan } }
";

#[test]
fn without_an_attack_only_what_is_known_is_said() {
    let workplace = Workplace::new();
    for class in ["cat", "dog"] {
        let folder = workplace.path("images").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..20 {
            let pixels = (0..32 * 32 * 3).map(|at| (at * 7 + image * 31 + class.as_bytes()[0] as usize) as u8);
            std::fs::write(folder.join(format!("{image}.ppm")), [b"P6 32 32 255\n".to_vec(), pixels.collect()].concat()).unwrap();
        }
    }
    std::fs::copy(workplace.path("images/cat/0.ppm"), workplace.path("images/stray.ppm")).unwrap();
    let (run, text) = workplace.evaluate(OWN, &[]);
    let json = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(run.join(name)).unwrap()).unwrap() };
    let metrics = json("metrics.json");
    let names = |values: &Value, key: &str| -> BTreeSet<String> {
        values.as_array().unwrap().iter().filter_map(|value| value[key].as_str().map(str::to_owned)).collect()
    };
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(names(&metrics["measurements"], "metric"), set(&["accuracy", "samples", "scanned", "flagged", "flagged-share"]));
    let detectors =
        ["", " (composite: epsilon-plus)", " (composite: epsilon-plus, cluster: dbscan)"].map(|end| format!("heatmap-clustering{end}"));
    assert_eq!(names(&metrics["measurements"], "detector"), BTreeSet::from(detectors.clone()));
    assert_eq!(metrics["images"], json!({ "train": 28, "validation": 4, "test": 8 }));
    assert_eq!(metrics["skipped"][0]["path"], "images/stray.ppm");
    let stages: Vec<String> =
        json("timings.json")["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stages.iter().filter(|stage| stage.starts_with("represent lrp")).count(), 2, "{stages:?}");
    assert_eq!(stages.iter().filter(|stage| stage.starts_with("detect ")).count(), 3, "{stages:?}");
    let balance = json("balance.json");
    assert_eq!(balance.as_object().unwrap().len(), 2, "{balance}");
    for layer in balance.as_object().unwrap().values().flat_map(|layers| layers.as_array().unwrap()) {
        let [arrived, rest @ ..] =
            ["arrived", "handed-on", "bias", "epsilon", "lost"].map(|part| layer[part].as_f64().expect("a finite number"));
        let accounted: f64 = rest.iter().sum();
        assert!((arrived - accounted).abs() <= 1e-3 * arrived.abs().max(1.0), "{layer}");
    }
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    for said in [&text, &page] {
        assert!(said.contains("28 of 40 images are trained on and scanned; held out are 4 for validation and 8 for tests"));
        assert!(said.contains("no truth to compare with") && !said.contains("TPR") && !said.contains("Poison"));
        assert!(detectors.iter().all(|name| said.contains(name.as_str())));
    }
    let (_, text) = workplace.evaluate(OWN, &["--set", "dataset.validation-share=0", "--set", "dataset.test-share=0"]);
    assert!(text.contains("Clean accuracy          –") && text.contains("all 40 images are trained on"), "{text}");
}

#[test]
fn nets_that_are_given_are_taken_as_they_are() {
    let workplace = Workplace::new();
    workplace.evaluate(PIPELINE, &[]);
    let trained = |workplace: &Workplace| folders(&workplace.path("cache/train"));
    let first = trained(&workplace);
    let [net] = first.as_slice() else { panic!("{first:?}") };
    let exported = Command::new(env!("CARGO_BIN_EXE_bezoar"))
        .args(["model", "export"])
        .arg(net.join("network.safetensors"))
        .args(["--output", "net.onnx"])
        .current_dir(workplace.folder.path())
        .status();
    assert!(exported.unwrap().success());
    std::fs::copy(net.join("network.safetensors"), workplace.path("net.safetensors")).unwrap();
    let accuracy = |text: &str| text.lines().find(|line| line.starts_with("Clean accuracy")).map(str::to_owned);
    let (_, own) = workplace.evaluate(PIPELINE, &[]);
    for model in ["{ use: onnx, file: net.onnx }", "{ use: pretrained, architecture: { use: compact-cnn }, weights: net.safetensors }"] {
        let given = PIPELINE.replace("{ use: compact-cnn }\n", &format!("{model}\n"));
        let (_, text) = workplace.evaluate(&given, &["--set", "train.epochs=0"]);
        assert!(accuracy(&text).is_some() && accuracy(&text) == accuracy(&own), "{text} instead of {own}");
    }
    let refused = |pipeline: &str, options: &[&str]| {
        std::fs::write(workplace.path("small.yaml"), pipeline).unwrap();
        let output = workplace.command().args(options).stderr(Stdio::piped()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(PIPELINE, &["--set", "train.epochs=0"]).contains("a fresh net must be trained"));
    let given = PIPELINE.replace("{ use: compact-cnn }\n", "{ use: onnx, file: net.onnx }\n");
    let cleansed = refused(&format!("{given}evaluate: [{{ use: remediation }}]\n"), &["--set", "train.epochs=0"]);
    assert!(cleansed.contains("would have to be trained again") && cleansed.contains("small.yaml:13:12"), "{cleansed}");
    let other = refused(&given, &["--set", "dataset.size=48"]);
    assert!(other.contains("the net takes images [3, 32, 32]"), "{other}");
}

#[test]
fn a_changed_surrogate_is_another_run() {
    let workplace = Workplace::new();
    let craft = "craft: { surrogate: { model: { use: pretrained, architecture: { use: compact-cnn }, weights: net.safetensors }, train: { epochs: 0 } } }";
    let attack = format!("{{ use: label-consistent, to: speed-limit-80, share: 0.3, {craft} }}");
    let given = PIPELINE.replace("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.3 }", &attack);
    let with_net = |seed: &str| {
        let before = folders(&workplace.path("cache/train"));
        workplace.evaluate(PIPELINE, &["--set", seed]);
        let trained = folders(&workplace.path("cache/train")).into_iter().find(|net| !before.contains(net)).unwrap();
        std::fs::copy(trained.join("network.safetensors"), workplace.path("net.safetensors")).unwrap();
        workplace.evaluate(&given, &[]).1
    };
    assert!(!with_net("seed=3").contains("finished before"));
    assert!(workplace.evaluate(&given, &[]).1.contains("finished before"));
    assert!(!with_net("seed=4").contains("finished before"), "what is in the surrogate's file counts");
}

#[test]
fn remediation_and_localisation_are_measured_in_a_run() {
    const ALL: &str = "
version: 1
name: cured
device: cpu
dataset: { use: signs, classes: [speed-limit-50, speed-limit-80, stop], train: 120, validation: 0, test: 20 }
attack: { use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.3 }
model: { use: compact-cnn }
train: { epochs: 8, batch: 32, optimizer: { use: adam, rate: 3.0e-3 }, schedule: { use: one-cycle }, augment: { use: none } }
detect: [{ use: heatmap-clustering }]
evaluate: [{ use: attack-success }, { use: remediation }, { use: localisation }]
report: []
";
    let workplace = Workplace::new();
    let (run, text) = workplace.evaluate(ALL, &[]);
    let metrics: Value = serde_json::from_slice(&std::fs::read(run.join("metrics.json")).unwrap()).unwrap();
    let figures: Vec<&Value> = metrics["measurements"].as_array().unwrap().iter().collect();
    let figure = |metric: &str| {
        let of_set = |one: &&&Value| one["metric"] == metric && (one["scope"] == "all" || one["scope"] == "attacked");
        figures.iter().find(of_set).and_then(|one| one["value"].as_f64()).unwrap_or_else(|| panic!("no {metric}: {text}"))
    };
    let (before, perfect) = (figure("attack-success"), figure("attack-success-after-perfect"));
    assert!(before >= perfect + 0.3, "the backdoor is gone without its poison: {before} before, {perfect} after: {text}");
    assert!(figure("attack-success-after-random") > perfect, "as many images at random leave it: {text}");
    for metric in ["accuracy-after", "accuracy-after-random", "accuracy-after-perfect", "attack-success-after", "mask-rank", "mask-hit"] {
        assert!((0.0..=1.0).contains(&figure(metric)), "{metric}: {text}");
    }
    assert!(figure("mask-mass") > 9.0 / (32.0 * 32.0), "relevance lies on the sticker rather than anywhere: {text}");
    for lost in ["accuracy-lost", "accuracy-lost-random", "accuracy-lost-perfect"] {
        assert_eq!(figures.iter().filter(|one| one["metric"] == lost).count(), 4, "of each class, and the most: {lost}");
    }
}

#[test]
fn runs_are_listed_by_time() {
    let workplace = Workplace::new();
    for (name, hours) in [("middle", 20), ("old", 72), ("young", 0)] {
        let folder = workplace.path("runs").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::File::create(folder.join("resolved.yaml")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_bezoar")).args(["runs", "--runs", "runs"]).current_dir(workplace.folder.path()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [("old", "3 days ago"), ("middle", "20 h ago"), ("young", "just now")];
    assert_eq!(lines, expected.map(|(name, age)| [name, "not", "finished"].into_iter().chain(age.split(' ')).collect::<Vec<_>>()));
}

#[test]
fn threads_change_no_byte() {
    let results = ["1", "2"].map(|threads| Workplace::new().finish(&["--threads", threads]));
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_surrogate_is_a_stage_that_clean_runs_share() {
    let workplace = Workplace::new();
    let attack = "attack={ use: label-consistent, to: speed-limit-80, share: 0.5, craft: { ascent: { steps: 3 }, surrogate: { train: \
                  { epochs: 2, batch: 32, optimizer: { use: adam }, schedule: { use: constant } } } } }";
    let (run, text) = workplace.evaluate(PIPELINE, &["--set", attack]);
    let read = |run: &Path, file: &str| serde_json::from_slice::<Value>(&std::fs::read(run.join(file)).unwrap()).unwrap();
    let stages = |run: &Path| {
        let timings = read(run, "timings.json");
        let stages = timings["stages"].as_array().unwrap().iter();
        stages.map(|stage| (stage["stage"].as_str().unwrap().to_owned(), stage["reused"] == true)).collect::<BTreeMap<_, _>>()
    };
    assert!(stages(&run).contains_key("surrogate") && text.contains("… mean of classes"), "{text}");
    assert_eq!(read(&run, "metrics.json")["attack"]["share of the target class"], "50.00 %");
    let (run, text) = workplace.evaluate(PIPELINE, &["--set", "attack=none"]);
    assert_eq!(stages(&run).get("train"), Some(&true), "the surrogate is the clean net");
    let metrics = read(&run, "metrics.json");
    let find = |metric: &str| {
        let is_it = |found: &&Value| found["metric"] == metric && found["scope"] == "all";
        metrics["measurements"].as_array().unwrap().iter().find(is_it).unwrap()["value"].clone()
    };
    assert!(find("fpr").as_f64().unwrap() > 0.0 && find("tpr").is_null(), "only false alarms can be measured");
    assert!(find("attack-success").is_null() && !text.contains("attack failed"), "{text}");
    assert!(std::fs::read_to_string(run.join("report.html")).unwrap().contains("Nothing was poisoned"));
}
