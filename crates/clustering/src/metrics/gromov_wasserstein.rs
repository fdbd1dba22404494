use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bezoar_core::{Context, Distance, Error, Features, Pairs, Plugin, Result, register};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bezoar_transport::Space;
use bezoar_transport::gromov::{Embedding, Fast, Fused, Placed, Reference, reference};

use super::{RANK, compared, default_mass, size, spaces};

/// Gromov-Wasserstein: how unlike two heatmaps are in shape, by the distances between their own pixels alone, wherever they lie.
///
/// The entropic cost under square loss without root, of the pixels that carry `mass` of each heatmap, as the published Heatmap Clustering
/// computes it. At its epsilon of 0.1 entropy outweighs most differences of shape; try 0.01 to 0.03. `docs/gromov-wasserstein.md` has more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GromovWasserstein {
    /// Weight of the entropy, in units of squared distances when a heatmap's largest is 1.
    #[serde(default = "default_epsilon")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Share of each heatmap's mass that is compared, its strongest pixels.
    #[serde(default = "default_mass")]
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub mass: f64,
    /// The algorithm.
    #[serde(default)]
    pub solver: Solver,
    /// Whether what entropy alone costs is taken away, so that a heatmap is 0 from itself.
    #[serde(default)]
    pub debiased: bool,
    /// The part of shape in the cost, 0 to 1; the rest is the squared way between pixels, in units of the heatmap's diagonal. Shape alone if
    /// left out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fused: Option<f64>,
}

/// How the cost is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// Quasi-Newton steps along the main directions of the distances.
    #[default]
    Fast,
    /// The published algorithm, step for step, in double precision.
    Reference,
}

fn default_epsilon() -> f64 {
    0.1
}

impl Plugin for GromovWasserstein {
    type Kind = dyn Distance;
    const NAME: &'static str = "gromov-wasserstein";
    const PAPER: Option<&'static str> = Some("arXiv 2204.12848");

    fn example() -> Self {
        Self { epsilon: default_epsilon(), mass: default_mass(), solver: Solver::Fast, debiased: false, fused: None }
    }

    fn build(self) -> Result<Arc<dyn Distance>> {
        if self.fused.is_some() && self.solver == Solver::Reference {
            return Err(
                Error::request("only the fast solver can compute fused costs").with_help("leave out `fused`, or say `solver: fast`")
            );
        }
        Ok(Arc::new(self))
    }
}

register!(GromovWasserstein);

/// What a progress bar says.
const LABEL: &str = "compare shapes";

impl Distance for GromovWasserstein {
    fn compare(&self, cx: &Context, features: &Features, pairs: Pairs<'_>) -> Result<Vec<f32>> {
        let settings = Fast::new(self.epsilon);
        match (self.solver, self.fused) {
            (Solver::Reference, _) => {
                let settings = Reference::new(self.epsilon);
                let spaces = spaces(cx, features, self.mass, |space| Ok(space.clone()))?;
                let cost = |(): &mut (), a: &Space, b: &Space| {
                    let found = reference(a, b, &settings).map_err(Error::request)?;
                    Ok(Cost { value: found.value, converged: found.converged })
                };
                costs(cx, LABEL, &spaces, pairs, self.debiased, || Ok(()), cost)
            }
            (Solver::Fast, None) => {
                let spaces = spaces(cx, features, self.mass, |space| Embedding::of(space, RANK))?;
                let solver = || bezoar_transport::gromov::Solver::new(settings).map_err(Error::request);
                costs(cx, LABEL, &spaces, pairs, self.debiased, solver, |solver, a, b| Ok(solver.distance(a, b).into()))
            }
            (Solver::Fast, Some(share)) => {
                let (height, width) = size(features)?;
                let diagonal = ((height * height + width * width) as f64).sqrt();
                let rank = if share > 0.0 { RANK } else { 0 };
                let spaces = spaces(cx, features, self.mass, |space| Placed::of(space, rank, diagonal))?;
                let solver = || Fused::new(settings, share).map_err(Error::request);
                costs(cx, LABEL, &spaces, pairs, self.debiased, solver, |solver, a, b| Ok(solver.distance(a, b).into()))
            }
        }
    }
}

/// What a solver found for two spaces.
pub(crate) struct Cost {
    value: f64,
    /// Whether it ended by its tolerance.
    converged: bool,
}

impl From<bezoar_transport::gromov::Distance> for Cost {
    fn from(found: bezoar_transport::gromov::Distance) -> Self {
        Self { value: found.value, converged: found.converged }
    }
}

/// The costs of these pairs, less half of what each space costs with itself if they shall be debiased; after a note on how many did not
/// converge, if any.
pub(crate) fn costs<S: Sync, T: Send>(
    cx: &Context,
    label: &str,
    spaces: &[S],
    pairs: Pairs<'_>,
    debiased: bool,
    tool: impl Fn() -> Result<T> + Sync,
    cost: impl Fn(&mut T, &S, &S) -> Result<Cost> + Sync,
) -> Result<Vec<f32>> {
    let (solved, unsettled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let cost = |tool: &mut T, a: &S, b: &S| {
        let Cost { value, converged } = cost(tool, a, b)?;
        solved.fetch_add(1, Ordering::Relaxed);
        unsettled.fetch_add(usize::from(!converged), Ordering::Relaxed);
        Ok::<f64, Error>(value)
    };
    let own = if debiased {
        let with_itself = |tool: &mut Result<T, String>, space: &S| {
            cx.check()?;
            cost(tool.as_mut().map_err(Error::request)?, space, space)
        };
        let made = spaces.par_iter().map_init(|| tool().map_err(|error| error.to_string()), with_itself);
        made.collect::<Vec<Result<f64>>>().into_iter().collect::<Result<Vec<f64>>>()?
    } else {
        vec![0.0; spaces.len()]
    };
    let found = compared(cx, label, spaces.len(), pairs, tool, |tool, row, other| {
        Ok(cost(tool, &spaces[other], &spaces[row])? - f64::midpoint(own[row], own[other]))
    })?;
    let (solved, unsettled) = (solved.into_inner(), unsettled.into_inner());
    if unsettled > 0 {
        cx.note(&format!(
            "{label}: {unsettled} of {solved} costs did not converge within the solver's steps: a larger epsilon needs fewer"
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::Notes;

    #[test]
    fn fused_costs_need_the_fast_solver() {
        let both = GromovWasserstein { fused: Some(0.5), solver: Solver::Reference, ..GromovWasserstein::example() };
        assert_eq!(both.build().err().unwrap().to_string(), "only the fast solver can compute fused costs");
    }

    #[test]
    fn costs_that_do_not_converge_are_counted() {
        let notes = Notes::default();
        let found = |limit: f64, debiased| {
            let cost = |(): &mut (), a: &f64, b: &f64| Ok(Cost { value: (a - b).abs(), converged: a + b < limit });
            let found = costs(&notes.context(), "compare numbers", &[1.0, 2.0, 3.0], Pairs::All, debiased, || Ok(()), cost).unwrap();
            assert_eq!(found, [1.0, 2.0, 1.0]);
            notes.taken()
        };
        assert!(found(7.0, true).is_empty());
        let said = "costs did not converge within the solver's steps: a larger epsilon needs fewer";
        assert_eq!(found(5.0, false), [format!("compare numbers: 1 of 3 {said}")]);
        assert_eq!(found(5.0, true), [format!("compare numbers: 2 of 6 {said}")]);
    }

    #[test]
    fn both_solvers_find_the_same() {
        let values = (0..3 * 36).map(|i| ((i * 37 % 19) as f32).powi(2)).collect();
        let features = Features::new(vec![6, 6], values).unwrap();
        let with = |solver| GromovWasserstein { solver, ..GromovWasserstein::example() }.between(&Context::quiet(0), &features).unwrap();
        for (fast, right) in with(Solver::Fast).values().iter().zip(with(Solver::Reference).values()) {
            assert!((fast - right).abs() < 1e-6, "{fast} and {right}");
        }
    }
}
