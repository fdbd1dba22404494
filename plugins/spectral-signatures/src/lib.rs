//! The detector `spectral-signatures`, after *Spectral Signatures in Backdoor Attacks* (Tran, Li, Madry; arXiv 1811.00636).
//!
//! If a part of a class has a mean of its own, the covariance of the class is largest along the line between the two means,
//! and poison lies far out on it. The detector scores each image by its squared projection, after centring, on that
//! direction, and accuses the highest-scoring 1.5 times the share of poison that it is told to expect.
//!
//! It assumes that poison separates along the first direction and that its share is known; it accuses that many images of
//! every scanned class, clean ones too. Published ports project features that are not centred, which scores the mean of the
//! class along with the image.
//!
//! - `config`: what YAML can say of it, and its registration.
//! - `algorithm`: the method itself.

mod algorithm;
mod config;

pub use config::SpectralSignatures;
