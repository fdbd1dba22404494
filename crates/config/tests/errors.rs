//! What bad input gets: every message as a user sees it, in snapshots to be read as pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use bezoar_config::{Diagnostics, Node, Source, deserialize, expand, parse, set, to_yaml, validate};
use insta::assert_snapshot;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

/// A pipeline in small, with every shape that a configuration's field can have.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Pipeline {
    /// A name for the run's folder.
    name: String,
    /// Where the images come from.
    #[serde(default)]
    dataset: Option<Dataset>,
    /// How the images are poisoned.
    attack: Attack,
    /// How the net is trained.
    #[serde(default)]
    train: Train,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Dataset {
    /// Which classes to keep.
    #[serde(default)]
    classes: Option<Vec<u32>>,
    /// Other names for classes.
    #[serde(default)]
    names: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Attack {
    /// The share of the target class that is poisoned.
    ///
    /// More text that a summary does not need.
    #[schemars(range(min = 0.0, max = 1.0), extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    share: f64,
    /// The sticker's side in pixels.
    #[schemars(range(min = 1, max = 3))]
    #[serde(default = "three")]
    size: u8,
    /// The sticker's colour, red, green, blue.
    #[serde(default)]
    color: [u8; 3],
    #[serde(default)]
    place: Place,
}

fn three() -> u8 {
    3
}

/// Where the sticker goes.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Place {
    /// Anywhere.
    #[default]
    Anywhere,
    /// In one of the corners.
    Corner,
    /// At a fixed point.
    Fixed { x: u32, y: u32 },
    /// At most this far from the middle.
    Near(u32),
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Train {
    epochs: u32,
    optimizer: Optimizer,
    schedule: Option<Schedule>,
    augment: bool,
    #[schemars(extend("exclusiveMinimum" = 0))]
    rate: Option<f64>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Optimizer {
    #[default]
    Adam,
    Sgd,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
enum Schedule {
    Constant,
    Step { every: u32, factor: f64 },
    OneCycle { peak: f64 },
}

/// One entry of a page: the input, and all that is said about it.
fn entry(page: &mut String, input: &str, mistakes: &impl std::fmt::Display) {
    let input = input.replace('\t', "→").replace('\0', "␀").replace('\n', "\n  ");
    write!(page, "──────────\n  {}\n\n{mistakes}\n", input.trim_end()).unwrap();
}

fn source(text: &str) -> Source {
    Source::new("pipeline.yaml", text)
}

/// All mistakes of a text by the schema of [`Pipeline`]. What the schema lets pass must deserialize.
fn check(text: &str) -> Result<Node, Diagnostics> {
    check_node(parse(&source(text))?)
}

fn check_node(node: Node) -> Result<Node, Diagnostics> {
    Diagnostics::check(validate(&node, schema_for!(Pipeline).as_value()))?;
    deserialize::<Pipeline>(&node)?;
    Ok(node)
}

fn page(inputs: &[&str]) -> String {
    let mut page = String::new();
    for input in inputs {
        let mistakes = check(input).expect_err(input);
        entry(&mut page, input, &mistakes);
    }
    page
}

#[test]
fn good_input_passes() {
    for text in [
        "name: a\nattack: { share: 0.15 }",
        "name: a\ndataset:\nattack: { share: 0.15, size: 1, color: [245, 255, 0], place: corner }",
        "{name: a, attack: {share: 1.0e-3, place: {near: 3}}, train: {schedule: {kind: step, every: 3, factor: 0.1}, rate: 1}}",
        "name: a\nattack: { share: 0.15, place: { fixed: { x: 1, y: 2 } } }\ndataset: { classes: [1, 2], names: { '1': stop } }",
    ] {
        let node = check(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let pipeline: Pipeline = deserialize(&node).unwrap();
        let resolved = serde_json::to_value(&pipeline).unwrap();
        check(&to_yaml(&resolved)).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    }
}

#[test]
fn broken_yaml() {
    let page = page(&[
        "name: a\nname: b\nattack:\n  share: 0.1\n  'share': 0.2\n",
        "name: a\nattack:\n\tshare: 0.1\n",
        "attack: { share: 0.1\nname: b\n",
        "name: a: b\n",
        "name: 'a\n",
        "name: \"a\\q\"\n",
        "name: a\n share: 0.1\n",
        "- a\nname: b\n",
        "name: @a\n",
        "name: *other\n",
        "name: &loop [*loop]\n",
        "base: &base { share: 0.1 }\nattack:\n  <<: *base\n",
        "name: !!str 5\n",
        "name: a\n---\nname: b\n",
        "name: {{ name }}\n",
        "[a, b]: c\n",
        "# nothing but a comment\n",
        "attack: { share: .nan, size: 99999999999999999999, color: [1e999, -.inf] }\n",
        "name: a\u{0}\nattack: b\n",
    ]);
    assert_snapshot!(page);
}

#[test]
fn values_that_the_schema_refuses() {
    let page = page(&[
        "name: a\nattack: { shre: 0.15, xyzzy: 1 }\n",
        "nam: a\nattack:\n  share: 0.15\n  Size: 3\n",
        "name: a\nattack:\n  size: 3\n",
        "name: a\n",
        "name: 5\nattack: { share: \"0.15\", size: two, color: 7 }\n",
        "name: a\nattack: { share: 1.5, size: 0 }\n",
        "name: a\nattack: { share: 0 }\ntrain: { epochs: -1, rate: 0 }\n",
        "name: a\nattack: { share: 0.15, size: 1.5, color: [1, 2, 300] }\n",
        "name: a\nattack: { share: 0.15, color: [1, 2] }\n",
        "name: a\nattack: sticker\n",
        "name: a\nattack:\n",
        "just some words\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { optimizer: adm, augment: yes }\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { optimizer: [adam] }\n",
        "name: a\nattack: { share: 0.15, place: cornr }\n",
        "name: a\nattack: { share: 0.15, place: fixed }\n",
        "name: a\nattack: { share: 0.15, place: { fixt: { x: 1, y: 2 } } }\n",
        "name: a\nattack: { share: 0.15, place: { fixed: { x: 1, z: 2 } } }\n",
        "name: a\nattack: { share: 0.15, place: { near: far } }\n",
        "name: a\nattack: { share: 0.15, place: 3 }\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { schedule: { kind: stp, every: 3 } }\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { schedule: { kind: step, every: 3 } }\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { schedule: { every: 3, factor: 0.1 } }\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { schedule: step }\n",
        "name: a\nattack: { share: 0.15 }\ndataset: { classes: [1, two, -3], names: { stop: 14 } }\n",
        "name: a\nattack: { share: 0.15 }\ndataset: { classes: 14 }\n",
        "# ein Schild, größer\nname: a\nattack: { 標識: ü, \tshre: 0.15 } # 😀\n",
    ]);
    assert_snapshot!(page);
}

/// What no schema says, or who comes without one.
#[test]
fn values_that_serde_refuses() {
    let mut page = String::new();
    for input in [
        "name: a\nattack: { share: 0.15, shre: 0.2 }\n",
        "name: a\nattack:\n  size: 3\n",
        "name: [a]\nattack: { share: 0.15 }\n",
        "name: a\nattack: { share: 0.15, size: 300 }\n",
        "name: a\nattack: { share: 0.15, color: [1, 2, 3, 4] }\n",
        "name: a\nattack: { share: 0.15, color: [1, 2] }\n",
        "name: a\nattack: { share: 0.15, place: cornr }\n",
        "name: a\nattack: { share: 0.15, place: fixed }\n",
        "name: a\nattack: { share: 0.15, place: { corner: 5 } }\n",
        "name: a\nattack: { share: 0.15, place: { fixt: {} } }\n",
        "name: a\nattack: { share: 0.15, place: [] }\n",
        "name: a\nattack: { share: 0.15 }\ntrain: { epochs: 4294967296 }\n",
    ] {
        let node = parse(&source(input)).unwrap();
        entry(&mut page, input, &deserialize::<Pipeline>(&node).expect_err(input));
    }
    assert_snapshot!(page);
}

#[test]
fn assignments() {
    let mut page = String::new();
    for assignment in [
        "attack.share",
        "=1",
        "attack..share=1",
        "attack.share=",
        "attack.share=[1, 2",
        "attack.share={a: 1, a: 2}",
        "detect.2.k=3",
        "detect.one.k=3",
        "detect[0].k=3",
        "name.first=b",
        "attack.share=1.5",
        "attack.shre=0.2",
        "train={ epochs: many }",
        "dataset.names.stop=14",
    ] {
        let mut node = parse(&source("name: a\nattack: { share: 0.15 }\ndetect: [{}, {}]\n")).unwrap();
        let checked = set(&mut node, assignment).and_then(|()| check_node(node.without("detect")));
        entry(&mut page, assignment, &checked.expect_err(assignment));
    }
    assert_snapshot!(page);
}

#[test]
fn matrices() {
    let mut page = String::new();
    for matrix in [
        "[1, 2]",
        "3",
        "{}",
        "{ seed: [] }",
        "{ attack..share: [0.1] }",
        "{ name.first: [a, b] }",
        "{ detect.2.k: [3] }",
        "{ attack.share: [0.1, 0.2], exclude: { attack.share: 0.1 } }",
        "{ attack.share: [0.1, 0.2], exclude: [{ atack.share: 0.1 }] }",
        "{ attack.share: [0.1, 0.2], exclude: [{ attack.share: 0.3 }] }",
        "{ attack.share: [0.1, 0.2], exclude: [{ attack.share: [0.1, 0.3] }] }",
        "{ attack.share: [0.1, 0.2], exclude: [{ attack.share: [] }] }",
        "{ attack.share: [0.1, 0.2, 0.3], exclude: [{ attack.share: [0.1, 0.2] }, { attack.share: 0.1 }] }",
        "{ attack.share: [0.1], exclude: [{ attack.share: 0.1 }] }",
        "{ attack.share: [0.1], include: [0.2] }",
        &format!("{{ a: &many [{}], b: *many, c: *many, d: *many, e: *many, f: *many }}", "x, ".repeat(60)),
    ] {
        let text = format!("name: a\nattack: {{ share: 0.15 }}\ndetect: [{{}}, {{}}]\nmatrix: {matrix}\n");
        entry(&mut page, &text, &expand(&parse(&source(&text)).unwrap()).expect_err(matrix));
    }
    assert_snapshot!(page);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut page = String::new();
    let files: [(&str, &[u8]); 4] = [
        ("empty.yaml", b" \n"),
        ("latin-1.yaml", b"a: 1\nname: gr\xfc\xdfe\n"),
        ("large.yaml", &vec![b'#'; 5 << 20]),
        ("missing.yaml", b""),
    ];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        if name != "missing.yaml" {
            fs::write(&path, bytes).unwrap();
        }
        entry(&mut page, name, &Source::read(&path).unwrap_err());
    }
    entry(&mut page, "a folder", &Source::read(folder.path()).unwrap_err());
    let shown = page.replace(folder.path().to_str().unwrap(), "FOLDER");
    assert_snapshot!(shown);
}

#[test]
fn colors_and_long_lines() {
    let long = format!("name: {}\nattack: {{ {}shre: 0.15 }}\n", "x".repeat(300), "color: [0, 0, 0], ".repeat(20));
    let long = long.replacen("color", "share: 0.1, color", 1).replace("], color: [0, 0, 0", "");
    let padded = format!("{}{long}", "\n".repeat(98)).replace("attack: {", &format!("attack: {{{}", " ".repeat(200)));
    let mistakes = check(&padded).unwrap_err();
    assert_snapshot!(mistakes.render(true).replace('\u{1b}', "␛"));
}
