//! Imports and exports.

mod exporters;
mod mutations;
mod operators;
mod round_trip;
mod support;
