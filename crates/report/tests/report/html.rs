//! `report.html`: what it says, that it needs no network, and that no text from data is taken for markup.

use std::sync::Arc;

use bezoar_clustering as _;
use bezoar_core::{Context, Features, Measurement, Plugin, Scope};
use bezoar_report::Html;

use crate::hostile::HOSTILE;
use crate::{fixture, hostile};

fn page(html: Html, run: &fixture::Run) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = html.build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    assert_eq!(files[0], folder.path().join("report.html"));
    std::fs::read_to_string(&files[0]).unwrap()
}

/// A page before its script, and the data that the script gets.
fn parts(page: &str) -> (&str, serde_json::Value) {
    let (before, rest) = page.split_once("<script id=\"data\" type=\"application/json\">").unwrap();
    (before, serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap())
}

/// What remains of a page without style, script and tags, a line for each text; labels and titles are read out in brackets.
fn text(page: &str) -> String {
    let mut lines = Vec::new();
    for piece in parts(page).0.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        if tag.starts_with("style") {
            continue;
        }
        if let Some((_, label)) = tag.split_once("aria-label=\"") {
            lines.push(format!("[{}]", label.split('"').next().unwrap()));
        }
        lines.extend((!text.trim().is_empty()).then(|| text.trim().to_owned()));
    }
    lines.join("\n")
}

#[test]
fn an_attacked_run_reads_from_verdict_to_pipeline() {
    insta::assert_snapshot!(text(&page(Html { samples: 3, classes: 1, ..Html::example() }, &fixture::attacked(8, 3))));
}

#[test]
fn a_run_without_attack_shows_what_is_most_suspect() {
    insta::assert_snapshot!(text(&page(Html { samples: 2, classes: 2, ..Html::example() }, &fixture::unattacked(4))));
}

/// A page of six detectors and nine classes, of which maps and contact sheets would take far more than it may.
#[test]
fn a_page_of_many_detectors_and_classes_is_kept_small() {
    let run = fixture::crowded(6, 9, 150);
    let page = page(Html { samples: 150, classes: 9, ..Html::example() }, &run);
    assert!(page.len() < 15_000_000, "{}", page.len());
    assert!(page.len() > 6_000_000, "what there is, is spent: {}", page.len());
    assert_eq!(page.matches("<div class=\"map\"").count(), 6 * 9, "every class has its map");
    assert!(page.matches("<li class=\"tile").count() > 6 * 9 * 10, "and images");
}

#[test]
fn a_table_has_no_column_of_what_was_not_measured_over_its_scope() {
    let mut run = fixture::attacked(4, 2);
    let alarm =
        |detector: &str| Measurement { metric: "false-alarm".into(), detector: Some(detector.into()), scope: Scope::All, value: Some(0.0) };
    run.measurements.extend(["heatmap-clustering", "activation-clustering"].map(alarm));
    let page = page(Html::example(), &run);
    let head = |label: &str| page.split_once(&format!("aria-label=\"{label}\"")).unwrap().1.split_once("</thead>").unwrap().0.to_owned();
    assert!(!head("Attacked classes").contains("False alarm") && head("Whole training set").contains("False alarm"));
}

#[test]
fn what_a_filter_costs_each_class_is_told() {
    let mut run = fixture::attacked(8, 3);
    assert!(!page(Html::example(), &run).contains("Accuracy lost"), "not tried");
    for (metric, detector, class, value) in [
        ("accuracy-lost", Some("hc"), "stop", 0.125),
        ("accuracy-lost", Some("hc"), "<yield>", -0.01),
        ("accuracy-lost-random", Some("hc"), "stop", 0.25),
        ("accuracy-lost-perfect", None, "<yield>", 0.5),
    ] {
        let scope = Scope::Class(class.to_owned());
        run.measurements.push(Measurement { metric: metric.to_owned(), detector: detector.map(str::to_owned), scope, value: Some(value) });
    }
    let text = text(&page(Html::example(), &run));
    let told = text.split_once("Accuracy lost by class\n").unwrap().1;
    assert_eq!(
        told.lines().skip(2).take(12).collect::<Vec<_>>(),
        ["Class", "hc", "hc, at random", "exactly the poison", "stop", "12.50", "25.00", "–", "&lt;yield&gt;", "-1.00", "–", "50.00"]
    );
}

#[test]
fn a_cut_out_is_shown_beside_its_image_and_not_over_it() {
    let mut run = fixture::attacked(4, 3);
    let laid = |run: &fixture::Run| {
        let page = page(Html::example(), run);
        (parts(&page).1["plots"][0]["maps"][0]["spatial"].as_bool(), page.contains("class=\"picture heatmap"))
    };
    run.outcome.detections.truncate(1);
    assert_eq!(laid(&run), (Some(true), true));
    let rows = run.outcome.images.len();
    run.outcome.detections[0].features[0].rows = Arc::new(Features::new(vec![4, 9, 9], vec![0.5; rows * 4 * 9 * 9]).unwrap());
    assert_eq!(laid(&run), (Some(false), false));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = page(Html::example(), &fixture::attacked(20, 5));
    for outside in ["http://", "https://", "src=", "@import", "javascript:"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.match_indices("url(").all(|(at, _)| page[at..].starts_with("url(data:image/png;base64,")));
    assert!(page.match_indices("href=\"").all(|(at, _)| ["#", "data:,"].iter().any(|inside| page[at + 6..].starts_with(inside))));
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
    assert_eq!(page.matches("<script").count(), 2, "the data and the page's own");
}

#[test]
fn hostile_text_stays_text() {
    let whole = page(Html::example(), &hostile::run());
    let (page, data) = parts(&whole);
    let harmless = self::page(Html::example(), &fixture::attacked(3, 2));
    let (harmless, _) = parts(&harmless);
    let escaped = HOSTILE.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    assert!(page.matches(&escaped).count() > 100);
    assert!(!page.contains("<script") && !page.contains("<img"));
    for tag in ["</style", "</pre", "</title"] {
        assert_eq!(page.matches(tag).count(), harmless.matches(tag).count(), "{tag}");
    }
    // An attribute that hostile text had broken out of would hold an unescaped quote.
    assert!(page.split('<').filter_map(|piece| piece.split('>').next()).all(|tag| tag.matches('"').count() % 2 == 0));
    assert_eq!([whole.matches("<script").count(), whole.matches("</script").count()], [2; 2]);
    let row = &data["plots"][0]["rows"][0];
    assert_eq!(data["samples"][row.to_string()]["id"], format!("{HOSTILE}{row}"));
}

#[test]
fn curves_and_maps_are_files_with_safe_names() {
    let folder = tempfile::tempdir().unwrap();
    let files = Html::example().build().unwrap().write(&Context::quiet(0), &hostile::run().report(), folder.path()).unwrap();
    let ending = |ending: &str| files.iter().filter(|file| file.to_str().unwrap().ends_with(ending)).count();
    assert_eq!((ending(".svg"), ending("-map.svg")), (6, 2), "two curves and a map for each detector");
    assert_eq!((ending("-heatmap.png"), ending("-trigger.png")), (5, 2), "two clusters and noise, flagged and not");
    for file in &files[1..] {
        assert_eq!(file.parent(), Some(folder.path().join("figures").as_path()));
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_".contains(&letter)), "{name}");
        if file.extension().is_some_and(|ending| ending == "png") {
            assert!(image::open(file).is_ok(), "{name}");
            continue;
        }
        let svg = std::fs::read_to_string(file).unwrap();
        assert!(svg.starts_with("<svg xmlns=") && !svg.contains("<script"));
        assert_eq!(svg.matches("</").count() * 2, svg.matches('<').count(), "{name} closes what it opens");
        assert_eq!(svg.contains(">poison</text>") && svg.contains(">flagged: outlined</text>"), name.ends_with("-map"), "{name}");
    }
}

#[test]
fn a_clean_control_shows_what_is_most_suspect() {
    let mut run = fixture::attacked(4, 0);
    run.outcome.truth.as_mut().unwrap().targets.clear();
    let page = page(Html { samples: 2, classes: 1, ..Html::example() }, &run);
    assert!(page.contains("The classes that each detector suspects most"));
    assert_eq!(page.matches("<section class=\"class\">").count(), 2, "a class for each detector");
}

#[test]
fn a_page_without_a_map_is_whole() {
    let page = page(Html { embed: None, ..Html::example() }, &fixture::attacked(8, 3));
    let (page, data) = parts(&page);
    assert_eq!(data["plots"].as_array().map(Vec::len), Some(0));
    assert!(page.contains("class=\"tile") && !page.contains("data-plot"));
}

#[test]
fn a_page_with_three_large_classes_a_detector_can_be_sent_by_mail() {
    let page = page(Html::example(), &fixture::unattacked(2000));
    assert!(page.len() < 15_000_000, "{} bytes", page.len());
}
