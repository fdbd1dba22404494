use bezoar_core::{Error, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of groups: given, as in `k: 2`, or chosen, as in `k: { by: silhouette, at-most: 8 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Given(usize),
    /// As many as a criterion likes best.
    Chosen(Choice),
}

/// How a number of groups is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Choice {
    /// What is best.
    pub by: Criterion,
    /// Most groups that are tried.
    #[serde(default = "default_at_most")]
    #[schemars(range(min = 2))]
    pub at_most: usize,
}

fn default_at_most() -> usize {
    8
}

/// What makes a number of groups the best one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The greatest mean silhouette (Rousseeuw 1987); two groups or more.
    Silhouette,
    /// The first number whose groups are tighter, against rows without groups, than those of the next number by more than chance (gap
    /// statistic; Tibshirani, Walther and Hastie 2001). It may be one.
    Gap,
    /// The best trade of likelihood for parameters (Bayesian information criterion; Schwarz 1978). It may be one.
    Bic,
    /// The greatest step between eigenvalues of the graph's Laplacian that follow each other (von Luxburg 2007). It may be one.
    Eigengap,
}

impl Criterion {
    fn name(self) -> &'static str {
        match self {
            Self::Silhouette => "silhouette",
            Self::Gap => "gap",
            Self::Bic => "bic",
            Self::Eigengap => "eigengap",
        }
    }
}

impl Count {
    /// The most groups that there can be.
    pub fn at_most(self) -> usize {
        match self {
            Self::Given(k) => k,
            Self::Chosen(choice) => choice.at_most,
        }
    }

    /// Fewest rows that can be grouped so.
    pub(crate) fn min_rows(self) -> usize {
        match self {
            Self::Given(k) => k,
            Self::Chosen(_) => 3,
        }
    }

    /// Refuses criteria that a clusterer cannot judge by.
    pub(crate) fn check(self, clusterer: &str, known: &[Criterion]) -> Result<()> {
        match self {
            Self::Chosen(Choice { by, .. }) if !known.contains(&by) => {
                let names: Vec<&str> = known.iter().map(|criterion| criterion.name()).collect();
                Err(Error::request(format!("{clusterer} does not choose k by {}", by.name()))
                    .with_help(format!("it chooses by {}", names.join(" or "))))
            }
            _ => Ok(()),
        }
    }
}

impl From<usize> for Count {
    fn from(k: usize) -> Self {
        Self::Given(k)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(k) => k.serialize(serializer),
            Self::Chosen(choice) => choice.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of groups, or `{ by: CRITERION, at-most: N }`")
            }

            fn visit_u64<E: serde::de::Error>(self, k: u64) -> Result<Count, E> {
                usize::try_from(k).map(Count::Given).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, k: i64) -> Result<Count, E> {
                usize::try_from(k).map(Count::Given).map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
                Choice::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Count::Chosen)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choice = generator.subschema_for::<Choice>();
        schemars::json_schema!({ "anyOf": [{ "type": "integer", "minimum": 2 }, choice] })
    }
}
