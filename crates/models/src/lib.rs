//! Architectures: what nets look like, one file each.
//!
//! - [`PaperInception`] (`paper-inception`): the net of the heatmap clustering paper.
//! - [`CompactCnn`] (`compact-cnn`): a small net that trains in minutes on a processor.
//!
//! Each is a plugin of the kind `model` and gives a [`Graph`](bezoar_nn::Graph). Not here: layers, training, weights (see `bezoar-nn`).

mod blocks;
mod compact_cnn;
mod paper_inception;

pub use compact_cnn::CompactCnn;
pub use paper_inception::PaperInception;
