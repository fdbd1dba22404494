//! What is known of the data sets under `datasets/`: one card each, built into the program.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bezoar_config::{Source, deserialize, parse, suggest};
use bezoar_core::{Counts, Error, Result};
use serde::{Deserialize, Serialize};

/// The texts of all cards, in the order in which they are shown.
const TEXTS: [(&str, &str); 2] = [
    ("datasets/gtsrb/card.yaml", include_str!("../../../datasets/gtsrb/card.yaml")),
    ("datasets/signs/card.yaml", include_str!("../../../datasets/signs/card.yaml")),
];

/// A data set: where it comes from, under what terms, and what is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Card {
    /// What commands and YAML call it.
    pub name: String,
    /// Its full name.
    pub title: String,
    /// What it shows, in a line.
    pub summary: String,
    /// Its page on the web, if it has one.
    #[serde(default)]
    pub homepage: Option<String>,
    /// Under what terms it may be used.
    pub licence: String,
    /// What to cite.
    pub citation: String,
    /// The forms in which its files are found; none for a data set that is rendered.
    #[serde(default)]
    pub editions: Vec<Edition>,
    /// The names of its classes; labels are indices into it.
    pub classes: Vec<String>,
    /// Names for sets of classes.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
}

/// One form of a data set's files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Edition {
    /// What commands call it.
    pub name: String,
    /// What tells it from the others, in a line.
    pub summary: String,
    /// How many images there are.
    pub images: Counts,
    /// What to download, in order; none if it can only be imported.
    #[serde(default)]
    pub archives: Vec<Archive>,
}

/// A ZIP file on the web.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Archive {
    /// Where it lies.
    pub url: String,
    /// Its size.
    pub bytes: u64,
    /// Its MD5 digest, hexadecimal.
    pub md5: String,
    /// Its SHA-256 digest, hexadecimal.
    pub sha256: String,
}

impl Archive {
    /// The file's name: the last part of its address.
    pub fn file_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

impl Card {
    /// The edition of this name; without one the first that can be downloaded.
    ///
    /// # Errors
    /// When there is no such edition: names those that there are.
    pub fn edition(&self, name: Option<&str>) -> Result<&Edition> {
        let named = |edition: &&Edition| name.map_or(!edition.archives.is_empty(), |name| edition.name == name);
        self.editions.iter().find(named).ok_or_else(|| {
            let names: Vec<_> = self.editions.iter().map(|edition| edition.name.as_str()).collect();
            match name {
                _ if names.is_empty() => Error::request(format!("`{}` has no files: its images are rendered", self.name)),
                Some(name) => {
                    Error::request(format!("`{}` has no edition `{name}`", self.name)).with_help(format!("editions: {}", names.join(", ")))
                }
                None => Error::request(format!("`{}` cannot be downloaded", self.name)).with_help("import a copy that you have"),
            }
        })
    }
}

/// All data sets that have a card.
///
/// # Errors
/// When a card cannot be read, which a test rules out.
pub fn list() -> Result<&'static [Card]> {
    static CARDS: OnceLock<Result<Vec<Card>, String>> = OnceLock::new();
    let read = |(name, text)| {
        let card = parse(&Source::new(name, text)).and_then(|node| deserialize(&node));
        card.map_err(|mistakes| mistakes.to_string())
    };
    CARDS.get_or_init(|| TEXTS.map(read).into_iter().collect()).as_deref().map_err(Error::request)
}

/// The card of the data set `name`.
///
/// # Errors
/// When there is none: names the nearest one.
pub fn card(name: &str) -> Result<&'static Card> {
    let cards = list()?;
    cards.iter().find(|card| card.name == name).ok_or_else(|| {
        let names = || cards.iter().map(|card| card.name.as_str());
        let help = suggest(name, names())
            .map_or_else(|| format!("data sets: {}", names().collect::<Vec<_>>().join(", ")), |near| format!("did you mean `{near}`?"));
        Error::request(format!("there is no data set called `{name}`")).with_help(help)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cards_agree_with_themselves() {
        for card in list().unwrap() {
            let classes: BTreeSet<_> = card.classes.iter().collect();
            assert_eq!(classes.len(), card.classes.len(), "a class of {} stands twice", card.name);
            for (group, members) in &card.groups {
                assert!(!members.is_empty() && members.iter().all(|member| classes.contains(member)), "{}: {group}", card.name);
                assert!(!classes.contains(group), "{}: {group} is a class too", card.name);
            }
            for archive in card.editions.iter().flat_map(|edition| &edition.archives) {
                let digits = |text: &str| text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
                assert!(archive.md5.len() == 32 && digits(&archive.md5) && archive.sha256.len() == 64 && digits(&archive.sha256));
                assert!(archive.url.starts_with("https://") && archive.file_name().contains(".zip"));
            }
        }
    }

    #[test]
    fn gtsrb_is_described_as_published() {
        let gtsrb = card("gtsrb").unwrap();
        assert_eq!(gtsrb.classes.len(), 43);
        let label = |name: &str| gtsrb.classes.iter().position(|class| class == name);
        assert_eq!(["speed-limit-50", "speed-limit-80", "stop", "no-entry", "roundabout"].map(label), [2, 5, 14, 17, 40].map(Some));
        assert_eq!(gtsrb.groups["speed-limits"].len(), 8);
        assert_eq!(gtsrb.edition(None).unwrap().name, "final");
        assert_eq!(gtsrb.edition(Some("competition")).unwrap().images.train, 26_640);
        let thesis = gtsrb.edition(Some("thesis")).unwrap().images;
        assert_eq!(thesis.train + thesis.validation, gtsrb.edition(None).unwrap().images.train);
    }

    #[test]
    fn unknown_names_get_a_hint() {
        assert_eq!(card("gtrsb").unwrap_err().help(), Some("did you mean `gtsrb`?"));
        assert_eq!(card("banana").unwrap_err().help(), Some("data sets: gtsrb, signs"));
        assert_eq!(card("gtsrb").unwrap().edition(Some("x")).unwrap_err().help(), Some("editions: final, competition, thesis"));
        assert!(card("signs").unwrap().edition(None).is_err());
    }
}
