//! Optimal transport and Gromov-Wasserstein distances between weighted points.

mod error;
mod exact;
pub mod gromov;
mod space;
mod vector;

pub use error::{Error, Result};
pub use space::Space;
