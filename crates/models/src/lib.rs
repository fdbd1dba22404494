//! Architectures: what nets look like, one file each.
//!
//! - [`PaperInception`] (`paper-inception`): the net of the heatmap clustering paper.
//! - [`CompactCnn`] (`compact-cnn`): a small net that trains in minutes on a processor.
//! - [`Resnet`] (`resnet`): ResNet-18 and 34 for small images.
//! - [`Vgg`] (`vgg`): VGG-11 to 19 with batch norm for small images.
//!
//! Each is a plugin of the kind `model` and gives a [`Graph`](bezoar_nn::Graph). Not here: layers, training, weights (see `bezoar-nn`).

mod blocks;
mod compact_cnn;
mod depth;
mod paper_inception;
mod resnet;
mod vgg;

pub use compact_cnn::CompactCnn;
pub use paper_inception::PaperInception;
pub use resnet::Resnet;
pub use vgg::Vgg;
