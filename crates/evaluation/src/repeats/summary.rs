use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A figure over several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Summary {
    /// Runs in which the figure is defined.
    pub runs: usize,
    /// Its mean.
    pub mean: f64,
    /// Standard deviation of the runs (over one less than their number); none of a single run.
    pub deviation: Option<f64>,
    /// 95 % bootstrap interval of the mean; none of a single run.
    pub interval: Option<(f64, f64)>,
    /// The least value.
    pub least: f64,
    /// The greatest value.
    pub greatest: f64,
}

impl Summary {
    /// That of these values; none of no values.
    pub fn of(values: &[f64], rng: &mut impl Rng) -> Option<Self> {
        let runs = values.len();
        if runs == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / runs as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            runs,
            mean,
            deviation: (runs > 1).then(|| (squares / (runs - 1) as f64).sqrt()),
            interval: super::interval(values, rng),
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn summary(values: &[f64]) -> Option<Summary> {
        Summary::of(values, &mut ChaCha8Rng::seed_from_u64(0))
    }

    #[test]
    fn one_run_has_no_spread_and_no_run_nothing() {
        assert_eq!(summary(&[]), None);
        let one = summary(&[0.25]).unwrap();
        assert_eq!(one, Summary { runs: 1, mean: 0.25, deviation: None, interval: None, least: 0.25, greatest: 0.25 });
    }

    /// With many values the interval is that of the normal distribution: the mean, and 1.96 deviations of the mean to each side.
    #[test]
    fn of_many_values_the_interval_is_the_normal_one() {
        let values: Vec<f64> = (0..400).map(|at| f64::from(at * 7919 % 400) / 400.0).collect();
        let Summary { mean, deviation, interval, .. } = summary(&values).unwrap();
        let half = 1.96 * deviation.unwrap() / 20.0;
        let (low, high) = interval.unwrap();
        assert!((low - (mean - half)).abs() < 0.05 * half && (high - (mean + half)).abs() < 0.05 * half, "{low} to {high} around {mean}");
    }

    proptest! {
        #[test]
        fn the_interval_lies_within_the_values_and_moves_with_them(values in prop::collection::vec(-2.0..2.0_f64, 2..9), by in -3.0..3.0_f64) {
            let found = summary(&values).unwrap();
            let (low, high) = found.interval.unwrap();
            prop_assert!(found.least <= low + 1e-12 && low <= high && high <= found.greatest + 1e-12);
            let moved = summary(&values.iter().map(|value| value + by).collect::<Vec<_>>()).unwrap();
            prop_assert!((moved.mean - found.mean - by).abs() < 1e-9 && (moved.interval.unwrap().0 - low - by).abs() < 1e-9);
            prop_assert!((moved.deviation.unwrap() - found.deviation.unwrap()).abs() < 1e-9);
        }
    }
}
