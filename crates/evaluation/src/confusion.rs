/// Counts of accused and spared samples, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Poison that was accused.
    pub true_positives: usize,
    /// Clean samples that were accused.
    pub false_positives: usize,
    /// Clean samples that were spared.
    pub true_negatives: usize,
    /// Poison that was spared.
    pub false_negatives: usize,
}

impl Confusion {
    /// Counts pairs of what a sample is (poison or not) and what was said of it (accused or not).
    pub fn count(samples: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for sample in samples {
            *match sample {
                (true, true) => &mut counts.true_positives,
                (false, true) => &mut counts.false_positives,
                (false, false) => &mut counts.true_negatives,
                (true, false) => &mut counts.false_negatives,
            } += 1;
        }
        counts
    }

    /// All samples.
    pub fn samples(&self) -> usize {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// Accused samples.
    pub fn flagged(&self) -> usize {
        self.true_positives + self.false_positives
    }

    /// Share of samples judged rightly; none without samples.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.true_positives + self.true_negatives, self.samples())
    }

    /// Share of the poison that was accused; none without poison.
    pub fn true_positive_rate(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Share of the clean samples that were spared; none without clean samples.
    pub fn true_negative_rate(&self) -> Option<f64> {
        share(self.true_negatives, self.true_negatives + self.false_positives)
    }

    /// Share of the clean samples that were accused; none without clean samples.
    pub fn false_positive_rate(&self) -> Option<f64> {
        share(self.false_positives, self.true_negatives + self.false_positives)
    }

    /// Share of poison among the accused; none if nobody was accused.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.flagged())
    }

    /// Harmonic mean of precision and true positive rate; none without poison if nobody was accused.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_undefined_is_none() {
        let nothing = Confusion::default();
        let all = [Confusion::accuracy, Confusion::true_positive_rate, Confusion::true_negative_rate, Confusion::precision, Confusion::f1];
        assert!(all.iter().all(|rate| rate(&nothing).is_none()));
        let clean = Confusion::count([(false, true), (false, false)]);
        assert_eq!((clean.true_positive_rate(), clean.precision(), clean.f1()), (None, Some(0.0), Some(0.0)));
    }

    /// BackdoorBench counts all poison as falsely accused where a detector accuses nobody.
    #[test]
    fn a_detector_that_accuses_nobody_misses_all_poison_and_harms_no_clean_sample() {
        let counts = Confusion::count([(true, false), (true, false), (false, false), (false, false), (false, false)]);
        assert_eq!(counts, Confusion { true_positives: 0, false_positives: 0, true_negatives: 3, false_negatives: 2 });
        assert_eq!((counts.true_positive_rate(), counts.false_positive_rate(), counts.accuracy()), (Some(0.0), Some(0.0), Some(0.6)));
        assert_eq!((counts.precision(), counts.f1()), (None, Some(0.0)));
    }

    proptest! {
        #[test]
        fn rates_are_shares_that_fit_together(samples in proptest::collection::vec(any::<(bool, bool)>(), 0..60)) {
            let counts = Confusion::count(samples.clone());
            prop_assert_eq!(counts.samples(), samples.len());
            for rate in [counts.accuracy(), counts.true_positive_rate(), counts.precision(), counts.f1()].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&rate));
            }
            match (counts.true_negative_rate(), counts.false_positive_rate()) {
                (Some(spared), Some(accused)) => prop_assert!((spared + accused - 1.0).abs() < 1e-12),
                neither => prop_assert_eq!(neither, (None, None)),
            }
            if let (Some(precision), Some(recall), Some(f1)) = (counts.precision(), counts.true_positive_rate(), counts.f1())
                && precision + recall > 0.0
            {
                prop_assert!((f1 - 2.0 * precision * recall / (precision + recall)).abs() < 1e-12);
            }
        }
    }
}
