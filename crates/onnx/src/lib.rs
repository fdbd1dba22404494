//! ONNX models as layer graphs, and layer graphs as ONNX models.
//!
//! - [`import`]: image classifiers as PyTorch, Keras and their like write them, operators of opset 7 to 23.
//! - [`export`]: a net of ours, so that others can run and check it.
//! - [`Given`] (`onnx`): a plugin of the kind `model`, the net of a model.
//!
//! A model is read for one image at a time: its batch axis, the first, counts as 1 and is dropped from the graph's shapes. What only
//! reckons with shapes is worked out at import. A softmax at the end is left out: scores are what comes before it.
//!
//! Not here: the file format (see `bezoar-formats`), layers and their kernels (see `bezoar-nn`).

mod export;
mod given;
mod import;

pub use export::export;
pub use given::Given;
pub use import::import;
