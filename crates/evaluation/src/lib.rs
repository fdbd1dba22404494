//! Metrics, each a plugin: they compare what a run found with what the attack did, where there was one.
//!
//! - [`AttackSuccess`] (`attack-success`): what the net is worth, and its backdoor.
//! - [`DetectionQuality`] (`detection`): what each detector is worth, over the attacked classes, the whole set, and each class.
//! - [`Confusion`], [`roc_auc`] and [`average_precision`]: the figures themselves, equal to scikit-learn's.
//! - [`Localisation`]: how well heatmaps find a trigger whose place is known.
//!
//! A figure that is undefined, such as a true positive rate without poison, is none: never 0, 1 or NaN. Not here: tables,
//! repeats, and anything that a detector could learn from.

mod attack_success;
mod confusion;
mod detection;
mod localisation;
mod ranking;

pub use attack_success::AttackSuccess;
pub use confusion::Confusion;
pub use detection::DetectionQuality;
pub use localisation::Localisation;
pub use ranking::{average_precision, roc_auc};
