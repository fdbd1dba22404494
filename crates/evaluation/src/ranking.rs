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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    }

    #[test]
    fn one_kind_alone_has_no_ranking() {
        assert_eq!([roc_auc(&[]), roc_auc(&[(1.0, true)]), roc_auc(&[(1.0, false)])], [None; 3]);
        assert_eq!([average_precision(&[]), average_precision(&[(1.0, false)])], [None; 2]);
        assert_eq!(average_precision(&[(1.0, true)]), Some(1.0));
    }

    #[test]
    fn the_two_zeros_are_one_score() {
        assert_eq!(roc_auc(&[(0.0, true), (-0.0, false)]), Some(0.5));
    }

    proptest! {
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
