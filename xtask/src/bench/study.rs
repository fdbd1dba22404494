//! One pipeline run with one attack after the other, as a table in the documentation.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::options::Options;
use crate::bezoar;
use crate::outcome::{self, Run, WORKS};
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

pub(super) const USAGE: &str = "[--only WORD] [--set PATH=VALUE..]";

/// Runs the pipeline with each attack and writes its row. Trained nets stay in the cache: a study that was stopped goes on. With `--only
/// WORD`, the attacks that have the word are run, and the other rows stay as they are.
pub(super) fn run(study: &Study, options: &[&str]) -> Result<ExitCode> {
    let mut options = Options::of(options, USAGE);
    let only = options.given("--only")?;
    let options = options.rest();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let binary = bezoar::build(None)?;
    let page = crate::root().join("docs").join(study.page);
    let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let mut table = Table::new(study, &options);
    if only.is_some() {
        table.keep(study, study.section.content(&text)?);
    }
    for (place, (attack, thesis)) in study.attacks.iter().enumerate() {
        if only.as_ref().is_none_or(|word| attack.contains(word)) {
            eprintln!("{attack}");
            let row = study.measure(&binary, attack, &options)?;
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
        outcome::forget(&scratch.join("cache"));
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
        let failed = run.value("attack-success", None, "all").is_some_and(|success| success < WORKS);
        let figures: String = self.shown().map(|column| format!(" {} |", column.figure.of(run, thesis))).collect();
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
            crate::machine(),
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

impl Figure {
    /// What a run says of it.
    fn of(&self, run: &Run, thesis: Option<f64>) -> String {
        // Without an attack no class is attacked.
        let attacked = if run.fact("attack").is_none_or(|attack| attack == "none") { "all" } else { "attacked" };
        match *self {
            Self::Fact(name) => run.fact(name).unwrap_or("–").to_owned(),
            Self::Net(metric) => run.percent(metric, None, "all"),
            Self::Attacked(detector, metric) => run.percent(metric, Some(detector), attacked),
            Self::Whole(detector, metric) => run.percent(metric, Some(detector), "all"),
            Self::Rates(place) => {
                let detector = run.detectors().nth(place);
                let rate = |metric| run.percent(metric, detector, attacked).trim_end_matches('0').trim_end_matches('.').to_owned();
                format!("{} · {} / {}", rate("auroc"), rate("tpr"), rate("tnr"))
            }
            Self::Significant(detector) => {
                let classes = run.significant(detector);
                match classes.len() {
                    0 => "none".to_owned(),
                    1..=3 => classes.join(", "),
                    many => format!("{many} classes"),
                }
            }
            Self::Thesis => thesis.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}")),
            Self::Seconds => format!("{:.0}", run.seconds()),
        }
    }
}
