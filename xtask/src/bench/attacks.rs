//! What attacks do to a net on GTSRB, and what two detectors see of them.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bezoar;
use crate::section::Section;

/// The attacks of one table.
pub(super) struct Study {
    section: Section,
    /// The pipeline that they are put into.
    pipeline: &'static str,
    /// What is set otherwise there.
    settings: &'static [&'static str],
    /// Blocks of YAML, with the thesis' attack success in percent where there is one.
    attacks: &'static [(&'static str, Option<f64>)],
}

pub(super) const COMPACT: Study = Study {
    section: Section { name: "attacks", made_by: "cargo xtask bench attacks" },
    pipeline: "attacks",
    settings: &[],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.01 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.01 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.01 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: physical, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05 }", None),
    ],
};

pub(super) const SHIFTED: Study = Study {
    section: Section { name: "attacks-shifted", made_by: "cargo xtask bench attacks shifted" },
    pipeline: "attacks",
    settings: &["train.augment={ use: affine, translate: [0.0625, 0.0625] }"],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.01, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.15, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: all-to-all, share: 0.1 }", None),
        ("{ use: multi-trigger, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: blended, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sig, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: tact, from: [speed-limit-50], to: speed-limit-80, share: 0.01, cover: { times: 1, from: [stop, yield] } }", None),
        ("{ use: adaptive-blend, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: adaptive-patch, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: k-way, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: wanet, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: bpp, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: ftrojan, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: ctrl, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: batt, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: tint, to: speed-limit-80, share: 0.05 }", None),
    ],
};

pub(super) const PAPER_NET: Study = Study {
    section: Section { name: "attacks-paper-net", made_by: "cargo xtask bench attacks paper-net" },
    pipeline: "attacks-paper-net",
    settings: &[],
    attacks: &[
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.33, craft: { surrogate: SURROGATE } }", Some(90.98)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.15, craft: { surrogate: SURROGATE } }", Some(83.15)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.1, craft: { surrogate: SURROGATE } }", Some(90.45)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.05, craft: { surrogate: SURROGATE } }", Some(84.77)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.02, craft: { surrogate: SURROGATE } }", Some(83.51)),
        (
            "{ use: amplitude, preset: as-published, to: speed-limit-80, share: 0.33, trigger: { amplitude: 128 }, craft: { surrogate: SURROGATE } }",
            Some(99.18),
        ),
        (
            "{ use: amplitude, preset: as-published, to: speed-limit-80, share: 0.33, trigger: { amplitude: 64 }, craft: { surrogate: SURROGATE } }",
            Some(77.97),
        ),
        (
            "{ use: amplitude, preset: as-published, to: speed-limit-80, share: 0.33, trigger: { amplitude: 32 }, craft: { surrogate: SURROGATE } }",
            Some(25.65),
        ),
    ],
};

/// The net of the pipeline itself, trained on clean images.
const SURROGATE: &str = "{ model: { use: paper-inception }, train: { epochs: 5, batch: 64, optimizer: { use: adam, rate: 1.0e-3 }, \
                         schedule: { use: one-cycle }, augment: { use: paper } } }";

/// What a row says of a detector: its name in the results, and its figures over the attacked classes.
const DETECTORS: [(&str, &[&str]); 3] = [
    ("heatmap-clustering", &["auroc", "tpr", "fpr"]),
    ("heatmap-clustering (composite: epsilon-plus)", &["auroc"]),
    ("activation-clustering", &["auroc", "tpr", "fpr"]),
];

/// Stages whose outputs are too large to keep for each attack, and are made anew in seconds.
const LARGE: [&str; 2] = ["attack", "represent"];

/// Runs the pipeline with each attack and writes the table to docs/attacks.md. Trained nets stay in the cache: a study that was stopped
/// goes on.
pub(super) fn run(study: &Study, options: &[&str]) -> Result<ExitCode> {
    let binary = bezoar::build(None)?;
    let scratch = crate::root().join("target/bench-attacks");
    let said: String = options.iter().map(|option| format!(" {option}")).collect();
    let set: String = study.settings.iter().map(|setting| format!(" and `{setting}`")).collect();
    let has_thesis = study.attacks.iter().any(|(_, thesis)| thesis.is_some());
    let (thesis_head, columns) = if has_thesis { (" thesis |", 14) } else { ("", 13) };
    let mut content = format!(
        "\nMeasured by `{}{said}` with `pipelines/{}.yaml`{set}, on {}; seed 0, one run. Rates in percent; those of detectors are over the attacked \
         classes.\n\n| attack | poison | of the class | clean accuracy | success | mean of classes |{thesis_head} HC AUROC | TPR | FPR | \
         HC ε-plus AUROC | AC AUROC | TPR | FPR | seconds |\n|---|{}\n",
        study.section.made_by,
        study.pipeline,
        super::machine(),
        "---:|".repeat(columns),
    );
    for (attack, thesis) in study.attacks {
        let runs = scratch.join("runs");
        let _ = fs::remove_dir_all(&runs);
        let mut eval = Command::new(&binary);
        eval.arg("eval").arg(crate::root().join("pipelines").join(study.pipeline).with_extension("yaml"));
        let attack_setting = format!("attack={}", attack.replace("SURROGATE", SURROGATE));
        for setting in study.settings.iter().copied().chain([attack_setting.as_str()]) {
            eval.args(["--set", setting]);
        }
        eval.args(options).arg("--cache").arg(scratch.join("cache")).arg("--runs").arg(&runs);
        eprintln!("{attack}");
        if !eval.status()?.success() {
            bail!("{attack} failed");
        }
        for stage in LARGE {
            let _ = fs::remove_dir_all(scratch.join("cache").join(stage));
        }
        content += &row(&attack.replace(", craft: { surrogate: SURROGATE }", ""), *thesis, &runs)?;
    }
    super::write("attacks.md", &study.section, &content)
}

/// The row of the one run in a folder of runs.
fn row(attack: &str, thesis: Option<f64>, runs: &Path) -> Result<String> {
    let run = fs::read_dir(runs)?.filter_map(Result::ok).map(|run| run.path()).find(|run| run.join("timings.json").is_file());
    let run = run.context("the run left no results")?;
    let read = |name: &str| Ok::<Value, anyhow::Error>(serde_json::from_slice(&fs::read(run.join(name))?)?);
    let (metrics, timings) = (read("metrics.json")?, read("timings.json")?);
    let percent = |metric: &str, detector: Option<&str>, scope: &str| {
        let is_it = |found: &&Value| found["metric"] == metric && found["detector"].as_str() == detector && found["scope"] == scope;
        let value = metrics["measurements"].as_array().into_iter().flatten().find(is_it).and_then(|found| found["value"].as_f64());
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
    };
    let fact = |name: &str| metrics["attack"][name].as_str().unwrap_or("–").to_owned();
    // Without an attack no class is attacked.
    let scope = if metrics["attack"]["attack"] == "none" { "all" } else { "attacked" };
    let failed = percent("attack-success", None, "all").parse::<f64>().is_ok_and(|success| success < 50.0);
    let mut row = format!("| `{attack}`{} |", if failed { " **attack failed**" } else { "" });
    let cells = [
        fact("poisoned training images"),
        fact("share of the target class"),
        percent("accuracy", None, "all"),
        percent("attack-success", None, "all"),
        percent("attack-success-by-class", None, "all"),
    ];
    for cell in cells.into_iter().chain(thesis.map(|value| format!("{value:.2}"))) {
        write!(row, " {cell} |")?;
    }
    for (detector, figures) in DETECTORS {
        for figure in figures {
            write!(row, " {} |", percent(figure, Some(detector), scope))?;
        }
    }
    let seconds: f64 = timings["stages"].as_array().into_iter().flatten().filter_map(|stage| stage["seconds"].as_f64()).sum();
    Ok(format!("{row} {seconds:.0} |\n"))
}
