//! Embeddings of images by nets that were trained elsewhere, on other data: they need no training on the suspect data, and cannot have learnt its
//! backdoor.
//!
//! - [`Backbone`] (`backbone`): a plugin of the kind `representation`, one row of numbers for each image.
//!
//! The nets are candle-transformers' own; here is what they leave to the caller: which images they take, that no weight is missing,
//! that an image's row depends on it alone. Not here: downloads. Weights come from a local file.

mod backbone;
mod tower;
mod weights;

pub use backbone::Backbone;
pub use tower::Architecture;
