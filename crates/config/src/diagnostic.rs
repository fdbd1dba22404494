//! What is wrong with a configuration, where, and how to mend it.

use std::{error, fmt, slice, vec};

use crate::{Node, Source, Span, render};

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind of mistake, in kebab-case: stable, for programs.
    pub code: &'static str,
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// The text that `span` lies in.
    pub source: Source,
    /// The offending text; `None` when no text is to blame (a value that code has made, a missing file).
    pub span: Option<Span>,
    /// A few words to stand beside the underlined text.
    pub label: String,
    /// A second place in the same source that explains the first, and what it is.
    pub related: Option<(Span, String)>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake without a place yet.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), source: Source::default(), span: None, label: String::new(), related: None, help: None }
    }

    /// Points to a piece of a source.
    pub fn at(mut self, source: &Source, span: impl Into<Option<Span>>) -> Self {
        self.source = source.clone();
        self.span = span.into();
        self
    }

    /// Points to a node's text.
    pub fn at_node(self, node: &Node) -> Self {
        self.at(&node.source, node.span)
    }

    /// Points to the text of a mapping's key, or to the mapping where it has no such key with a place.
    pub fn at_key(self, mapping: &Node, key: &str) -> Self {
        let entry = mapping.as_map().and_then(|map| map.entry(key));
        match entry.and_then(|entry| Some((&entry.value.source, entry.key_span?))) {
            Some((source, span)) => self.at(source, span),
            None => self.at_node(mapping),
        }
    }

    /// Sets the words beside the underlined text.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the second place.
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// Sets how to mend it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::diagnostic(self, false))
    }
}

impl error::Error for Diagnostic {}

/// One or more mistakes, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// `Ok` when there are none, so that checks which collect can end in `Diagnostics::check(found)?`.
    pub fn check(mut diagnostics: Vec<Diagnostic>) -> Result<(), Self> {
        in_text_order(&mut diagnostics);
        if diagnostics.is_empty() { Ok(()) } else { Err(Self(diagnostics)) }
    }

    /// A last mistake after earlier ones.
    pub(crate) fn after(mut earlier: Vec<Diagnostic>, last: Diagnostic) -> Self {
        earlier.push(last);
        Self(earlier)
    }

    /// The mistakes, in their order.
    pub fn iter(&self) -> slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// All mistakes as text for a terminal: message, `--> file.yaml:LINE:COLUMN`, the line, the offending text
    /// underlined, and help.
    pub fn render(&self, color: bool) -> String {
        let rendered: Vec<_> = self.iter().map(|diagnostic| render::diagnostic(diagnostic, color)).collect();
        rendered.join("\n")
    }

    /// Gives each mistake that has no place the place of `node`.
    pub(crate) fn or_at(self, node: &Node) -> Self {
        self.or(|diagnostic| diagnostic.at_node(node))
    }

    /// Gives each mistake that has no place the place of a mapping's key.
    pub(crate) fn or_at_key(self, mapping: &Node, key: &str) -> Self {
        self.or(|diagnostic| diagnostic.at_key(mapping, key))
    }

    fn or(self, place: impl Fn(Diagnostic) -> Diagnostic) -> Self {
        let placed = |diagnostic: Diagnostic| if diagnostic.span.is_none() { place(diagnostic) } else { diagnostic };
        Self(self.0.into_iter().map(placed).collect())
    }
}

/// Sorts mistakes by source and place.
pub(crate) fn in_text_order(diagnostics: &mut [Diagnostic]) {
    let place = |mistake: &Diagnostic| mistake.span.map(|span| span.start);
    diagnostics.sort_by(|a, b| a.source.name().cmp(b.source.name()).then(place(a).cmp(&place(b))));
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
