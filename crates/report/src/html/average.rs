//! Means of images and of heatmaps.

use bezoar_core::{Image, ImageShape, Result};

/// A sum that grows, and of how many.
#[derive(Clone, Default)]
pub(super) struct Average {
    sums: Vec<f64>,
    count: usize,
}

impl Average {
    /// Takes in one more; all must be equally long.
    pub(super) fn add(&mut self, values: impl ExactSizeIterator<Item = f64>) {
        self.sums.resize(values.len(), 0.0);
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += if value.is_finite() { value } else { 0.0 };
        }
        self.count += 1;
    }

    pub(super) fn add_image(&mut self, image: &Image) {
        self.add(image.pixels().iter().map(|&value| f64::from(value)));
    }

    pub(super) fn add_features(&mut self, row: &[f32]) {
        self.add(row.iter().map(|&value| f64::from(value)));
    }

    /// All of `others` as one.
    pub(super) fn of_all<'a>(others: impl Iterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for other in others {
            all.sums.resize(all.sums.len().max(other.sums.len()), 0.0);
            for (sum, value) in all.sums.iter_mut().zip(&other.sums) {
                *sum += value;
            }
            all.count += other.count;
        }
        all
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The mean as features; nothing where nothing was taken in.
    pub(super) fn mean(&self) -> Vec<f32> {
        self.sums.iter().map(|sum| (sum / self.count as f64) as f32).collect()
    }

    /// The mean as an image.
    pub(super) fn image(&self, shape: ImageShape) -> Result<Image> {
        Image::new(shape, self.mean().into_iter().map(|value| value.round() as u8).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_join() {
        let average = |rows: &[[f32; 2]]| {
            let mut average = Average::default();
            for row in rows {
                average.add_features(row);
            }
            average
        };
        let parts = [average(&[[1.0, 2.0]]), average(&[]), average(&[[2.0, 4.0], [3.0, f32::NAN]])];
        let whole = Average::of_all(parts.iter());
        assert_eq!((whole.mean(), whole.count()), (vec![2.0, 2.0], 3));
        assert!(average(&[]).mean().is_empty());
    }
}
