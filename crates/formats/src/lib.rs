//! Reads and writes what other tools write: arrays, ONNX models, and the parameters of nets.
//!
//! - [`read_array`], [`write_array`]: one [`Array`] in a `.npy` or `.safetensors` file.
//! - [`npy`], [`safetensors`]: these formats in memory.
//! - [`onnx`]: graphs of operators with their weights.
//! - [`state_dict`]: parameters by name, from safetensors and PyTorch's own files.
//!
//! Files come from anywhere and are not trusted: a broken one is an error that says what is wrong and where, no file runs code or has
//! other files read than those beside it, and whatever files claim, memory stays a multiple of their sizes: a few times for numbers, some
//! dozen times for what consists of short names. Values are not judged: NaN is a number here. `fuzz/` tries all this.
//!
//! Not here: what layers and operators mean.

mod array;
mod files;
pub mod npy;
pub mod onnx;
pub mod safetensors;
pub mod state_dict;
mod strides;

pub use array::{Array, Dtype, MAX_RANK, Values};
pub use files::{read_array, write_array};
