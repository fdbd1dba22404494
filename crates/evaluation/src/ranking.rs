//! Figures of a ranking, which no threshold enters. Equal scores are one step: their order cannot matter.

/// Numbers of positives and negatives at each different score, highest score first.
fn steps(samples: &[(f64, bool)]) -> Vec<(usize, usize)> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let count = |step: &[(f64, bool)]| {
        let positives = step.iter().filter(|sample| sample.1).count();
        (positives, step.len() - positives)
    };
    // Sorted from high to low: not above the next is equal to it, and so is 0 to -0.
    sorted.chunk_by(|a, b| a.0 <= b.0).map(count).collect()
}

/// Area under the ROC curve of scores with their truth: the chance that a positive scores higher than a negative, ties counting half
/// (Mann and Whitney). None unless there are both.
pub fn roc_auc(samples: &[(f64, bool)]) -> Option<f64> {
    let positives = samples.iter().filter(|sample| sample.1).count();
    let pairs = positives * (samples.len() - positives);
    let (mut above, mut half_wins) = (0, 0_usize);
    for (positive, negative) in steps(samples) {
        half_wins += negative * (2 * above + positive);
        above += positive;
    }
    (pairs > 0).then(|| half_wins as f64 / (2 * pairs) as f64)
}

/// The ROC curve from `[0, 0]` to `[1, 1]`: the false and the true positive rate at each threshold that tells scores apart. None unless there are
/// positives and negatives.
pub fn roc_curve(samples: &[(f64, bool)]) -> Option<Vec<[f64; 2]>> {
    let positives = samples.iter().filter(|sample| sample.1).count();
    let negatives = samples.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut hits, mut alarms) = (0, 0);
    let mut curve = vec![[0.0; 2]];
    for (positive, negative) in steps(samples) {
        hits += positive;
        alarms += negative;
        curve.push([alarms as f64 / negatives as f64, hits as f64 / positives as f64]);
    }
    Some(curve)
}

/// Area under the precision-recall curve as a step function: the mean over all positives of the precision at their score. None without
/// positives.
pub fn average_precision(samples: &[(f64, bool)]) -> Option<f64> {
    let (mut positives, mut seen, mut sum) = (0, 0, 0.0);
    for (positive, negative) in steps(samples) {
        positives += positive;
        seen += positive + negative;
        sum += positive as f64 * positives as f64 / seen as f64;
    }
    (positives > 0).then(|| sum / positives as f64)
}

/// The largest true positive rate at a threshold that accuses at most the share `fpr` of the negatives. Equal scores stand on one side of every
/// threshold, and nothing is interpolated. None unless there are both.
pub fn true_positive_rate_at(samples: &[(f64, bool)], fpr: f64) -> Option<f64> {
    let curve = roc_curve(samples)?;
    curve.iter().take_while(|[alarms, _]| *alarms <= fpr).last().map(|[_, hits]| *hits)
}

/// The share of positives among the `k` highest scores; of equal scores at the edge, each is taken as often as the others. None of fewer than
/// `k` samples.
pub fn precision_at(samples: &[(f64, bool)], k: usize) -> Option<f64> {
    let (mut hits, mut left) = (0.0, k);
    for (positive, negative) in steps(samples) {
        let taken = left.min(positive + negative);
        hits += positive as f64 * taken as f64 / (positive + negative) as f64;
        left -= taken;
    }
    (k > 0 && left == 0).then(|| hits / k as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn samples() -> impl Strategy<Value = Vec<(f64, bool)>> {
        proptest::collection::vec(((0..12_i32).prop_map(|score| f64::from(score) / 4.0), any::<bool>()), 0..40)
    }

    #[test]
    fn perfect_inverted_and_constant_scores() {
        let perfect = [(3.0, true), (2.0, true), (1.0, false), (0.0, false), (-5.0, false)];
        let inverted = perfect.map(|(score, truth)| (-score, truth));
        let constant = perfect.map(|(_, truth)| (7.0, truth));
        assert_eq!([roc_auc(&perfect), roc_auc(&inverted), roc_auc(&constant)], [Some(1.0), Some(0.0), Some(0.5)]);
        assert_eq!([average_precision(&perfect), average_precision(&constant)], [Some(1.0), Some(0.4)]);
        assert_eq!(average_precision(&inverted), Some(f64::midpoint(0.25, 0.4)));
        assert_eq!([&perfect, &inverted].map(|samples| true_positive_rate_at(samples, 0.1)), [Some(1.0), Some(0.0)]);
        assert_eq!([&perfect, &inverted].map(|samples| precision_at(samples, 2)), [Some(1.0), Some(0.0)]);
    }

    /// Within five standard deviations of what each measure expects.
    #[test]
    fn random_scores_say_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let samples: Vec<(f64, bool)> = (0..20_000).map(|row| (rng.random(), row % 5 == 0)).collect();
        let near = |found: Option<f64>, expected: f64, spread: f64| assert!((found.unwrap() - expected).abs() < 5.0 * spread, "{found:?}");
        // Mann and Whitney's variance, and a binomial's.
        near(roc_auc(&samples), 0.5, (20_001.0 / (12.0 * 4_000.0 * 16_000.0_f64)).sqrt());
        near(average_precision(&samples), 0.2, 0.004);
        near(true_positive_rate_at(&samples, 0.1), 0.1, (0.09 / 4_000.0 + 0.09 / 16_000.0_f64).sqrt());
        near(precision_at(&samples, 1_000), 0.2, (0.16 / 1_000.0_f64).sqrt());
    }

    #[test]
    fn one_kind_alone_has_no_ranking() {
        assert_eq!([roc_auc(&[]), roc_auc(&[(1.0, true)]), roc_auc(&[(1.0, false)])], [None; 3]);
        assert_eq!([average_precision(&[]), average_precision(&[(1.0, false)])], [None; 2]);
        assert_eq!(average_precision(&[(1.0, true)]), Some(1.0));
    }

    #[test]
    fn the_curve_takes_equal_scores_in_one_step() {
        let samples = [(3.0, true), (2.0, true), (2.0, false), (1.0, false)];
        assert_eq!(roc_curve(&samples), Some(vec![[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]));
        assert_eq!([roc_curve(&[(1.0, true)]), roc_curve(&[(1.0, false)])], [None, None]);
    }

    #[test]
    fn the_two_zeros_are_one_score() {
        assert_eq!(roc_auc(&[(0.0, true), (-0.0, false)]), Some(0.5));
    }

    #[test]
    fn a_threshold_keeps_equal_scores_together() {
        let samples = [(3.0, true), (2.0, true), (2.0, false), (1.0, true), (1.0, false), (0.0, false)];
        assert_eq!(
            [0.0, 0.3, 0.4, 0.7, 1.0].map(|fpr| true_positive_rate_at(&samples, fpr)),
            [1.0, 1.0, 2.0, 3.0, 3.0].map(|hits| Some(hits / 3.0))
        );
        assert_eq!([1, 2, 3, 6].map(|k| precision_at(&samples, k)), [Some(1.0), Some(0.75), Some(2.0 / 3.0), Some(0.5)]);
        assert_eq!([0, 7].map(|k| precision_at(&samples, k)), [None; 2]);
        assert_eq!(true_positive_rate_at(&[(1.0, true)], 0.1), None);
    }

    proptest! {
        #[test]
        fn more_false_alarms_never_find_less(samples in samples(), (a, b) in (0.0..1.0_f64, 0.0..1.0_f64)) {
            let found = [a.min(b), a.max(b), 1.0].map(|fpr| true_positive_rate_at(&samples, fpr));
            prop_assert!(found[0] <= found[1] && [None, Some(1.0)].contains(&found[2]));
        }

        #[test]
        fn precision_of_all_is_the_share_of_positives_and_bounded_before(samples in samples(), k in 1..40_usize) {
            let positives = samples.iter().filter(|sample| sample.1).count() as f64;
            prop_assert!(precision_at(&samples, samples.len()).is_none_or(|all| (all - positives / samples.len() as f64).abs() < 1e-12));
            prop_assert!(precision_at(&samples, k).is_none_or(|share| (0.0..=(positives / k as f64).min(1.0) + 1e-12).contains(&share)));
        }

        #[test]
        fn the_area_is_the_share_of_pairs_in_order(samples in samples()) {
            let (mut half_wins, mut pairs) = (0, 0);
            for positive in samples.iter().filter(|sample| sample.1) {
                for negative in samples.iter().filter(|sample| !sample.1) {
                    pairs += 1;
                    half_wins += u32::from(positive.0 > negative.0) + u32::from(positive.0 >= negative.0);
                }
            }
            let naive = (pairs > 0).then(|| f64::from(half_wins) / f64::from(2 * pairs));
            prop_assert_eq!(roc_auc(&samples), naive);
        }

        #[test]
        fn the_area_is_what_lies_under_the_curve(samples in samples()) {
            let slab = |step: &[[f64; 2]]| (step[1][0] - step[0][0]) * f64::midpoint(step[0][1], step[1][1]);
            let under = roc_curve(&samples).map(|curve| curve.windows(2).map(slab).sum::<f64>());
            prop_assert_eq!(under.is_some(), roc_auc(&samples).is_some());
            prop_assert!(under.zip(roc_auc(&samples)).is_none_or(|(under, area)| (under - area).abs() < 1e-12));
        }

        #[test]
        fn neither_order_nor_scale_of_samples_matters((samples, shuffled) in samples().prop_flat_map(|samples| {
            (Just(samples.clone()), Just(samples).prop_shuffle())
        })) {
            let stretched: Vec<_> = shuffled.iter().map(|(score, truth)| (score.exp() * 3.0, *truth)).collect();
            prop_assert_eq!(roc_auc(&samples), roc_auc(&stretched));
            prop_assert_eq!(average_precision(&samples), average_precision(&stretched));
        }

        #[test]
        fn areas_lie_between_zero_and_one_and_inversion_mirrors(samples in samples()) {
            let inverted: Vec<_> = samples.iter().map(|(score, truth)| (-score, *truth)).collect();
            if let (Some(area), Some(mirrored)) = (roc_auc(&samples), roc_auc(&inverted)) {
                prop_assert!((area + mirrored - 1.0).abs() < 1e-12);
            }
            prop_assert!(average_precision(&samples).is_none_or(|area| (0.0..=1.0).contains(&area)));
        }

        #[test]
        fn raising_a_positive_never_lowers_the_area(mut samples in samples(), chosen: prop::sample::Index, by in 0.0..3.0) {
            let before = roc_auc(&samples);
            let positives: Vec<usize> = (0..samples.len()).filter(|&row| samples[row].1).collect();
            prop_assume!(!positives.is_empty());
            samples[*chosen.get(&positives)].0 += by;
            prop_assert!(before <= roc_auc(&samples));
        }
    }
}
