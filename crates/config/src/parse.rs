//! YAML text to a tree of nodes.
//!
//! What the YAML 1.2 core schema says, minus what makes a configuration hard to read or lets a small file grow large: tags,
//! merge keys, keys that are not plain text, several documents in a file. Anchors are allowed within a budget.

use std::{borrow::Cow, collections::BTreeMap, mem};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::{Diagnostic, Diagnostics, Map, Node, Source, Span, Value, node::quote};

/// How deeply lists and mappings may nest, aliases followed.
pub(crate) const MAX_DEPTH: usize = 64;

/// How many nodes all aliases of a file may stand for.
const MAX_ALIASED: usize = 100_000;

/// Reads a source as one YAML document.
///
/// # Errors
/// All duplicate keys, merge keys, tags and numbers out of range at once; or the first mistake after which nothing can be
/// read: broken syntax, a second document, a key that is not plain text, too deep nesting, aliases beyond their budget.
pub fn parse(source: &Source) -> Result<Node, Diagnostics> {
    parse_from(source, 0)
}

/// Reads a source's text from the byte `start` on.
pub(crate) fn parse_from(source: &Source, start: usize) -> Result<Node, Diagnostics> {
    let text = &source.text()[start..];
    let mut builder = Builder::new(source, start);
    if let Some((at, bad)) = text.char_indices().find(|&(_, c)| is_forbidden(c)) {
        let span = Span { start: start + at, end: start + at + bad.len_utf8() };
        let message = format!("YAML allows no character U+{:04X}", bad as u32);
        return Err(builder.stop(span, "bad-character", message, "delete this character"));
    }
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| builder.syntax_error(&error))?;
        builder.event(event, span)?;
    }
    builder.finish()
}

/// Control characters, which YAML allows in escapes only. The parser would take U+0000 for the end of the text.
fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
}

/// A list or mapping whose end has not come yet.
struct Open {
    content: Content,
    start: usize,
    /// Where its last child ends.
    end: usize,
    anchor: usize,
}

enum Content {
    List(Vec<Node>),
    Map { map: Map, key: Option<(String, Span)> },
}

/// Makes the tree from the parser's events.
struct Builder<'s> {
    source: &'s Source,
    /// The byte offset of each character after the start, and of the end: the parser counts characters.
    offsets: Vec<usize>,
    /// Where the last key or scalar ends.
    last: usize,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
    root: Option<Node>,
    errors: Vec<Diagnostic>,
}

impl<'s> Builder<'s> {
    fn new(source: &'s Source, start: usize) -> Self {
        let text = source.text();
        let characters = text[start..].char_indices().map(|(at, _)| start + at);
        Self {
            source,
            offsets: characters.chain([text.len()]).collect(),
            last: start,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            aliased: 0,
            root: None,
            errors: Vec::new(),
        }
    }

    fn offset(&self, marker: Marker) -> usize {
        self.offsets[marker.index().min(self.offsets.len() - 1)]
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        Span { start: self.offset(span.start), end: self.offset(span.end) }
    }

    fn node(&self, value: Value, span: Span) -> Node {
        Node { value, span: Some(span), source: self.source.clone() }
    }

    fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.errors.push(Diagnostic::new(code, message).at(self.source, span).help(help));
    }

    /// The errors so far and a last one, after which the rest cannot be read.
    fn stop(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) -> Diagnostics {
        let last = Diagnostic::new(code, message).at(self.source, span).help(help);
        Diagnostics::after(mem::take(&mut self.errors), last)
    }

    fn syntax_error(&mut self, error: &ScanError) -> Diagnostics {
        let start = self.offset(*error.marker());
        let length = self.source.text()[start..].chars().next().map_or(0, char::len_utf8);
        let help = if error.info().contains("tab") {
            "indent with spaces"
        } else {
            "look at the indentation, colons, quotes and brackets here and just before"
        };
        let span = Span { start, end: start + length };
        self.stop(span, "syntax", format!("not valid YAML: {}", error.info().replace('`', "'")), help)
    }

    fn event(&mut self, event: Event<'_>, place: saphyr_parser::Span) -> Result<(), Diagnostics> {
        let span = self.span(place);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(self.stop(
                span,
                "many-documents",
                "a second YAML document starts here",
                "one file holds one pipeline: remove the `---`",
            )),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(span, tag.is_some());
                self.start(Content::List(Vec::new()), span, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(span, tag.is_some());
                let content = Content::Map { map: Map::default(), key: None };
                self.start(content, span, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end(span);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(span, tag.is_some());
                // With an anchor or a tag, the parser's span is the whole from there on.
                let span = if anchor == 0 && tag.is_none() { self.scalar_span(&text, style, span) } else { span };
                self.scalar(text, style, anchor, span)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
        }
    }

    fn refuse_tag(&mut self, span: Span, tagged: bool) {
        if tagged {
            self.error(span, "tag", "YAML tags have no meaning here", "write the value without `!`; quote it if it is a string");
        }
    }

    /// Whether the next node is a key.
    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    /// Whether the next node is the value of a key.
    fn awaits_value(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: Some(_), .. }, .. }))
    }

    fn start(&mut self, content: Content, span: Span, anchor: usize) -> Result<(), Diagnostics> {
        if self.awaits_key() {
            return Err(self.bad_key(span));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.open.push(Open { content, start: span.start, end: span.start, anchor });
        Ok(())
    }

    fn end(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        // A bracket ends a flow collection; nothing of its own ends a block collection.
        let end = if span.end > span.start { span.end } else { open.end };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { map, .. } => Value::Map(map),
        };
        let node = self.node(value, Span { start: open.start, end });
        self.add(node, open.anchor);
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, anchor: usize, span: Span) -> Result<(), Diagnostics> {
        let plain = style == ScalarStyle::Plain;
        self.last = span.end;
        if self.awaits_key() {
            if plain && text.is_empty() {
                return Err(self.bad_key(span));
            }
            if plain && text == "<<" {
                self.error(span, "merge-key", "merge keys (`<<`) have no meaning here", "write the fields out");
            }
            if anchor != 0 {
                let node = self.node(Value::String(text.clone().into_owned()), span);
                self.anchors.insert(anchor, node);
            }
            self.key(text.into_owned(), span);
            return Ok(());
        }
        let value = if plain { self.resolve(&text, span) } else { Value::String(text.into_owned()) };
        let node = self.node(value, span);
        self.add(node, anchor);
        Ok(())
    }

    /// Where a scalar's text really is. The parser counts blanks and a comment after a closing quote to it, leaves the `|` or
    /// `>` before a block out, and places what is not there before the colon.
    fn scalar_span(&self, value: &str, style: ScalarStyle, span: Span) -> Span {
        let text = self.source.text();
        let (before, own) = (&text[self.last.min(span.start)..span.start], &text[span.start..span.end]);
        match style {
            ScalarStyle::Plain if value.is_empty() => {
                let blanks = text[self.last..].len() - text[self.last..].trim_start().len();
                let colon = self.last + blanks;
                let at = if self.awaits_value() && text[colon..].starts_with(':') { colon + 1 } else { span.start };
                Span { start: at, end: at }
            }
            ScalarStyle::Plain => span,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Span { end: span.start + quoted_length(own), ..span },
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = before.trim_end();
                let line = header.rfind('\n').map_or(0, |newline| newline + 1);
                let comment = header[line..].find(" #").map_or(header.len(), |comment| line + comment);
                let sign = header[..comment].rfind(['|', '>']);
                Span { start: sign.map_or(span.start, |sign| span.start - before.len() + sign), ..span }
            }
        }
    }

    fn key(&mut self, text: String, span: Span) {
        let Some(Open { content: Content::Map { map, key }, .. }) = self.open.last_mut() else { return };
        if let Some(first) = map.entry(&text).and_then(|entry| entry.key_span) {
            self.errors.push(
                Diagnostic::new("duplicate-key", format!("duplicate key {}", quote(&text)))
                    .at(self.source, span)
                    .label("given again here")
                    .related(first, "given here first")
                    .help("keep one of the two"),
            );
        }
        *key = Some((text, span));
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostics> {
        if self.awaits_key() {
            return Err(self.bad_key(span));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.stop(span, "alias", "this alias stands within what it stands for", "write the value out"));
        };
        let (size, height) = measure(node);
        self.aliased += size;
        if self.aliased > MAX_ALIASED {
            let message = format!("the aliases of this file stand for more than {MAX_ALIASED} values");
            return Err(self.stop(span, "alias", message, "write the values out, or fewer of them"));
        }
        if self.open.len() + height > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let node = Node { span: Some(span), ..node.clone() };
        self.add(node, 0);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        parent.end = node.span.map_or(parent.end, |span| span.end);
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map { map, key } => {
                if let Some((key, span)) = key.take() {
                    map.insert(key, Some(span), node);
                }
            }
        }
    }

    fn bad_key(&mut self, span: Span) -> Diagnostics {
        self.stop(span, "bad-key", "a key must be plain text", "write `key: value`; quote the value if it starts with `{` or `[`")
    }

    fn too_deep(&mut self, span: Span) -> Diagnostics {
        let message = format!("lists and mappings nest more than {MAX_DEPTH} deep");
        self.stop(span, "too-deep", message, "no pipeline needs that: look for a bracket too many")
    }

    /// The value of a plain scalar by the core schema of YAML 1.2 (section 10.3.2).
    fn resolve(&mut self, text: &str, span: Span) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            _ => {}
        }
        match number(text) {
            None => Value::String(text.to_owned()),
            Some(Value::Float(float)) if !float.is_finite() => {
                let message = format!("{} is outside the range of numbers", quote(text));
                let help = "whole numbers have 64 bits, others must be finite; quote it if it is a string";
                self.error(span, "number-range", message, help);
                Value::Null
            }
            Some(number) => number,
        }
    }

    fn finish(mut self) -> Result<Node, Diagnostics> {
        Diagnostics::check(mem::take(&mut self.errors))?;
        let end = self.source.text().len();
        self.root
            .take()
            .ok_or_else(|| self.stop(Span { start: end, end }, "empty", "there is no value here", "comments alone are no configuration"))
    }
}

/// The length of the quoted scalar that `text` starts with.
fn quoted_length(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, quote)) = characters.next() else { return 0 };
    while let Some((at, c)) = characters.next() {
        if c == '\\' && quote == '"' {
            characters.next();
        } else if c == quote {
            if quote == '\'' && text[at + 1..].starts_with(quote) {
                characters.next();
            } else {
                return at + 1;
            }
        }
    }
    text.len()
}

/// The number that `text` writes, if it writes one; a float that is not finite if it has no value here.
pub(crate) fn number(text: &str) -> Option<Value> {
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let int = |digits, radix| i64::from_str_radix(digits, radix).map_or(Value::Float(f64::INFINITY), Value::Int);
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| all(digits, radix)) {
            return Some(int(digits, radix));
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if all(unsigned, 10) {
        return Some(int(text, 10));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Value::Float(f64::NAN));
    }
    // What Rust reads as a float, the core schema does too, save `inf`, `infinity` and `nan`.
    text.parse().ok().filter(|_| text.contains(|c: char| c.is_ascii_digit())).map(Value::Float)
}

/// How many nodes a tree has, and how many levels of lists and mappings.
fn measure(node: &Node) -> (usize, usize) {
    let add = |(size, height): (usize, usize), child: &Node| {
        let (more, deep) = measure(child);
        (size + more, height.max(deep + 1))
    };
    match &node.value {
        Value::List(items) => items.iter().fold((1, 1), add),
        Value::Map(map) => map.iter().map(|(_, child)| child).fold((1, 1), add),
        _ => (1, 0),
    }
}
