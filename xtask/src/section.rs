//! Parts of committed texts that a command makes. They stand between two marks; the rest of the text is written by hand.

use anyhow::{Context, Result};

/// A part that a command makes.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) made_by: &'static str,
}

impl Section {
    /// The text with other content in this section.
    pub(crate) fn replace(&self, text: &str, content: &str) -> Result<String> {
        let (before, _, after) = self.split(text)?;
        Ok([before, content, after].concat())
    }

    /// What the section says.
    pub(crate) fn content<'a>(&self, text: &'a str) -> Result<&'a str> {
        Ok(self.split(text)?.1)
    }

    /// What lies before the section's content, the content, and what lies behind it.
    fn split<'a>(&self, text: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        let Self { name, made_by } = self;
        let (begin, end) = (format!("<!-- {name}: made by `{made_by}` -->\n"), format!("<!-- {name}: end -->"));
        let from = text.find(&begin).with_context(|| format!("there is no line {begin}"))? + begin.len();
        let to = from + text[from..].find(&end).with_context(|| format!("there is no {end} after {begin}"))?;
        Ok((&text[..from], &text[from..to], &text[to..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: Section = Section { name: "sums", made_by: "cargo xtask add" };

    #[test]
    fn the_text_around_stays() {
        let text =
            |content| format!("Hand.\n<!-- sums: made by `cargo xtask add` -->\n{content}<!-- sums: end -->\nMore <!-- other: end -->\n");
        assert_eq!(SECTION.replace(&text("1 + 1\n"), "2\n").unwrap(), text("2\n"));
    }

    #[test]
    fn a_mark_that_is_missing_is_named() {
        let refused = |text| SECTION.replace(text, "").unwrap_err().to_string();
        assert!(refused("").contains("cargo xtask add"));
        assert!(refused("<!-- sums: end -->\n<!-- sums: made by `cargo xtask add` -->\n").contains("<!-- sums: end -->"));
    }
}
