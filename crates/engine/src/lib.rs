//! From a pipeline to a finished run.
//!
//! - [`Pipeline`]: what a YAML file asks for, checked as a whole before anything runs.
//! - [`run`]: the stages one after the other, each taken from the [`Store`] if it is there. [`poisoned`] and [`trained`]: the first of them;
//!   [`report`]: the last.
//! - [`Store`]: the stage cache. A stage's key covers its configuration, its inputs and the version of its code, so that
//!   changing `cluster:` re-uses training and heatmaps and a killed run goes on where it stopped.
//! - [`runs`]: the folder of each run, and [`Metrics`], what it found.
//! - [`Plan`]: what a study would do, and what it would take.
//! - [`Study`]: a pipeline with a `matrix:`, whose cells are runs.
//!
//! Not here: the stages themselves (they are plugins), and anything that prints.

mod machine;
mod meter;
mod metrics;
mod names;
mod pipeline;
mod plan;
mod run;
pub mod runs;
mod schema;
mod stages;
mod store;
mod study;
mod trainings;

pub use bezoar_evaluation::repeats::Results;
pub use meter::Cost;
pub use metrics::{Findings, Metrics};
pub use pipeline::Pipeline;
pub use plan::{Plan, PlannedCell, PlannedStage};
pub use run::{Finished, Places, Trained, poisoned, report, run, trained};
pub use schema::schema;
pub use stages::{StageCost, Suspicious};
pub use store::{Cleared, Entry, Key, Listed, Store};
pub use study::{Cell, Conducted, Study};
