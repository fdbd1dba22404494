//! Labelled images: readers for the ways in which they lie on disk, a renderer of traffic signs, and the data sets that
//! Bezoar knows.
//!
//! # Plugins of the kind `dataset`
//! - [`Gtsrb`]: German traffic signs, in any of the forms in which they are found.
//! - [`ImageFolder`]: one folder a class.
//! - [`Parquet`]: tables with encoded images.
//! - [`Signs`]: traffic signs rendered on the spot; no files.
//!
//! All of them choose classes by a [`Selection`], bring images to one square RGB shape, and stop at a broken image or leave it
//! out ([`OnError`]). Images are decoded in parallel; the decoded pixels of all splits are held in memory, the encoded ones
//! only a few hundred at a time.
//!
//! # Known data sets
//! Each has a [`Card`] under `datasets/`, built into the program: origin, licence, classes, groups, checksums. [`list`] shows
//! them, [`fetch`] downloads one, [`verify`] looks at what a folder holds, [`import`] takes over a copy.
//!
//! # How a reader works
//! A layout (`folder`, `tables`, `official`) lists the images of each split without decoding any (`raw`); classes are chosen
//! and images decoded by what all layouts share (`selection`, `decode`, `load`). A new layout is a new lister.
//!
//! # Poisoned data sets for other tools
//! [`export`] writes images and a manifest of what an attack did to each, [`verify_export`] checks them.
//!
//! Not here: augmentation (`bezoar-nn`), poisoning (`bezoar-attacks`), caching (`bezoar-engine`).

mod card;
mod decode;
mod export;
mod folder;
mod gtsrb;
mod load;
mod official;
mod raw;
mod selection;
mod signs;
mod store;
mod tables;

pub use card::{Archive, Card, Edition, card, list};
pub use export::{Checked, Form, Manifest, Origin, Record, Split, export, verify_export};
pub use folder::ImageFolder;
pub use gtsrb::Gtsrb;
pub use load::OnError;
pub use raw::Layout;
pub use selection::Selection;
pub use signs::Signs;
pub use store::{Transfer, Verified, VerifiedSplit, fetch, here, home, import, verify};
pub use tables::{Parquet, is_there as has_tables};
