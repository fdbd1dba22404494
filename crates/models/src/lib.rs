//! Architectures: what nets look like, one file each.
//!
//! - [`PaperInception`] (`paper-inception`): the net of the heatmap clustering paper.
//! - [`CompactCnn`] (`compact-cnn`): a small net that trains in minutes on a processor.
//! - [`Resnet`] (`resnet`): ResNet-18, 34 and 50; [`ResnetCifar`] (`resnet-cifar`): the narrow ones, from ResNet-20 on.
//! - [`Vgg`] (`vgg`): VGG-11 to 19 with batch norm.
//! - [`Squeezenet`] (`squeezenet`), [`MobilenetV2`] (`mobilenet-v2`), [`InceptionV3`] (`inception-v3`), [`Vit`] (`vit`).
//! - [`Pretrained`] (`pretrained`): any of them with parameters from a file, under torchvision's or timm's names; [`load`] does it alone.
//!
//! Each is a plugin of the kind `model` and gives a [`Graph`](bezoar_nn::Graph). Not here: layers, training (see `bezoar-nn`), nets from ONNX
//! models (see `bezoar-onnx`).

mod blocks;
mod compact_cnn;
mod depth;
mod inception;
mod mobilenet;
mod paper_inception;
mod pretrained;
mod resnet;
mod resnet_cifar;
mod squeezenet;
mod vgg;
mod vit;

pub use blocks::Stem;
pub use compact_cnn::CompactCnn;
pub use inception::InceptionV3;
pub use mobilenet::MobilenetV2;
pub use paper_inception::PaperInception;
pub use pretrained::{Pretrained, load};
pub use resnet::Resnet;
pub use resnet_cifar::ResnetCifar;
pub use squeezenet::Squeezenet;
pub use vgg::{Head, Vgg};
pub use vit::Vit;
