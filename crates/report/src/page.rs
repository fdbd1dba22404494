use maud::{Markup, PreEscaped, html};

/// The head of a page that opens without a network. `policy` says what may be loaded and run: as good as nothing.
pub(crate) fn head(title: &str, policy: &str, stylesheet: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            title { (title) " · Bezoar" }
            link rel="icon" href="data:,";
            style { (PreEscaped(include_str!("page.css"))) }
            @if !stylesheet.is_empty() { style { (PreEscaped(stylesheet)) } }
        }
    }
}
