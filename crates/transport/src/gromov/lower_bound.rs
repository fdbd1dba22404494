use crate::Space;
use crate::exact::{along_a_line, transport};
use crate::space::mean;

/// Which of Mémoli's lower bounds (Foundations of Computational Mathematics 2011, section 6), the dearest last. The third is at least as sharp as
/// both others; of these, either may be the sharper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerBound {
    /// The way between the distributions of eccentricities (root mean square distances of each point to all): `O(n²)`.
    First,
    /// The way between the distributions of all distances: `O(n² log n)`.
    Second,
    /// The least cost of moving points to points whose distances to all are distributed alike: `O(n³)`.
    Third,
}

/// A bound from below of the square-loss Gromov-Wasserstein cost without entropy, exact up to rounding; 0 between isometric spaces.
///
/// Bounds depend on no epsilon, have no local minima, and see nothing of places, turns and reflections, as the cost itself.
pub fn lower_bound(first: &Space, second: &Space, bound: LowerBound) -> f64 {
    Profile::of(first, bound).bound(&Profile::of(second, bound))
}

/// What a bound compares of a space: make it once where a space is compared with many.
#[derive(Clone, Debug)]
pub struct Profile {
    bound: LowerBound,
    /// Distributions on a line, ascending, and the weight of each.
    distributions: Vec<(Vec<(f64, f64)>, f64)>,
}

impl Profile {
    /// What `bound` compares of a space.
    pub fn of(space: &Space, bound: LowerBound) -> Self {
        let (distances, weights) = (space.distances(), space.weights());
        let rows = distances.chunks_exact(weights.len());
        let distributions = match bound {
            LowerBound::First => {
                let eccentricity = |row: &[f64]| mean(&row.iter().map(|distance| distance * distance).collect::<Vec<_>>(), weights).sqrt();
                vec![(ascending(rows.map(eccentricity).zip(weights.iter().copied())), 1.0)]
            }
            LowerBound::Second => {
                let pairs = rows.zip(weights).flat_map(|(row, &p)| row.iter().zip(weights).map(move |(&distance, &q)| (distance, p * q)));
                vec![(merged(ascending(pairs)), 1.0)]
            }
            LowerBound::Third => rows
                .zip(weights)
                .map(|(row, &weight)| (merged(ascending(row.iter().copied().zip(weights.iter().copied()))), weight))
                .collect(),
        };
        Self { bound, distributions }
    }

    /// The bound between two spaces; of different bounds, the weaker one's worth of nothing: 0.
    pub fn bound(&self, other: &Self) -> f64 {
        if self.bound != other.bound {
            return 0.0;
        }
        let costs: Vec<f64> = self
            .distributions
            .iter()
            .flat_map(|(first, _)| other.distributions.iter().map(move |(second, _)| along_a_line(first, second)))
            .collect();
        let weights = |profile: &Self| profile.distributions.iter().map(|(_, weight)| *weight).collect::<Vec<_>>();
        if let [cost] = costs[..] { cost } else { transport(&costs, &weights(self), &weights(other)) }
    }
}

fn ascending(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Equal values as one: on a grid, many pairs are equally far apart.
fn merged(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (value, weight) in points {
        match merged.last_mut() {
            Some(last) if last.0.total_cmp(&value).is_eq() => last.1 += weight,
            _ => merged.push((value, weight)),
        }
    }
    merged
}
