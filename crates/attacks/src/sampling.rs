//! Images seen through coordinates.

use bezoar_core::Image;

/// An image's values as numbers.
pub(crate) struct Sampled {
    height: usize,
    width: usize,
    channels: usize,
    values: Vec<f64>,
}

impl Sampled {
    pub(crate) fn new(image: &Image) -> Self {
        let shape = image.shape();
        let values = image.pixels().iter().map(|value| f64::from(*value)).collect();
        Self { height: shape.height, width: shape.width, channels: shape.channels, values }
    }

    /// A channel at a place between pixels, bilinearly; what is outside is 0.
    pub(crate) fn at(&self, row: f64, column: f64, channel: usize) -> f64 {
        let (top, left) = (row.floor(), column.floor());
        let (down, across) = (row - top, column - left);
        let value = |row: f64, column: f64| {
            let is_inside = row >= 0.0 && column >= 0.0 && row < self.height as f64 && column < self.width as f64;
            if is_inside { self.values[(row as usize * self.width + column as usize) * self.channels + channel] } else { 0.0 }
        };
        let upper = value(top, left) * (1.0 - across) + value(top, left + 1.0) * across;
        let lower = value(top + 1.0, left) * (1.0 - across) + value(top + 1.0, left + 1.0) * across;
        upper * (1.0 - down) + lower * down
    }
}
