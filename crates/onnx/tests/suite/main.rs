//! Imports and exports.

mod exporters;
mod operators;
mod round_trip;
mod support;
