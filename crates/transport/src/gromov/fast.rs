use super::lifted::{CURVATURE, Evaluation, Lifted, Share, Start};
use super::quasi_newton::{Curvature, inner};
use super::{Embedding, check_epsilon};
use crate::Result;

/// Settings of the fast [`Solver`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fast {
    /// Weight of the entropy, above 0.
    pub epsilon: f64,
    /// The solver ends when the coupling's covariance moves by less than this, relative to the spaces' variances.
    pub tolerance: f64,
    /// Most evaluations of the covariance.
    pub evaluations: usize,
    /// Most steps of Sinkhorn's algorithm in each.
    pub sinkhorn_steps: usize,
}

impl Fast {
    /// Settings that agree with the reference to six digits at an epsilon of 0.1, and with its limit to four below.
    pub fn new(epsilon: f64) -> Self {
        Self { epsilon, tolerance: 1e-6, evaluations: 200, sinkhorn_steps: 2000 }
    }
}

/// What the fast [`Solver`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// The square-loss Gromov-Wasserstein cost: no root, no entropy.
    pub value: f64,
    /// How often the covariance was evaluated.
    pub evaluations: usize,
    /// Steps of Sinkhorn's algorithm, together.
    pub sinkhorn_steps: usize,
    /// Whether it ended by its tolerance.
    pub converged: bool,
}

/// Entropic Gromov-Wasserstein costs under square loss, from the product coupling, of spaces of negative type: the local minimum of the
/// [`reference`](super::reference()) algorithm, or in rare cases another, hundreds of times as fast.
///
/// Instead of a coupling of all points it looks for its covariance along the directions of an [`Embedding`], a matrix of some 64 x 64 (after
/// Houry, Feydy and Vialard, arXiv 2602.06658). There the reference algorithm takes gradient steps of a fixed length; this one takes
/// the same steps until they close in on a minimum, then
/// quasi-Newton steps, each with Sinkhorn's algorithm warm from the last. It keeps its memory from one pair to the next: use one for each thread.
pub struct Solver {
    settings: Fast,
    problem: Lifted,
    share: Share,
}

/// So many steps in succession have to be shorter than those before until they are other than the reference's. Its way leads past saddles to
/// one of several minima, and longer steps there may leave it for another.
const FOLLOWED: usize = 4;

/// While the covariance moves by more than `NEAR`, no step is longer than so many of the reference's.
const LEAP: f64 = 4.0;
const NEAR: f64 = 1e-3;

/// What columns may miss in sum while the covariance moves much, and in the end.
const COARSE: f64 = 1e-3;
const FINE: f64 = 3e-8;

/// Marginals are this part of how far the covariance last moved.
const SHARPER: f64 = 0.003;

/// The relative error of objectives in single precision.
const NOISE: f64 = 1e-6;

impl Solver {
    /// A solver with these settings.
    ///
    /// # Errors
    /// When epsilon is not positive.
    pub fn new(settings: Fast) -> Result<Self> {
        check_epsilon(settings.epsilon)?;
        Ok(Self { settings, problem: Lifted::default(), share: Share::default() })
    }

    /// A solver in whose costs the Gromov-Wasserstein cost has this share.
    pub(super) fn sharing(settings: Fast, share: f64) -> Result<Self> {
        Ok(Self { share: Share(share), ..Self::new(settings)? })
    }

    /// The cost between two spaces without what entropy alone costs: less half of what each costs with itself, so that it is 0 between a space
    /// and itself (after Feydy et al., AISTATS 2019). It may be slightly below 0 between others.
    pub fn debiased(&mut self, first: &Embedding, second: &Embedding) -> f64 {
        let own = f64::midpoint(self.distance(first, first).value, self.distance(second, second).value);
        self.distance(first, second).value - own
    }

    /// The cost between two spaces.
    pub fn distance(&mut self, first: &Embedding, second: &Embedding) -> Distance {
        self.solve(first, second, None).0
    }

    /// The cost between two spaces, and the plan: weight moved from each point of the first, row by row, to each of the second.
    pub fn plan(&mut self, first: &Embedding, second: &Embedding) -> (Distance, Vec<f64>) {
        let distance = self.distance(first, second);
        (distance, self.problem.plan(second.len()))
    }

    /// The cost, from a start if there is one, and what a search for a neighbouring solution may start from.
    pub(super) fn solve(&mut self, first: &Embedding, second: &Embedding, start: Option<&Start>) -> (Distance, Start) {
        let (distance, _) = self.find(first, second, start);
        (distance, self.problem.start())
    }

    /// The cost, and the evaluation that it was read off.
    pub(super) fn find(&mut self, first: &Embedding, second: &Embedding, start: Option<&Start>) -> (Distance, Evaluation) {
        self.problem.begin(first, second, start, self.share);
        if self.share.0 == 0.0 || first.rank() == 0 || second.rank() == 0 {
            return self.at_once(first, second);
        }
        let curved = self.share.0 * CURVATURE;
        let unit = (first.variance * second.variance).sqrt().max(f64::MIN_POSITIVE);
        let mut covariance = start.map_or_else(|| vec![0.0; first.rank() * second.rank()], |start| start.covariance(first, second));
        let mut here = self.evaluate(first, second, &covariance, COARSE);
        let mut curvature = Curvature::default();
        let mut converged = false;
        // How many steps in succession were each shorter than the one before, and how long the last was.
        let (mut closing, mut last) = (0, f64::INFINITY);
        while self.problem.evaluations < self.settings.evaluations {
            let moved = here.moved(&covariance) / unit;
            if moved < self.settings.tolerance {
                converged = true;
                break;
            }
            let gradient = here.gradient(&covariance);
            let mut way = curvature.descent(&gradient, 1.0 / curved);
            closing = if moved < last { closing + 1 } else { 0 };
            last = moved;
            if closing < FOLLOWED || inner(&way, &gradient) >= 0.0 {
                way = gradient.iter().map(|slope| -slope / curved).collect();
            }
            let leap = inner(&way, &way).sqrt() * curved / inner(&gradient, &gradient).sqrt();
            if leap > LEAP && moved > NEAR {
                for step in &mut way {
                    *step *= LEAP / leap;
                }
            }
            let slope = inner(&way, &gradient);
            let tolerance = (moved * SHARPER).clamp(FINE, COARSE);
            let mut length = 1.0;
            let (next, there) = loop {
                let next: Vec<f64> = covariance.iter().zip(&way).map(|(m, step)| m + length * step).collect();
                let there = self.evaluate(first, second, &next, tolerance);
                let enough = here.objective + 1e-4 * length * slope + NOISE * here.objective.abs();
                if there.objective <= enough || length < 1e-2 {
                    break (next, there);
                }
                length *= 0.4;
            };
            let change = there.gradient(&next).iter().zip(&gradient).map(|(after, before)| after - before).collect();
            curvature.remember(way.iter().map(|step| length * step).collect(), change);
            (covariance, here) = (next, there);
        }
        let distance = Distance {
            value: here.value(first, second),
            evaluations: self.problem.evaluations,
            sinkhorn_steps: self.problem.sinkhorn_steps,
            converged,
        };
        (distance, here)
    }

    /// Where nothing depends on the covariance: entropic transport with fixed costs.
    fn at_once(&mut self, first: &Embedding, second: &Embedding) -> (Distance, Evaluation) {
        let here = self.evaluate(first, second, &vec![0.0; first.rank() * second.rank()], FINE);
        let steps = self.problem.sinkhorn_steps;
        let converged = steps < self.settings.sinkhorn_steps;
        (Distance { value: here.value(first, second), evaluations: 1, sinkhorn_steps: steps, converged }, here)
    }

    fn evaluate(&mut self, first: &Embedding, second: &Embedding, covariance: &[f64], tolerance: f64) -> Evaluation {
        self.problem.evaluate((first, second), self.settings.epsilon, covariance, tolerance, self.settings.sinkhorn_steps)
    }
}
