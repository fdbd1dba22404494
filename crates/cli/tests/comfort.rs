//! What spares the user work: a first pipeline, a plan, reports written again, runs side by side, and output for programs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PIPELINE: &str = "
version: 1
name: small
device: cpu
dataset: { use: signs, train: 8, validation: 0, test: 2 }
attack: { use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.3 }
model: { use: compact-cnn }
train: { epochs: 1, batch: 64 }
detect: [{ use: activation-clustering }]
report: [{ use: list }]
";

fn bezoar(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bezoar"));
    command.args(arguments).args(["--cache", "cache", "--runs", "runs"]).current_dir(folder).output().unwrap()
}

/// What a command says on stdout; it has to succeed.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = bezoar(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn last_line(text: &str) -> String {
    text.trim_end().lines().last().unwrap().to_owned()
}

#[test]
fn a_first_pipeline_is_whole_and_overwrites_nothing() {
    let workplace = tempfile::tempdir().unwrap();
    let folder = workplace.path();
    std::fs::create_dir(folder.join("My \"Images\"")).unwrap();
    said(folder, &["init", "mine.yaml", "--data", "My \"Images\"", "--attack", "none"]);
    said(folder, &["check", "mine.yaml"]);
    let text = std::fs::read_to_string(folder.join("mine.yaml")).unwrap();
    assert!(text.contains("name: my-images") && text.contains(r#"root: "My \"Images\"""#), "{text}");
    said(folder, &["init", "signs.yaml", "--data", "signs", "--attack", "none"]);
    let signs = std::fs::read_to_string(folder.join("signs.yaml")).unwrap();
    let (title, rest) = signs.split_once('\n').unwrap();
    let all: Vec<&str> = rest.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    assert!(title.starts_with("# What") && all.len() == rest.lines().count() && rest.contains("\n# "), "{signs}");
    std::fs::write(folder.join("all.yaml"), all.join("\n")).unwrap();
    let resolved = said(folder, &["check", "all.yaml", "--resolved"]);
    assert!(resolved.contains("share: 0.05") && resolved.contains("seed: 2"), "what is commented out does its work: {resolved}");
    let again = bezoar(folder, &["init", "mine.yaml", "--data", "signs"]);
    assert_eq!((again.status.code(), std::fs::read_to_string(folder.join("mine.yaml")).unwrap()), (Some(1), text));
    let refused = bezoar(folder, &["init", "other.yaml", "--data", "nowhere"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("neither a folder"));
    let refused = bezoar(folder, &["init", "other.yaml", "--data", "signs", "--attack", "bad net"]);
    assert!(!refused.status.success() && !folder.join("other.yaml").exists());
    let attack = "{ use: badnets, to: stop, share: 0.05 }";
    said(folder, &["init", "other.yaml", "--data", "signs", "--attack", attack, "--model", "resnet"]);
}

#[test]
fn a_first_pipeline_names_tables_as_the_data_set_wants_them() {
    let workplace = tempfile::tempdir().unwrap();
    let folder = workplace.path();
    std::fs::create_dir_all(folder.join("Tables/data")).unwrap();
    std::fs::write(folder.join("Tables/data/train-0.parquet"), "").unwrap();
    for (data, block) in [
        ("Tables/data/train-0.parquet", r#"{ use: parquet, root: "Tables/data", train: "train-0.parquet" }"#),
        ("Tables", r#"{ use: parquet, root: "Tables" }"#),
    ] {
        said(folder, &["init", "mine.yaml", "--data", data, "--attack", "none"]);
        let text = std::fs::read_to_string(folder.join("mine.yaml")).unwrap();
        assert!(text.contains(&format!("dataset: {block}\n")), "{text}");
        said(folder, &["check", "mine.yaml"]);
        std::fs::remove_file(folder.join("mine.yaml")).unwrap();
    }
}

/// `script` (util-linux) stands for somebody at a terminal.
#[test]
#[cfg(target_os = "linux")]
fn who_gives_no_flags_is_asked() {
    let workplace = tempfile::tempdir().unwrap();
    let terminal = Command::new("script")
        .args(["-qec", &format!("{} init asked.yaml", env!("CARGO_BIN_EXE_bezoar")), "/dev/null"])
        .current_dir(workplace.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut terminal) = terminal else {
        let _ = writeln!(std::io::stderr(), "skipped: there is no `script` to make a terminal with");
        return;
    };
    terminal.stdin.take().unwrap().write_all(b"signs\n{ use: badnets, to: stop, share: 0.05 }\n").unwrap();
    let output = terminal.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Where are the images"), "{output:?}");
    let text = std::fs::read_to_string(workplace.path().join("asked.yaml")).unwrap();
    assert!(text.contains("dataset: { use: signs }\nattack: { use: badnets, to: stop, share: 0.05 }"), "{text}");
}

#[test]
fn a_plan_tells_what_is_there_and_changes_nothing() {
    let workplace = tempfile::tempdir().unwrap();
    let folder = workplace.path();
    std::fs::write(folder.join("small.yaml"), PIPELINE).unwrap();
    let before = said(folder, &["plan", "small.yaml"]);
    assert!(before.contains("no finished run with the same net on this machine tells how long"), "{before}");
    assert!(!folder.join("runs").exists());
    let run = last_line(&said(folder, &["eval", "small.yaml", "--quiet"]));
    assert!(said(folder, &["plan", "small.yaml"]).contains("1 of 1 run finished: nothing is left to do"));
    let other = said(folder, &["plan", "small.yaml", "--set", "detect.0.cluster.k=3"]);
    let stage =
        |name: &str| other.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(stage("train")[1..3], ["1", "0"], "{other}");
    assert_eq!(stage("detect")[2..4], ["0", "1"], "{other}");
    assert!(other.contains("by the rates of finished runs"), "{other}");
    let attacked = said(folder, &["plan", "small.yaml", "--set", "attack.share=0.2"]);
    let of_attacked = |name: &str| attacked.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(of_attacked("train").contains(" about ") && of_attacked("predict").contains(" unknown "), "{attacked}");
    let renamed = said(folder, &["plan", "small.yaml", "--json-lines", "--set", "name=renamed"]);
    let renamed: Value = serde_json::from_str(renamed.lines().last().unwrap()).unwrap();
    assert_eq!((&renamed["cells"][0]["finished"], &renamed["cells"][0]["to_make"]), (&false.into(), &0.into()), "{renamed}");
    let lines = said(folder, &["plan", "small.yaml", "--json-lines", "--set", "matrix={ detect.0.cluster.k: [2, 3] }"]);
    let plan: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(plan["axes"], serde_json::json!(["detect.0.cluster.k"]));
    assert_eq!(plan["cells"][1]["settings"], serde_json::json!(["3"]));
    assert!(plan["stages"].as_array().unwrap().iter().any(|stage| stage["stage"] == "train" && stage["cached"] == 1), "{plan}");
    let timings: Value = serde_json::from_slice(&std::fs::read(folder.join(&run).join("timings.json")).unwrap()).unwrap();
    let key = |stage: &str| &timings["stages"].as_array().unwrap().iter().find(|one| one["stage"] == stage).unwrap()["key"];
    assert!(folder.join("cache/train").join(key("train").as_str().unwrap()).is_dir() && key("report").is_null(), "{timings}");

    let list = folder.join(&run).join("images.csv");
    let listed = std::fs::read(&list).unwrap();
    std::fs::remove_file(&list).unwrap();
    assert!(said(folder, &["eval", "small.yaml", "-q"]).contains("finished before: nothing was left to do"));
    assert!(!list.exists());
    assert_eq!(said(folder, &["report", &run, "-q"]).trim(), run);
    assert_eq!(std::fs::read(&list).unwrap(), listed);
    let moved = folder.join("runs/moved");
    std::fs::rename(folder.join(&run), &moved).unwrap();
    std::fs::remove_file(moved.join("images.csv")).unwrap();
    assert_eq!(said(folder, &["report", "runs/moved", "-q"]).trim(), "runs/moved");
    assert_eq!(std::fs::read(moved.join("images.csv")).unwrap(), listed);
    assert!(!folder.join(&run).exists(), "the report of a run under another name goes into no other folder");
    std::fs::rename(&moved, folder.join(&run)).unwrap();

    let second = last_line(&said(folder, &["eval", "small.yaml", "-q", "--set", "detect.0.cluster.k=3"]));
    let table = said(folder, &["compare", &run, &second]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains(run.trim_start_matches("runs/")) && lines[1].starts_with("Clean accuracy"), "{table}");
    let refused = |arguments: &[&str]| {
        let output = bezoar(folder, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::create_dir(folder.join("runs/study")).unwrap();
    std::fs::write(folder.join("runs/study/study.yaml"), "").unwrap();
    std::fs::create_dir(folder.join("runs/begun")).unwrap();
    std::fs::copy(folder.join(&run).join("resolved.yaml"), folder.join("runs/begun/resolved.yaml")).unwrap();
    for (place, what) in [
        ("cache", "cache is no run's folder"),
        ("nowhere", "nowhere is no run's folder"),
        ("runs/study", "runs/study is a study's folder, no run's"),
        ("runs/begun", "runs/begun is the folder of a run that is not finished"),
    ] {
        let said = refused(&["compare", &run, place]);
        assert!(said.contains(what) && said.contains("`bezoar runs` lists the runs"), "{said}");
    }
    let said = refused(&["report", "cache"]);
    assert!(said.contains("cache is no run's folder") && said.contains("`bezoar runs`"), "{said}");
}

#[test]
fn a_plan_reckons_with_the_rate_of_each_block() {
    let workplace = tempfile::tempdir().unwrap();
    let folder = workplace.path();
    let second = "{ use: activation-clustering, cluster: { use: k-means, k: 3 } }";
    std::fs::write(folder.join("small.yaml"), PIPELINE.replace("detect: [", &format!("detect: [{second}, "))).unwrap();
    let timings = folder.join(last_line(&said(folder, &["eval", "small.yaml", "-q"]))).join("timings.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&timings).unwrap()).unwrap();
    for stage in kept["stages"].as_array_mut().unwrap() {
        let seconds = match stage["stage"].as_str().unwrap() {
            "detect activation-clustering" => 10.0,
            name if name.starts_with("detect activation-clustering (") => 1000.0,
            "evaluate" => 5.0,
            "train" => 2.0,
            _ => continue,
        };
        stage["seconds"] = seconds.into();
    }
    std::fs::write(&timings, kept.to_string()).unwrap();
    std::fs::remove_dir_all(folder.join("cache")).unwrap();
    let seconds = |stage: &str, change: &str| {
        let mut arguments = vec!["plan", "small.yaml", "--json-lines", "--set", "name=other"];
        arguments.extend(change.split(" and ").flat_map(|change| ["--set", change]));
        let text = said(folder, &arguments);
        let plan: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let stages = plan["stages"].as_array().unwrap();
        stages.iter().find(|one| one["stage"] == stage).unwrap()["seconds"].as_f64().map(f64::round)
    };
    assert_eq!(seconds("detect activation-clustering", "seed=0"), Some(1010.0));
    // The first of the two has the plain name, and each its own rate.
    assert_eq!(seconds("detect activation-clustering", &format!("detect=[{second}]")), Some(10.0));
    assert_eq!(seconds("detect activation-clustering", "detect=[activation-clustering]"), Some(1000.0));
    assert_eq!(seconds("evaluate", "seed=0"), Some(5.0));
    assert_eq!(seconds("train", "seed=1 and train.epochs=50"), Some(100.0));
    assert_eq!(seconds("evaluate", "train.epochs=50"), None, "a metric may train nets");
    assert_eq!(seconds("train", "dataset.train=9"), None, "nobody knows how many images there are");
    assert_eq!(seconds("evaluate", "evaluate=[remediation]"), None, "what other metrics took says nothing");
    kept["machine"] = "another".into();
    std::fs::write(&timings, kept.to_string()).unwrap();
    assert_eq!(seconds("train", "seed=0"), None, "other machines are faster or slower");
}

#[test]
fn programs_read_lines_of_json() {
    let workplace = tempfile::tempdir().unwrap();
    let folder = workplace.path();
    std::fs::write(folder.join("small.yaml"), PIPELINE).unwrap();
    let text = said(folder, &["eval", "small.yaml", "--json-lines"]);
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    assert_eq!(of("begin").len(), of("end").len());
    assert!(of("begin").iter().any(|event| event["task"] == "training") && !of("note").is_empty());
    assert!(of("end").iter().any(|event| event["task"] == "training" && event["left"] == 0.0), "{text}");
    let [result] = of("result")[..] else { panic!("{text}") };
    assert!(folder.join(result["folder"].as_str().unwrap()).join("metrics.json").is_file());
    assert!(result["measurements"].as_array().unwrap().iter().any(|one| one["metric"] == "accuracy"));
    let failed = bezoar(folder, &["eval", "missing.yaml", "--json-lines"]);
    let error: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((failed.status.code(), error["event"].as_str()), (Some(2), Some("error")));
}
