//! Results equal to Python Optimal Transport's; `tests/parity/gromov.py` made the numbers.

#![expect(clippy::struct_field_names, reason = "the names of the file")]
#![expect(clippy::float_cmp, reason = "epsilons are read as they were written")]

use bezoar_transport::Space;
use bezoar_transport::gromov::{Barycentre, Centre, Embedding, Fast, Fused, Placed, Reference, Solver, barycentre, reference};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    large: Heatmaps,
    small: Heatmaps,
    placed: Vec<Placement>,
    plan: Plan,
    barycentres: Vec<Mean>,
}

#[derive(Deserialize)]
struct Heatmaps {
    side: usize,
    heatmaps: Vec<Vec<f32>>,
    costs: Vec<Cost>,
}

#[derive(Deserialize)]
struct Cost {
    first: usize,
    second: usize,
    epsilon: f64,
    value: f64,
    entropy: f64,
}

#[derive(Deserialize)]
struct Placement {
    first: usize,
    second: usize,
    epsilon: f64,
    share: f64,
    value: f64,
}

#[derive(Deserialize)]
struct Plan {
    epsilon: f64,
    distances: [Vec<f64>; 2],
    weights: [Vec<f64>; 2],
    plan: Vec<f64>,
}

#[derive(Deserialize)]
struct Mean {
    epsilon: f64,
    start: Vec<f64>,
    distances: Vec<f64>,
    costs: Vec<f64>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../../../tests/parity/gromov.json")).unwrap()
}

impl Heatmaps {
    fn spaces(&self) -> Vec<Space> {
        self.heatmaps.iter().map(|values| Space::from_heatmap(self.side, self.side, values, 0.99).unwrap()).collect()
    }

    fn embeddings(&self, rank: usize) -> Vec<Embedding> {
        self.spaces().iter().map(|space| Embedding::of(space, rank).unwrap()).collect()
    }
}

fn relative(ours: f64, theirs: f64) -> f64 {
    (ours / theirs - 1.0).abs()
}

#[test]
fn the_reference_is_their_algorithm() {
    let goldens = goldens();
    let spaces = goldens.small.spaces();
    for cost in goldens.small.costs.iter().filter(|cost| cost.epsilon >= 0.05) {
        let found = reference(&spaces[cost.first], &spaces[cost.second], &Reference::new(cost.epsilon)).unwrap();
        assert!(relative(found.value, cost.value) < 1e-9, "{} and {} at {}", found.value, cost.value, cost.epsilon);
    }
    let Plan { epsilon, distances: [first, second], weights: [p, q], plan } = goldens.plan;
    let columns = q.len();
    let (first, second) = (Space::from_distances(first, p).unwrap(), Space::from_distances(second, q).unwrap());
    let found = reference(&first, &second, &Reference::new(epsilon)).unwrap();
    for (index, &right) in plan.iter().enumerate() {
        assert!((found.plan[(index / columns, index % columns)] - right).abs() < 1e-10);
    }
}

#[test]
fn the_fast_solver_agrees_to_six_digits_at_the_published_epsilon() {
    let goldens = goldens();
    // 64 is what the clustering of heatmaps takes.
    for (heatmaps, rank) in [(&goldens.large, 64), (&goldens.large, 96), (&goldens.small, 64), (&goldens.small, 96)] {
        let embeddings = heatmaps.embeddings(rank);
        let mut solver = Solver::new(Fast::new(0.1)).unwrap();
        for cost in heatmaps.costs.iter().filter(|cost| cost.epsilon == 0.1) {
            let found = solver.distance(&embeddings[cost.first], &embeddings[cost.second]);
            assert!(found.converged);
            assert!(relative(found.value, cost.value) < 1e-6, "{} and {}", found.value, cost.value);
        }
    }
}

/// The objective that both minimise is the cost less epsilon times the entropy of the plan.
#[test]
fn the_fast_solver_is_no_worse_at_small_epsilons() {
    let goldens = goldens();
    let embeddings = goldens.small.embeddings(128);
    for cost in goldens.small.costs.iter().filter(|cost| cost.epsilon < 0.1) {
        let mut solver = Solver::new(Fast::new(cost.epsilon)).unwrap();
        let (found, plan) = solver.plan(&embeddings[cost.first], &embeddings[cost.second]);
        let entropy: f64 = plan.iter().filter(|weight| **weight > 0.0).map(|weight| -weight * weight.ln()).sum();
        let (ours, theirs) = (found.value - cost.epsilon * entropy, cost.value - cost.epsilon * cost.entropy);
        assert!(ours < theirs + 1e-5 * cost.value, "{ours} and {theirs} at {}", cost.epsilon);
        assert!(relative(found.value, cost.value) < 0.01, "{} and {} at {}", found.value, cost.value, cost.epsilon);
    }
}

#[test]
fn shape_and_place_together_cost_as_much_and_place_alone() {
    let goldens = goldens();
    let unit = goldens.small.side as f64;
    let placed: Vec<Placed> = goldens.small.spaces().iter().map(|space| Placed::of(space, 96, unit).unwrap()).collect();
    for Placement { first, second, epsilon, share, value } in goldens.placed {
        let found = Fused::new(Fast::new(epsilon), share).unwrap().distance(&placed[first], &placed[second]);
        assert!(found.converged);
        assert!(relative(found.value, value) < 1e-5, "{} and {value} at {epsilon}, share {share}", found.value);
    }
}

#[test]
fn barycentres_cost_no_more_and_collapse_alike() {
    let goldens = goldens();
    let embeddings = goldens.small.embeddings(96);
    let all: Vec<&Embedding> = embeddings.iter().collect();
    for mean in goldens.barycentres {
        let settings = Barycentre { points: 6, ..Barycentre::new(mean.epsilon) };
        let found = barycentre(Centre::of(mean.start).unwrap(), &all, &settings).unwrap();
        let space = Space::from_distances(found.distances.clone(), vec![1.0; 6]).unwrap();
        let centre = Embedding::of(&space, 6).unwrap();
        let mut solver = Solver::new(settings.solver).unwrap();
        let costs: f64 = embeddings.iter().map(|other| solver.distance(&centre, other).value).sum();
        assert!(costs < mean.costs.iter().sum::<f64>() * 1.001, "{costs} and {:?} at {}", mean.costs, mean.epsilon);
        if mean.epsilon == 0.1 {
            for (ours, theirs) in found.distances.iter().zip(&mean.distances) {
                assert!((ours - theirs).abs() < 1e-5, "{ours} and {theirs}");
            }
        }
    }
}
