//! ONNX models as layer graphs, and layer graphs as ONNX models.
//!
//! - [`import`]: image classifiers as PyTorch, Keras and their like write them, operators of opset 7 to 23.
//! - [`export`]: a net of ours, so that others can run and check it.
//! - [`Given`] (`onnx`): a plugin of the kind `model`, the net of a model.
//!
//! A model is read for the batch that its input names, or for one image where that is open. Each value knows where in its shape the
//! images are counted, and the graph's shapes are those of one. What only reckons with shapes and constants is worked out at import,
//! functions that exporters spell out are put together again, and layers that turn out unneeded are left out. A softmax at the end is
//! left out: scores are what comes before it. `docs/models.md` lists the operators.
//!
//! Not here: the file format (see `bezoar-formats`), layers and their kernels (see `bezoar-nn`).

mod export;
mod given;
mod import;

pub use export::export;
pub use given::Given;
pub use import::import;
