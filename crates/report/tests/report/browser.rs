//! `report.html` in Chromium, where there is one: it answers, says nothing on the console, and asks nobody for anything.

use std::io::Write;

use bezoar_clustering as _;
use bezoar_core::{Context, Measurement, Plugin, Scope};
use bezoar_evaluation::repeats::{Cell, Results};
use bezoar_report::{Html, write_study_page};
use serde_json::json;

use crate::devtools::{Browser, chromium};
use crate::hostile::{self, HOSTILE};
use crate::{fixture, study};

/// The place of the first map in the window, after it was brought there: left, top, right, bottom.
const MAP: &str = "(() => { const map = document.querySelector('.map svg'); map.scrollIntoView({ behavior: 'instant', block: 'center' });
    const { left, top, right, bottom } = map.getBoundingClientRect(); return [left, top, right, bottom]; })()";

/// Where the mark lies whose image is shown.
const MARK: &str = "(() => { const map = document.querySelector('.map svg');
    const [x, y] = map.querySelector('.halo').getAttribute('d').slice(1).split(/[ a]/).map(Number);
    const place = new DOMPoint(x + 10, y).matrixTransform(map.getScreenCTM()); return [place.x, place.y]; })()";

#[test]
fn the_page_answers_and_stays_alone() {
    let Some(program) = chromium() else {
        // Written past the test's capture: whoever runs the tests wants to know which did nothing.
        let _ = writeln!(std::io::stderr(), "skipped: no Chromium in the path; BEZOAR_CHROMIUM names one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let files = Html::example().build().unwrap().write(&Context::quiet(0), &hostile::run().report(), folder.path()).unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&files[0]);

    texts_stay_texts(&mut browser);
    a_rectangle_selects(&mut browser);
    keys_select(&mut browser);
    a_mark_shows_its_image(&mut browser);
    sheets_are_sorted(&mut browser);
    heatmaps_lie_over_images(&mut browser);
    it_fits_a_phone(&mut browser);
    nothing_was_said_or_asked(&browser);
}

#[test]
fn a_study_stays_alone_and_fits() {
    let Some(program) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = write_study_page(&crowded_study(), &study::costs(), "name: crowded", Some("version: 1"), folder.path()).unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&page);
    for width in [1280, 390] {
        browser
            .call("Emulation.setDeviceMetricsOverride", &json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false }));
        let beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.evaluate(beyond), 0, "nothing sticks out at {width}");
    }
    it_fits_on_paper(&mut browser);
    nothing_was_said_or_asked(&browser);
}

#[test]
fn a_crowded_page_fits_on_paper() {
    let Some(program) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = Html::example().build().unwrap().write(&Context::quiet(0), &fixture::crowded(6, 2, 8).report(), folder.path()).unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&files[0]);
    it_fits_on_paper(&mut browser);
}

/// Six detectors with long names over two axes.
fn crowded_study() -> Results {
    let cell = |at: u32| {
        let cell = Cell { settings: vec![at.to_string(), format!("sticker-{at}")], run: format!("run-{at}"), problem: None };
        let figures = (0..6).flat_map(|detector| {
            ["auroc", "tpr", "fpr"].map(|metric| Measurement {
                metric: metric.to_owned(),
                detector: Some(format!("heatmap-clustering min-size={detector}")),
                scope: Scope::Attacked,
                value: Some(f64::from(detector + at) / 16.0),
            })
        });
        (cell, Some(figures.collect()))
    };
    let axes = ["attack.share", "attack.preset"].map(str::to_owned);
    Results::of(&Context::quiet(0), "crowded", &axes, (0..4).map(cell).collect())
}

/// The width of an A4 page between its margins, in pixels.
const PAPER: u32 = 718;

/// On paper nobody scrolls or unfolds: no element is wider than the page or cut off, and what is folded away is open.
fn it_fits_on_paper(browser: &mut Browser) {
    browser.call("Emulation.setDeviceMetricsOverride", &json!({ "width": PAPER, "height": 1000, "deviceScaleFactor": 1, "mobile": false }));
    browser.call("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    let cut = "[...document.querySelectorAll('body *:not(svg *)')].filter((part) => {
        const { right, width } = part.getBoundingClientRect(), style = getComputedStyle(part);
        return width > 0 && (right > innerWidth + 1 || (style.overflowX !== 'visible' && part.scrollWidth > part.clientWidth + 1));
    }).map((part) => `${part.tagName}.${part.className} ${part.textContent.slice(0, 40)}`)";
    assert_eq!(browser.evaluate(cut), json!([]));
    let folded = "[...document.querySelectorAll('details > :not(summary)')].filter((part) => !part.checkVisibility()).length";
    assert_eq!(browser.evaluate(folded), 0, "closed parts print opened");
}

fn texts_stay_texts(browser: &mut Browser) {
    assert_eq!(browser.evaluate("document.querySelector('h1').textContent"), HOSTILE);
    assert_eq!(browser.evaluate("document.querySelectorAll('script').length"), 2);
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length"), 0);
    let shown = browser.evaluate("document.querySelector('[data-fact=path]').textContent");
    assert!(shown.as_str().unwrap().starts_with(HOSTILE), "{shown}");
}

fn a_rectangle_selects(browser: &mut Browser) {
    let place = browser.evaluate(MAP);
    let [left, top, right, bottom] = [0, 1, 2, 3].map(|at| place[at].as_f64().unwrap());
    browser.drag([left + 2.0, top + 2.0], [right - 2.0, bottom - 2.0]);
    let ids = "[...document.querySelector('.map').querySelectorAll('tbody th')].map((id) => id.textContent)";
    let all = browser.evaluate(ids);
    assert_eq!(all.as_array().unwrap().len(), 5, "three images of the class, two poison ones: {all}");
    assert!(all[0].as_str().unwrap().starts_with(HOSTILE));
    assert_eq!(browser.evaluate("document.querySelector('.map output').textContent"), "5 selected.");

    browser.drag([left + 1.0, top + 1.0], [left + 8.0, top + 8.0]);
    assert_eq!(browser.evaluate(ids), json!([]), "there is nothing in the corner");
}

fn keys_select(browser: &mut Browser) {
    browser.evaluate("document.querySelector('.map svg').focus()");
    for key in ["Home", "Enter", "ArrowRight", "ArrowRight", "Enter"] {
        browser.press(key);
    }
    assert_eq!(browser.evaluate("document.querySelector('.map output').textContent"), "2 selected.");
    assert!(browser.evaluate("document.querySelector('[data-fact=score]').textContent").as_str().unwrap().contains("#3 of 5"));
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.querySelector('.map output').textContent"), "Nothing is selected.");
}

fn a_mark_shows_its_image(browser: &mut Browser) {
    browser.evaluate(MAP);
    browser.evaluate("document.querySelector('.map svg').focus()");
    let seen = "document.querySelector('.seen').textContent";
    for key in ["Home", "ArrowRight"] {
        browser.press(key);
    }
    let (second, place) = (browser.evaluate(seen), browser.evaluate(MARK));
    browser.press("Home");
    assert_ne!(browser.evaluate(seen), second);
    browser.point([0, 1].map(|at| place[at].as_f64().unwrap()));
    assert_eq!(browser.evaluate(seen), second);
    assert_eq!(browser.evaluate("document.querySelectorAll('.seen .picture').length > 0"), true);
}

fn it_fits_a_phone(browser: &mut Browser) {
    browser.call("Emulation.setDeviceMetricsOverride", &json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true }));
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 390, "nothing sticks out");
    let widest = "Math.max(...[...document.querySelectorAll('.figures th:first-child')].map((name) => name.getBoundingClientRect().width))";
    let widest = browser.evaluate(widest).as_f64().unwrap();
    assert!((1.0..180.0).contains(&widest), "names leave figures room: {widest}");
}

fn sheets_are_sorted(browser: &mut Browser) {
    let order = |browser: &mut Browser, key: &str, what: &str| -> Vec<String> {
        browser.evaluate(&format!("document.querySelector('[data-order={key}]').click()"));
        let tiles = browser.evaluate(&format!("[...document.querySelector('.sheet').children].map((tile) => String({what}))"));
        tiles.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let ids = order(browser, "id", "tile.dataset.id");
    assert!(ids.len() == 5 && ids.is_sorted(), "{ids:?}");
    assert_eq!(order(browser, "score", "tile.dataset.rank"), ["1", "2", "3", "4", "5"]);
    let flags = order(browser, "flagged", "!tile.classList.contains('flagged')");
    assert!(flags.is_sorted() && flags.contains(&"false".to_owned()), "{flags:?}");
}

fn heatmaps_lie_over_images(browser: &mut Browser) {
    let blend = "getComputedStyle(document.querySelector('.sheet .heatmap')).mixBlendMode";
    assert_eq!(browser.evaluate(blend), "normal");
    browser.evaluate("document.querySelector('#overlay').click()");
    assert_eq!(browser.evaluate(blend), "multiply");
}

fn nothing_was_said_or_asked(browser: &Browser) {
    const LOUD: [&str; 4] = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"];
    for event in &browser.events {
        let method = event["method"].as_str().unwrap_or_default();
        assert!(!LOUD.contains(&method), "{event}");
        if method == "Network.requestWillBeSent" {
            let asked = event["params"]["request"]["url"].as_str().unwrap();
            assert!(asked.starts_with("data:") || (asked.starts_with("file://") && asked.ends_with("/report.html")), "{asked}");
        }
    }
}
