//! A diagnostic as text for a terminal, in the manner of rustc.

use unicode_width::UnicodeWidthStr;

use crate::{Diagnostic, Source, Span};

/// How much of a long line is shown: characters before, under and after the mark.
const WINDOW: usize = 80;

#[derive(Clone, Copy)]
enum Style {
    Error,
    Strong,
    Frame,
    Related,
}

/// The diagnostic's lines, the last one ended too.
pub(crate) fn diagnostic(diagnostic: &Diagnostic, color: bool) -> String {
    let paint = |style, text: &str| if color { paint(style, text) } else { text.to_owned() };
    let mut lines = vec![paint(Style::Error, "error") + &paint(Style::Strong, &format!(": {}", printable(&diagnostic.message)))];
    let mut gutter = String::new();
    if let Some(span) = diagnostic.span {
        let source = &diagnostic.source;
        let (line, column) = source.line_column(span.start);
        let mut marks = vec![(span, Style::Error, "^", diagnostic.label.as_str())];
        marks.extend(diagnostic.related.iter().map(|(span, label)| (*span, Style::Related, "-", label.as_str())));
        marks.sort_by_key(|(span, ..)| span.start);
        let number = |span: Span| source.line_column(span.start).0.to_string();
        gutter = " ".repeat(marks.iter().map(|(span, ..)| number(*span).len()).max().unwrap_or(0));
        let bar = paint(Style::Frame, &format!("{gutter} |"));
        lines.push(format!("{gutter}{} {}:{line}:{column}", paint(Style::Frame, "-->"), printable(source.name())));
        for (span, style, sign, label) in marks {
            let shown = Shown::new(source, span);
            let number = paint(Style::Frame, &format!("{:>1$} |", number(span), gutter.len()));
            let under = format!("{} {}", sign.repeat(shown.width), printable(label));
            lines.push(bar.clone());
            lines.push(format!("{number} {}", shown.line).trim_end().to_owned());
            lines.push(format!("{bar} {}{}", " ".repeat(shown.indent), paint(style, under.trim_end())));
        }
        if diagnostic.help.is_some() {
            lines.push(bar);
        }
    }
    if let Some(help) = &diagnostic.help {
        let sign = paint(Style::Frame, &format!("{gutter} ="));
        lines.push(format!("{sign} {} {}", paint(Style::Strong, "help:"), printable(help)));
    }
    lines.join("\n") + "\n"
}

/// A line of the source as shown, and where in it to underline; measured in terminal columns.
struct Shown {
    line: String,
    indent: usize,
    width: usize,
}

impl Shown {
    /// Shows the line in which `span` starts, to underline what of `span` lies in it.
    fn new(source: &Source, span: Span) -> Self {
        let line = source.line_around(span.start);
        let text = source.text();
        let start = span.start.clamp(line.start, line.end);
        let end = span.end.clamp(start, line.end);
        let shown = |text: String| printable(&text.replace('\t', "    "));
        let before = shown(last_of(&text[line.start..start]));
        let marked = shown(first_of(&text[start..end]));
        let after = shown(first_of(&text[end..line.end]));
        Self { indent: before.width(), width: marked.width().max(1), line: before + &marked + &after }
    }
}

fn first_of(text: &str) -> String {
    match text.char_indices().nth(WINDOW) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn last_of(text: &str) -> String {
    match text.char_indices().nth_back(WINDOW - 1) {
        Some((start, _)) if start > 0 => format!("…{}", &text[start..]),
        _ => text.to_owned(),
    }
}

/// The text without characters by which a file could command the terminal or reorder a line; tabs and ends of lines stay.
pub fn printable(text: &str) -> String {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.replace(|c: char| commands(c) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'), "\u{fffd}")
}

fn paint(style: Style, text: &str) -> String {
    let code = match style {
        Style::Error => "1;31",
        Style::Strong => "1",
        Style::Frame => "1;34",
        Style::Related => "34",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
