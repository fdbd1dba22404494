//! The page's one script, what it is told, and the policy that lets nothing else run.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bezoar_core::{Error, Result};
use maud::{Markup, PreEscaped, html};
use serde::Serialize;
use sha2::{Digest, Sha256};

const SCRIPT: &str = include_str!("page.js");

/// Nothing is loaded from anywhere, and nothing runs but the script that this digest stands for: a hostile text in the data could do nothing
/// even if it were not escaped.
pub(super) fn policy() -> String {
    let digest = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; script-src 'sha256-{digest}'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
}

/// The script after its data.
pub(super) fn elements(data: &impl Serialize) -> Result<Markup> {
    let data = json(data)?;
    Ok(html! {
        script #data type="application/json" { (PreEscaped(data)) }
        script { (PreEscaped(SCRIPT)) }
    })
}

/// JSON as it can stand in a page.
pub(super) fn json(data: &impl Serialize) -> Result<String> {
    Ok(without_markup(&serde_json::to_string(data).map_err(Error::request)?))
}

/// The same JSON without anything that HTML could take for markup. Outside of strings JSON has none of these characters.
fn without_markup(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_no_markup_and_reads_back() {
        let text = "</script><!-- & -->\u{2028}";
        let json = without_markup(&serde_json::to_string(text).unwrap());
        assert!(!json.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn the_script_can_stand_in_a_page() {
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--") && !SCRIPT.contains('\r'));
    }
}
