//! The reports of a made-up run.

mod browser;
mod devtools;
mod exports;
mod fixture;
mod hostile;
mod html;
mod scores;
mod study;
mod table;
