//! Arithmetic on vectors, for use inside [`pulp::Arch::dispatch`].

use pulp::Simd;

/// The lanes of the widest vector of single precision.
pub(crate) const LANES: usize = 16;

/// Below this, `exp` gives the smallest normal number, nearly.
const LOWEST: f32 = -87.0;

/// Above this, `exp` stays where it is: short of infinity.
const HIGHEST: f32 = 88.0;

/// `e^x` within two units in the last place, for `x` of -87 to 88; beyond, the value at that end.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "ln 2 in two parts")]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to whole numbers.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(LOWEST, HIGHEST);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let power = shifted - ROUND;
    let rest = power.mul_add(-0.693_359_375, x);
    let rest = power.mul_add(2.121_944_400_5e-4, rest);
    // The series of e^rest: seven terms are enough for |rest| <= ln 2 / 2.
    let mut series = 1.0 / 5040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        series = rest.mul_add(series, 1.0 / factorial);
    }
    // The last bits of the shifted number are the power's.
    series * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// Vectors that are added up side by side, so that none waits for the last.
const SIDE_BY_SIDE: usize = 4;

/// The sum of the products of two rows of whole vectors.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a).0.as_chunks::<SIDE_BY_SIDE>(), S::as_simd_f32s(b).0.as_chunks::<SIDE_BY_SIDE>());
    let mut sums = [simd.splat_f32s(0.0); SIDE_BY_SIDE];
    for (a, b) in a.iter().zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum = simd.mul_add_f32s(a, b, *sum);
        }
    }
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        sums[0] = simd.mul_add_f32s(a, b, sums[0]);
    }
    simd.reduce_sum_f32s(joined(sums, |a, b| simd.add_f32s(a, b)))
}

/// The sum of a row of whole vectors.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    simd.reduce_sum_f32s(folded::<S>(row, simd.splat_f32s(0.0), |a, b| simd.add_f32s(a, b)))
}

/// The largest value of a row of whole vectors.
#[inline(always)]
pub(crate) fn peak<S: Simd>(simd: S, row: &[f32]) -> f32 {
    simd.reduce_max_f32s(folded::<S>(row, simd.splat_f32s(f32::NEG_INFINITY), |a, b| simd.max_f32s(a, b)))
}

#[inline(always)]
fn folded<S: Simd>(row: &[f32], start: S::f32s, with: impl Fn(S::f32s, S::f32s) -> S::f32s) -> S::f32s {
    let (row, rest) = S::as_simd_f32s(row).0.as_chunks::<SIDE_BY_SIDE>();
    let mut all = [start; SIDE_BY_SIDE];
    for row in row {
        for (all, &value) in all.iter_mut().zip(row) {
            *all = with(*all, value);
        }
    }
    for &value in rest {
        all[0] = with(all[0], value);
    }
    joined(all, with)
}

#[inline(always)]
fn joined<V: Copy>([a, b, c, d]: [V; SIDE_BY_SIDE], with: impl Fn(V, V) -> V) -> V {
    with(with(a, b), with(c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_over_its_range() {
        for step in -86_999..88_000 {
            let x = step as f32 * 1e-3;
            let (ours, right) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / right - 1.0).abs() < 2.4e-7, "exp({x}) is {ours}, not {right}");
        }
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(f32::INFINITY).is_finite());
    }
}
