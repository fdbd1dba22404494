use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::Embedding;
use super::kernel::Kernel;

/// The second derivative of `8 |M|²`, which the objective's never exceeds.
pub(super) const CURVATURE: f64 = 16.0;

/// The entropic Gromov-Wasserstein problem of spaces of negative type as a function of a small matrix.
///
/// The cost of a coupling `T` is a constant less `4 <c cᵀ, T> + 8 |F1ᵀ T F2|²`, so that minimising over couplings is minimising
///
/// `8 |M|² + min over T of <-4 c cᵀ - 16 F1 M F2ᵀ, T> + epsilon KL(T | p qᵀ)`
///
/// over matrices `M`, one row a direction of the first space and one column a direction of the second (after the formulation for costs of
/// negative type of Houry, Feydy and Vialard, arXiv 2602.06658). The inner problem is entropic transport; its plan gives the gradient,
/// `16 (M - F1ᵀ T F2)`.
#[derive(Default)]
pub(super) struct Lifted {
    kernel: Kernel,
    share: Share,
    /// The second space's rows, padded like the kernel's columns; and these scaled.
    columns: Vec<f32>,
    scaled: Vec<f32>,
    /// What stands between the rows of both spaces in the exponents; and the first space's rows times it.
    weights: Vec<f32>,
    weighted: Vec<f32>,
    /// The plan times the second space's rows; and the first space's rows times that.
    carried: Vec<f32>,
    covariance: Vec<f32>,
    pub(super) evaluations: usize,
    pub(super) sinkhorn_steps: usize,
}

/// How much the Gromov-Wasserstein cost counts; the rest is the squared distance that the plan moves weight in the plane, whose coordinates
/// are the last columns of the spaces' rows.
///
/// Of `|a - b|²` only `-2 a b` depends on the plan, which is of the form that the directions have too.
#[derive(Clone, Copy)]
pub(super) struct Share(pub(super) f64);

impl Default for Share {
    fn default() -> Self {
        Self(1.0)
    }
}

/// Coordinates in the plane.
pub(super) const PLANE: usize = 2;

/// Where a solution is looked for. It stays good when the first space moves a little, its directions with it.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// A plan times the second space's rows: a row of its `columns` for each point of the first.
    pub(super) carried: Vec<f32>,
    /// The potentials of the second space's points.
    potentials: Vec<f32>,
}

impl Start {
    /// The covariance of the plan along the directions of `first`.
    pub(super) fn covariance(&self, first: &Embedding, second: &Embedding) -> Vec<f64> {
        let mut covariance = vec![0.0; first.rank() * second.rank()];
        for (row, carried) in first.rows.chunks_exact(first.columns).zip(self.carried.chunks_exact(second.columns)) {
            for (to, &coordinate) in covariance.chunks_exact_mut(second.rank().max(1)).zip(&row[1..]) {
                to.iter_mut().zip(&carried[1..]).for_each(|(to, &value)| *to += f64::from(coordinate) * f64::from(value));
            }
        }
        covariance
    }
}

/// The objective at a covariance.
pub(super) struct Evaluation {
    pub(super) objective: f64,
    /// `F1ᵀ T F2`.
    pub(super) covariance: Vec<f64>,
    /// `<c cᵀ, T>` of centred eccentricities.
    pub(super) eccentricity: f64,
    /// `<a b, T>` of coordinates in the plane, where they count.
    pub(super) plane: f64,
    share: Share,
}

impl Evaluation {
    /// At the covariance that was asked for.
    pub(super) fn gradient(&self, at: &[f64]) -> Vec<f64> {
        at.iter().zip(&self.covariance).map(|(m, next)| self.share.0 * CURVATURE * (m - next)).collect()
    }

    /// How far a covariance is from its image.
    pub(super) fn moved(&self, at: &[f64]) -> f64 {
        at.iter().zip(&self.covariance).map(|(m, next)| (m - next).powi(2)).sum::<f64>().sqrt()
    }

    /// The Gromov-Wasserstein cost of the plan.
    pub(super) fn value(&self, first: &Embedding, second: &Embedding) -> f64 {
        let ((m1, m2), (n1, n2)) = (first.moments, second.moments);
        let squared: f64 = self.covariance.iter().map(|m| m * m).sum();
        m2 + n2 - 2.0 * m1 * n1 - 4.0 * self.eccentricity - 8.0 * squared
    }
}

impl Lifted {
    /// Turns to these spaces.
    pub(super) fn begin(&mut self, first: &Embedding, second: &Embedding, start: Option<&Start>, share: Share) {
        self.share = share;
        self.kernel.begin(&first.weights, &second.weights, start.map(|start| start.potentials.as_slice()));
        self.columns.clear();
        self.columns.extend(&second.rows);
        self.columns.resize(self.kernel.stride() * second.columns, 0.0);
        self.scaled.resize(self.columns.len(), 0.0);
        self.weights.clear();
        self.weights.resize(first.columns * second.columns, 0.0);
        self.weighted.resize(first.len() * second.columns, 0.0);
        self.carried.resize(first.len() * second.columns, 0.0);
        self.covariance.resize(first.columns * second.columns, 0.0);
        (self.evaluations, self.sinkhorn_steps) = (0, 0);
    }

    /// The objective at `covariance`, with a plan whose columns miss their weights by no more than `tolerance` in sum.
    pub(super) fn evaluate(
        &mut self,
        (first, second): (&Embedding, &Embedding),
        epsilon: f64,
        covariance: &[f64],
        tolerance: f64,
        steps: usize,
    ) -> Evaluation {
        let (rows, columns, stride) = (first.len(), second.columns, self.kernel.stride());
        let share = self.share.0;
        self.weights[0] = (share * 4.0 / epsilon) as f32;
        for (weights, values) in self.weights[columns..].chunks_exact_mut(columns).zip(covariance.chunks_exact(second.rank().max(1))) {
            for (weight, value) in weights[1..].iter_mut().zip(values) {
                *weight = (share * CURVATURE / epsilon * value) as f32;
            }
        }
        let in_plane = |axis: usize| (first.columns - PLANE + axis) * columns + columns - PLANE + axis;
        if share < 1.0 {
            (0..PLANE).for_each(|axis| self.weights[in_plane(axis)] = ((1.0 - share) * 2.0 / epsilon) as f32);
        }
        let firsts = MatRef::from_row_major_slice(&first.rows, rows, first.columns);
        let seconds = MatRef::from_row_major_slice(&self.columns, stride, columns);
        let weights = MatRef::from_row_major_slice(&self.weights, first.columns, columns);
        let mut weighted = MatMut::from_row_major_slice_mut(&mut self.weighted, rows, columns);
        multiply(weighted.as_mut(), firsts, weights);
        let exponents = MatMut::from_row_major_slice_mut(self.kernel.exponents(), rows, stride);
        multiply(exponents, weighted.as_ref(), seconds.transpose());

        self.sinkhorn_steps += self.kernel.balance(tolerance as f32, steps);
        self.evaluations += 1;

        let (values, u, v) = self.kernel.plan();
        for ((scaled, row), &v) in self.scaled.chunks_exact_mut(columns).zip(self.columns.chunks_exact(columns)).zip(v) {
            scaled.iter_mut().zip(row).for_each(|(scaled, value)| *scaled = value * v);
        }
        let scaled = MatRef::from_row_major_slice(&self.scaled, stride, columns);
        let mut carried = MatMut::from_row_major_slice_mut(&mut self.carried, rows, columns);
        multiply(carried.as_mut(), MatRef::from_row_major_slice(values, rows, stride), scaled);
        for (carried, &u) in self.carried.chunks_exact_mut(columns).zip(u) {
            for value in carried {
                *value *= u;
            }
        }
        let carried = MatRef::from_row_major_slice(&self.carried, rows, columns);
        multiply(MatMut::from_row_major_slice_mut(&mut self.covariance, first.columns, columns), firsts.transpose(), carried);

        let squared: f64 = covariance.iter().map(|m| m * m).sum();
        let below = self.covariance.chunks_exact(columns).skip(1).take(first.rank());
        Evaluation {
            objective: 0.5 * share * CURVATURE * squared + epsilon * self.kernel.dual(),
            eccentricity: f64::from(self.covariance[0]),
            covariance: below.flat_map(|row| row[1..=second.rank()].iter().map(|&value| f64::from(value))).collect(),
            plane: if share < 1.0 { (0..PLANE).map(|axis| f64::from(self.covariance[in_plane(axis)])).sum() } else { 0.0 },
            share: self.share,
        }
    }

    /// The last plan, one row after the other.
    pub(super) fn plan(&self, columns: usize) -> Vec<f64> {
        let (values, u, v) = self.kernel.plan();
        let rows = values.chunks_exact(self.kernel.stride()).zip(u);
        rows.flat_map(|(row, &u)| row[..columns].iter().zip(v).map(move |(&value, &v)| f64::from(u * value * v))).collect()
    }

    /// What a search for a neighbouring solution may start from.
    pub(super) fn start(&self) -> Start {
        Start { carried: self.carried.clone(), potentials: self.kernel.potentials() }
    }
}

fn multiply(to: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    matmul(to, Accum::Replace, a, b, 1.0, Par::Seq);
}
