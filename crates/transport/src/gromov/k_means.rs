use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::barycentre::{barycentre, improve};
use super::lifted::Start;
use super::{Barycentre, Centre, Embedding, Solver};
use crate::{Error, Result};

/// How the first groups are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeding {
    /// Around the centres of single spaces, drawn by k-means++ (Arthur and Vassilvitskii 2007) in proportion to their costs, which are squares already.
    PlusPlus,
    /// As the code of arXiv 2204.12848 makes them: around single spaces, drawn in proportion to the squares of their costs; and since those to the
    /// first are divided by their sum in place, nearly all spaces begin with it.
    Published,
}

/// Settings of [`k_means`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KMeans {
    /// Number of clusters.
    pub clusters: usize,
    /// How centres are computed.
    pub centre: Barycentre,
    /// Most assignments.
    pub iterations: usize,
    /// How the first groups are made.
    pub seeding: Seeding,
    /// Whether every update of a centre starts from a random one, as the published code does, rather than from the last and its plans.
    pub restart: bool,
}

impl KMeans {
    /// At most 20 assignments, seeded by k-means++, and centres that go on from the last.
    pub fn new(clusters: usize, centre: Barycentre) -> Self {
        Self { clusters, centre, iterations: 20, seeding: Seeding::PlusPlus, restart: false }
    }
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
/// A cluster that loses all its spaces gets the one that costs most where it is.
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
    let Seeds { mut centres, mut costs, mut labels } = seeds(spaces, settings, rng)?;
    let mut starts: Vec<Vec<Option<Start>>> = vec![vec![None; spaces.len()]; settings.clusters];
    let mut iterations = 0;
    let mut converged = false;
    while iterations < settings.iterations && !converged && progress(iterations) {
        iterations += 1;
        for (cluster, centre) in centres.iter_mut().enumerate() {
            let members: Vec<usize> = (0..spaces.len()).filter(|&space| labels[space] == cluster).collect();
            let theirs: Vec<&Embedding> = members.iter().map(|&space| &spaces[space]).collect();
            let mut plans: Vec<_> = members.iter().map(|&space| starts[cluster][space].take()).collect();
            if settings.restart {
                *centre = Centre::random(settings.centre.points, rng)?;
                plans.fill_with(|| None);
            }
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

/// What [`k_means`] starts from.
struct Seeds {
    centres: Vec<Centre>,
    /// The cost between each space and each centre.
    costs: Vec<Vec<f64>>,
    /// The cluster of each space.
    labels: Vec<usize>,
}

fn seeds(spaces: &[Embedding], settings: &KMeans, rng: &mut impl Rng) -> Result<Seeds> {
    let mut costs = vec![Vec::with_capacity(settings.clusters); spaces.len()];
    let mut centres: Vec<Centre> = Vec::with_capacity(settings.clusters);
    let mut drawn = Vec::with_capacity(settings.clusters);
    let costs_to = |seed: &Embedding| each(spaces, settings, |solver, _, space| solver.distance(seed, space).value);
    while centres.len() < settings.clusters {
        let next = if centres.is_empty() { rng.random_range(0..spaces.len()) } else { draw(&costs, settings.seeding, rng) };
        let random = Centre::random(settings.centre.points, rng)?;
        let (centre, to_seed) = match settings.seeding {
            Seeding::PlusPlus => {
                let centre = barycentre(random, &[&spaces[next]], &settings.centre)?;
                let to_centre = costs_to(&centre.embedding)?;
                (centre, to_centre)
            }
            Seeding::Published => (random, costs_to(&spaces[next])?),
        };
        costs.iter_mut().zip(to_seed).for_each(|(costs, cost)| costs.push(cost));
        centres.push(centre);
        drawn.push(next);
    }
    let labels = match settings.seeding {
        Seeding::PlusPlus => filled(nearest(&costs), &costs, settings.clusters),
        Seeding::Published => {
            let sum: f64 = costs.iter().map(|costs| costs[0]).sum();
            for costs in &mut costs {
                costs[0] /= sum;
            }
            let mut labels = nearest(&costs);
            drawn.into_iter().enumerate().for_each(|(cluster, space)| labels[space] = cluster);
            filled(labels, &costs, settings.clusters)
        }
    };
    Ok(Seeds { centres, costs, labels })
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

/// A space, drawn in proportion to its least cost, or to the square of that.
fn draw(costs: &[Vec<f64>], seeding: Seeding, rng: &mut impl Rng) -> usize {
    let least = costs.iter().map(|costs| costs.iter().copied().fold(f64::INFINITY, f64::min).max(0.0));
    let weights: Vec<f64> = match seeding {
        Seeding::PlusPlus => least.collect(),
        Seeding::Published => least.map(|cost| cost * cost).collect(),
    };
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    let drawn = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    drawn.unwrap_or(weights.len() - 1)
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
        for &label in &labels {
            sizes[label] += 1;
        }
        let movable = (0..labels.len()).filter(|&space| sizes[labels[space]] > 1);
        if let Some(farthest) = movable.max_by(|&a, &b| costs[a][labels[a]].total_cmp(&costs[b][labels[b]])) {
            labels[farthest] = cluster;
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::Space;

    /// The published k-means++ squares costs that are squares already, which draws by the fourth power of the distance: here the far space
    /// 81 times as often as the near one, and by its cost nine times.
    #[test]
    fn centres_are_drawn_by_cost_and_as_published_by_its_square() {
        let costs = [vec![0.0], vec![1.0], vec![9.0]];
        for (seeding, near) in [(Seeding::PlusPlus, 850..1150), (Seeding::Published, 90..160)] {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut drawn = [0; 3];
            (0..10_000).for_each(|_| drawn[draw(&costs, seeding, &mut rng)] += 1);
            assert_eq!(drawn[0], 0);
            assert!(near.contains(&drawn[1]), "{seeding:?}: {drawn:?}");
        }
    }

    #[test]
    fn no_cluster_of_equal_spaces_is_left_without_a_centre() {
        let square = Space::from_points(vec![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], vec![1.0; 4]).unwrap();
        let spaces = vec![Embedding::of(&square, 4).unwrap(); 5];
        let settings = KMeans::new(3, Barycentre::new(0.05));
        let found = k_means(&spaces, &settings, &mut ChaCha8Rng::seed_from_u64(0), &|_| true).unwrap();
        assert!((0..3).all(|cluster| found.labels.contains(&cluster)), "{:?}", found.labels);
        assert!(found.centres.iter().all(|centre| centre.distances.iter().any(|distance| *distance > 0.1)), "{:?}", found.centres);
    }

    /// In the published code, dividing the costs to the first centre for the draw changes them in place, and nearly all spaces then seem nearest
    /// to it.
    #[test]
    fn the_first_assignment_is_by_the_costs_themselves_and_as_published_by_divided_ones() {
        let blob = |stretch: f64| {
            let points = (0..12).map(|i| [f64::from(i % 4), stretch * f64::from(i / 4)]).collect();
            Embedding::of(&Space::from_points(points, vec![1.0; 12]).unwrap(), 12).unwrap()
        };
        let spaces: Vec<_> = (0..6).map(|i| blob(if i % 2 == 0 { 1.0 } else { 0.01 })).collect();
        let first = |seeding| {
            let settings = KMeans { iterations: 0, seeding, ..KMeans::new(2, Barycentre::new(0.01)) };
            k_means(&spaces, &settings, &mut ChaCha8Rng::seed_from_u64(0), &|_| true).unwrap()
        };
        let found = first(Seeding::PlusPlus);
        assert_eq!(found.labels, nearest(&found.costs));
        assert_eq!(found.labels.iter().map(|label| usize::from(*label != found.labels[0])).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1]);
        let published = first(Seeding::Published);
        assert!((published.costs.iter().map(|costs| costs[0]).sum::<f64>() - 1.0).abs() < 1e-12);
        let moved = nearest(&published.costs).iter().zip(&published.labels).filter(|(nearest, label)| nearest != label).count();
        assert!(moved <= 2, "none but the two drawn: {:?}", published.labels);
    }
}
