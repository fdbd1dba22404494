//! Optimal transport and Gromov-Wasserstein distances between weighted points.

#![expect(clippy::inline_always, reason = "what runs inside `Arch::dispatch` has to be compiled for the vectors that are chosen there")]

mod error;
mod exact;
pub mod gromov;
mod space;
mod vector;

pub use error::{Error, Result};
pub use space::Space;
