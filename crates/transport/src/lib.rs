//! Optimal transport and Gromov-Wasserstein distances between weighted points, such as the pixels of heatmaps.
//!
//! - [`Space`]: points with weights and distances, of a heatmap, of places, or of a matrix.
//! - [`gromov::reference()`]: entropic Gromov-Wasserstein, step for step as Python Optimal Transport computes it.
//! - [`gromov::Solver`]: the same, some 25 times as fast at epsilon 0.1 and 500 times at 0.02, between [`gromov::Embedding`]s of spaces of
//!   negative type; debiased if asked.
//! - [`gromov::Fused`]: shape and place together; with a share of 0, entropic Wasserstein in the plane.
//! - [`gromov::barycentre()`] and [`gromov::k_means()`]: centres and groups of spaces; [`gromov::excess()`]: how badly a centre stands for one.
//! - [`gromov::lower_bound()`]: what the cost cannot be less than, exactly.
//!
//! ```
//! use bezoar_transport::Space;
//! use bezoar_transport::gromov::{Embedding, Fast, Solver};
//!
//! let upright = Space::from_heatmap(2, 3, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 0.99)?;
//! let lying = Space::from_heatmap(2, 3, &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0], 0.99)?;
//! let mut solver = Solver::new(Fast::new(0.01))?;
//! let cost = solver.debiased(&Embedding::of(&upright, 64)?, &Embedding::of(&lying, 64)?);
//! assert!(cost.abs() < 1e-6);
//! # Ok::<(), bezoar_transport::Error>(())
//! ```
//!
//! Not here: features, plugins and YAML (`bezoar-clustering` has them), unbalanced and low-rank couplings, GPUs. The theory, measured, is in
//! `docs/gromov-wasserstein.md`.

#![expect(clippy::inline_always, reason = "what runs inside `Arch::dispatch` has to be compiled for the vectors that are chosen there")]

mod error;
mod exact;
pub mod gromov;
mod space;
mod vector;

pub use error::{Error, Result};
pub use space::Space;
