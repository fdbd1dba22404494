//! `report.html`: what it says, that it needs no network, and that no text from data is taken for markup.

use bezoar_core::{Context, Edit, ImageSet, Plugin, Skipped};
use bezoar_report::Html;

use crate::fixture;

fn page(html: Html, run: &fixture::Run) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = html.build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    assert_eq!(files, [folder.path().join("report.html")]);
    std::fs::read_to_string(&files[0]).unwrap()
}

/// What remains of a page without style and tags, a line for each text; labels and titles are read out in brackets.
fn text(page: &str) -> String {
    let mut lines = Vec::new();
    for piece in page.split('<').skip(1) {
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
    insta::assert_snapshot!(text(&page(Html { samples: 3, classes: 1 }, &fixture::attacked(8, 3))));
}

#[test]
fn a_run_without_attack_shows_what_is_most_suspect() {
    insta::assert_snapshot!(text(&page(Html { samples: 2, classes: 2 }, &fixture::unattacked(4))));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = page(Html::example(), &fixture::attacked(20, 5));
    for outside in ["http://", "https://", "src=", "<script", "@import", "javascript:"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.match_indices("url(").all(|(at, _)| page[at..].starts_with("url(data:image/png;base64,")));
    assert!(page.match_indices("href=\"").all(|(at, _)| ["#", "data:,"].iter().any(|inside| page[at + 6..].starts_with(inside))));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn hostile_text_stays_text() {
    const HOSTILE: &str = "</style></pre><script>alert('\"1&2\"')</script><img src=x onerror=alert(1)>";
    let mut run = fixture::attacked(3, 2);
    let outcome = &mut run.outcome;
    let edits = outcome.images.samples().iter().enumerate().map(|(row, sample)| {
        let mut sample = sample.clone();
        sample.id = format!("{HOSTILE}{row}");
        sample.path = format!("{HOSTILE}{row}");
        Edit { sample, image: outcome.images.image(row).unwrap() }
    });
    let classes = (0..outcome.images.classes().len()).map(|class| format!("{HOSTILE}{class}")).collect();
    outcome.images = ImageSet::from_images(classes, edits.collect()).unwrap();
    outcome.name = HOSTILE.into();
    outcome.facts = vec![(HOSTILE.into(), HOSTILE.into())];
    outcome.skipped = vec![Skipped { path: HOSTILE.into(), problem: HOSTILE.into() }];
    for detection in &mut outcome.detections {
        detection.detector = HOSTILE.into();
        detection.features[0].0 = HOSTILE.into();
        for input in &mut detection.verdict.inputs {
            (input.name, input.value) = (HOSTILE.into(), HOSTILE.into());
        }
        for class in &mut detection.verdict.classes {
            (class.reason, class.statistic_name) = (HOSTILE.into(), HOSTILE.into());
        }
    }
    for measurement in &mut run.measurements {
        measurement.detector = measurement.detector.as_ref().map(|_| HOSTILE.to_owned());
        measurement.metric.push_str(HOSTILE);
    }
    run.timings[0].0 = HOSTILE.into();
    run.resolved = HOSTILE.into();

    let page = page(Html::example(), &run);
    let harmless = fixture::attacked(3, 2);
    let escaped = HOSTILE.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    assert!(page.matches(&escaped).count() > 100);
    assert!(!page.contains("<script") && !page.contains("<img"));
    for tag in ["</style", "</pre", "</title"] {
        assert_eq!(page.matches(tag).count(), self::page(Html::example(), &harmless).matches(tag).count(), "{tag}");
    }
    // An attribute that hostile text had broken out of would hold an unescaped quote.
    assert!(page.split('<').filter_map(|piece| piece.split('>').next()).all(|tag| tag.matches('"').count() % 2 == 0));
}

#[test]
fn a_page_with_three_classes_a_detector_stays_small() {
    let page = page(Html::example(), &fixture::unattacked(200));
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}
