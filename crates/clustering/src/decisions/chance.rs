/// Bound on the chance that the mean of `trials` independent values between 0 and 1 is at least `mean`, if each has the mean `expected`
/// (Hoeffding 1963, theorem 1).
pub(super) fn chance(mean: f64, expected: f64, trials: usize) -> f64 {
    if mean <= expected {
        return 1.0;
    }
    let part = |of: f64, to: f64| if of > 0.0 { of * (of / to).ln() } else { 0.0 };
    (-(trials as f64) * (part(mean, expected) + part(1.0 - mean, 1.0 - expected))).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The bound is one on the binomial distribution too, whose tail is known.
        #[test]
        fn the_bound_holds_for_coins(trials in 1..60_usize, expected in 0.02..0.98_f64, hits in 0..60_usize) {
            let hits = hits.min(trials);
            let probability = |k: usize| {
                let ways: f64 = (0..k).map(|i| (trials - i) as f64 / (i + 1) as f64).product();
                ways * expected.powi(k as i32) * (1.0 - expected).powi((trials - k) as i32)
            };
            let tail: f64 = (hits..=trials).map(probability).sum();
            let bound = chance(hits as f64 / trials as f64, expected, trials);
            prop_assert!(bound >= tail * (1.0 - 1e-9) && bound <= 1.0, "{bound} and {tail}");
        }
    }
}
