use bezoar_config::suggest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A class as YAML names it: by its name, or by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassRef {
    /// By name.
    Name(String),
    /// By index into the class names.
    Index(u32),
}

impl ClassRef {
    /// The label that it stands for.
    ///
    /// # Errors
    /// When the data set has no such class: names the nearest one.
    pub fn resolve(&self, classes: &[String]) -> Result<u32> {
        match self {
            Self::Index(index) if (*index as usize) < classes.len() => Ok(*index),
            Self::Index(index) => Err(Error::request(format!("there is no class {index}: the data set has {}", classes.len()))),
            Self::Name(name) => classes.iter().position(|class| class == name).map(|index| index as u32).ok_or_else(|| {
                let help = suggest(name, classes.iter().map(String::as_str))
                    .map_or_else(|| format!("classes: {}", classes.join(", ")), |near| format!("did you mean `{near}`?"));
                Error::request(format!("there is no class `{name}` in the data set")).with_help(help)
            }),
        }
    }
}

impl std::fmt::Display for ClassRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl From<&str> for ClassRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl Serialize for ClassRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Index(index) => serializer.serialize_u32(*index),
        }
    }
}

impl<'de> Deserialize<'de> for ClassRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ClassRef;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a class, by name or index")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<ClassRef, E> {
                Ok(ClassRef::Name(name.to_owned()))
            }

            fn visit_u64<E: serde::de::Error>(self, index: u64) -> Result<ClassRef, E> {
                u32::try_from(index).map(ClassRef::Index).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, index: i64) -> Result<ClassRef, E> {
                u32::try_from(index).map(ClassRef::Index).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ClassRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClassRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"], "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name_and_index() {
        let classes = ["stop".to_owned(), "yield".to_owned()];
        assert_eq!(ClassRef::from("yield").resolve(&classes).unwrap(), 1);
        assert_eq!(ClassRef::Index(0).resolve(&classes).unwrap(), 0);
        assert!(ClassRef::Index(2).resolve(&classes).is_err());
        assert_eq!(ClassRef::from("yeild").resolve(&classes).unwrap_err().help(), Some("did you mean `yield`?"));
    }
}
