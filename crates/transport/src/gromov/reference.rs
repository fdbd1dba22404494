use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::check_epsilon;
use crate::{Error, Result, Space};

/// Settings of the [`reference`](reference()) algorithm, with POT's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// Weight of the entropy, above 0.
    pub epsilon: f64,
    /// Most steps of the outer loop.
    pub iterations: usize,
    /// The outer loop ends when couplings, compared every tenth step, differ by less than this in Frobenius norm.
    pub tolerance: f64,
    /// Most steps of Sinkhorn's algorithm in one outer step.
    pub sinkhorn_iterations: usize,
    /// Sinkhorn's algorithm ends when the second marginal, compared every tenth step, is off by less than this in Euclidean norm.
    pub sinkhorn_tolerance: f64,
}

impl Reference {
    /// POT's defaults at this epsilon.
    pub fn new(epsilon: f64) -> Self {
        Self { epsilon, iterations: 1000, tolerance: 1e-9, sinkhorn_iterations: 1000, sinkhorn_tolerance: 1e-9 }
    }
}

/// A coupling of two spaces and what it costs.
#[derive(Clone, Debug)]
pub struct Coupling {
    /// Weight moved from each point of the first space (row) to each of the second (column).
    pub plan: Mat<f64>,
    /// The square-loss Gromov-Wasserstein cost of the plan: no root, no entropy.
    pub value: f64,
    /// Steps of the outer loop.
    pub iterations: usize,
    /// Whether it ended by its tolerance.
    pub converged: bool,
}

/// Entropic Gromov-Wasserstein coupling under square loss by projected gradient descent from the product coupling: Peyré, Cuturi and Solomon
/// (ICML 2016), step for step as Python Optimal Transport 0.9.7 computes `entropic_gromov_wasserstein`. Dense and in double precision.
///
/// # Errors
/// When epsilon is not positive, or so small that `exp(-2 costs / epsilon)` underflows for all costs of a point. There POT warns, and goes on
/// with the scalings before, whose plan has the weights of neither space.
pub fn reference(first: &Space, second: &Space, settings: &Reference) -> Result<Coupling> {
    check_epsilon(settings.epsilon)?;
    let (n, m) = (first.len(), second.len());
    let (p, q) = (first.weights(), second.weights());
    let (c1, c2) = (first.distances(), second.distances());
    let (c1, c2) = (MatRef::from_row_major_slice(&c1, n, n), MatRef::from_row_major_slice(&c2, m, m));
    let squares = |c: MatRef<'_, f64>, weights: &[f64]| -> Vec<f64> {
        (0..weights.len()).map(|i| (0..weights.len()).map(|j| c[(i, j)] * c[(i, j)] * weights[j]).sum()).collect()
    };
    let (rows, columns) = (squares(c1, p), squares(c2, q));
    let mut half = Mat::zeros(n, m);
    // Half the gradient: constC - 2 C1 T C2.
    let mut tensor = |plan: &Mat<f64>| {
        let mut product = Mat::zeros(n, m);
        matmul(&mut half, Accum::Replace, c1, plan, 1.0, Par::Seq);
        matmul(&mut product, Accum::Replace, &half, c2, -2.0, Par::Seq);
        Mat::from_fn(n, m, |i, j| rows[i] + columns[j] + product[(i, j)])
    };
    let mut plan = Mat::from_fn(n, m, |i, j| p[i] * q[j]);
    let mut iterations = 0;
    let mut error = f64::INFINITY;
    while error > settings.tolerance && iterations < settings.iterations {
        let gradient = tensor(&plan);
        let next = sinkhorn(p, q, &gradient, settings)?;
        if iterations % 10 == 0 {
            error = (&next - &plan).norm_l2();
        }
        plan = next;
        iterations += 1;
    }
    let costs = tensor(&plan);
    let value = (0..m).map(|j| costs.col(j).transpose() * plan.col(j)).sum();
    Ok(Coupling { plan, value, iterations, converged: error <= settings.tolerance })
}

/// Sinkhorn's algorithm on twice these costs, as POT's `sinkhorn_knopp` computes it.
fn sinkhorn(p: &[f64], q: &[f64], costs: &Mat<f64>, settings: &Reference) -> Result<Mat<f64>> {
    let (n, m) = (p.len(), q.len());
    let kernel = Mat::from_fn(n, m, |i, j| (-2.0 * costs[(i, j)] / settings.epsilon).exp());
    let (mut u, mut v) = (vec![1.0 / n as f64; n], vec![1.0 / m as f64; m]);
    for iteration in 0..settings.sinkhorn_iterations {
        let received: Vec<f64> = (0..m).map(|j| (0..n).map(|i| kernel[(i, j)] * u[i]).sum()).collect();
        for j in 0..m {
            v[j] = q[j] / received[j];
        }
        let mut sent = vec![0.0; n];
        for j in 0..m {
            for i in 0..n {
                sent[i] += kernel[(i, j)] * v[j];
            }
        }
        for i in 0..n {
            u[i] = p[i] / sent[i];
        }
        if u.iter().chain(&v).any(|scale| !scale.is_finite()) {
            return Err(Error::NotFinite { what: "a scaling of Sinkhorn's algorithm", epsilon: settings.epsilon });
        }
        if iteration % 10 == 0 {
            let missed: f64 = (0..m).map(|j| (v[j] * (0..n).map(|i| kernel[(i, j)] * u[i]).sum::<f64>() - q[j]).powi(2)).sum();
            if missed.sqrt() < settings.sinkhorn_tolerance {
                break;
            }
        }
    }
    Ok(Mat::from_fn(n, m, |i, j| u[i] * kernel[(i, j)] * v[j]))
}
