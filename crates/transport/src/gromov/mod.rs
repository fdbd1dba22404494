//! Gromov-Wasserstein: how far two spaces are from being the same up to a motion, by the distances within each alone.

mod barycentre;
mod embedding;
mod fast;
mod fused;
mod k_means;
mod kernel;
mod lifted;
mod lower_bound;
mod quasi_newton;
mod reference;

pub use barycentre::{Barycentre, Centre, barycentre, excess};
pub use embedding::Embedding;
pub use fast::{Distance, Fast, Solver};
pub use fused::{Fused, Placed};
pub use k_means::{Clusters, KMeans, Seeding, k_means};
pub use lower_bound::{LowerBound, Profile, lower_bound};
pub use reference::{Coupling, Reference, reference};

use crate::{Error, Result};

fn check_epsilon(epsilon: f64) -> Result<()> {
    if epsilon.is_finite() && epsilon > 0.0 { Ok(()) } else { Err(Error::Setting { name: "epsilon", value: epsilon, range: "above 0" }) }
}
