use crate::{Error, Result};

/// Symmetric distances between rows, each kept once.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairwise {
    rows: usize,
    /// Below the diagonal, row after row.
    values: Vec<f32>,
}

impl Pairwise {
    /// Distances of each of `rows` rows to all rows before it, row after row.
    ///
    /// # Errors
    /// When there are not `rows (rows - 1) / 2` of them, or by the first that is negative or not finite.
    pub fn new(rows: usize, values: Vec<f32>) -> Result<Self> {
        let expected = rows * rows.saturating_sub(1) / 2;
        if values.len() != expected {
            return Err(Error::request(format!("{rows} rows have {expected} distances, not {}", values.len())));
        }
        if let Some(index) = values.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
            let row = (1..rows).find(|row| index < row * (row + 1) / 2).unwrap_or_default();
            let other = index - row * (row - 1) / 2;
            return Err(Error::request(format!(
                "rows {other} and {row} are {} apart: distances are finite and not negative",
                values[index]
            )));
        }
        Ok(Self { rows, values })
    }

    /// What distances between so many rows take, in bytes.
    pub fn bytes(rows: usize) -> usize {
        rows * rows.saturating_sub(1) / 2 * size_of::<f32>()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How far two rows are apart.
    pub fn get(&self, a: usize, b: usize) -> f32 {
        let (low, high) = (a.min(b), a.max(b));
        if low == high { 0.0 } else { self.values[high * (high - 1) / 2 + low] }
    }

    /// Distances of one row to all, itself included.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        (0..self.rows).map(move |other| self.get(row, other))
    }

    /// All distances below the diagonal, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_found_either_way() {
        let pairs = Pairwise::new(3, vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!((pairs.get(0, 1), pairs.get(2, 0), pairs.get(1, 2), pairs.get(2, 2)), (1.0, 2.0, 3.0, 0.0));
        assert_eq!(pairs.row(1).collect::<Vec<_>>(), [1.0, 0.0, 3.0]);
        assert_eq!(Pairwise::bytes(3), 12);
        assert!(Pairwise::new(0, vec![]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_distance_is_named() {
        let refused = |rows, values| Pairwise::new(rows, values).unwrap_err().to_string();
        assert_eq!(refused(3, vec![1.0]), "3 rows have 3 distances, not 1");
        assert_eq!(refused(3, vec![1.0, 0.0, f32::NAN]), "rows 1 and 2 are NaN apart: distances are finite and not negative");
        assert_eq!(refused(3, vec![1.0, -2.0, 0.0]), "rows 0 and 2 are -2 apart: distances are finite and not negative");
    }
}
