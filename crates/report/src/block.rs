//! Small tables of the terminal: names at the left, figures under headings.

use unicode_width::UnicodeWidthStr;

use crate::grid::Cell;
use crate::paint::{Paint, pad};

/// What stands between columns.
const GAP: usize = 2;

/// A line with the headings, each right over its column, and one for each named row of cells. Nothing without rows.
pub(crate) fn block(title: &str, headings: &[&str], rows: &[(String, Vec<Cell>)], paint: &Paint) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let names = rows.iter().map(|(name, _)| name.width()).max().unwrap_or_default().max(title.width());
    let head: String = headings.iter().map(|heading| format!("{}{heading}", " ".repeat(GAP))).collect();
    let line = |(name, cells): &(String, Vec<Cell>)| {
        let cells = cells.iter().zip(headings).map(|(cell, heading)| {
            let space = " ".repeat((GAP + heading.width()).saturating_sub(cell.text.width()));
            paint.best(&format!("{space}{}", cell.text), cell.best)
        });
        pad(name, names) + &cells.collect::<String>()
    };
    std::iter::once(paint.dim(&(pad(title, names) + &head))).chain(rows.iter().map(line)).collect()
}
