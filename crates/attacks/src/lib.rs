//! Attacks on training sets, each a plugin: it poisons a data set and keeps the truth about what it did.
//!
//! - [`sticker`]: the standard backdoor of the Heatmap Clustering thesis, a small opaque square and a wrong label.
//!
//! Attacks change pixels and labels and nothing else. Whether the backdoor works is measured after training
//! (`bezoar-evaluation`), on the triggered test images that every attack makes.

pub mod sticker;
