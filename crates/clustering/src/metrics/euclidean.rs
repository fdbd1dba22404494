use std::sync::Arc;

use bezoar_core::{Context, Distance, Error, Features, Pairs, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compared;
use crate::distances::below_diagonal;

/// How far two rows are from each other, value by value.
///
/// Rows of any shape are taken as flat.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[derive(Default)]
pub struct Euclidean {
    /// What becomes of the differences.
    #[serde(default)]
    pub norm: Norm,
}

/// How differences of values make a distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Their sum (Manhattan).
    L1,
    /// The root of the sum of their squares.
    #[default]
    L2,
    /// The largest (Chebyshev).
    Max,
    /// One less the cosine of the angle between the rows.
    Cosine,
}

impl Plugin for Euclidean {
    type Kind = dyn Distance;
    const NAME: &'static str = "euclidean";

    fn example() -> Self {
        Self { norm: Norm::L2 }
    }

    fn build(self) -> Result<Arc<dyn Distance>> {
        Ok(Arc::new(self))
    }
}

register!(Euclidean);

impl Distance for Euclidean {
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>> {
        if let Some(row) = features.first_not_finite() {
            return Err(Error::row(row, "holds a NaN or an infinity"));
        }
        let by = |distance: fn(&[f32], &[f32]) -> f64| {
            compared(
                cx,
                "compare rows",
                features.len(),
                pairs,
                || Ok(()),
                |(), row, other| Ok(distance(features.row(row), features.row(other))),
            )
        };
        match self.norm {
            Norm::L2 if pairs == Pairs::All => below_diagonal(cx, features),
            Norm::L2 => by(|a, b| differences(a, b).map(|difference| difference * difference).sum::<f64>().sqrt()),
            Norm::L1 => by(|a, b| differences(a, b).sum()),
            Norm::Max => by(|a, b| differences(a, b).fold(0.0, f64::max)),
            Norm::Cosine => by(cosine),
        }
    }
}

fn differences<'a>(a: &'a [f32], b: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
    a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs())
}

/// Rows of zeros have no direction: they are 0 from each other and 1 from all others.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    match (inner(a, a), inner(b, b)) {
        (x, y) if x > 0.0 && y > 0.0 => 1.0 - inner(a, b) / (x.sqrt() * y.sqrt()),
        (x, y) => f64::from(x > 0.0 || y > 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_the_definition() {
        let rows = Features::new(vec![2], vec![0.0, 0.0, 3.0, 4.0, 6.0, 8.0]).unwrap();
        for (norm, right) in
            [(Norm::L1, [7.0, 14.0, 7.0]), (Norm::L2, [5.0, 10.0, 5.0]), (Norm::Max, [4.0, 8.0, 4.0]), (Norm::Cosine, [1.0, 1.0, 0.0])]
        {
            let found = Euclidean { norm }.between(&Context::quiet(0), &rows).unwrap();
            assert!(found.values().iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-6), "{norm:?}: {:?}", found.values());
        }
    }
}
