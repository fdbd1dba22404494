//! Clustering of the features of one class at a time, and detectors composed of it.
//!
//! - [`transforms`]: plugins that change features, row by row (`channel-sum`, `min-max`, `unit-mass`) or together (`pca`, `diffusion-map`, ..).
//! - [`clusterers`]: plugins that group rows (`k-means`, `hdbscan`, `spectral`, ..). None of them depends on the order of the rows.
//! - [`metrics`]: plugins that measure distances between rows (`gromov-wasserstein`, `wasserstein`, `euclidean`, ..), for clusterers that need
//!   no coordinates.
//! - [`decisions`]: plugins that say which groups are poison (`smaller-cluster`, `relative-size`, `causal`, ..).
//! - [`Composition`]: a detector made of such parts. Heatmap Clustering and Activation Clustering are two of its presets,
//!   each a crate under `plugins/`.
//! - [`Scan`]: any detector that looks at one class after the other.
//! - [`principal_components`], [`silhouette`] and [`distance_to_bulk`]: what these and other detectors compute.
//!
//! The only crate that names linfa. Not here: tensors, images, networks, and the ground truth.

mod canonical;
pub mod clusterers;
mod composition;
mod condensed_tree;
pub mod decisions;
mod disjoint_sets;
mod distances;
mod graph;
mod leading;
mod linkage;
mod mean;
pub mod metrics;
mod neighbours;
mod partition;
mod principal;
mod scan;
mod score;
mod silhouette;
mod spanning_tree;
#[cfg(test)]
mod stand_in;
pub mod transforms;

pub use composition::Composition;
pub use linkage::Linkage;
pub use principal::{PrincipalComponents, principal_components};
pub use scan::{Class, Finding, Scan};
pub use score::distance_to_bulk;
pub use silhouette::silhouette;

use bezoar_core::Features;
use ndarray::Array2;

/// The rows of `features`, flat and in double precision.
fn matrix(features: &Features) -> Array2<f64> {
    let (values, width) = (features.values(), features.width());
    Array2::from_shape_fn((features.len(), width), |(row, column)| f64::from(values[row * width + column]))
}
