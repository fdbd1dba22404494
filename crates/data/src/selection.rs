//! Which classes of a data set are used, as `classes:` in YAML says it.

use std::collections::{BTreeMap, BTreeSet};

use bezoar_config::suggest;
use bezoar_core::{ClassRef, Error, Result};
use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Some classes of a data set: the name of a group, or a list of names and indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// A group that the data set's card names.
    Group(String),
    /// Classes, one by one.
    Classes(Vec<ClassRef>),
}

impl Selection {
    /// The labels that are selected, each once, ascending.
    ///
    /// # Errors
    /// When there is no such group or class, a class is named twice, or none is named.
    fn resolve(&self, classes: &[String], groups: &BTreeMap<String, Vec<String>>) -> Result<BTreeSet<u32>> {
        let refs = match self {
            Self::Classes(refs) => refs.clone(),
            Self::Group(name) => {
                let members = groups.get(name).ok_or_else(|| unknown_group(name, classes, groups))?;
                members.iter().map(|name| ClassRef::from(name.as_str())).collect()
            }
        };
        let mut labels = BTreeSet::new();
        for class in &refs {
            if !labels.insert(class.resolve(classes)?) {
                return Err(
                    Error::request(format!("the class `{class}` is selected twice")).with_help("name each class once, by name or by index")
                );
            }
        }
        if labels.is_empty() {
            return Err(Error::request("no class is selected").with_help("name at least one class, or leave `classes` out for all of them"));
        }
        Ok(labels)
    }
}

fn unknown_group(name: &str, classes: &[String], groups: &BTreeMap<String, Vec<String>>) -> Error {
    let error = Error::request(format!("there is no group of classes called `{name}`"));
    if classes.iter().any(|class| class == name) {
        return error.with_help(format!("for the class of this name write `[{name}]`"));
    }
    match suggest(name, groups.keys().map(String::as_str)) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None if groups.is_empty() => error.with_help("this data set has no groups: list the classes, as in `[first, second]`"),
        None => error.with_help(format!("groups: {}", groups.keys().cloned().collect::<Vec<_>>().join(", "))),
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Group(name) => serializer.serialize_str(name),
            Self::Classes(classes) => classes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Selection;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a group of classes, or a list of classes")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Selection, E> {
                Ok(Selection::Group(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Selection, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(Selection::Classes)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Selection {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Selection".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let class = ClassRef::json_schema(generator);
        schemars::json_schema!({ "type": ["string", "array"], "items": class, "minItems": 1 })
    }
}

/// The classes that are kept, numbered anew from 0 in the data set's order, whatever the order of the selection.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    classes: Vec<String>,
    /// The new label of each old one.
    labels: Vec<Option<u32>>,
}

impl Kept {
    /// The classes that `selection` names among `classes`; all of them without one.
    pub(crate) fn new(selection: Option<&Selection>, classes: &[String], groups: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let chosen = match selection {
            Some(selection) => selection.resolve(classes, groups)?,
            None => (0..classes.len() as u32).collect(),
        };
        let mut labels = vec![None; classes.len()];
        for (new, &old) in chosen.iter().enumerate() {
            labels[old as usize] = Some(new as u32);
        }
        Ok(Self { classes: chosen.iter().map(|&old| classes[old as usize].clone()).collect(), labels })
    }

    /// The names of the kept classes.
    pub(crate) fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The new label of an old one, if its class is kept.
    pub(crate) fn label(&self, old: u32) -> Option<u32> {
        self.labels.get(old as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    fn groups() -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([("vowels".to_owned(), vec!["a".to_owned()]), ("consonants".to_owned(), vec!["d".to_owned(), "b".to_owned()])])
    }

    fn keep(yaml: &str) -> Result<Kept> {
        let source = bezoar_config::Source::new("test", yaml);
        let selection: Selection = bezoar_config::deserialize(&bezoar_config::parse(&source)?)?;
        Kept::new(Some(&selection), &classes(), &groups())
    }

    #[test]
    fn names_indices_and_groups_select() {
        assert_eq!(keep("[d, 0]").unwrap().classes(), ["a", "d"]);
        assert_eq!(keep("consonants").unwrap().classes(), ["b", "d"]);
        assert_eq!(Kept::new(None, &classes(), &groups()).unwrap().classes(), classes());
    }

    #[test]
    fn mistakes_are_explained() {
        for (yaml, problem, help) in [
            ("[]", "no class is selected", "name at least one"),
            ("[a, 0]", "`0` is selected twice", "once"),
            ("[e]", "no class `e`", "a, b, c, d"),
            ("[7]", "no class 7", ""),
            ("vowel", "no group of classes called `vowel`", "did you mean `vowels`?"),
            ("digits", "no group", "consonants, vowels"),
            ("a", "no group", "write `[a]`"),
        ] {
            let error = keep(yaml).unwrap_err();
            assert!(error.to_string().contains(problem), "{yaml}: {error}");
            assert!(error.help().unwrap_or_default().contains(help), "{yaml}: {:?}", error.help());
        }
        assert!(keep("{ a: b }").is_err());
    }

    proptest! {
        #[test]
        fn kept_labels_name_the_same_classes_as_before(mut chosen in proptest::collection::btree_set(0u32..4, 1..=4).prop_map(Vec::from_iter), turn in 0usize..4) {
            let half = turn % chosen.len();
            chosen.rotate_left(half);
            let selection = Selection::Classes(chosen.iter().map(|&label| ClassRef::Index(label)).collect());
            let kept = Kept::new(Some(&selection), &classes(), &groups()).unwrap();
            prop_assert_eq!(kept.classes().len(), chosen.len());
            for old in 0..4 {
                let name = kept.label(old).map(|new| kept.classes()[new as usize].clone());
                prop_assert_eq!(name, chosen.contains(&old).then(|| classes()[old as usize].clone()));
            }
            let json = serde_json::to_value(&selection).unwrap();
            prop_assert_eq!(serde_json::from_value::<Selection>(json).unwrap(), selection);
        }
    }
}
