use bezoar_core::{FeatureSource, Outcome, Result};
use hdf5_pure::FileBuilder;

use super::{CHANNELS, Shown, finish, sizes};

/// The heatmaps, and the classes that the images are given as.
pub(super) fn encode(outcome: &Outcome, shown: &Shown, source: &dyn FeatureSource) -> Result<Vec<u8>> {
    let labels = shown.labels(outcome);
    let classes = outcome.images.classes().len();
    let mut given = vec![0.0_f32; labels.len() * classes];
    for (row, &label) in given.chunks_exact_mut(classes).zip(&labels) {
        row[label as usize] = 1.0;
    }
    let mut file = FileBuilder::new();
    let shape = outcome.images.shape();
    let data = file.create_dataset("attribution");
    data.with_f32_data(&in_channels(source, &shown.rows)?).with_shape(&sizes(&[labels.len(), CHANNELS, shape.height, shape.width]));
    file.create_dataset("label").with_u32_data(&labels);
    file.create_dataset("prediction").with_f32_data(&given).with_shape(&sizes(&[labels.len(), classes]));
    finish(file)
}

/// Heatmaps as `[N, 3, H, W]`, filled up with zeros.
fn in_channels(source: &dyn FeatureSource, rows: &[usize]) -> Result<Vec<f32>> {
    let heatmaps = source.select(rows)?;
    let pixels = match *source.shape() {
        [height, width] | [_, height, width] => height * width,
        _ => 0,
    };
    let mut values = Vec::with_capacity(rows.len() * CHANNELS * pixels);
    for (at, heatmap) in heatmaps.rows().enumerate() {
        values.extend_from_slice(heatmap);
        values.resize((at + 1) * CHANNELS * pixels, 0.0);
    }
    Ok(values)
}
