use super::{Distance, Embedding, Fast, Solver};
use crate::{Error, Result, Space};

/// A space of points of the plane that still lie somewhere: what [`Fused`] compares.
#[derive(Clone, Debug)]
pub struct Placed {
    embedding: Embedding,
    /// The mean place; coordinates are relative to it, so that none are large.
    mean: [f64; 2],
    /// The mean of the squared coordinates.
    square: f64,
}

impl Placed {
    /// The space along at most `rank` directions, and its points in units of `unit`, which is the same for all that are compared, such as the
    /// diagonal of the heatmaps. `rank` is 0 for what is compared by places alone.
    ///
    /// # Errors
    /// When the space's points do not lie in a plane, or `unit` is not positive.
    pub fn of(space: &Space, rank: usize, unit: f64) -> Result<Self> {
        if !(unit.is_finite() && unit > 0.0) {
            return Err(Error::Setting { name: "unit", value: unit, range: "above 0" });
        }
        let (places, diameter) = space.places().ok_or(Error::NoPlane)?;
        let mut places: Vec<[f64; 2]> = places.iter().map(|place| place.map(|x| x * diameter / unit)).collect();
        let mean = [0, 1].map(|axis| places.iter().zip(space.weights()).map(|(place, weight)| place[axis] * weight).sum::<f64>());
        for place in &mut places {
            *place = [place[0] - mean[0], place[1] - mean[1]];
        }
        let square = places.iter().zip(space.weights()).map(|([y, x], weight)| weight * (y * y + x * x)).sum();
        let embedding = if rank == 0 { Embedding::bare(space) } else { Embedding::of(space, rank)? };
        Ok(Self { embedding: embedding.with_columns(&places), mean, square })
    }
}

/// Fused Gromov-Wasserstein (Vayer et al., ICML 2019; entropic): `share` of the cost is Gromov-Wasserstein's, by distances within each space;
/// the rest is Wasserstein's, by squared distances in the plane between what is moved and where to. At 1 only shape counts, at 0 only place.
///
/// Where points lie enters the exponents of the fast [`Solver`] as two further directions, so that it costs no more than shape alone.
pub struct Fused {
    solver: Solver,
    share: f64,
}

impl Fused {
    /// A solver in which Gromov-Wasserstein has this share of the cost.
    ///
    /// # Errors
    /// When epsilon is not positive, or the share is not between 0 and 1.
    pub fn new(settings: Fast, share: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::Setting { name: "share", value: share, range: "0 to 1" });
        }
        Ok(Self { solver: Solver::sharing(settings, share)?, share })
    }

    /// The cost between two spaces.
    pub fn distance(&mut self, first: &Placed, second: &Placed) -> Distance {
        let (found, evaluation) = self.solver.find(&first.embedding, &second.embedding, None);
        let between: f64 = first.mean.iter().zip(second.mean).map(|(x, y)| (x - y) * (x - y)).sum();
        let moved = between + first.square + second.square - 2.0 * evaluation.plane;
        // Without a share of its own, the Gromov-Wasserstein cost is neither needed nor known: the spaces may have no directions.
        let value = if self.share > 0.0 { self.share * found.value } else { 0.0 };
        Distance { value: if self.share < 1.0 { value + (1.0 - self.share) * moved } else { value }, ..found }
    }

    /// The cost without what entropy alone costs: less half of what each costs with itself.
    pub fn debiased(&mut self, first: &Placed, second: &Placed) -> f64 {
        let own = f64::midpoint(self.distance(first, first).value, self.distance(second, second).value);
        self.distance(first, second).value - own
    }
}
