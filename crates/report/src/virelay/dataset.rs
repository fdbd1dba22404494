use bezoar_core::{Outcome, Result};
use hdf5_pure::FileBuilder;

use super::{CHANNELS, Shown, finish, sizes};

/// The images, channels first, and their labels. The channel of grey images is there three times.
pub(super) fn encode(outcome: &Outcome, shown: &Shown) -> Result<Vec<u8>> {
    let shape = outcome.images.shape();
    let mut channels_first = Vec::with_capacity(shown.rows.len() * CHANNELS * shape.height * shape.width);
    for &row in &shown.rows {
        let image = outcome.images.image(row)?;
        for channel in 0..CHANNELS {
            channels_first.extend(image.pixels().iter().skip(channel.min(shape.channels - 1)).step_by(shape.channels));
        }
    }
    let mut file = FileBuilder::new();
    let data = file.create_dataset("data");
    data.with_u8_data(&channels_first).with_shape(&sizes(&[shown.rows.len(), CHANNELS, shape.height, shape.width]));
    file.create_dataset("label").with_u32_data(&shown.labels(outcome));
    finish(file)
}
