//! Groups that are merged two by two, the nearest first.

use bezoar_core::{Context, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disjoint_sets::DisjointSets;

/// How far two groups are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// By what their union adds to the sum of squared distances to the means (Ward 1963). Euclidean distances only.
    Ward,
    /// The mean distance of their rows.
    Average,
    /// The distance of their farthest rows.
    Complete,
    /// The distance of their nearest rows.
    Single,
}

/// Two groups, each named by its first row, that become one at some height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Merge {
    pub(crate) rows: [usize; 2],
    pub(crate) height: f64,
}

impl Linkage {
    /// All merges, the lowest first, of `rows` rows whose distances below the diagonal stand row after row. They are used up.
    ///
    /// A chain of nearest neighbours ends in two groups that are each other's nearest; no later merge comes between them (Murtagh 1983).
    pub(crate) fn merges(self, cx: &Context, rows: usize, mut distances: Vec<f32>) -> Result<Vec<Merge>> {
        if let Some(far) = distances.iter().position(|distance| !distance.is_finite()) {
            return Err(Error::request(format!("a distance between rows is {}", distances[far])).with_help("make the features smaller"));
        }
        // In units of the largest, whose square is no overflow.
        let unit = distances.iter().copied().fold(0.0, f32::max);
        if self == Self::Ward && unit > 0.0 {
            for distance in &mut distances {
                *distance = (*distance / unit).powi(2);
            }
        }
        let at = |a: usize, b: usize| a.max(b) * (a.max(b) - 1) / 2 + a.min(b);
        let mut sizes = vec![1_usize; rows];
        let mut active: Vec<usize> = (0..rows).collect();
        let mut chain: Vec<usize> = Vec::new();
        let mut merges = Vec::with_capacity(rows.saturating_sub(1));
        while active.len() > 1 {
            cx.check()?;
            let Some(&last) = chain.last() else {
                chain.push(active[0]);
                continue;
            };
            let before = chain.len().checked_sub(2).map(|before| chain[before]);
            // Of equally near groups the one before comes first, so that the chain ends.
            let start = before.map_or((usize::MAX, f32::INFINITY), |before| (before, distances[at(before, last)]));
            let (nearest, distance) = active.iter().filter(|&&other| other != last).fold(start, |best, &other| {
                let distance = distances[at(other, last)];
                if distance < best.1 || best.0 == usize::MAX { (other, distance) } else { best }
            });
            if Some(nearest) != before {
                chain.push(nearest);
                continue;
            }
            chain.truncate(chain.len() - 2);
            let (keep, lost) = (last.min(nearest), last.max(nearest));
            active.retain(|&group| group != lost);
            for &other in active.iter().filter(|&&other| other != keep) {
                let (a, b) = (f64::from(distances[at(keep, other)]), f64::from(distances[at(lost, other)]));
                let [m, n, o] = [keep, lost, other].map(|group| sizes[group] as f64);
                let between = match self {
                    Self::Ward => (((m + o) * a + (n + o) * b - o * f64::from(distance)) / (m + n + o)).max(0.0),
                    Self::Average => (m * a + n * b) / (m + n),
                    Self::Complete => a.max(b),
                    Self::Single => a.min(b),
                };
                distances[at(keep, other)] = between as f32;
            }
            sizes[keep] += sizes[lost];
            let height = if self == Self::Ward { f64::from(distance).sqrt() * f64::from(unit) } else { f64::from(distance) };
            merges.push(Merge { rows: [keep, lost], height });
        }
        // The sort is stable: a merge that another one of the same height builds on stays before it.
        merges.sort_by(|a, b| a.height.total_cmp(&b.height));
        Ok(merges)
    }
}

/// The group of each row after the first merges: until no more than `most` groups are left, all below `threshold`, and in any case those
/// of rows without a distance.
pub(crate) fn cut(rows: usize, merges: &[Merge], most: usize, threshold: f64) -> Vec<usize> {
    let mut sets = DisjointSets::of(rows);
    let mut groups = rows;
    for Merge { rows: [a, b], height } in merges {
        if groups > most || *height < threshold || *height <= 0.0 {
            let (a, b) = (sets.name(*a), sets.name(*b));
            sets.join(a.min(b), a.max(b));
            groups -= 1;
        }
    }
    (0..rows).map(|row| sets.name(row)).collect()
}
