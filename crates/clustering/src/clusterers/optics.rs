use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Distance, Features, Part, Plugin, Result, register};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::radius::{default_min_points, default_quantile, radius, roots};
use crate::canonical::{Found, cluster_canonically};
use crate::distances::pairwise;
use crate::neighbours::{Neighbours, Rows};

/// OPTICS: rows in the order in which density joins them, cut into groups at one radius.
///
/// Each row stands after those that it is reached from at the least distance (Ankerst, Breunig, Kriegel and Sander 1999); groups are the
/// rows between steps wider than `eps`, much as DBSCAN would find them. Rows of any shape are taken as flat. Memory grows with the class,
/// not with its square, unless `distance` is given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Optics {
    /// Rows that make a neighbourhood dense, the row itself included.
    #[serde(default = "default_min_points")]
    #[schemars(range(min = 2))]
    pub min_points: usize,
    /// The radius; if left out, it is read off each class by `quantile`.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub eps: Option<f64>,
    /// Without `eps`: the share of the rows that shall be dense. The radius is this quantile of the distances to the `min-points`-th row.
    #[serde(default = "default_quantile")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub quantile: f64,
    /// How far rows are apart; Euclidean if left out.
    #[serde(default)]
    pub distance: Option<Part<dyn Distance>>,
}

impl Plugin for Optics {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "optics";

    fn example() -> Self {
        Self { min_points: default_min_points(), eps: None, quantile: default_quantile(), distance: None }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        Ok(Arc::new(self))
    }
}

register!(Optics);

impl Clusterer for Optics {
    fn min_rows(&self) -> usize {
        self.min_points
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let others = self.min_points - 1;
            let pairs = self.distance.as_ref().map(|distance| pairwise(cx, distance, features)).transpose()?;
            let ordering = if let Some(pairs) = &pairs {
                let cores = roots(&Neighbours::of_pairs(pairs, others).reaches(features.len(), others));
                Ordering::of(cx, &cores, |a, b| f64::from(pairs.get(a, b)))?
            } else {
                let rows = Rows::of(features);
                let cores = roots(&Neighbours::of_rows(cx, &rows, others)?.reaches(features.len(), others));
                Ordering::of(cx, &cores, |a, b| rows.squared(a, b).sqrt())?
            };
            let labels = ordering.cut(self.eps.unwrap_or_else(|| radius(ordering.cores.clone(), self.quantile)));
            Ok(Found::by(labels, None, pairs))
        })
    }
}

struct Ordering {
    order: Vec<usize>,
    /// How far each row is from those before it, or their core distance; infinite for the first.
    reachability: Vec<f64>,
    cores: Vec<f64>,
}

impl Ordering {
    fn of(cx: &Context, cores: &[f64], distance: impl Fn(usize, usize) -> f64 + Sync) -> Result<Self> {
        let rows = cores.len();
        let mut reachability = vec![f64::INFINITY; rows];
        let mut order = Vec::with_capacity(rows);
        // The rows that are left, and how far each is.
        let mut left: Vec<(usize, f64)> = (0..rows).map(|row| (row, f64::INFINITY)).collect();
        while !left.is_empty() {
            cx.check()?;
            let at = (1..left.len()).fold(0, |best, at| if left[at].1 < left[best].1 { at } else { best });
            let (row, reached) = left.remove(at);
            reachability[row] = reached;
            order.push(row);
            left.par_iter_mut().with_min_len(256).for_each(|(other, reach)| *reach = reach.min(distance(row, *other).max(cores[row])));
        }
        Ok(Self { order, reachability, cores: cores.to_vec() })
    }

    /// A row farther than `eps` from those before it begins a group if it is dense itself, and is noise if it is not.
    fn cut(&self, eps: f64) -> Vec<Option<usize>> {
        let mut labels = vec![None; self.order.len()];
        let mut groups = 0;
        for &row in &self.order {
            if self.reachability[row] > eps {
                if self.cores[row] <= eps {
                    groups += 1;
                    labels[row] = Some(groups);
                }
            } else {
                labels[row] = Some(groups);
            }
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// linfa 0.8.1 leaves the row that begins the order among those to come, and gives it its core distance for a reachability.
    #[test]
    fn the_first_row_is_reached_from_nowhere() {
        let places = [0.0_f64, 1.0, 3.0, 10.0];
        let ordering = Ordering::of(&Context::quiet(0), &[1.0, 1.0, 2.0, 7.0], |a, b| (places[a] - places[b]).abs()).unwrap();
        assert_eq!(ordering.order, [0, 1, 2, 3]);
        assert_eq!(ordering.reachability, [f64::INFINITY, 1.0, 2.0, 7.0]);
        assert_eq!(ordering.cut(2.0), [Some(1), Some(1), Some(1), None]);
    }

    #[test]
    fn dense_groups_are_told_from_noise() {
        let mut values: Vec<f32> = (0..50).map(|i| i as f32 * 0.01).collect();
        values.extend((0..10).map(|i| 5.0 + i as f32 * 0.01));
        values.push(99.0);
        let rows = Features::new(vec![1], values).unwrap();
        let found = Optics { eps: Some(0.045), ..Optics::example() }.cluster(&Context::quiet(0), &rows).unwrap();
        assert_eq!(found.sizes(), [50, 10]);
        assert_eq!(found.labels[60], None);
    }
}
