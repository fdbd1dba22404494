use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::lifted::Start;
use super::{Embedding, Fast, Solver};
use crate::{Error, Result, Space};

/// Settings of [`barycentre`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Barycentre {
    /// Number of points, of equal weight.
    pub points: usize,
    /// How costs are computed.
    pub solver: Fast,
    /// Most updates of the distances.
    pub updates: usize,
    /// Ends when the distances change by less than this in Frobenius norm.
    pub tolerance: f64,
}

impl Barycentre {
    /// Ten points, as *Heatmap Clustering*'s code takes, and no more digits than single precision has.
    pub fn new(epsilon: f64) -> Self {
        Self { points: 10, solver: Fast::new(epsilon), updates: 1000, tolerance: 1e-5 }
    }

    /// For k-means, where every update goes on from the last: no more digits than assignments need, and no more updates between them than
    /// pay. At small epsilons a barycentre creeps for hundreds of updates towards its end.
    pub fn between_assignments(epsilon: f64) -> Self {
        Self { updates: 20, tolerance: 1e-3, ..Self::new(epsilon) }
    }
}

/// A space between others, which costs least to couple with all of them.
#[derive(Clone, Debug)]
pub struct Centre {
    /// Its distances, row after row; those of a point to itself are not 0, as the point stands for many.
    pub distances: Vec<f64>,
    /// Updates made.
    pub updates: usize,
    /// By how much the last one changed the distances, in Frobenius norm.
    pub moved: f64,
    pub(super) embedding: Embedding,
}

impl Centre {
    /// A centre to start from: squared distances of normally distributed points of the plane, in units of the largest, as POT draws them.
    pub fn random(points: usize, rng: &mut impl Rng) -> Result<Self> {
        if points < 2 {
            return Err(Error::Setting { name: "points", value: points as f64, range: "at least 2" });
        }
        let places: Vec<[f64; 2]> = (0..points).map(|_| [StandardNormal.sample(rng), StandardNormal.sample(rng)]).collect();
        let mut distances: Vec<f64> =
            places.iter().flat_map(|a| places.iter().map(move |b| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))).collect();
        let largest = distances.iter().copied().fold(0.0, f64::max);
        for distance in &mut distances {
            *distance /= largest;
        }
        Self::of(distances)
    }

    /// The centre with these distances between points of equal weight.
    pub fn of(distances: Vec<f64>) -> Result<Self> {
        let points = distances.len().isqrt();
        let space = Space::from_distances(distances.clone(), vec![1.0; points])?;
        Ok(Self { distances, updates: 0, moved: f64::INFINITY, embedding: Embedding::of(&space, points)? })
    }
}

/// The entropic Gromov-Wasserstein barycentre of `spaces` with equal weights (Peyré, Cuturi and Solomon, ICML 2016), from a centre near it.
///
/// Plans and distances are updated in turn, each from the last; `starts` carries the plans of all spaces to later calls.
pub(super) fn improve(centre: Centre, spaces: &[&Embedding], starts: &mut [Option<Start>], settings: &Barycentre) -> Result<Centre> {
    let mut centre = Centre { updates: 0, ..centre };
    while centre.updates < settings.updates && (centre.updates == 0 || centre.moved > settings.tolerance) {
        starts.par_iter_mut().zip(spaces).try_for_each_init(
            || Solver::new(settings.solver),
            |solver, (start, space)| {
                let solver = solver.as_mut().map_err(|error| error.clone())?;
                *start = Some(solver.solve(&centre.embedding, space, start.as_ref()).1);
                Ok(())
            },
        )?;
        let next = mean(centre.embedding.len(), spaces, starts);
        let moved = next.iter().zip(&centre.distances).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        centre = Centre { updates: centre.updates + 1, moved, ..Centre::of(next)? };
    }
    Ok(centre)
}

/// The barycentre of `spaces`, from `centre`.
///
/// # Errors
/// When there are no spaces, or epsilon is not positive.
pub fn barycentre(centre: Centre, spaces: &[&Embedding], settings: &Barycentre) -> Result<Centre> {
    if spaces.is_empty() {
        return Err(Error::Empty);
    }
    improve(centre, spaces, &mut vec![None; spaces.len()], settings)
}

/// How much more a space costs with `centre` than with its own barycentre, which is looked for from there: 0 for what the centre stands for
/// as well as any centre of its size.
///
/// The cost alone also holds what any centre of this size would cost, which is more the more widely a space is spread. Where `centre` is
/// constant, `c`, and epsilon so large that barycentres are, this is `(m1 - c)²`.
///
/// # Errors
/// When epsilon is not positive.
pub fn excess(centre: &Centre, space: &Embedding, settings: &Barycentre) -> Result<f64> {
    let mut solver = Solver::new(settings.solver)?;
    let (with_centre, plan) = solver.solve(&centre.embedding, space, None);
    let mut plans = [Some(plan)];
    let own = improve(centre.clone(), &[space], &mut plans, settings)?;
    let (with_own, _) = solver.solve(&own.embedding, space, plans[0].as_ref());
    Ok((with_centre.value - with_own.value).max(0.0))
}

/// The distances that the plans give: the mean of `T C Tᵀ`, divided by the products of the points' weights.
fn mean(points: usize, spaces: &[&Embedding], starts: &[Option<Start>]) -> Vec<f64> {
    let mut sums = vec![0.0; points * points];
    for (space, start) in spaces.iter().zip(starts.iter().flatten()) {
        let rows: Vec<&[f32]> = start.carried.chunks_exact(space.columns).collect();
        // C is a 1ᵀ + 1 aᵀ - 2 F Fᵀ, where a is the eccentricity less half its mean.
        let reach = |row: &[f32]| f64::from(row[0]) + 0.5 * space.moments.0 / points as f64;
        for a in 0..points {
            for b in 0..=a {
                let product: f32 = rows[a][1..=space.rank()].iter().zip(&rows[b][1..=space.rank()]).map(|(x, y)| x * y).sum();
                sums[a * points + b] += (reach(rows[a]) + reach(rows[b])) / points as f64 - 2.0 * f64::from(product);
            }
        }
    }
    let scale = (points * points) as f64 / spaces.len() as f64;
    (0..points * points)
        .map(|index| {
            let (row, column) = (index / points, index % points);
            (sums[row.max(column) * points + row.min(column)] * scale).max(0.0)
        })
        .collect()
}
