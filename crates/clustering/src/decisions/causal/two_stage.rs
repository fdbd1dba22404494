//! Which images of a class are tried before the others, and what they say of those.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;

/// The rows of a class in two stages.
pub(super) struct TwoStage {
    /// Some of each cluster and some of the noise, in order.
    pub(super) sampled: Vec<usize>,
    /// The others, in order.
    pub(super) rest: Vec<usize>,
}

impl TwoStage {
    /// Samples `each` rows of each cluster, or all where it has fewer.
    pub(super) fn drawn(labels: &[Option<u32>], each: usize, rng: &mut impl Rng) -> Self {
        let mut rows: Vec<usize> = (0..labels.len()).collect();
        rows.shuffle(rng);
        let mut taken: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        let is_sampled = |row: &usize| {
            let taken = taken.entry(labels[*row]).or_default();
            *taken += 1;
            *taken <= each
        };
        let (mut sampled, mut rest): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(is_sampled);
        sampled.sort_unstable();
        rest.sort_unstable();
        Self { sampled, rest }
    }

    /// What was found in both stages, by row.
    pub(super) fn joined<T>(self, sampled: Vec<T>, rest: Vec<T>) -> Vec<T> {
        let mut found: Vec<(usize, T)> = self.sampled.into_iter().zip(sampled).chain(self.rest.into_iter().zip(rest)).collect();
        found.sort_unstable_by_key(|&(row, _)| row);
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// The mean over the sample of each cluster.
    pub(super) fn means(&self, labels: &[Option<u32>], sampled: impl Iterator<Item = f64>) -> BTreeMap<Option<u32>, f64> {
        let mut sums: BTreeMap<Option<u32>, (f64, f64)> = BTreeMap::new();
        for (&row, value) in self.sampled.iter().zip(sampled) {
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
        /// Every row is in one of them, as many of each cluster as asked for in the sample.
        #[test]
        fn every_row_is_in_one_stage(labels in prop::collection::vec(prop::option::of(0..3_u32), 0..40), each in 1..8_usize, seed: u64) {
            let stages = TwoStage::drawn(&labels, each, &mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            for cluster in [None, Some(0), Some(1), Some(2)] {
                let of = |rows: &[usize]| rows.iter().filter(|&&row| labels[row] == cluster).count();
                prop_assert_eq!(of(&stages.sampled), labels.iter().filter(|&&label| label == cluster).count().min(each));
            }
            let (sampled, rest) = (stages.sampled.clone(), stages.rest.clone());
            prop_assert_eq!(stages.joined(sampled, rest), (0..labels.len()).collect::<Vec<_>>());
        }
    }
}
