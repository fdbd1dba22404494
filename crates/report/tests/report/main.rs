//! The reports of a made-up run.

mod fixture;
mod html;
mod scores;
mod table;
