use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two detectors over the same nets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Paired {
    /// Nets on which both figures are defined.
    pub nets: usize,
    /// Mean of the first figure less the second.
    pub difference: f64,
    /// 95 % bootstrap interval of the mean difference; none of a single net.
    pub interval: Option<(f64, f64)>,
    /// Of [`wilcoxon`]'s test.
    pub p_value: f64,
}

impl Paired {
    /// Compares the figures of two detectors, a pair a net; none without pairs.
    pub fn of(pairs: &[(f64, f64)], rng: &mut impl Rng) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(first, second)| first - second).collect();
        (!pairs.is_empty()).then(|| Self {
            nets: pairs.len(),
            difference: differences.iter().sum::<f64>() / pairs.len() as f64,
            interval: super::interval(&differences, rng),
            p_value: wilcoxon(&differences),
        })
    }
}

/// Ranks of some values from 1, the least first; equal values have the mean of theirs, doubled so that it is whole.
pub(super) fn doubled_ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] >= values[b]) {
        for &at in tied {
            ranks[at] = 2 * before + 1 + tied.len();
        }
        before += tied.len();
    }
    ranks
}

/// The two-sided p-value of Wilcoxon's signed-rank test that differences lie around zero (Wilcoxon 1945), exact, ties included: the share
/// of all ways to sign the ranks that are as far from even. Differences of zero are left out; 1 where none is left.
///
/// The ranks' sums are counted one by one, which takes time with the cube of the number of differences: a second for a thousand.
pub fn wilcoxon(differences: &[f64]) -> f64 {
    let differences: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let ranks = doubled_ranks(&differences.iter().map(|difference| difference.abs()).collect::<Vec<_>>());
    let total: usize = ranks.iter().sum();
    let positive: usize = ranks.iter().zip(&differences).filter(|(_, difference)| **difference > 0.0).map(|(rank, _)| rank).sum();
    let mut ways = vec![0.0; total + 1];
    ways[0] = 1.0;
    let mut reach = 0;
    for rank in ranks {
        for sum in (0..=reach).rev() {
            ways[sum] *= 0.5;
            ways[sum + rank] += ways[sum];
        }
        reach += rank;
    }
    let tail: f64 = ways[..=positive.min(total - positive)].iter().sum();
    (2.0 * tail).min(1.0)
}

/// p-values corrected for their number (Holm 1979): the chance that the smallest of those not yet rejected is this small. In the order
/// given; a corrected value is at most 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        least = least.max(p_values[at] * (p_values.len() - rank) as f64).min(1.0);
        corrected[at] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_differs_is_no_evidence() {
        let p_values =
            [&[][..], &[0.0, 0.0], &[1.0], &[1.0, -1.0], &[1.0, 2.0, 3.0, 4.0, 5.0]].map(|differences| Some(wilcoxon(differences)));
        assert_eq!(p_values, [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(2.0 / 32.0)]);
    }

    #[test]
    fn holm_multiplies_by_the_number_of_those_that_are_left() {
        assert_eq!(holm(&[0.04, 0.01, 0.03]), [0.06, 0.03, 0.06]);
        assert_eq!(holm(&[0.5, 0.6]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        /// By trying all signs.
        #[test]
        fn the_p_value_is_the_share_of_signs_as_far_from_even(differences in prop::collection::vec((-4..5_i32).prop_map(f64::from), 1..10)) {
            let left: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
            let ranks = doubled_ranks(&left.iter().map(|difference| difference.abs()).collect::<Vec<_>>());
            let total: usize = ranks.iter().sum();
            let uneven = |positive: usize| positive.abs_diff(total - positive);
            let sum = |of: &dyn Fn(usize) -> bool| ranks.iter().enumerate().filter(|(at, _)| of(*at)).map(|(_, rank)| rank).sum::<usize>();
            let seen = uneven(sum(&|at| left[at] > 0.0));
            let as_far = (0..1_u32 << left.len()).filter(|signs| uneven(sum(&|at| signs >> at & 1 == 1)) >= seen).count();
            let naive = as_far as f64 / f64::from(1_u32 << left.len());
            prop_assert!((wilcoxon(&differences) - naive).abs() < 1e-12);
        }

        #[test]
        fn neither_order_nor_sign_nor_scale_matters(differences in prop::collection::vec(-1.0..1.0_f64, 1..40), scale in 0.1..9.0_f64) {
            let p_value = wilcoxon(&differences);
            prop_assert!((0.0..=1.0).contains(&p_value));
            let turned: Vec<f64> = differences.iter().rev().map(|difference| -difference * scale).collect();
            prop_assert!((wilcoxon(&turned) - p_value).abs() < 1e-12);
        }
    }
}
