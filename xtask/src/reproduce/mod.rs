//! The thesis' tables: their studies run cell by cell, and the page that sets ours beside them.

mod measured;
mod page;
mod thesis;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::measured::{Measured, Rates};
use self::thesis::{TABLES, Table};
use crate::outcome::{self, Run};
use crate::section::Section;
use crate::{bezoar, machine};

pub(crate) const USAGE: &str = "\
cargo xtask reproduce [--effort full|budget] [--budget MINUTES] [--only WORD] [--binary PATH [--revision NAME]]";

const SECTION: Section = Section { name: "tables", made_by: "cargo xtask reproduce" };

/// How much of the thesis' training is done.
struct Effort {
    name: &'static str,
    title: &'static str,
    says: &'static str,
    command: &'static str,
    settings: &'static [&'static str],
}

const FULL: Effort = Effort {
    name: "full",
    title: "All 43 classes, 100 epochs",
    says: "The studies as they are; the surrogates of label-consistent attacks are trained as the suspect nets.",
    command: "cargo xtask reproduce --features cuda",
    settings: &[],
};

const BUDGET: Effort = Effort {
    name: "budget",
    title: "The eight speed limits, five epochs",
    says: "The studies with `dataset.classes=speed-limits`, five epochs in batches of 64 with one cycle of the rate, and the surrogates of \
           label-consistent attacks trained alike.",
    command: "cargo xtask reproduce --budget MINUTES",
    settings: &["dataset.classes=speed-limits", "train.epochs=5", "train.batch=64", "train.schedule={ use: one-cycle }"],
};

const EFFORTS: [Effort; 2] = [BUDGET, FULL];

impl Effort {
    /// The one that is named, or else the one that a budget of minutes, or none, asks for.
    fn of(name: Option<&str>, minutes: Option<u64>) -> Result<&'static Self> {
        let name = name.unwrap_or(if minutes.is_some() { BUDGET.name } else { FULL.name });
        EFFORTS.iter().find(|effort| effort.name == name).with_context(|| format!("there is no effort `{name}`; usage: {USAGE}"))
    }
}

/// Runs what was not run yet and writes the page after each cell. With a budget of minutes, no cell is begun that would probably outlast it:
/// the first cells of all tables come first, and further seeds last. How much is trained is the effort's; where none is named, a budget trains
/// less. A binary that was built elsewhere does for a machine that cannot build one.
pub(crate) fn run(mut arguments: Vec<String>, features: Option<&str>) -> Result<ExitCode> {
    let mut option = |name| bezoar::take_option(&mut arguments, name);
    let (effort, budget, only) = (option("--effort")?, option("--budget")?, option("--only")?);
    let (binary, revision) = (option("--binary")?, option("--revision")?);
    let takes = binary.is_some() || revision.is_none();
    ensure!(arguments.is_empty() && takes && (binary.is_none() || features.is_none()), "usage: {USAGE}");
    let minutes: Option<u64> = budget.map(|minutes| minutes.parse().context("--budget wants a number of minutes")).transpose()?;
    let effort = Effort::of(effort.as_deref(), minutes)?;
    let binary = match binary {
        Some(path) => fs::canonicalize(&path).context(path)?,
        None => bezoar::build(features)?,
    };
    let revision = revision.map_or_else(self::revision, Ok)?;
    let studies: Vec<Study<'_>> = TABLES.iter().map(|table| Study::of(table, &binary)).collect::<Result<_>>()?;
    let file = measured::file();
    let mut measured = measured::read(&file)?;
    let (start, mut longest, mut failed) = (Instant::now(), longest(&measured, effort), 0);
    for (table, cell) in in_turn(&studies) {
        let name = format!("{} {} seed={}", table.study, cell.settings, cell.seed);
        if cell.is_among(table, effort, &measured) || only.as_ref().is_some_and(|word| !name.contains(word)) {
            continue;
        }
        let left = minutes.map(|minutes| Duration::from_secs(60 * minutes).saturating_sub(start.elapsed()));
        if left.is_some_and(|left| left <= longest) {
            eprintln!("what is left of the budget is less than the longest cell took, {:.0} min", longest.as_secs_f64() / 60.0);
            break;
        }
        eprintln!("{name}");
        let began = Instant::now();
        match cell.measure(table, effort, &binary, &revision) {
            Ok(run) => measured = measured::add(&file, run)?,
            Err(error) => {
                eprintln!("error: {error:#}");
                failed += 1;
            }
        }
        longest = longest.max(began.elapsed());
        write_page(&studies, &measured)?;
    }
    write_page(&studies, &measured::read(&file)?)?;
    ensure!(failed == 0, "{failed} cells failed, for what is said above");
    Ok(ExitCode::SUCCESS)
}

/// What the longest run of an effort took, as far as runs were measured.
fn longest(measured: &[Measured], effort: &Effort) -> Duration {
    let seconds = measured.iter().filter(|run| run.effort == effort.name).map(|run| run.seconds);
    seconds.filter_map(|seconds| Duration::try_from_secs_f64(seconds).ok()).max().unwrap_or_default()
}

/// What makes a table of ours.
struct Study<'a> {
    table: &'a Table,
    /// Those of its rows.
    settings: Vec<String>,
    cells: Vec<Cell>,
}

impl<'a> Study<'a> {
    fn of(table: &'a Table, binary: &Path) -> Result<Self> {
        let cells = Cell::all(table, binary)?;
        let mut settings: Vec<String> = Vec::new();
        for cell in &cells {
            if !settings.contains(&cell.settings) {
                settings.push(cell.settings.clone());
            }
        }
        Ok(Self { table, settings, cells })
    }
}

/// A cell of a study.
struct Cell {
    /// Its values but for the seed, as `path=value` in a line.
    settings: String,
    seed: String,
    /// The matrix that has this cell alone.
    matrix: String,
}

impl Cell {
    /// The cells of a table's study, in its order.
    fn all(table: &Table, binary: &Path) -> Result<Vec<Self>> {
        let output = Command::new(binary).args(["plan", "--json-lines"]).arg(file(table)).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let plan: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).context("`bezoar plan` says no JSON")?;
        let (Some(axes), Some(cells)) = (plan["axes"].as_array(), plan["cells"].as_array()) else { bail!("{}: {said}", table.study) };
        let axes: Vec<&str> = axes.iter().filter_map(Value::as_str).collect();
        let cell = |cell: &Value| {
            let values: Vec<&str> = cell["settings"].as_array()?.iter().filter_map(Value::as_str).collect();
            let pairs: Vec<(&str, &str)> = axes.iter().copied().zip(values).collect();
            let seed = pairs.iter().find(|(axis, _)| *axis == "seed").map_or("0", |(_, seed)| seed);
            let others = pairs.iter().filter(|(axis, _)| *axis != "seed");
            Some(Self {
                settings: others.map(|(axis, value)| format!("{axis}={value}")).collect::<Vec<_>>().join(" "),
                seed: seed.to_owned(),
                matrix: pairs.iter().map(|(axis, value)| format!("{axis}: [{value}]")).collect::<Vec<_>>().join(", "),
            })
        };
        cells.iter().map(|value| cell(value).context("a cell without settings")).collect()
    }

    fn is_among(&self, table: &Table, effort: &Effort, measured: &[Measured]) -> bool {
        let is_it =
            |run: &Measured| table.takes(&run.study) && run.effort == effort.name && run.settings == self.settings && run.seed == self.seed;
        measured.iter().any(is_it)
    }

    fn measure(&self, table: &Table, effort: &Effort, binary: &Path, revision: &str) -> Result<Measured> {
        let scratch = crate::root().join("target/reproduce");
        fs::create_dir_all(&scratch)?;
        let (cache, runs) = (scratch.join("cache"), scratch.join(format!("runs-{}", std::process::id())));
        let _ = fs::remove_dir_all(&runs);
        let cheaper = if effort.name == BUDGET.name { table.cheaper } else { &[] };
        let matrix = format!("matrix={{ {} }}", self.matrix);
        let mut eval = Command::new(binary);
        eval.arg("eval").arg(file(table));
        for setting in effort.settings.iter().chain(cheaper).copied().chain([matrix.as_str()]) {
            eval.args(["--set", setting]);
        }
        // Others may measure with the same cache: whoever is alone tidies it up.
        let lock = File::create(scratch.join("lock"))?;
        lock.lock_shared()?;
        let done = eval.arg("--cache").arg(&cache).arg("--runs").arg(&runs).status()?;
        ensure!(done.success(), "{} {} failed", table.study, self.settings);
        let run = Run::only(&runs)?;
        fs::remove_dir_all(&runs)?;
        lock.unlock()?;
        if lock.try_lock().is_ok() {
            outcome::forget(&cache);
        }
        let detectors = Rates::of(&run);
        for name in table.detectors() {
            ensure!(detectors.iter().any(|rates| rates.detector == name), "{} has no detector `{name}`", table.study);
        }
        let of_net = |metric| run.value(metric, None, "all").with_context(|| format!("the run has no {metric}"));
        Ok(Measured {
            study: table.study.to_owned(),
            settings: self.settings.clone(),
            seed: self.seed.clone(),
            effort: effort.name.to_owned(),
            revision: revision.to_owned(),
            machine: machine(),
            seconds: run.seconds_spent(),
            accuracy: of_net("accuracy")?,
            attack_success: of_net("attack-success")?,
            attack_success_by_class: run.value("attack-success-by-class", None, "all"),
            detectors,
        })
    }
}

fn file(table: &Table) -> PathBuf {
    crate::root().join(format!("pipelines/paper/{}.yaml", table.study))
}

/// All cells: of each table the first setting, then of each the second one; further seeds when all have one.
fn in_turn<'a>(studies: &'a [Study<'a>]) -> Vec<(&'a Table, &'a Cell)> {
    let of_study = |study: &'a Study<'a>| {
        let at = |cell: &Cell| study.settings.iter().position(|settings| *settings == cell.settings);
        study.cells.iter().map(move |cell| ((cell.seed.as_str(), at(cell)), (study.table, cell)))
    };
    let mut cells: Vec<_> = studies.iter().flat_map(of_study).collect();
    cells.sort_by_key(|(turn, _)| *turn);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

fn write_page(studies: &[Study<'_>], measured: &[Measured]) -> Result<()> {
    let path = crate::root().join("docs/reproduction.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    measured::write_whole(&path, &SECTION.replace(&text, &page::tables(studies, measured))?)
}

/// The commit that is checked out, and whether anything but documentation, which runs write, differs from it.
fn revision() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git").args(arguments).current_dir(crate::root()).output()?;
        ensure!(output.status.success(), "git does not tell the revision: name that of the binary with --revision");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"])?;
    Ok(git(&["rev-parse", "--short", "HEAD"])? + if changed.is_empty() { "" } else { "-dirty" })
}

#[cfg(test)]
mod tests {
    use super::thesis::Row;
    use super::*;

    fn study(table: &'static Table, cells: &[(&str, &str)]) -> Study<'static> {
        let cell = |&(settings, seed): &(&str, &str)| Cell { settings: settings.to_owned(), seed: seed.to_owned(), matrix: String::new() };
        let mut settings: Vec<String> = cells.iter().map(|(settings, _)| (*settings).to_owned()).collect();
        settings.dedup();
        Study { table, settings, cells: cells.iter().map(cell).collect() }
    }

    #[test]
    fn tables_take_turns_and_further_seeds_come_last() {
        let studies = [study(&TABLES[0], &[("a", "0"), ("b", "0")]), study(&TABLES[1], &[("a", "0"), ("a", "1"), ("b", "0"), ("b", "1")])];
        let turns: Vec<_> = in_turn(&studies).iter().map(|(table, cell)| (&table.study[8..], &*cell.settings, &*cell.seed)).collect();
        let first = [("2", "a", "0"), ("3", "a", "0"), ("2", "b", "0"), ("3", "b", "0")];
        assert_eq!(turns, [&first[..], &[("3", "a", "1"), ("3", "b", "1")]].concat());
    }

    #[test]
    fn a_run_of_another_study_is_not_made_again() {
        let seed = |seed: &str| Cell { settings: "attack.share=0.33".to_owned(), seed: seed.to_owned(), matrix: String::new() };
        let measured = [page::tests::run("0", 0.5)];
        let is_among = |table: usize, cell: &Cell| cell.is_among(&TABLES[table], &FULL, &measured);
        assert!(is_among(0, &seed("0")) && is_among(1, &seed("0")));
        assert!(!is_among(1, &seed("1")) && !is_among(2, &seed("0")));
    }

    #[test]
    fn what_is_trained_is_not_how_long_it_may_take() {
        let of = |name, minutes| Effort::of(name, minutes).map(|effort| effort.name).ok();
        assert_eq!((of(None, None), of(None, Some(30))), (Some("full"), Some("budget")));
        assert_eq!((of(Some("full"), Some(30)), of(Some("budget"), None)), (Some("full"), Some("budget")));
        assert_eq!(of(Some("half"), None), None);
    }

    #[test]
    fn a_budget_knows_what_the_longest_run_of_its_effort_took() {
        let run = |effort: &Effort, seconds| Measured { effort: effort.name.to_owned(), seconds, ..page::tests::run("0", 0.5) };
        let measured = [run(&BUDGET, 20.0), run(&BUDGET, 60.0), run(&FULL, 9000.0)];
        assert_eq!(longest(&measured, &BUDGET), Duration::from_mins(1));
        assert_eq!(longest(&measured[..2], &FULL), Duration::ZERO);
    }

    #[test]
    fn every_table_has_its_study() {
        for table in &TABLES {
            let text = fs::read_to_string(file(table)).unwrap();
            assert!(text.contains(&format!("name: {}\n", table.study.replace('.', "-"))), "{}", table.study);
            if let Some(also) = table.also {
                let also = TABLES.iter().find(|table| table.study == also).expect("a study of ours");
                let same = |text: &str| -> Vec<String> {
                    let told = |line: &&str| !["#", "name:", "  seed:"].iter().any(|start| line.starts_with(start));
                    text.lines().filter(told).map(str::to_owned).collect()
                };
                assert_eq!(same(&fs::read_to_string(file(also)).unwrap()), same(&text), "{}", table.study);
            }
            for Row { settings, methods, .. } in table.rows {
                assert_eq!(methods.len(), table.methods.len(), "{settings}");
                let values = settings.split(' ').map(|setting| setting.split_once('=').unwrap());
                for (path, value) in values {
                    let axis = text.lines().find(|line| line.trim_start().starts_with(&format!("{path}: ["))).unwrap();
                    assert!(axis.contains(&format!("[{value}")) || axis.contains(&format!(" {value}")), "{path}={value}");
                }
            }
        }
    }
}
