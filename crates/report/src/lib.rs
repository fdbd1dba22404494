//! A finished run for people and programs to read.
//!
//! - [`Html`]: `report.html`, one page with the verdict, the figures, and suspects beside their heatmaps. It needs no network,
//!   and is whole without its script.
//! - [`Parquet`]: `scores.parquet`, what each detector says of each training image. [`List`]: `images.csv`, what to do with each. [`Arrays`]:
//!   what the detectors looked at. [`Virelay`]: all of it for the viewer ViRelAy. These are the plugins of the kind `report`.
//! - [`table`]: the figures for a terminal; [`study_table`] and [`write_study_page`]: those of a study; [`compare()`]: several runs.
//! - [`gallery`]: what attacks do to images, as a picture.
//!
//! All write a file aside and rename it, so that a stopped run leaves no half file. How a metric is called and shown is decided
//! once, in `metric`, for page and terminal alike.
//!
//! Not here: the figures themselves (`bezoar-evaluation`), and `metrics.json`, `resolved.yaml` and `timings.json`, which
//! `bezoar-engine` always writes.

mod block;
mod chart;
mod colormap;
mod compare;
mod each_once;
mod embedding;
mod features;
mod field;
mod file;
mod format;
pub mod gallery;
mod grid;
mod histogram;
mod html;
mod list;
mod metric;
mod page;
mod paint;
pub mod picture;
mod scores;
mod study;
mod table;
mod tally;
mod told;
mod virelay;

pub use compare::compare;
pub use features::{Arrays, Format};
pub use html::Html;
pub use list::List;
pub use scores::Parquet;
pub use study::{study_table, write_study_page};
pub use table::table;
pub use virelay::Virelay;
