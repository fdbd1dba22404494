//! Families of nets that differ in their depth alone.

use bezoar_core::{Error, Result};
use schemars::{Schema, json_schema};

/// The nets of a family: the depth that names each, and the layers or blocks of each of its stages.
pub(crate) type Family<const STAGES: usize> = [(usize, [usize; STAGES])];

/// What a configuration may say: one of the depths.
pub(crate) fn schema<const STAGES: usize>(family: &Family<STAGES>) -> Schema {
    json_schema!({ "type": "integer", "enum": depths(family) })
}

/// The stages of the net of this depth.
pub(crate) fn stages<const STAGES: usize>(family: &Family<STAGES>, depth: usize) -> Result<[usize; STAGES]> {
    let known = family.iter().find(|(known, _)| *known == depth);
    known.map(|(_, stages)| *stages).ok_or_else(|| Error::request(format!("depth is {depth} where it may be one of {:?}", depths(family))))
}

fn depths<const STAGES: usize>(family: &Family<STAGES>) -> Vec<usize> {
    family.iter().map(|(depth, _)| *depth).collect()
}
