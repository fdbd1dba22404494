use pulp::{Arch, Simd, WithSimd};

use crate::vector::{LANES, dot, exp, peak, sum};

/// Scales of columns beyond this, or below its inverse, are taken into the potentials.
const WIDE: f32 = 1e12;

/// What columns may miss by rounding alone: no tolerance below is waited for once steps no longer bring columns nearer to their weights.
const ROUNDING: f32 = 1e-6;
const PATIENCE: usize = 10;

/// A plan `u exp(E + f + g) v` under construction by Sinkhorn's algorithm, in single precision; small enough to stay in the cache.
///
/// Columns are padded to whole vectors with columns of no weight.
#[derive(Default)]
pub(super) struct Kernel {
    /// The weights of rows and columns.
    p: Vec<f32>,
    q: Vec<f32>,
    stride: usize,
    /// `E`, row after row.
    exponents: Vec<f32>,
    /// `exp(E + f + g)`.
    values: Vec<f32>,
    /// The potentials of rows and columns.
    f: Vec<f32>,
    g: Vec<f32>,
    /// What rows and columns are scaled by on top.
    u: Vec<f32>,
    v: Vec<f32>,
    /// The columns' sums before their scales.
    sums: Vec<f32>,
    /// Whether there are no potentials yet to start from.
    cold: bool,
}

struct Balance<'a> {
    kernel: &'a mut Kernel,
    tolerance: f32,
    steps: usize,
}

impl WithSimd for Balance<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let Self { kernel, tolerance, steps } = self;
        kernel.start(simd);
        let (mut least, mut since) = (f32::INFINITY, 0);
        for step in 1..=steps {
            let missed = kernel.scale_rows(simd);
            if missed < 0.9 * least {
                (least, since) = (missed, 0);
            } else {
                since += 1;
            }
            if missed <= tolerance || missed < ROUNDING && since >= PATIENCE {
                return step;
            }
            kernel.scale_columns(simd);
        }
        kernel.scale_rows(simd);
        steps
    }
}

impl Kernel {
    /// Begins another plan, from these potentials of the columns if there are any.
    pub(super) fn begin(&mut self, p: &[f64], q: &[f64], potentials: Option<&[f32]>) {
        self.stride = q.len().next_multiple_of(LANES);
        refill(&mut self.p, p.iter().map(|&weight| weight as f32), p.len());
        refill(&mut self.q, q.iter().map(|&weight| weight as f32), self.stride);
        // Each is written before it is read.
        self.exponents.resize(p.len() * self.stride, 0.0);
        self.values.resize(p.len() * self.stride, 0.0);
        self.sums.resize(self.stride, 0.0);
        refill(&mut self.f, std::iter::empty(), p.len());
        refill(&mut self.u, std::iter::repeat_n(1.0, p.len()), p.len());
        refill(&mut self.v, std::iter::repeat_n(1.0, self.stride), self.stride);
        self.cold = potentials.is_none();
        refill(&mut self.g, potentials.unwrap_or_default().iter().copied(), q.len());
        self.g.resize(self.stride, f32::NEG_INFINITY);
    }

    /// The potentials of the columns, scales included.
    pub(super) fn potentials(&self) -> Vec<f32> {
        let columns = self.q.iter().take_while(|weight| **weight > 0.0).count();
        self.g[..columns].iter().zip(&self.v).map(|(g, v)| g + v.ln()).collect()
    }

    /// The row length of the matrices, padded.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// `E`, to be written.
    pub(super) fn exponents(&mut self) -> &mut [f32] {
        &mut self.exponents
    }

    /// The plan before its last scales, and those of rows and columns.
    pub(super) fn plan(&self) -> (&[f32], &[f32], &[f32]) {
        (&self.values, &self.u, &self.v)
    }

    /// Balances the plan for the present exponents, from the potentials of those before, until the columns miss their weights by no more
    /// than `tolerance` in sum, or than single precision can tell; the rows have theirs exactly. Returns the steps taken.
    pub(super) fn balance(&mut self, tolerance: f32, steps: usize) -> usize {
        Arch::new().dispatch(Balance { kernel: self, tolerance, steps })
    }

    /// The dual of the transport problem whose costs are `-E`: `sum p (f - ln p) + sum q (g - ln q)`, scales included.
    pub(super) fn dual(&self) -> f64 {
        let part = |weights: &[f32], potentials: &[f32], scales: &[f32]| -> f64 {
            let points = weights.iter().zip(potentials.iter().zip(scales)).filter(|(weight, _)| **weight > 0.0);
            points.map(|(&weight, (&potential, &scale))| f64::from(weight) * (f64::from(potential) + f64::from(scale / weight).ln())).sum()
        };
        part(&self.p, &self.f, &self.u) + part(&self.q, &self.g, &self.v)
    }

    #[inline(always)]
    fn start<S: Simd>(&mut self, simd: S) {
        if self.cold {
            self.cold = false;
            self.potentials_of_columns();
        } else {
            self.settle_columns();
        }
        self.potentials_of_rows(simd);
    }

    /// Scales each row to its weight. Returns what the columns then miss, in sum.
    #[inline(always)]
    fn scale_rows<S: Simd>(&mut self, simd: S) -> f32 {
        self.sums.fill(0.0);
        for ((values, &p), u) in self.values.chunks_exact(self.stride).zip(&self.p).zip(&mut self.u) {
            let scale = p / dot(simd, values, &self.v);
            *u = scale;
            for (sum, value) in self.sums.iter_mut().zip(values) {
                *sum = value.mul_add(scale, *sum);
            }
        }
        self.sums.iter().zip(&self.q).zip(&self.v).map(|((&sum, &q), &v)| v.mul_add(sum, -q).abs()).sum()
    }

    /// Scales each column to its weight. Scales that leave the range of single precision are taken into the potentials.
    #[inline(always)]
    fn scale_columns<S: Simd>(&mut self, simd: S) {
        let mut tame = true;
        for ((v, &sum), &q) in self.v.iter_mut().zip(&self.sums).zip(&self.q) {
            if q > 0.0 {
                *v = q / sum;
                tame &= *v < WIDE && *v > 1.0 / WIDE;
            }
        }
        if !tame {
            if self.u.iter().all(|scale| scale.is_finite() && *scale > 0.0) {
                for (f, u) in self.f.iter_mut().zip(&self.u) {
                    *f += u.ln();
                }
            }
            self.potentials_of_columns();
            self.potentials_of_rows(simd);
        }
    }

    /// Takes the scales of columns into their potentials.
    #[inline(always)]
    fn settle_columns(&mut self) {
        for (g, v) in self.g.iter_mut().zip(&mut self.v) {
            *g += v.ln();
            *v = 1.0;
        }
    }

    /// The potentials of columns that give each its weight, from those of rows; from the logarithms' sums, so that nothing overflows.
    #[inline(always)]
    fn potentials_of_columns(&mut self) {
        let (peaks, sums) = (&mut self.g, &mut self.sums);
        peaks.fill(f32::NEG_INFINITY);
        for (exponents, &f) in self.exponents.chunks_exact(self.stride).zip(&self.f) {
            for (peak, &exponent) in peaks.iter_mut().zip(exponents) {
                *peak = peak.max(exponent + f);
            }
        }
        sums.fill(0.0);
        for (exponents, &f) in self.exponents.chunks_exact(self.stride).zip(&self.f) {
            for ((sum, &exponent), &peak) in sums.iter_mut().zip(exponents).zip(peaks.iter()) {
                *sum += exp(exponent + f - peak);
            }
        }
        for ((g, &sum), &q) in self.g.iter_mut().zip(sums.iter()).zip(&self.q) {
            *g = (q / sum).ln() - *g;
        }
        self.v.fill(1.0);
    }

    /// The potentials of rows that give each its weight, from those of columns; and the plan at both.
    #[inline(always)]
    fn potentials_of_rows<S: Simd>(&mut self, simd: S) {
        let rows = self.exponents.chunks_exact(self.stride).zip(self.values.chunks_exact_mut(self.stride));
        for ((exponents, values), (&p, f)) in rows.zip(self.p.iter().zip(&mut self.f)) {
            for ((value, exponent), g) in values.iter_mut().zip(exponents).zip(&self.g) {
                *value = exponent + g;
            }
            let peak = peak(simd, values);
            for value in values.iter_mut() {
                *value = exp(*value - peak);
            }
            let scale = p / sum(simd, values);
            *f = scale.ln() - peak;
            for value in values {
                *value *= scale;
            }
        }
        self.u.fill(1.0);
    }
}

/// The values, and zeros after them up to `length`.
fn refill(to: &mut Vec<f32>, values: impl Iterator<Item = f32>, length: usize) {
    to.clear();
    to.extend(values);
    to.resize(length, 0.0);
}
