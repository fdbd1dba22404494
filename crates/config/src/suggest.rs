//! "Did you mean …?"

use crate::{Diagnostic, node::quote};

/// The candidate that `name` is most likely a misspelling of, if any is near enough.
///
/// Near means: few edits (Damerau–Levenshtein) for the length of the longer of the two, where upper and lower case, and
/// `_` and `-`, count as equal. Among equally near candidates the first in alphabetical order wins, whatever order they
/// come in.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = fold(name);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded = fold(candidate);
            let edits = strsim::damerau_levenshtein(&name, &folded);
            let length = name.chars().count().max(folded.chars().count());
            (edits <= budget(length)).then_some((edits, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

fn budget(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    }
}

/// An error about a name that is none of those there are, with the one it may be a misspelling of. It has no place yet.
pub(crate) fn unknown_name<'a>(code: &'static str, what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let diagnostic = Diagnostic::new(code, format!("unknown {what} {}", quote(name)));
    let diagnostic = match suggest(name, known.clone()) {
        Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
        None => diagnostic.label(format!("no such {what}")),
    };
    diagnostic.help(format!("known are {}", list(known.map(|name| format!("`{name}`")))))
}

/// "a, b, c".
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
