//! Which images of a class are asked first, and what they say of the others.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;

/// The rows of a class in two turns.
pub(super) struct Turns {
    /// Some of each cluster and some of those in none, in order.
    pub(super) first: Vec<usize>,
    /// The others, in order.
    pub(super) rest: Vec<usize>,
}

impl Turns {
    /// Draws `each` rows of each cluster for the first turn, or all where it has fewer.
    pub(super) fn drawn(labels: &[Option<u32>], each: usize, rng: &mut impl Rng) -> Self {
        let mut rows: Vec<usize> = (0..labels.len()).collect();
        rows.shuffle(rng);
        let mut taken: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        let is_first = |row: &usize| {
            let taken = taken.entry(labels[*row]).or_default();
            *taken += 1;
            *taken <= each
        };
        let (mut first, mut rest): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(is_first);
        first.sort_unstable();
        rest.sort_unstable();
        Self { first, rest }
    }

    /// What was found in both turns, by row.
    pub(super) fn joined<T>(self, first: Vec<T>, rest: Vec<T>) -> Vec<T> {
        let mut found: Vec<(usize, T)> = self.first.into_iter().zip(first).chain(self.rest.into_iter().zip(rest)).collect();
        found.sort_unstable_by_key(|&(row, _)| row);
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// The mean over the first turn in each cluster.
    pub(super) fn means(&self, labels: &[Option<u32>], first: impl Iterator<Item = f64>) -> BTreeMap<Option<u32>, f64> {
        let mut sums: BTreeMap<Option<u32>, (f64, f64)> = BTreeMap::new();
        for (&row, value) in self.first.iter().zip(first) {
            let (sum, count) = sums.entry(labels[row]).or_default();
            *sum += value;
            *count += 1.0;
        }
        sums.into_iter().map(|(cluster, (sum, count))| (cluster, sum / count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    proptest! {
        /// All rows have their turn, as many of each cluster as asked for the first one.
        #[test]
        fn every_row_has_one_turn(labels in prop::collection::vec(prop::option::of(0..3_u32), 0..40), each in 1..8_usize, seed: u64) {
            let turns = Turns::drawn(&labels, each, &mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            for cluster in [None, Some(0), Some(1), Some(2)] {
                let of = |rows: &[usize]| rows.iter().filter(|&&row| labels[row] == cluster).count();
                prop_assert_eq!(of(&turns.first), labels.iter().filter(|&&label| label == cluster).count().min(each));
            }
            let (first, rest) = (turns.first.clone(), turns.rest.clone());
            prop_assert_eq!(turns.joined(first, rest), (0..labels.len()).collect::<Vec<_>>());
        }
    }
}
