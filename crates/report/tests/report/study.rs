//! The page and the table of a study.

use bezoar_core::{Context, Measurement, Scope};
use bezoar_evaluation::repeats::{Cell, Results, StageSummary};
use bezoar_report::{study_page, study_table};

/// Three shares with two seeds each; one run failed.
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
            of("auroc", Some(name), Scope::Attacked, 0.9 + share / 10.0 - shift),
            of("auroc", Some("other"), Scope::Attacked, 0.5 + share),
            of("tpr", Some(name), Scope::Attacked, share),
            of("tpr", Some("other"), Scope::Attacked, 0.1),
            of("fpr", Some(name), Scope::All, 0.01),
        ];
        (cell, problem.is_none().then_some(measured))
    };
    let cells = [0.1, 0.2, 0.4].into_iter().enumerate().flat_map(|share| [0, 1].map(|seed| cell(share, seed)));
    Results::of(&Context::quiet(0), name, &["attack.share".to_owned(), "seed".to_owned()], cells.collect())
}

fn costs() -> Vec<StageSummary> {
    StageSummary::over([("train", 70.0, Some(120_000_000)), ("train", 90.0, Some(130_000_000))])
}

#[test]
fn the_page_holds_tables_charts_comparisons_and_cells() {
    let page = study_page(&results("hc"), &costs(), "name: hc\n");
    for said in [
        "<strong>6 runs</strong> of 3 settings",
        "1 run failed</strong>",
        "AUROC, attacked classes",
        "AUROC over attack.share",
        "Mean ranks by AUROC",
        "<th scope=\"row\">train</th><td>2</td><td>80.0</td><td>90.0</td><td>130</td>",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert_eq!(page.matches("/report.html\"").count(), 5, "a link for each finished run");
    assert!(page.contains("failed: hc is too small") && page.contains("<span class=\"best\">"));
    for outside in ["http", "<script", "src="] {
        assert!(!page.replace("http-equiv", "").contains(outside), "{outside}");
    }
    let tags = page.split('<').filter_map(|tag| tag.split('>').next());
    assert_eq!(tags.filter(|tag| tag.matches(" class=").count() > 1).count(), 0, "a browser reads the first class alone");
    assert_eq!(page.matches("class=\"line series cluster-1\"").count(), 2, "a line in each chart");
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "</style><script>alert(1)</script>";
    let page = study_page(&results(hostile), &StageSummary::over([(hostile, 1.0, None)]), hostile);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
}

#[test]
fn a_terminal_has_a_line_for_each_detector_of_a_setting() {
    insta::assert_snapshot!(study_table(&results("hc"), false));
}
