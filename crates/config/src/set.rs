//! Changes from the command line: `--set attack.share=0.05`.

use crate::{
    Diagnostic, Diagnostics, Map, Node, Source, Span, Value,
    node::quote,
    parse::{MAX_DEPTH, parse_from},
};

/// What errors show before the assignment, so that it looks as it was typed.
const OPTION: &str = "--set ";

/// Sets one value of a tree: `attack.share=0.05`, `detect.0.cluster.k=3`, `dataset.classes=[1, 2]`.
///
/// The path is made of keys, and of indices into lists from 0. Mappings and keys that are missing on the way are made.
/// The value is YAML. Errors about it, here or later, point into the assignment's text.
///
/// # Errors
/// When there is no `=`, no path or no value, when the value is not YAML, when a list has no such item, or when the path
/// leads through a value that holds no others. `root` is then as it was.
pub fn set(root: &mut Node, assignment: &str) -> Result<(), Diagnostics> {
    let source = Source::new("command line", format!("{OPTION}{assignment}"));
    let whole = Span { start: OPTION.len(), end: source.text().len() };
    let error =
        |span, message: &str| Diagnostic::new("bad-assignment", message).at(&source, span).help("write `--set path.to.field=value`");
    let Some((path, value)) = assignment.split_once('=') else {
        return Err(error(whole, "no `=` in this assignment").into());
    };
    let mut steps = Vec::new();
    let mut start = OPTION.len();
    for key in path.split('.') {
        let span = Span { start, end: start + key.len() };
        if key.trim().is_empty() {
            return Err(error(span, "an empty name in this path").into());
        }
        if key.contains('[') {
            let dotted = path.replace('[', ".").replace(']', "");
            return Err(error(span, "items of lists stand behind a dot").help(format!("write `--set {dotted}={value}`")).into());
        }
        steps.push((key, Some(span)));
        start = span.end + 1;
    }
    if value.trim().is_empty() {
        return Err(error(Span { start, end: start }, "no value after `=`").help("write `null` to set nothing").into());
    }
    if steps.len() > MAX_DEPTH {
        return Err(error(whole, "this path is too deep").into());
    }
    let value = parse_from(&source, start)?;
    assign(root, &steps, &source, value)
}

/// The assignment that sets the mapping `node` as a whole, with the text `first` before its field: `--set 'a.b={ use: x, c: 1 }'`
/// for the mapping that `--set a.b.c=1` has made where there was none. None for any other node.
pub fn whole_assignment(node: &Node, first: &str) -> Option<String> {
    let (text, end) = (node.source.text(), node.span?.end);
    let path = text[..end].strip_prefix(OPTION)?;
    let (field, value) = text[end..].strip_prefix('.')?.split_once('=')?;
    (!field.contains('.')).then(|| format!("{OPTION}'{path}={{ {first}, {field}: {value} }}'"))
}

/// Sets the value at a path of keys, each with its place in `source`.
pub(crate) fn assign(node: &mut Node, path: &[(&str, Option<Span>)], source: &Source, value: Node) -> Result<(), Diagnostics> {
    let [(key, span), rest @ ..] = path else {
        *node = value;
        return Ok(());
    };
    let error = |message: String, help: &str| Err(Diagnostic::new("bad-assignment", message).at(source, *span).help(help).into());
    if node.is_null() {
        node.value = Value::Map(Map::default());
    }
    let found = node.describe();
    match &mut node.value {
        Value::List(items) => {
            let length = items.len();
            match key.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                Some(item) => assign(item, rest, source, value),
                None => error(format!("no item {} in a list of {length}", quote(key)), "items are numbered from 0"),
            }
        }
        Value::Map(map) => match map.get_mut(key) {
            Some(child) if !rest.is_empty() => assign(child, rest, source, value),
            _ => {
                let mut child = Node { value: Value::Null, span: *span, source: source.clone() };
                assign(&mut child, rest, source, value)?;
                map.insert(*key, *span, child);
                Ok(())
            }
        },
        _ => error(format!("{} cannot be set: what should hold it is {found}", quote(key)), "write a mapping there, in the file"),
    }
}
