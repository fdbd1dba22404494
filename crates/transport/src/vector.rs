//! Arithmetic that the compiler turns into vectors, for use inside [`pulp::Arch::dispatch`].

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
    let power = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let rest = power.mul_add(-0.693_359_375, x);
    let rest = power.mul_add(2.121_944_400_5e-4, rest);
    // The series of e^rest: seven terms are enough for |rest| <= ln 2 / 2.
    let mut series = 1.0 / 5040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        series = rest.mul_add(series, 1.0 / factorial);
    }
    series * f32::from_bits(((power as i32 + 127) as u32) << 23)
}

/// The sum of the products of two rows of whole vectors, in an order that does not depend on the machine.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    total(sums)
}

/// The sum of all lanes, by halves: sums one after the other would keep the compiler from making a vector of them.
#[inline(always)]
pub(crate) fn total(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
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
