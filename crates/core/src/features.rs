use crate::{Error, Result};

/// What a representation, a transform or a layer gives: one row of `f32` a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Features {
    /// Rows of the sample's `shape` (`[C, H, W]`, `[H, W]`, `[D]`), one after the other in `values`.
    ///
    /// # Errors
    /// When the number of values is no multiple of the row's length.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Result<Self> {
        let width: usize = shape.iter().product();
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(Error::request(format!("{} values do not make rows of {shape:?}", values.len())));
        }
        Ok(Self { shape, values })
    }

    /// The shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Values a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        let width = self.width();
        &self.values[row * width..(row + 1) * width]
    }

    /// The rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width())
    }

    /// The rows in order, for change.
    pub fn rows_mut(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        let width = self.width();
        self.values.chunks_exact_mut(width)
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, given away.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Only these rows, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        Self { shape: self.shape.clone(), values }
    }

    /// Adds the rows of `other`, which must have the same shape.
    pub fn extend(&mut self, other: &Self) -> Result<()> {
        if other.shape != self.shape {
            return Err(Error::request(format!("rows of {:?} cannot join rows of {:?}", other.shape, self.shape)));
        }
        self.values.extend_from_slice(&other.values);
        Ok(())
    }

    /// The first row that holds a NaN or an infinity.
    pub fn first_not_finite(&self) -> Option<usize> {
        self.rows().position(|row| row.iter().any(|value| !value.is_finite()))
    }
}

/// The place of the highest score, which is the class that a net names; of equal ones the first, and 0 if there is none.
pub fn highest(scores: &[f32]) -> usize {
    (0..scores.len()).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or_default()
}

/// Features that can be read row by row, from memory or from a file larger than memory.
pub trait FeatureSource: Send + Sync {
    /// The shape of one row.
    fn shape(&self) -> &[usize];

    /// The rows with these numbers, in this order.
    fn select(&self, rows: &[usize]) -> Result<Features>;
}

impl FeatureSource for Features {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn select(&self, rows: &[usize]) -> Result<Features> {
        Ok(self.select(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_is_named() {
        assert_eq!([highest(&[0.0, 2.0, 2.0]), highest(&[1.0]), highest(&[]), highest(&[f32::NEG_INFINITY, -1.0])], [1, 0, 0, 1]);
    }
}
