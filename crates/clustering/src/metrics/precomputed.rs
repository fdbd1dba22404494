use std::sync::Arc;

use bezoar_core::{Context, Distance, Error, Features, Pairs, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compared;

/// Distances that are known, as `bezoar cluster --distances` and `bezoar reduce --distances` hand them over.
///
/// The first value of a row is its number, from 0; the others are its distances to all rows, by their numbers. So rows keep their distances in
/// whatever order they come. Distances are the same both ways.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Precomputed {}

impl Plugin for Precomputed {
    type Kind = dyn Distance;
    const NAME: &'static str = "precomputed";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Distance>> {
        Ok(Arc::new(self))
    }
}

register!(Precomputed);

impl Distance for Precomputed {
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>> {
        let numbers = features.rows().map(number).collect::<Option<Vec<usize>>>().ok_or_else(|| {
            Error::request("`precomputed` reads distances, and these rows do not begin with their numbers")
                .with_help("give a file of distances to `bezoar cluster --distances`, or name another distance")
        })?;
        let known = |(): &mut (), row: usize, other: usize| Ok(f64::from(features.row(row)[1 + numbers[other]]));
        compared(cx, "read distances", features.len(), pairs, || Ok(()), known)
    }
}

/// The number that a row begins with, if there is a distance to it.
fn number(row: &[f32]) -> Option<usize> {
    let is_number = row[0] >= 0.0 && row[0].fract() == 0.0 && (row[0] as usize) < row.len() - 1;
    is_number.then_some(row[0] as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_distances_in_any_order() {
        let rows = Features::new(vec![4], vec![0.0, 0.0, 2.0, 5.0, 1.0, 2.0, 0.0, 4.0, 2.0, 5.0, 4.0, 0.0]).unwrap();
        let between = |rows: &Features| Precomputed {}.between(&Context::quiet(0), rows).map(|pairs| pairs.values().to_vec());
        assert_eq!(between(&rows).unwrap(), [2.0, 5.0, 4.0]);
        assert_eq!(between(&rows.select(&[2, 0, 1])).unwrap(), [5.0, 4.0, 2.0]);
        assert_eq!(Precomputed {}.compare(&Context::quiet(0), &rows.select(&[2, 1]), Pairs::With(&[1])).unwrap(), [4.0, 0.0]);
    }

    #[test]
    fn rows_without_numbers_are_refused() {
        for first in [0.5, -1.0, 1.0, f32::NAN] {
            let rows = Features::new(vec![2], vec![first, 3.0]).unwrap();
            let refused = Precomputed {}.between(&Context::quiet(0), &rows).unwrap_err().to_string();
            assert!(refused.contains("do not begin with their numbers"), "{refused}");
        }
    }
}
