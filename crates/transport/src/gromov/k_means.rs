use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::barycentre::{barycentre, improve};
use super::lifted::Start;
use super::{Barycentre, Centre, Embedding, Solver};
use crate::{Error, Result};

/// Settings of [`k_means`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KMeans {
    /// Number of clusters.
    pub clusters: usize,
    /// How centres are computed.
    pub centre: Barycentre,
    /// Most assignments.
    pub iterations: usize,
}

/// What [`k_means`] found.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// The cluster of each space.
    pub labels: Vec<usize>,
    /// The centre of each cluster.
    pub centres: Vec<Centre>,
    /// The cost between each space and each centre.
    pub costs: Vec<Vec<f64>>,
    /// Assignments made.
    pub iterations: usize,
    /// Whether the last one changed nothing.
    pub converged: bool,
}

/// K-means under the entropic Gromov-Wasserstein cost, with barycentres as centres (arXiv 2204.12848).
///
/// Starts from the centres of single spaces, drawn by k-means++ (Arthur and Vassilvitskii 2007) in proportion to their costs, which are
/// squares already. A cluster that loses all its spaces gets the one that costs most where it is.
///
/// # Errors
/// When there are fewer spaces than clusters, or no clusters.
pub fn k_means(spaces: &[Embedding], settings: &KMeans, rng: &mut impl Rng, progress: &(dyn Fn(usize) -> bool + Sync)) -> Result<Clusters> {
    if settings.clusters == 0 || settings.clusters > spaces.len() {
        return Err(Error::Setting {
            name: "clusters",
            value: settings.clusters as f64,
            range: "at least 1, and at most the spaces' number",
        });
    }
    let mut costs = vec![Vec::with_capacity(settings.clusters); spaces.len()];
    let mut centres: Vec<Centre> = Vec::with_capacity(settings.clusters);
    while centres.len() < settings.clusters {
        let drawn = if centres.is_empty() { rng.random_range(0..spaces.len()) } else { draw(&costs, rng) };
        let centre = barycentre(Centre::random(settings.centre.points, rng)?, &[&spaces[drawn]], &settings.centre)?;
        let to_centre = each(spaces, settings, |solver, _, space| solver.distance(&centre.embedding, space).value)?;
        costs.iter_mut().zip(to_centre).for_each(|(costs, cost)| costs.push(cost));
        centres.push(centre);
    }
    let mut labels = nearest(&costs);
    let mut starts: Vec<Vec<Option<Start>>> = vec![vec![None; spaces.len()]; settings.clusters];
    let mut iterations = 0;
    let mut converged = false;
    while iterations < settings.iterations && !converged && progress(iterations) {
        iterations += 1;
        for (cluster, centre) in centres.iter_mut().enumerate() {
            let members: Vec<usize> = (0..spaces.len()).filter(|&space| labels[space] == cluster).collect();
            let theirs: Vec<&Embedding> = members.iter().map(|&space| &spaces[space]).collect();
            let mut plans: Vec<_> = members.iter().map(|&space| starts[cluster][space].take()).collect();
            *centre = improve(centre.clone(), &theirs, &mut plans, &settings.centre)?;
            members.into_iter().zip(plans).for_each(|(space, plan)| starts[cluster][space] = plan);
        }
        for (cluster, centre) in centres.iter().enumerate() {
            let solved =
                each(spaces, settings, |solver, index, space| solver.solve(&centre.embedding, space, starts[cluster][index].as_ref()))?;
            for ((costs, start), (distance, plan)) in costs.iter_mut().zip(&mut starts[cluster]).zip(solved) {
                costs[cluster] = distance.value;
                *start = Some(plan);
            }
        }
        let next = filled(nearest(&costs), &costs, settings.clusters);
        converged = next == labels;
        labels = next;
    }
    Ok(Clusters { labels, centres, costs, iterations, converged })
}

/// Something for each space, on all cores.
fn each<T: Send>(spaces: &[Embedding], settings: &KMeans, of: impl Fn(&mut Solver, usize, &Embedding) -> T + Sync) -> Result<Vec<T>> {
    let solver = || Solver::new(settings.centre.solver);
    spaces
        .par_iter()
        .enumerate()
        .map_init(solver, |solver, (index, space)| Ok(of(solver.as_mut().map_err(|error| error.clone())?, index, space)))
        .collect()
}

/// A space, drawn in proportion to its least cost.
fn draw(costs: &[Vec<f64>], rng: &mut impl Rng) -> usize {
    let least: Vec<f64> = costs.iter().map(|costs| costs.iter().copied().fold(f64::INFINITY, f64::min).max(0.0)).collect();
    let mut left = rng.random::<f64>() * least.iter().sum::<f64>();
    let drawn = least.iter().position(|cost| {
        left -= cost;
        left < 0.0
    });
    drawn.unwrap_or(least.len() - 1)
}

/// The cluster that costs each space least; of equal ones the first.
fn nearest(costs: &[Vec<f64>]) -> Vec<usize> {
    costs.iter().map(|costs| (0..costs.len()).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0)).collect()
}

/// The labels, without empty clusters.
fn filled(mut labels: Vec<usize>, costs: &[Vec<f64>], clusters: usize) -> Vec<usize> {
    for cluster in 0..clusters {
        if labels.contains(&cluster) {
            continue;
        }
        let mut sizes = vec![0; clusters];
        labels.iter().for_each(|&label| sizes[label] += 1);
        let movable = (0..labels.len()).filter(|&space| sizes[labels[space]] > 1);
        if let Some(farthest) = movable.max_by(|&a, &b| costs[a][labels[a]].total_cmp(&costs[b][labels[b]])) {
            labels[farthest] = cluster;
        }
    }
    labels
}
