//! The tables of docs/reproduction.md: the thesis' values beside ours.

use std::collections::BTreeSet;

use super::measured::{Measured, Rates};
use super::thesis::{TOLD_NOTHING, Table, Value};
use super::{EFFORTS, Effort, Study};
use crate::outcome::WORKS;

/// The tables of all efforts of which there is a run; cells without one say so.
pub(super) fn tables(studies: &[Study<'_>], measured: &[Measured]) -> String {
    let mut text = String::new();
    for effort in &EFFORTS {
        let runs: Vec<&Measured> = measured.iter().filter(|run| run.effort == effort.name).collect();
        text.push_str(&format!("\n## {}\n", effort.title));
        if runs.is_empty() {
            text.push_str(&format!("*Not run.* `{}` runs it.\n", effort.command));
            continue;
        }
        text.push_str(&format!("{}\n", made(effort, &runs)));
        for study in studies {
            text.push_str(&format!("\n{}", of_study(study, &runs)));
        }
    }
    text
}

/// How an effort's runs were made.
fn made(effort: &Effort, runs: &[&Measured]) -> String {
    let said = |of: fn(&Measured) -> &String| {
        runs.iter().map(|run| of(run).as_str()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
    format!(
        "{} Measured by `{}` on {} (revisions {}); {} {} in {:.0} min, nets that runs share counted once.",
        effort.says,
        effort.command,
        said(|run| &run.machine),
        said(|run| &run.revision),
        runs.len(),
        if runs.len() == 1 { "run" } else { "runs" },
        seconds / 60.0,
    )
}

fn of_study(Study { table, settings, .. }: &Study<'_>, runs: &[&Measured]) -> String {
    let number = table.study.trim_start_matches("table-");
    let heads: String = table
        .methods
        .iter()
        .map(|(method, ours)| {
            format!(" *{method}, thesis* |{}", ours.iter().map(|(_, name)| format!(" {method}, {name} |")).collect::<String>())
        })
        .collect();
    let accuses: String = told_nothing(table).map(|(method, _)| format!(" {method}, recommended, accuses |")).collect();
    let success = if table.has_success() { " by class | *by class, thesis* |" } else { "" };
    let columns = success.matches('|').count() + heads.matches('|').count() + accuses.matches('|').count();
    let mut text = format!(
        "### Table {number}: {}\nThe thesis' values are of {}.\n\n| attack | runs | clean accuracy | attack success |{success}{heads}{accuses}\n|---|---:|---:|---:|{}\n",
        table.title,
        table.runs,
        "---:|".repeat(columns),
    );
    for settings in settings {
        let mut of_cell: Vec<&Measured> = runs.iter().copied().filter(|run| table.takes(&run.study) && run.settings == *settings).collect();
        // The table's own run stands before another study's with the same seed.
        of_cell.sort_by_key(|run| (&run.seed, run.study != table.study));
        of_cell.dedup_by_key(|run| &run.seed);
        text.push_str(&row(table, settings, &of_cell));
    }
    text
}

fn row(table: &Table, settings: &str, runs: &[&Measured]) -> String {
    let said = table.row(settings);
    let methods: String = (table.methods.iter().enumerate())
        .map(|(at, (_, ours))| {
            let thesis = said.and_then(|row| row.methods[at].as_ref());
            let thesis = thesis.map_or_else(|| "–".to_owned(), |rates| rates.each_ref().map(value).join(" / "));
            let ours: String = ours.iter().map(|(detector, _)| format!(" {} |", rates(runs, detector))).collect();
            format!(" *{thesis}* |{ours}")
        })
        .collect();
    let net = |of: fn(&Measured) -> Option<f64>| spread(&runs.iter().filter_map(|run| of(run)).collect::<Vec<_>>());
    let by_class = if table.has_success() {
        let thesis = said.and_then(|row| row.success).map_or_else(|| "–".to_owned(), short);
        format!(" {} | *{thesis}* |", net(|run| run.attack_success_by_class))
    } else {
        String::new()
    };
    let failed = runs.iter().filter(|run| run.attack_success < WORKS).count();
    let accuses: String = told_nothing(table).map(|(_, detector)| format!(" {} |", accused(runs, detector))).collect();
    let attack = settings.split(' ').map(|setting| setting.trim_start_matches("attack.")).collect::<Vec<_>>().join(", ");
    let failed = if failed == 0 { String::new() } else { format!(" **attack failed** in {failed}") };
    let (accuracy, success) = (net(|run| Some(run.accuracy)), net(|run| Some(run.attack_success)));
    format!("| {attack}{failed} | {} | {accuracy} | {success} |{by_class}{methods}{accuses}\n", runs.len())
}

/// The detectors of the table that are told nothing, each with its method.
fn told_nothing(table: &Table) -> impl Iterator<Item = (&'static str, &'static str)> {
    TOLD_NOTHING.into_iter().filter(|&(_, one)| table.detectors().any(|detector| detector == one))
}

/// What the runs say of a detector.
fn of<'a>(runs: &[&'a Measured], detector: &str) -> Vec<&'a Rates> {
    runs.iter().flat_map(|run| &run.detectors).filter(|rates| rates.detector == detector).collect()
}

/// In how many runs a detector that is told nothing accuses the attacked class, and how many others in all of them.
fn accused(runs: &[&Measured], detector: &str) -> String {
    let found = of(runs, detector);
    if found.is_empty() {
        return "*not run*".to_owned();
    }
    let sum = |of: fn(&Rates) -> Option<f64>| found.iter().filter_map(|rates| of(rates)).sum::<f64>();
    let (right, wrong) = (sum(|rates| rates.found), sum(|rates| rates.false_alarms));
    format!("it in {right:.0} of {}, others: {wrong:.0}", found.len())
}

/// ACC, TPR and TNR of a detector, and its AUROC.
fn rates(runs: &[&Measured], detector: &str) -> String {
    let found = of(runs, detector);
    if found.is_empty() {
        return "*not run*".to_owned();
    }
    let over = |of: fn(&Rates) -> Option<f64>| spread(&found.iter().filter_map(|rates| of(rates)).collect::<Vec<_>>());
    format!("{} / {} / {} · {}", over(|rates| rates.acc), over(|rates| rates.tpr), over(|rates| rates.tnr), over(|rates| rates.auroc))
}

/// The mean in percent; of several runs with their standard deviation, of none a dash.
fn spread(shares: &[f64]) -> String {
    if shares.is_empty() {
        return "–".to_owned();
    }
    let count = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / count;
    if shares.len() == 1 {
        return short(100.0 * mean);
    }
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (count - 1.0);
    format!("{} ± {}", short(100.0 * mean), short(100.0 * variance.sqrt()))
}

/// A value of the thesis, with its standard deviation if it has one.
fn value(Value { mean, deviation }: &Value) -> String {
    deviation.map_or_else(|| short(*mean), |deviation| format!("{} ± {}", short(*mean), short(deviation)))
}

/// With two digits at most.
fn short(percent: f64) -> String {
    let text = format!("{percent:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::thesis::TABLES;
    use super::*;

    pub(in super::super) fn run(seed: &str, tpr: f64) -> Measured {
        let rates = |detector: &str| Rates {
            detector: detector.to_owned(),
            acc: Some(1.0),
            tpr: Some(tpr),
            tnr: Some(0.5),
            auroc: None,
            found: Some(1.0),
            false_alarms: Some(2.0),
        };
        Measured {
            study: "table-3.2".to_owned(),
            settings: "attack.share=0.33".to_owned(),
            seed: seed.to_owned(),
            effort: "full".to_owned(),
            revision: "abc".to_owned(),
            machine: "one core".to_owned(),
            seconds: 60.0,
            accuracy: 0.95,
            attack_success: 1.0,
            attack_success_by_class: None,
            detectors: TABLES[0].detectors().map(rates).collect(),
        }
    }

    fn study(settings: &[&str]) -> Study<'static> {
        Study { table: &TABLES[0], settings: settings.iter().map(ToString::to_string).collect(), cells: Vec::new() }
    }

    #[test]
    fn what_was_not_run_says_so() {
        let text = tables(&[study(&["attack.share=0.33", "attack.share=0.15"])], &[run("0", 0.5)]);
        assert!(text.contains("| share=0.33 | 1 | 95 | 100 | *99.96 / 99.88 / 100* | 100 / 50 / 50 · – |"), "{text}");
        assert!(text.contains("| share=0.15 | 0 | – | – | *100 / 100 / 100* | *not run* | *not run* | *not run* | *76.51 /"), "{text}");
        assert!(text.contains("it in 1 of 1, others: 2"), "{text}");
        assert!(text.contains("*Not run.*"), "the other effort: {text}");
    }

    #[test]
    fn a_table_takes_another_studys_seed_once() {
        let own = Measured { study: "table-3.3".to_owned(), ..run("0", 0.9) };
        let study = || Study { table: &TABLES[1], ..study(&["attack.share=0.33"]) };
        let alone = tables(&[study()], &[run("0", 0.5)]);
        assert!(alone.contains("| share=0.33 | 1 | 95 | 100 | *99.82 ± 0.19 / 99.46 / 100* | 100 / 50 / 50 · – |"), "{alone}");
        let both = tables(&[study()], &[run("0", 0.5), own]);
        assert!(both.contains("| share=0.33 | 1 | 95 | 100 | *99.82 ± 0.19 / 99.46 / 100* | 100 / 90 / 50 · – |"), "{both}");
    }

    #[test]
    fn several_runs_are_a_mean_with_its_spread() {
        let text = tables(&[study(&["attack.share=0.33"])], &[run("0", 0.5), run("1", 0.7)]);
        assert!(text.contains("100 ± 0 / 60 ± 14.14 / 50 ± 0 · –"), "{text}");
    }

    #[test]
    fn attacks_on_several_classes_have_their_success_by_class_beside_the_thesis() {
        let of = |attack_success_by_class| Measured { study: "table-3.6".to_owned(), attack_success_by_class, ..run("0", 0.5) };
        let row = |run| tables(&[Study { table: &TABLES[4], ..study(&["attack.share=0.33"]) }], &[run]);
        let text = row(of(Some(0.9)));
        assert!(text.contains("| attack success | by class | *by class, thesis* | *HC, thesis* |"), "{text}");
        assert!(text.contains("| share=0.33 | 1 | 95 | 100 | 90 | *91* | *99.58 / 98.71 / 100* |"), "{text}");
        let older = row(of(None));
        assert!(older.contains("| share=0.33 | 1 | 95 | 100 | – | *91* |"), "{older}");
    }
}
