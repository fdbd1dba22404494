//! Text for a terminal: colours, widths, and names that cannot steer it.

use unicode_width::UnicodeWidthStr;

/// `text` with spaces up to `width` columns of the terminal.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Names come from files: nothing in them may steer the terminal, or break out of a table's cell.
pub(crate) fn printable(name: &str) -> String {
    bezoar_core::printable(&name.replace(['\n', '\t'], "\u{fffd}"))
}

/// Escape sequences, if wanted.
pub(crate) struct Paint {
    pub(crate) color: bool,
}

impl Paint {
    fn wrap(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn warning(&self, text: &str) -> String {
        if text.is_empty() { String::new() } else { self.wrap("1;31", text) }
    }

    pub(crate) fn best(&self, text: &str, best: bool) -> String {
        if best { self.wrap("1;32", text) } else { text.to_owned() }
    }
}
