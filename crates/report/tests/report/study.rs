//! The page, the charts and the table of a study.

use std::path::Path;

use bezoar_core::{Context, Input, Measurement, Origin, Scope};
use bezoar_evaluation::repeats::{Cell, Costs, Results, StageSummary};
use bezoar_report::{study_table, write_study_page};

/// Three shares with two seeds each; one run failed, and in another the attack.
fn results(name: &str) -> Results {
    let of = |metric: &str, detector: Option<&str>, scope: Scope, value: f64| Measurement {
        metric: metric.to_owned(),
        detector: detector.map(str::to_owned),
        scope,
        value: Some(value),
    };
    let cell = |(at, share): (usize, f64), seed: u32| {
        let problem = (at == 2 && seed == 1).then(|| format!("{name} is too small"));
        let cell = Cell { settings: vec![share.to_string(), seed.to_string()], run: format!("run-{at}{seed}"), problem: problem.clone() };
        let shift = f64::from(seed) / 100.0;
        let measured = vec![
            of("accuracy", None, Scope::All, 0.95),
            of("attack-success", None, Scope::All, 1.0 - shift),
            of("attack-success-needed", None, Scope::All, if at == 1 { 0.995 } else { 0.5 }),
            of("auroc", Some(name), Scope::Attacked, 0.9 + share / 10.0 - shift),
            of("auroc", Some("other"), Scope::Attacked, 0.5 + share),
            of("tpr", Some(name), Scope::Attacked, share),
            of("tpr", Some("other"), Scope::Attacked, 0.1),
            of("fpr", Some(name), Scope::All, 0.01),
            of("accuracy-after", Some(name), Scope::All, 0.94),
            of("depth", Some(name), Scope::All, f64::from(seed)),
        ];
        (cell, problem.is_none().then_some(measured))
    };
    let cells = [0.1, 0.2, 0.4].into_iter().enumerate().flat_map(|share| [0, 1].map(|seed| cell(share, seed)));
    let mut results = Results::of(&Context::quiet(0), name, &["attack.share".to_owned(), "seed".to_owned()], cells.collect());
    results.tell("other", &[Input { name: "suspects".to_owned(), value: "[3]".to_owned(), origin: Origin::Given }]);
    results
}

pub(crate) fn costs() -> Costs {
    let stages = [("train", 70.0, Some(120_000_000)), ("train", 90.0, Some(130_000_000))];
    Costs { stages: StageSummary::over(stages), machines: ["a large one".to_owned(), "a <small> one".to_owned()].into() }
}

/// The page in a study's folder.
fn page(results: &Results, costs: &Costs, file: &str, folder: &Path) -> String {
    std::fs::read_to_string(write_study_page(results, costs, file, Some("resolved: hc"), folder).unwrap()).unwrap()
}

#[test]
fn the_page_holds_verdict_tables_charts_comparisons_and_cells() {
    let runs = tempfile::tempdir().unwrap();
    let folder = runs.path().join("study");
    for run in ["study", "run-00", "run-01", "run-21"] {
        std::fs::create_dir(runs.path().join(run)).unwrap();
        std::fs::write(runs.path().join(run).join("report.html"), "").unwrap();
    }
    let page = page(&results("hc"), &costs(), "name: hc\n", &folder);
    for said in [
        "By AUROC over the attacked classes, <strong>hc</strong> does best of 2 detectors: mean rank 1.00 over 4 nets on which the attack worked",
        "It has no significant lead (+",
        "<strong>6 runs</strong> of 3 settings",
        "1 run failed</strong>, on 5 nets",
        "AUROC, attacked classes",
        "AUROC over attack.share",
        "Mean ranks by AUROC",
        "other <small class=\"told\">(given: suspects)</small>",
        "<td>2 <small class=\"warning\">attack failed in 1</small></td>",
        "<th scope=\"row\">train</th><td>2</td><td>80.0</td><td>90.0</td><td>130</td>",
        "Runs at once share both. On a &lt;small&gt; one; a large one.",
        "<dt>Bezoar</dt>",
        "The first cell with all defaults</summary><pre tabindex=\"0\"><code>resolved: hc",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert_eq!(page.matches("attack failed in").count(), page.matches("<caption").count(), "once in each table of figures");
    assert_eq!(page.matches("/report.html\"").count(), 2, "a link for each finished run that has a report");
    assert!(page.contains("failed: hc is too small") && page.contains("<span class=\"best\">"));
    for outside in ["http", "<script", "src="] {
        assert!(!page.replace("http-equiv", "").contains(outside), "{outside}");
    }
    let tags = page.split('<').filter_map(|tag| tag.split('>').next());
    assert_eq!(tags.filter(|tag| tag.matches(" class=").count() > 1).count(), 0, "a browser reads the first class alone");
    assert_eq!(page.matches("class=\"line series cluster-1 dash-0\"").count(), 4, "in each chart a line and its key");
}

#[test]
fn whatever_was_measured_has_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(&results("hc"), &Costs::default(), "", folder.path());
    let (first, others) = page.split_once("All other figures of the detectors").unwrap();
    assert!(first.contains("AUROC, attacked classes</caption>") && !first.contains("Accuracy after</caption>"));
    assert!(others.contains("Accuracy after</caption>") && others.contains(">depth</caption>"));
    assert!(!page.contains("attack-success-needed"), "a threshold is no figure");
}

#[test]
fn what_was_not_measured_is_not_said_to_have_failed() {
    let cell = |seed: u32| {
        let auroc = |detector: &str, value| Measurement {
            metric: "auroc".to_owned(),
            detector: Some(detector.to_owned()),
            scope: Scope::Attacked,
            value: Some(value),
        };
        let cell = Cell { settings: vec![seed.to_string()], run: format!("run-{seed}"), problem: None };
        (cell, Some(vec![auroc("hc", 0.9), auroc("other", 0.5)]))
    };
    let results = Results::of(&Context::quiet(0), "unknown", &["seed".to_owned()], (0..3).map(cell).collect());
    let folder = tempfile::tempdir().unwrap();
    let page = page(&results, &Costs::default(), "", folder.path());
    assert!(page.contains("<strong>hc</strong> does best of 2 detectors: mean rank 1.00 over 3 nets. "));
    assert!(!page.contains("attack worked.") && page.contains("<td>3</td><td>+40.00"));
    let said = "Whether the attacks worked was not measured: detectors are compared over all nets. Add attack-success to evaluate:";
    assert_eq!(page.matches(said).count(), 2, "beside the verdict and the comparisons");
    assert!(study_table(&results, false).contains(said));
}

#[test]
fn runs_that_share_a_net_count_once_and_the_reader_is_told() {
    let of = |metric: &str, detector: Option<&str>, scope: Scope, value: f64| Measurement {
        metric: metric.to_owned(),
        detector: detector.map(str::to_owned),
        scope,
        value: Some(value),
    };
    let cell = |size: u32| {
        let cell = Cell { settings: vec![size.to_string()], run: format!("run-{size}"), problem: None };
        let auroc = |detector, value| of("auroc", Some(detector), Scope::Attacked, value);
        (cell, Some(vec![of("attack-success", None, Scope::All, 1.0), auroc("hc", 0.9), auroc("other", 0.5)]))
    };
    let axes = ["detect.0.min-size".to_owned()];
    let results = Results::of(&Context::quiet(0), "sizes", &axes, (0..7).map(cell).collect());
    let folder = tempfile::tempdir().unwrap();
    let page = page(&results, &Costs::default(), "", folder.path());
    for said in [
        "mean rank 1.00 over 1 net on which the attack worked. It has no significant lead (+40.00 points, p\u{a0}1.000)",
        "<strong>7 runs</strong> of 7 settings, on 1 net",
        "Runs that differ in <b>detect.0.min-size</b> alone share a net, which counts once: its figure of a detector is the mean over these runs.",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(study_table(&results, false).contains("\n1 net: runs that differ in detect.0.min-size alone share one, and count once"));
}

#[test]
fn charts_are_files_as_well() {
    let folder = tempfile::tempdir().unwrap();
    write_study_page(&results("a < b"), &Costs::default(), "", None, folder.path()).unwrap();
    let mut names: Vec<String> =
        std::fs::read_dir(folder.path().join("figures")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["auroc-over-attack-share.svg", "ranks-by-auroc.svg", "tpr-over-attack-share.svg"]);
    let chart = std::fs::read_to_string(folder.path().join("figures/auroc-over-attack-share.svg")).unwrap();
    assert!(chart.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    for said in ["a &lt; b</text>", "other (given: suspects)</text>", ".line.series.cluster-1{stroke:#d55e00}"] {
        assert!(chart.contains(said), "{said}");
    }
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "</style><script>alert(1)</script>";
    let costs = Costs { stages: StageSummary::over([(hostile, 1.0, None)]), machines: [hostile.to_owned()].into() };
    let folder = tempfile::tempdir().unwrap();
    let page = page(&results(hostile), &costs, hostile, folder.path());
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
}

#[test]
fn a_study_without_a_working_attack_names_no_best_detector() {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::of(&Context::quiet(0), "clean", &[], Vec::new());
    assert!(page(&results, &Costs::default(), "", folder.path()).contains("No detector comes out best"));
}

#[test]
fn a_terminal_has_a_line_for_each_detector_of_a_setting() {
    insta::assert_snapshot!(study_table(&results("hc"), false));
}
