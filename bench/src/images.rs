//! Images of noise, made as they are read.

use std::sync::Arc;

use bezoar_core::{Context, ImageSet, ImageShape, PixelSource, Result, Sample};
use rand::Rng;

use crate::CLASSES;

/// Takes no memory, however many images.
struct Noise;

impl PixelSource for Noise {
    fn read(&self, row: usize, out: &mut [u8]) -> Result<()> {
        Context::quiet(row as u64).rng("pixels").fill_bytes(out);
        Ok(())
    }
}

/// So many images of `side` pixels each way, of all classes in turn.
pub(crate) fn noise(side: usize, count: usize) -> Result<ImageSet> {
    let sample = |row: usize| Sample { id: row.to_string(), label: (row % CLASSES) as u32, path: String::new() };
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    ImageSet::new(ImageShape::rgb(side, side), classes, (0..count).map(sample).collect(), Arc::new(Noise))
}
