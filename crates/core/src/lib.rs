//! What every part of Bezoar speaks: data, the stage traits, and the registry of plugins.
//!
//! - **Data**: [`ImageSet`] (u8 images with labels and stable ids), [`Features`] (f32 rows), [`Pairwise`] (distances between them), [`GroundTruth`] (what an attack
//!   did; only metrics and reports see it), [`Verdict`] (scores first, flags second).
//! - **Stages**: one object-safe trait each, in the order of a run: [`Dataset`], [`Attack`], then a net is trained (its traits
//!   live in `bezoar-nn`; here it is a [`Classifier`]), [`Representation`], [`Detector`] (often composed of [`Transform`],
//!   [`Distance`], [`Clusterer`] and [`Decision`]), [`Metric`], [`Reporter`].
//! - **Plugins**: a [`Plugin`] is configuration that builds a stage's object; [`register!`] makes it known to the [`Registry`];
//!   [`Part`] is a `{ use: name, ... }` block as a field of another configuration.
//! - **Running**: [`Context`] carries seeded random streams, the device, progress and cancellation.
//! - **Files**: [`rows`] keeps images and features on disk, read row by row.
//!
//! Not here: tensors, algorithms, YAML (see `bezoar-config`). Nothing here prints, exits, or reads a clock.

mod class_ref;
mod context;
mod digest;
mod error;
mod features;
mod image_set;
mod pairwise;
mod part;
mod registry;
pub mod rows;
mod stages;
mod truth;
mod verdict;

pub use bezoar_config::printable;
pub use class_ref::ClassRef;
pub use context::{Cancel, Context, Device, Progress, Silent, Task};
pub use digest::{digest_file, hex};
pub use error::{Error, Result};
pub use features::{FeatureSource, Features, highest};
pub use image_set::{Batch, Edit, Image, ImageSet, ImageShape, PixelSource, Row, Sample};
#[doc(hidden)]
pub use inventory;
pub use pairwise::Pairwise;
pub use part::Part;
pub use registry::{KIND_KEY, Kind, Plugin, Preset, Registration, Registry, with_article};
pub use stages::{
    Attack, ClassOrigin, Classifier, ClusteredClass, Clusterer, Clustering, Counts, Dataset, Decided, Decision, Detection, Detector,
    Distance, FinishedStage, Measurement, Membership, Metric, NamedFeatures, Outcome, Pairs, Poisoned, Predictions, Report, Reporter,
    Representation, Retrial, Scope, Skipped, Splits, Suspect, Trainer, Transform, Triggered,
};
pub use truth::{GroundTruth, Mask, Role};
pub use verdict::{ClassVerdict, Input, Origin, Verdict};
