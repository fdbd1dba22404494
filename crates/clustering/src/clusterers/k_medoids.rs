use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Distance, Error, Features, Pairs, Pairwise, Part, Plugin, Result, register};
use rand::RngExt;
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::canonical::{Found, cluster_canonically};
use crate::distances::pairwise;
use crate::silhouette::silhouette_by;

/// K-medoids: `k` groups with the least distance to rows of their own, under any distance.
///
/// Medoids are swapped for other rows, each swap that pays at once, until none pays (Schubert and Rousseeuw 2021); starts are drawn
/// by k-means++ and the best of several is kept. Time and memory grow with the square of the class (12 MB for 2,500 images) unless medoids
/// are sought in a `sample`, as CLARA does (Kaufman and Rousseeuw 1986).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KMedoids {
    /// How far rows are from each other.
    pub distance: Part<dyn Distance>,
    /// Number of groups.
    #[serde(default = "default_k")]
    #[schemars(range(min = 1))]
    pub k: usize,
    /// Number of starts.
    #[serde(default = "default_restarts")]
    #[schemars(range(min = 1))]
    pub restarts: usize,
    /// Rows that medoids are sought among, drawn; all if left out. The other rows join the medoid next to them.
    #[serde(default)]
    #[schemars(range(min = 2))]
    pub sample: Option<usize>,
}

fn default_k() -> usize {
    2
}

fn default_restarts() -> usize {
    10
}

impl Plugin for KMedoids {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "k-medoids";
    const PAPER: Option<&'static str> = Some("arXiv 2008.05171");

    fn defaults() -> Value {
        json!({ "distance": { "use": "euclidean" } })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("the distance is in this crate")
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        if let Some(sample) = self.sample.filter(|&sample| sample < self.k) {
            return Err(Error::request(format!("a sample of {sample} rows has no {} medoids", self.k))
                .with_help("make `sample` larger than `k`, some hundreds"));
        }
        Ok(Arc::new(self))
    }
}

register!(KMedoids);

impl Clusterer for KMedoids {
    fn min_rows(&self) -> usize {
        self.k
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let mut rng = cx.rng("k-medoids");
            let seen = match self.sample {
                Some(sample) if sample < features.len() => index::sample(&mut rng, features.len(), sample).into_vec(),
                _ => (0..features.len()).collect(),
            };
            let distances = pairwise(cx, &self.distance, &features.select(&seen)).map_err(|error| error.among(&seen))?;
            let mut best: Option<Medoids<'_>> = None;
            for _ in 0..self.restarts {
                cx.check()?;
                let mut found = Medoids::draw(&distances, self.k, &mut rng);
                found.improve();
                if best.as_ref().is_none_or(|best| found.cost() < best.cost()) {
                    best = Some(found);
                }
            }
            let medoids: Vec<usize> = best.iter().flat_map(|best| &best.rows).map(|&row| seen[row]).collect();
            let far = self.distance.blame(self.distance.compare(cx, features, Pairs::With(&medoids)))?;
            let nearest = |far: &[f32]| (0..far.len()).min_by(|&a, &b| far[a].total_cmp(&far[b]));
            let labels: Vec<Option<usize>> = far.chunks_exact(self.k).map(nearest).collect();
            let silhouette = if seen.len() == features.len() { silhouette_by(&distances, &labels) } else { None };
            let to_middle = move |medoid| Ok(far.chunks_exact(self.k).map(|far| f64::from(far[medoid])).collect());
            Ok(Found { to_middle: Some(Box::new(to_middle)), silhouette, ..labels.into() })
        })
    }
}

/// Medoids, and what each row is to them.
struct Medoids<'a> {
    distances: &'a Pairwise,
    rows: Vec<usize>,
    nearest: Vec<Nearest>,
}

/// A row's nearest medoid, and how far that and the next one are.
struct Nearest {
    medoid: usize,
    distance: f64,
    next: f64,
}

impl<'a> Medoids<'a> {
    /// Drawn in proportion to the distance to those drawn before, which is what k-medoids adds up.
    fn draw(distances: &'a Pairwise, k: usize, rng: &mut impl rand::Rng) -> Self {
        let mut rows = vec![rng.random_range(0..distances.len())];
        let mut least: Vec<f64> = distances.row(rows[0]).map(f64::from).collect();
        while rows.len() < k {
            let mut left = rng.random::<f64>() * least.iter().sum::<f64>();
            let drawn = least.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            // Where all rows are medoids or equal to one, any other will do.
            let drawn = drawn.or_else(|| (0..distances.len()).find(|row| !rows.contains(row))).unwrap_or_default();
            rows.push(drawn);
            for (least, distance) in least.iter_mut().zip(distances.row(drawn)) {
                *least = least.min(f64::from(distance));
            }
        }
        let mut medoids = Self { distances, rows, nearest: Vec::new() };
        medoids.assign();
        medoids
    }

    fn assign(&mut self) {
        let of = |row: usize| {
            let mut nearest = Nearest { medoid: 0, distance: f64::INFINITY, next: f64::INFINITY };
            for (medoid, &at) in self.rows.iter().enumerate() {
                let distance = f64::from(self.distances.get(row, at));
                if distance < nearest.distance {
                    nearest = Nearest { medoid, distance, next: nearest.distance };
                } else {
                    nearest.next = nearest.next.min(distance);
                }
            }
            nearest
        };
        self.nearest = (0..self.distances.len()).map(of).collect();
    }

    fn cost(&self) -> f64 {
        self.nearest.iter().map(|nearest| nearest.distance).sum()
    }

    /// Swaps until no swap pays.
    fn improve(&mut self) {
        let candidates = self.distances.len();
        let (mut candidate, mut since) = (0, 0);
        while since < candidates {
            since += 1;
            if !self.rows.contains(&candidate) {
                let (medoid, change) = self.best_swap(candidate);
                if change < -1e-9 * self.cost() {
                    self.rows[medoid] = candidate;
                    self.assign();
                    since = 0;
                }
            }
            candidate = (candidate + 1) % candidates;
        }
    }

    /// The medoid that is best swapped for `candidate`, and what that changes in the cost.
    fn best_swap(&self, candidate: usize) -> (usize, f64) {
        let mut shared = 0.0;
        let mut changes = vec![0.0; self.rows.len()];
        for (nearest, distance) in self.nearest.iter().zip(self.distances.row(candidate)) {
            let distance = f64::from(distance);
            if distance < nearest.distance {
                shared += distance - nearest.distance;
            } else {
                // Only without its medoid would the row have to move, to the candidate or the next medoid.
                changes[nearest.medoid] += distance.min(nearest.next) - nearest.distance;
            }
        }
        let best = (0..changes.len()).min_by(|&a, &b| changes[a].total_cmp(&changes[b])).unwrap_or_default();
        (best, shared + changes[best])
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn no_swap_pays_in_the_end_and_none_is_counted_wrong() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let places: Vec<f32> = (0..40).map(|_| rng.random_range(0.0..1.0)).collect();
        let values =
            (0..40).flat_map(|row| (0..row).map(move |other| (row, other))).map(|(row, other)| (places[row] - places[other]).abs());
        let distances = Pairwise::new(40, values.collect()).unwrap();
        let mut medoids = Medoids::draw(&distances, 3, &mut rng);
        let (medoid, change) = medoids.best_swap(7);
        let before = medoids.cost();
        medoids.rows[medoid] = 7;
        medoids.assign();
        assert!((medoids.cost() - before - change).abs() < 1e-6);
        medoids.improve();
        for candidate in 0..40 {
            for medoid in 0..3 {
                let mut other = Medoids { distances: &distances, rows: medoids.rows.clone(), nearest: Vec::new() };
                other.rows[medoid] = candidate;
                other.assign();
                assert!(other.cost() >= medoids.cost() - 1e-6);
            }
        }
    }

    #[test]
    fn groups_are_found_under_any_distance() {
        let rows =
            Features::new(vec![2], (0..30).flat_map(|i| if i % 3 == 0 { [0.1 + i as f32, 0.0] } else { [0.0, 0.1 + i as f32] }).collect())
                .unwrap();
        let by_angle =
            KMedoids { distance: Part::from_json(json!({ "use": "euclidean", "norm": "cosine" })).unwrap(), ..KMedoids::example() };
        let found = by_angle.cluster(&Context::quiet(1), &rows).unwrap();
        assert_eq!(found.sizes(), [20, 10]);
        let by_few = KMedoids { sample: Some(12), ..by_angle.clone() };
        assert_eq!(by_few.cluster(&Context::quiet(1), &rows).unwrap().labels, found.labels);
        let far = found.to_bulk.unwrap();
        assert!(far.iter().zip(found.labels).all(|(far, label)| if label == Some(0) { *far < 0.1 } else { *far > 0.9 }), "{far:?}");
        assert!(KMedoids { sample: Some(1), ..by_angle }.build().is_err());
    }
}
