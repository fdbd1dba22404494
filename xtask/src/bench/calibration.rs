//! How often the recommended detectors find attacks that work, and how often they accuse where there is none, over seeds.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::options::Options;
use super::recommended::{SHIFTS, SQUARES};
use super::study::{Study, Table};
use crate::bezoar;
use crate::outcome::Run;
use crate::section::Section;

pub(super) const USAGE: &str = "calibration [--seeds N] [--only WORD]";

/// What every attack here poisons.
const TARGET: &str = "speed-limit-80";

/// Those before it chose the detectors' settings.
const FIRST_SEED: u32 = 3;

/// Attacks that less often succeed are no test of a detector.
const WORKS: f64 = 90.0;

const STUDY: Study = Study {
    section: Section { name: "calibration", made_by: "cargo xtask bench calibration" },
    page: "recommended.md",
    pipeline: "recommended",
    settings: &[],
    names: &[],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: blended, to: speed-limit-80, share: 0.05 }", None),
    ],
    columns: &[],
};

const HEAD: &str = "| attack | runs | success, least–greatest | found by squares | TPR, mean | found by shifts | TPR, mean | runs above 90 % | of these, found by \
                    either | clean classes accused, all runs | clean images accused, most |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";

/// Runs each attack with each seed and writes the table, a row when it is measured.
pub(super) fn run(options: &[&str]) -> Result<ExitCode> {
    let mut options = Options::of(options, USAGE);
    let (seeds, only) = (options.number("--seeds", 3)?, options.given("--only")?);
    options.end()?;
    let binary = bezoar::build(None)?;
    let page = crate::root().join("docs").join(STUDY.page);
    let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let head = format!(
        "\nMeasured by `{}` with `pipelines/{}.yaml`, seeds from {FIRST_SEED} on, on {}.\n\n{HEAD}",
        STUDY.section.made_by,
        STUDY.pipeline,
        crate::machine(),
    );
    let mut table = Table { head, rows: STUDY.kept(STUDY.section.content(&text)?) };
    for (place, (attack, _)) in STUDY.attacks.iter().enumerate() {
        if only.as_deref().is_some_and(|word| !attack.contains(word)) {
            continue;
        }
        let mut runs = Vec::new();
        for seed in FIRST_SEED..FIRST_SEED + seeds {
            eprintln!("{attack}, seed {seed}");
            runs.push(STUDY.measure(&binary, attack, &["--set", &format!("seed={seed}")])?);
        }
        table.rows[place] = Some(format!("| `{attack}` | {}\n", summary(&runs)));
        super::write(STUDY.page, &STUDY.section, &table.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The cells of an attack's row behind its name.
fn summary(runs: &[Run]) -> String {
    let number =
        |run: &Run, metric: &str, detector: Option<&str>, scope: &str| run.value(metric, detector, scope).map(|value| 100.0 * value);
    let successes: Vec<f64> = runs.iter().filter_map(|run| number(run, "attack-success", None, "all")).collect();
    let works = |run: &&Run| number(run, "attack-success", None, "all").is_some_and(|success| success > WORKS);
    let working: Vec<&Run> = runs.iter().filter(works).collect();
    let detectors = [SQUARES, SHIFTS];
    let finds = |run: &Run, detector: &str| run.significant(detector).iter().any(|class| class == TARGET);
    let found = |detector| runs.iter().filter(|run| finds(run, detector)).count().to_string();
    let by_either = working.iter().filter(|run| detectors.iter().any(|detector| finds(run, detector))).count();
    let rates = |detector| runs.iter().filter_map(|run| number(run, "tpr", Some(detector), "attacked")).collect::<Vec<f64>>();
    let attacked = !successes.is_empty();
    let all = || runs.iter().flat_map(|run| detectors.map(|detector| (run, detector)));
    let clean = |class: &String| !attacked || class != TARGET;
    let wrong: usize = all().map(|(run, detector)| run.significant(detector).iter().filter(|class| clean(class)).count()).sum();
    let worst = all().filter_map(|(run, detector)| number(run, "fpr", Some(detector), "all")).fold(0.0, f64::max);
    let range = |values: &[f64]| {
        format!("{:.1}–{:.1}", values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
    };
    let or_dash = |is: bool, text: String| if is { text } else { "–".to_owned() };
    let mean = |rates: Vec<f64>| or_dash(!rates.is_empty(), format!("{:.1}", rates.iter().sum::<f64>() / rates.len() as f64));
    format!(
        "{} | {} | {} | {} | {} | {} | {} | {} | {wrong} | {worst:.2} |",
        runs.len(),
        or_dash(attacked, range(&successes)),
        or_dash(attacked, found(SQUARES)),
        mean(rates(SQUARES)),
        or_dash(attacked, found(SHIFTS)),
        mean(rates(SHIFTS)),
        or_dash(attacked, working.len().to_string()),
        or_dash(!working.is_empty(), by_either.to_string()),
    )
}
