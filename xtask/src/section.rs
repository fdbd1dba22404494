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
        let Self { name, made_by } = self;
        let (begin, end) = (format!("<!-- {name}: made by `{made_by}` -->\n"), format!("<!-- {name}: end -->"));
        let (before, rest) = text.split_once(&begin).with_context(|| format!("there is no line {begin}"))?;
        let (_, after) = rest.split_once(&end).with_context(|| format!("there is no {end} after {begin}"))?;
        Ok([before, &begin, content, &end, after].concat())
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
