//! A finished run for people and programs to read.
//!
//! - [`Html`]: `report.html`, one page with the verdict, the figures, and suspects beside their heatmaps. It needs no network
//!   and no script.
//! - [`Parquet`]: `scores.parquet`, what each detector says of each training image.
//! - [`table`]: the figures for a terminal.
//! - [`gallery`]: what attacks do to images, as a picture.
//!
//! `Html` and `Parquet` are plugins of the kind `report`; both write a file aside and rename it, so that a stopped run leaves
//! no half file. How a metric is called and shown is decided once, in `metric`, for page and terminal alike.
//!
//! Not here: the figures themselves (`bezoar-evaluation`), and `metrics.json`, `resolved.yaml` and `timings.json`, which
//! `bezoar-engine` always writes.

mod colormap;
mod file;
mod format;
pub mod gallery;
mod grid;
mod html;
mod metric;
pub mod picture;
mod scores;
mod table;
mod tally;

pub use html::Html;
pub use scores::Parquet;
pub use table::table;
