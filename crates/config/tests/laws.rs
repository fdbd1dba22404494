//! What holds for all input.

use std::collections::BTreeMap;

use bezoar_config::{Map, Node, Source, Value, deserialize, expand, parse, set, suggest, to_yaml, validate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::{Value as Json, json};

fn source(text: &str) -> Source {
    Source::new("text.yaml", text)
}

/// Strings that YAML could take for something else.
const SPECIAL: &[&str] = &[
    "", " ", "~", "null", "Null", "true", "False", "yes", "no", "on", "off", "y", "n", "1", "-1", "+1", "007", "0x1f", "0o17", "1_000",
    "1e3", ".5", "5.", "1.0", ".inf", "-.INF", ".nan", "inf", "nan", "<<", "=", "-", "- a", "?", "? a", "a: b", "a:", ":", ": a", "#",
    "a #b", "&a", "*a", "!t", "|", ">", "@", "`", "%", "{", "}", "[a]", ",", "---", "...", "--- a", "'", "\"", "\\", "a\nb", "a\n", "\na",
    "a\n\n", "  a\n b", "\t", "a\tb", "\r", "a\r\nb", "\u{85}", "\u{a0}", "\u{feff}", "\u{2028}", "\u{7f}", "\0", "\u{1b}", "12:30:45",
];

/// Pieces of text that make YAML more often than chance would have it.
const PIECES: &[&str] = &[
    "a", "b", "key", "é", "標", "😀", "1", "-2.5", "true", "~", ": ", ": ", ":", "\n", "\n", "\n  ", "\n    ", "- ", "\n- ", "\n  - ", "{",
    "}", "[", "]", ", ", "'x'", "'it''s'", "\"q\"", "\"q\\\"", "\"", "'", " # c", " # \"c\n", "|\n", ">-\n", "  t\n", "    u\n", "&a ",
    "*a", "&b ", "*b", "!t ", "? ", "<<: *a", "---\n", "...\n", "\t", "\r\n", "%", "@", " ", "\u{feff}",
];

fn text() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        2 => select(SPECIAL).prop_map(str::to_owned),
        2 => "[a-z][a-z-]{0,8}",
        1 => "[ -~\n]{0,12}",
        1 => any::<String>(),
    ];
    text.prop_filter("line breaks of YAML 1.1", |text| !text.contains(['\u{85}', '\u{2028}', '\u{2029}']))
}

fn yamlish() -> impl Strategy<Value = String> {
    vec(select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1000_i64..1000).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        (-1e3..1e3).prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::from),
            vec((text().prop_filter("a merge key", |key| key != "<<"), inner), 0..6)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// Checks the span of a node and of all nodes in it.
fn check_spans(node: &Node, text: &str, parent: &str) {
    let span = node.span.expect("a node from text has a span");
    let own = text.get(span.start..span.end).expect("a span lies between characters of the text");
    assert!(own.len() <= parent.len(), "{own:?} is longer than {parent:?}");
    // An alias stands where it stands, and what it stands for elsewhere.
    let own = if own.starts_with('*') { text } else { own };
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| check_spans(item, text, own)),
        Value::Map(map) => {
            for key in map.keys() {
                let span = map.entry(key).and_then(|entry| entry.key_span).expect("a key from text has a span");
                let written = &text[span.start..span.end];
                // Some keys may stand in brackets only, some outside only.
                let again = [format!("{{ {written}: 1 }}"), format!("{written}: 1")].map(|text| parse(&source(&text)));
                let reads_as_key = |node: Node| node.as_map().and_then(|map| map.keys().next()) == Some(key);
                assert!(written.contains('\n') || again.into_iter().flatten().any(reads_as_key), "{written:?} is not {key:?}");
            }
            map.iter().for_each(|(_, child)| check_spans(child, text, own));
        }
        // The indentation of a block scalar is relative to its parent's.
        Value::String(_) if own.starts_with(['|', '>']) || own.starts_with('&') && own.contains('\n') => {}
        _ if own == text => {}
        Value::Null if own.is_empty() => {}
        value => assert_eq!(&parse(&source(&format!(" {own}"))).expect(own).value, value, "{own:?} in {text:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_the_same(value in json()) {
        let text = to_yaml(&value);
        let node = parse(&source(&text)).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
        prop_assert_eq!(node.to_json(), value, "{}", text);
        check_spans(&node, &text, &text);
    }

    #[test]
    fn any_text_parses_or_says_why_not(text in prop_oneof![8 => yamlish(), 1 => any::<String>(), 1 => "[ -~\n]{0,40}"]) {
        match parse(&source(&text)) {
            Ok(node) => check_spans(&node, &text, &text),
            Err(mistakes) => {
                for mistake in &mistakes {
                    let span = mistake.span.expect("a mistake in a text has a place");
                    prop_assert!(text.get(span.start..span.end).is_some());
                }
                prop_assert!(mistakes.render(false).starts_with("error: "));
                prop_assert!(mistakes.render(true).contains("text.yaml:"));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        match Source::read(file.path()) {
            Ok(source) => prop_assert_eq!(source.text(), std::str::from_utf8(&bytes).unwrap().trim_start_matches('\u{feff}')),
            Err(mistakes) => prop_assert_eq!(mistakes.iter().count(), 1),
        }
    }

    #[test]
    fn json_goes_through_a_node_unchanged(value in json()) {
        prop_assert_eq!(&Node::from_json(value.clone()).to_json(), &value);
        prop_assert_eq!(&serde_json::to_value(serde_json::from_value::<Node>(value.clone()).unwrap()).unwrap(), &value);
        prop_assert_eq!(&deserialize::<Json>(&Node::from_json(value.clone())).unwrap(), &value);
    }

    #[test]
    fn a_node_hands_itself_through_with_its_places(value in json()) {
        #[derive(Deserialize)]
        struct Holder {
            list: Vec<Node>,
            some: Option<Node>,
        }
        let node = parse(&source(&to_yaml(&json!({ "list": [value, value], "some": value })))).unwrap();
        let holder: Holder = deserialize(&node).unwrap();
        prop_assert_eq!(Some(&holder.list[..]), node.get("list").and_then(Node::as_list));
        prop_assert_eq!(holder.some.as_ref(), node.get("some").filter(|some| !some.is_null()));
    }

    #[test]
    fn what_is_set_is_there_and_the_rest_stays(value in json(), path in "[a-c](\\.[a-c]){0,3}") {
        let before = json!({ "a": { "b": { "x": 1 } }, "y": [1, { "z": 2 }] });
        let mut node = Node::from_json(before.clone());
        let compact = serde_json::to_string(&value).unwrap().replace('\u{7f}', "\\u007f");
        prop_assume!(!compact.contains(|c: char| c.is_control()));
        set(&mut node, &format!("{path}={compact}")).unwrap();
        let pointer = format!("/{}", path.replace('.', "/"));
        let after = node.to_json();
        prop_assert_eq!(after.pointer(&pointer), Some(&value));
        prop_assert_eq!(&after["y"], &before["y"]);
        if !["/a", "/a/b"].contains(&pointer.as_str()) {
            prop_assert_eq!(after.pointer("/a/b/x"), Some(&json!(1)));
        }
    }

    #[test]
    fn a_matrix_is_the_product_of_its_lists_without_what_it_excludes(
        (a, b, seeds) in (vec(0_i64..5, 1..4), vec(0_i64..5, 1..4), vec(0_i64..5, 1..4)),
        without in (vec(0_i64..5, 1..4), vec(0_i64..5, 1..4)), alone in any::<bool>(), further in vec(0_i64..9, 1..4)
    ) {
        let known = |values: &[i64], axis: &[i64]| values.iter().copied().filter(|value| axis.contains(value)).collect::<Vec<_>>();
        let without = (known(&without.0, &a), known(&without.1, &b));
        let meets = |a: i64, b: i64| without.0.contains(&a) && without.1.contains(&b);
        let written = |values: &[i64]| if alone && values.len() == 1 { json!(values[0]) } else { json!(values) };
        let excluded = !without.0.is_empty() && !without.1.is_empty();
        let exclude = if excluded { json!([{ "x.a": written(&without.0), "x.b": written(&without.1) }]) } else { json!([]) };
        let file = json!({
            "x": { "a": -1, "kept": true }, "seed": -1,
            "matrix": { "x.a": a, "x.b": b, "seed": seeds, "exclude": exclude, "include": [{ "x.a": further }, { "seed": 77 }] },
        });
        let cells: Vec<Json> = expand(&Node::from_json(file.clone())).unwrap().iter().map(|cell| cell.node.to_json()).collect();
        let mut expected = Vec::new();
        for &a in &a {
            for &b in b.iter().filter(|&&b| !meets(a, b)) {
                expected.extend(seeds.iter().map(|seed| json!({ "x": { "a": a, "kept": true, "b": b }, "seed": seed })));
            }
        }
        expected.extend(further.iter().map(|a| json!({ "x": { "a": a, "kept": true }, "seed": -1 })));
        expected.push(json!({ "x": { "a": -1, "kept": true }, "seed": 77 }));
        let mut distinct: Vec<Json> = Vec::new();
        for cell in expected {
            if !distinct.contains(&cell) {
                distinct.push(cell);
            }
        }
        prop_assert_eq!(cells, distinct);
    }

    #[test]
    fn settings_name_what_a_cell_is(values in vec(0_i64..5, 1..4)) {
        let file = Node::from_json(json!({ "k": 0, "matrix": { "k": values } }));
        for cell in expand(&file).unwrap() {
            prop_assert_eq!(cell.settings.len(), 1);
            prop_assert_eq!((&cell.settings[0].0[..], cell.settings[0].1.to_json()), ("k", cell.node.to_json()["k"].clone()));
        }
        let plain = file.without("matrix");
        prop_assert_eq!(expand(&plain).unwrap()[0].node.to_json(), plain.to_json());
    }

    #[test]
    fn validation_finds_mistakes_where_the_schema_does(value in instance()) {
        let schema = schema_for!(Shape).to_value();
        let mistakes = validate(&parse(&source(&to_yaml(&value))).unwrap(), &schema);
        prop_assert_eq!(mistakes.is_empty(), jsonschema::is_valid(&schema, &value), "{}", value);
        for mistake in &mistakes {
            prop_assert!(mistake.span.is_some() && !mistake.message.is_empty());
        }
    }

    #[test]
    fn what_deserializes_is_valid(value in instance().prop_filter("serde takes it", |value| !value.to_string().contains(r#""tagged":["#))) {
        let node = Node::from_json(value);
        let mistakes = validate(&node, schema_for!(Shape).as_value());
        if deserialize::<Shape>(&node).is_ok() {
            prop_assert!(mistakes.is_empty(), "{:?}", mistakes);
        }
    }

    #[test]
    fn suggestions_do_not_depend_on_order(name in "[a-d_-]{0,8}", mut names in vec("[a-d-]{1,8}", 0..8)) {
        let near = suggest(&name, names.iter().map(String::as_str)).map(str::to_owned);
        prop_assert!(near.iter().all(|near| names.contains(near)));
        if names.contains(&name) && !name.contains('_') && name.len() > 2 {
            prop_assert!(near.is_some());
        }
        names.reverse();
        prop_assert_eq!(suggest(&name, names.iter().map(String::as_str)).map(str::to_owned), near);
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its deserialization matter")]
struct Shape {
    share: f64,
    #[serde(default)]
    unit: Unit,
    #[serde(default)]
    either: Option<Either>,
    #[serde(default)]
    tagged: Option<Tagged>,
    #[serde(default)]
    names: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    inner: Option<Box<Shape>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    #[default]
    Share,
    Inner,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its deserialization matter")]
enum Either {
    Share,
    Unit { share: bool },
    Names(Vec<String>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "unit", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its deserialization matter")]
enum Tagged {
    Share { share: f64 },
    Inner { names: Vec<String> },
}

/// Values made of the words of [`Shape`], right and wrong ones.
fn instance() -> impl Strategy<Value = Json> {
    let word = select(&["share", "shore", "unit", "either", "tagged", "names", "name", "inner"][..]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2_i64..3).prop_map(Json::from),
        (-2.5..2.5).prop_map(Json::from),
        word.clone().prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Json::from),
            vec((word.clone(), inner), 0..4).prop_map(|fields| fields.into_iter().collect::<Json>()),
        ]
    });
    (value, any::<bool>()).prop_map(|(mut value, complete)| {
        if let (Json::Object(fields), true) = (&mut value, complete) {
            fields.insert("share".to_owned(), json!(0.5));
        }
        value
    })
}

#[test]
fn a_small_file_cannot_grow_large() {
    let laughs = |level| format!("- &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    let chain = |level| format!("- &a{level} [*a{}]\n", level - 1);
    let start = "- &a0 [x, x]\n".to_owned();
    for text in [
        start.clone() + &(1..60).map(laughs).collect::<Vec<_>>().concat(),
        start + &(1..100).map(chain).collect::<Vec<_>>().concat(),
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(10_000),
        (0..10_000).map(|depth| " ".repeat(depth) + "a:\n").collect(),
    ] {
        let mistakes = parse(&source(&text)).expect_err("nobody needs this");
        assert!(mistakes.render(false).len() < 1000, "{mistakes}");
    }
}

#[test]
fn many_keys_are_no_trouble() {
    let lines: Vec<_> = (0..100_000).map(|key| format!("key-{key}: {key}\n")).collect();
    assert_eq!(parse(&source(&lines.concat())).unwrap().as_map().map(Map::len), Some(100_000));
}

#[test]
fn misspellings_find_their_words() {
    let known = ["adam", "adam-w", "sgd", "k-means", "hdbscan", "share", "shape", "k"];
    for (name, expected) in [
        ("adm", Some("adam")),
        ("Adam", Some("adam")),
        ("adam_w", Some("adam-w")),
        ("kmeans", Some("k-means")),
        ("HDBSCAN", Some("hdbscan")),
        ("hdbcsan", Some("hdbscan")),
        ("shae", Some("shape")),
        ("shpe", Some("shape")),
        ("shre", Some("share")),
        ("s", None),
        ("lr", None),
        ("optics", None),
    ] {
        assert_eq!(suggest(name, known), expected, "{name}");
    }
}

#[test]
fn columns_count_characters() {
    let source = source("é: 標\n\n😀x: 1");
    let column_of = |what: &str| source.line_column(source.text().find(what).unwrap());
    assert_eq!(column_of("標"), (1, 4));
    assert_eq!(column_of("x"), (3, 2));
    assert_eq!(source.line_column(source.text().len()), (3, 6));
    assert_eq!(source.line_column(1000), (3, 6));
}
