//! From a pipeline to a finished run.
//!
//! - [`Pipeline`]: what a YAML file asks for, checked as a whole before anything runs.
//! - [`run`]: the stages one after the other, each taken from the [`Store`] if it is there. [`poisoned`] and [`trained`]: the first of them.
//! - [`Store`]: the stage cache. A stage's key covers its configuration, its inputs and the version of its code, so that
//!   changing `cluster:` re-uses training and heatmaps and a killed run goes on where it stopped.
//! - [`runs`]: the folder of each run.
//!
//! Not here: the stages themselves (they are plugins), and anything that prints.

mod meter;
mod names;
mod pipeline;
mod run;
pub mod runs;
mod schema;
mod stages;
mod store;
mod trainings;

pub use meter::Cost;
pub use pipeline::Pipeline;
pub use run::{Finished, Places, Trained, poisoned, run, trained};
pub use schema::schema;
pub use stages::{StageCost, Suspicious};
pub use store::{Entry, Key, Listed, Store};
