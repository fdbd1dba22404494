//! One pipeline run with one attack after the other, as a table in the documentation.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bezoar;
use crate::section::Section;

/// The attacks of one table.
pub(super) struct Study {
    pub(super) section: Section,
    /// The page of docs that has the section.
    pub(super) page: &'static str,
    /// The pipeline that they are put into.
    pub(super) pipeline: &'static str,
    /// What is set otherwise there.
    pub(super) settings: &'static [&'static str],
    /// What stands for longer blocks in the attacks.
    pub(super) names: &'static [(&'static str, &'static str)],
    /// Blocks of YAML, with the thesis' attack success in percent where there is one.
    pub(super) attacks: &'static [(&'static str, Option<f64>)],
    /// What a row says of a run.
    pub(super) columns: &'static [Column],
}

/// A column of the table.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) figure: Figure,
}

/// Where a figure comes from.
pub(super) enum Figure {
    /// A fact of the attack.
    Fact(&'static str),
    /// A measurement of the net, in percent.
    Net(&'static str),
    /// A measurement of a detector over the attacked classes, in percent; over all where none is attacked.
    Attacked(&'static str, &'static str),
    /// A measurement of a detector over the whole set, in percent.
    Whole(&'static str, &'static str),
    /// AUROC, TPR and TNR of the detector at a place of the pipeline's list, over the attacked classes.
    Rates(usize),
    /// The classes whose p-values a detector finds below 0.05.
    Significant(&'static str),
    /// The attack success in the thesis.
    Thesis,
    /// What all stages took.
    Seconds,
}

/// Stages whose outputs are too large to keep for each attack, and are made anew in seconds.
const LARGE: [&str; 2] = ["attack", "represent"];

pub(super) const USAGE: &str = "[--only WORD] [--set PATH=VALUE..]";

/// Runs the pipeline with each attack and writes its row. Trained nets stay in the cache: a study that was stopped goes on. With `--only
/// WORD`, the attacks that have the word are run, and the other rows stay as they are.
pub(super) fn run(study: &Study, options: &[&str]) -> Result<ExitCode> {
    let (only, options) = match options {
        ["--only", word, rest @ ..] => (Some(*word), rest),
        _ => (None, options),
    };
    let binary = bezoar::build(None)?;
    let page = crate::root().join("docs").join(study.page);
    let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let mut table = Table::new(study, options);
    if only.is_some() {
        table.keep(study, study.section.content(&text)?);
    }
    for (place, (attack, thesis)) in study.attacks.iter().enumerate() {
        if only.is_none_or(|word| attack.contains(word)) {
            eprintln!("{attack}");
            let row = study.measure(&binary, attack, options)?;
            table.rows[place] = Some(study.row(attack, &row, *thesis));
            super::write(study.page, &study.section, &table.to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The rows that are measured, in the study's order.
pub(super) struct Table {
    pub(super) head: String,
    pub(super) rows: Vec<Option<String>>,
}

impl Table {
    fn new(study: &Study, options: &[&str]) -> Self {
        Self { head: study.head(options), rows: vec![None; study.attacks.len()] }
    }

    /// Takes over what a page says already.
    fn keep(&mut self, study: &Study, old: &str) {
        let head: String = old.lines().take_while(|line| !line.starts_with("| `")).flat_map(|line| [line, "\n"]).collect();
        if !head.is_empty() {
            self.head = head;
        }
        self.rows = study.kept(old);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}{}", self.head, self.rows.iter().flatten().map(String::as_str).collect::<String>())
    }
}

impl Study {
    /// What the pipeline found with an attack.
    pub(super) fn measure(&self, binary: &Path, attack: &str, options: &[&str]) -> Result<Run> {
        let scratch = crate::root().join("target/bench-attacks");
        let runs = scratch.join(format!("runs-{}", self.section.name));
        let _ = fs::remove_dir_all(&runs);
        let whole = self.names.iter().fold(attack.to_owned(), |attack, (name, block)| attack.replace(name, block));
        let mut eval = Command::new(binary);
        eval.arg("eval").arg(crate::root().join("pipelines").join(self.pipeline).with_extension("yaml"));
        let attack_setting = format!("attack={whole}");
        for setting in self.settings.iter().copied().chain([attack_setting.as_str()]) {
            eval.args(["--set", setting]);
        }
        eval.args(options).arg("--cache").arg(scratch.join("cache")).arg("--runs").arg(&runs);
        if !eval.status()?.success() {
            bail!("{attack} failed");
        }
        for stage in LARGE {
            let _ = fs::remove_dir_all(scratch.join("cache").join(stage));
        }
        Run::only(&runs)
    }

    /// The rows of attacks that a page has already.
    pub(super) fn kept(&self, old: &str) -> Vec<Option<String>> {
        let row = |attack: &str| {
            let start = format!("| `{}`", self.short(attack));
            old.lines().find(|line| line.starts_with(&start)).map(|line| format!("{line}\n"))
        };
        self.attacks.iter().map(|(attack, _)| row(attack)).collect()
    }

    fn row(&self, attack: &str, run: &Run, thesis: Option<f64>) -> String {
        let failed = run.percent("attack-success", None, "all").parse::<f64>().is_ok_and(|success| success < 50.0);
        let figures: String = self.shown().map(|column| format!(" {} |", run.figure(&column.figure, thesis))).collect();
        format!("| `{}`{} |{figures}\n", self.short(attack), if failed { " **attack failed**" } else { "" })
    }

    /// How the table was made, and its first lines.
    fn head(&self, options: &[&str]) -> String {
        let said: String = options.iter().map(|option| format!(" {option}")).collect();
        let set: String = self.settings.iter().map(|setting| format!(" and `{setting}`")).collect();
        let heads: String = self.shown().map(|column| format!(" {} |", column.head)).collect();
        format!(
            "\nMeasured by `{}{said}` with `pipelines/{}.yaml`{set}, on {}; one run a row. Rates in percent.\n\n| attack |{heads}\n|---|{}\n",
            self.section.made_by,
            self.pipeline,
            super::machine(),
            "---:|".repeat(self.shown().count()),
        )
    }

    /// Its columns but for those that no row fills.
    fn shown(&self) -> impl Iterator<Item = &Column> {
        let fills = |column: &&Column| !matches!(column.figure, Figure::Thesis) || self.attacks.iter().any(|(_, thesis)| thesis.is_some());
        self.columns.iter().filter(fills)
    }

    /// The attack without what every row says alike.
    fn short(&self, attack: &str) -> String {
        self.names.iter().fold(attack.to_owned(), |attack, (name, _)| attack.replace(&format!(", craft: {{ surrogate: {name} }}"), ""))
    }
}

/// What a run found.
pub(super) struct Run {
    metrics: Value,
    timings: Value,
}

impl Run {
    /// The one run in a folder of runs.
    fn only(runs: &Path) -> Result<Self> {
        let run = fs::read_dir(runs)?.filter_map(Result::ok).map(|run| run.path()).find(|run| run.join("timings.json").is_file());
        let run = run.context("the run left no results")?;
        let read = |name: &str| Ok::<Value, anyhow::Error>(serde_json::from_slice(&fs::read(run.join(name))?)?);
        Ok(Self { metrics: read("metrics.json")?, timings: read("timings.json")? })
    }

    fn figure(&self, figure: &Figure, thesis: Option<f64>) -> String {
        // Without an attack no class is attacked.
        let attacked = if self.metrics["attack"]["attack"] == "none" { "all" } else { "attacked" };
        match *figure {
            Figure::Fact(name) => self.metrics["attack"][name].as_str().unwrap_or("–").to_owned(),
            Figure::Net(metric) => self.percent(metric, None, "all"),
            Figure::Attacked(detector, metric) => self.percent(metric, Some(detector), attacked),
            Figure::Whole(detector, metric) => self.percent(metric, Some(detector), "all"),
            Figure::Rates(place) => {
                let detector = list(&self.metrics["detectors"]).get(place).and_then(|found| found["detector"].as_str());
                let rate = |metric| self.percent(metric, detector, attacked).trim_end_matches('0').trim_end_matches('.').to_owned();
                format!("{} · {} / {}", rate("auroc"), rate("tpr"), rate("tnr"))
            }
            Figure::Significant(detector) => {
                let classes = self.significant(detector);
                match classes.len() {
                    0 => "none".to_owned(),
                    1..=3 => classes.join(", "),
                    many => format!("{many} classes"),
                }
            }
            Figure::Thesis => thesis.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}")),
            Figure::Seconds => {
                let seconds = list(&self.timings["stages"]).iter().filter_map(|stage| stage["seconds"].as_f64()).sum::<f64>();
                format!("{seconds:.0}")
            }
        }
    }

    /// A measurement in percent with two digits, or a dash where it is not there.
    pub(super) fn percent(&self, metric: &str, detector: Option<&str>, scope: &str) -> String {
        let is_it = |found: &&Value| found["metric"] == metric && found["detector"].as_str() == detector && found["scope"] == scope;
        let value = list(&self.metrics["measurements"]).iter().find(is_it).and_then(|found| found["value"].as_f64());
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
    }

    /// The classes whose p-values a detector finds below 0.05.
    pub(super) fn significant(&self, detector: &str) -> Vec<String> {
        let found = list(&self.metrics["detectors"]).iter().find(|found| found["detector"] == detector);
        let classes = found.map_or(&[][..], |found| list(&found["classes"]));
        let below = classes.iter().filter(|class| class["p_value"].as_f64().is_some_and(|p_value| p_value < 0.05));
        below.filter_map(|class| Some(self.metrics["classes"][class["class"].as_u64()? as usize].as_str()?.to_owned())).collect()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
