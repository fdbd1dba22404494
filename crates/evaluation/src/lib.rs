//! Metrics, each a plugin: they compare what a run found with what the attack did, where there was one.
//!
//! - [`AttackSuccess`] (`attack-success`): what the net is worth, and its backdoor.
//! - [`DetectionQuality`] (`detection`): what each detector is worth, over the attacked classes, the whole set, and each class.
//! - [`Confusion`], [`roc_auc`], [`roc_curve`] and [`average_precision`]: the figures themselves, equal to scikit-learn's.
//! - [`ClassDetection`] (`class-detection`): which classes each detector accuses, and whether its p-values keep what they promise.
//! - [`TriggerLocalisation`] (`localisation`): whether the heatmaps of a detector mark the trigger.
//! - [`Remediation`] (`remediation`): what is left of the backdoor once the accused images are gone.
//! - [`Localisation`]: how well heatmaps find a trigger whose place is known.
//! - [`figure`], [`success_measured`], [`success_missed`], [`attack_worked`]: one figure out of a run's measurements, and whether its attack worked.
//! - [`repeats`]: means over runs with intervals, detectors compared over the same nets.
//!
//! A figure that is undefined, such as a true positive rate without poison, is none: never 0, 1 or NaN. Not here: tables, and anything that a detector could learn from.

mod attack_success;
mod class_detection;
mod confusion;
mod detection;
mod figures;
mod localisation;
mod ranking;
mod remediation;
pub mod repeats;
mod trigger_localisation;

pub use attack_success::AttackSuccess;
pub use class_detection::ClassDetection;
pub use confusion::Confusion;
pub use detection::DetectionQuality;
pub use figures::{ACCURACY_LOST, ATTACK_SUCCESS, ATTACK_SUCCESS_NEEDED, attack_worked, figure, success_measured, success_missed};
pub use localisation::Localisation;
pub use ranking::{average_precision, precision_at, roc_auc, roc_curve, true_positive_rate_at};
pub use remediation::Remediation;
pub use trigger_localisation::TriggerLocalisation;
