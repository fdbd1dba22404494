//! Where a configuration's text comes from, and places in it.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use crate::{Diagnostic, Diagnostics};

/// Nobody writes a larger pipeline: what is larger is some other file, given by mistake.
const MAX_BYTES: u64 = 4 << 20;

/// A text and the name that errors show for it. Cloning is cheap.
///
/// The default source is nameless and empty: that of values that code has made.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

impl Source {
    /// A source of the given text, shown in errors under `name`.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Reads a file, which errors will show under the path as given.
    ///
    /// # Errors
    /// When there is no such file, no right to read it, when it is a folder, is empty, larger than 4 MiB, or not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let error =
            |problem: &str, help: &str| Diagnostic::new("unreadable-file", format!("cannot read `{name}`: {problem}")).help(help).into();
        if path.is_dir() {
            return Err(error("it is a folder", "name the YAML file inside it"));
        }
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => error("no such file", "check the path and the folder it starts from"),
            io::ErrorKind::PermissionDenied => error("no permission", "change the file's or its folder's rights"),
            _ => error(&cause.to_string(), "check the file and the disk it is on"),
        })?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(error("it is larger than 4 MiB", "a pipeline is a short YAML text: is this another file?"));
        }
        let text = String::from_utf8(bytes).map_err(|cause| {
            let valid = cause.utf8_error().valid_up_to();
            let line = cause.as_bytes()[..=valid].split(|&byte| byte == b'\n').count();
            let problem = format!("it is not UTF-8 text (first wrong byte in line {line})");
            error(&problem, "save it as UTF-8, or is this another file?")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.trim().is_empty() {
            return Err(error("it is empty", "start from an example under `pipelines/`"));
        }
        Ok(Self::new(name, text))
    }

    /// The name that errors show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line and the column of a byte offset, both from 1; a column is a character.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.line_around(offset);
        let number = 1 + self.text[..line.start].matches('\n').count();
        let column = 1 + self.text[line.start..].char_indices().take_while(|&(at, _)| line.start + at < offset).count();
        (number, column)
    }

    /// The line that a byte offset lies in, without its line break.
    pub(crate) fn line_around(&self, offset: usize) -> Span {
        let bytes = self.text.as_bytes();
        let (before, after) = bytes.split_at(offset.min(bytes.len()));
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let end = after.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| before.len() + at);
        let end = start + self.text[start..end].trim_end_matches('\r').len();
        Span { start, end }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// A piece of a [`Source`]'s text: byte offsets, `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}
