//! What a net makes of an image, as rows for clustering: heatmaps by layer-wise relevance propagation and by gradients, and activations.
//!
//! - [`Rule`]: how one layer hands its relevance on to its inputs. A weighted rule is a few terms in a table.
//! - [`Composite`]: which rule is for which layer: an ordered table, the first row that fits wins.
//! - [`Analysis`]: a net under a composite. Weights that rules change are prepared once, and a layer that no rule covers is
//!   an error when the analysis is made, not at some sample. Relevance is computed by explicit functions along the layer
//!   graph, whole batches at a time, in `f32` or `f64`, without autograd.
//! - [`Balance`]: what became of relevance at each layer.
//! - [`Lrp`], [`Gradient`], [`GuidedBackprop`], [`IntegratedGradients`], [`SmoothGrad`], [`GradCam`], [`Activations`], [`AlignedPatch`],
//!   [`StrongestWindow`] and, to be better than, [`Pixels`]: the representations that YAML names.
//!
//! The result for an image depends on that image alone, bit for bit: not on its batch, not on the number of threads.
//!
//! Conventions are zennit's (arXiv 2106.13200): the stabiliser is `z + ε s(z)` with `s(0) = +1`, ε = 1e-6 unless said
//! otherwise; of equal values under a max-pool the first in row-major order wins. It differs where zennit is silent: batch
//! norm that cannot be folded is explained as the affine map that it is, a layer without a rule is an error, and the first layers
//! are all those that the image reaches through layers without weights, where zennit takes the one that was registered first.
//!
//! Not here: layers and their kernels (see `bezoar-nn`), what happens to heatmaps afterwards (see `bezoar-clustering`).

mod activations;
mod aligned_patch;
mod analysis;
mod balance;
mod composite;
mod grad_cam;
mod gradient;
mod guided_backprop;
mod heatmaps;
mod integrated_gradients;
mod layer_kind;
mod lrp;
mod operator;
mod pixels;
mod rule;
mod smooth_grad;
mod step;
mod strongest_window;
mod target;
mod window;

pub use activations::Activations;
pub use aligned_patch::{AlignedPatch, Show};
pub use analysis::{Analysis, Explained, Limits};
pub use balance::{Absorbed, Balance};
pub use composite::{Composite, Row};
pub use grad_cam::GradCam;
pub use gradient::Gradient;
pub use guided_backprop::GuidedBackprop;
pub use heatmaps::Channels;
pub use integrated_gradients::IntegratedGradients;
pub use layer_kind::LayerKind;
pub use lrp::{Lrp, Preset, Through};
pub use pixels::Pixels;
pub use rule::Rule;
pub use smooth_grad::SmoothGrad;
pub use strongest_window::{Side, StrongestWindow};
pub use target::{Start, Target};

/// What is added to a denominator, with its sign, so that nobody divides by zero; zennit's default.
pub const STABILIZER: f64 = 1e-6;
