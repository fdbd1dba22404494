//! Distances between all rows of a class.

use std::ops::Range;

use bezoar_core::{Context, Distance, Error, Features, Pairwise, Part, Result};
use ndarray::{Array1, Array2, Axis, s};
use rayon::prelude::*;

use crate::matrix;

/// Rows whose distances are computed together: few enough that a block stays small, enough to make multiplication pay.
pub(crate) const BLOCK: usize = 128;

/// Below this part of the rows' own squared lengths, a squared distance has lost too many digits to cancellation.
const CANCELLED: f64 = 1e-9;

/// Bytes that are worth a note.
pub(crate) const LARGE: usize = 256 << 20;

/// The distances that a plugin gives.
pub(crate) fn pairwise(cx: &Context, distance: &Part<dyn Distance>, features: &Features) -> Result<Pairwise> {
    let pairs = distance.blame(distance.between(cx, features))?;
    if pairs.len() != features.len() {
        return Err(Error::request(format!("the distance `{}` compared {} of {} rows", distance.name(), pairs.len(), features.len())));
    }
    Ok(pairs)
}

/// Says what a table of distances will take before it is made, if that is much.
pub(crate) fn announce(cx: &Context, rows: usize, bytes: usize) {
    announce_table(cx, "distances between", rows, bytes);
}

/// Says what a table of something of all rows will take before it is made, if that is much.
pub(crate) fn announce_table(cx: &Context, of: &str, rows: usize, bytes: usize) {
    if bytes > LARGE {
        cx.note(&format!("{of} all {rows} rows of this class take {:.1} GB", bytes as f64 / 1e9));
    }
}

/// Euclidean distances of each row to all before it, row after row, on all cores, after a note on their size if they are many.
///
/// # Errors
/// When the run is cancelled.
pub(crate) fn below_diagonal(cx: &Context, features: &Features) -> Result<Vec<f32>> {
    let rows = features.len();
    announce(cx, rows, Pairwise::bytes(rows));
    let distances = Distances::between(features);
    let mut values = vec![0.0; rows * rows.saturating_sub(1) / 2];
    let mut rest = values.as_mut_slice();
    let mut blocks = Vec::new();
    for block in distances.blocks() {
        let (own, others) = rest.split_at_mut(block.clone().sum());
        blocks.push((block, own));
        rest = others;
    }
    blocks.into_par_iter().try_for_each(|(block, mut own)| {
        cx.check()?;
        for (number, row) in block.clone().zip(distances.to_first(block.end, block).rows()) {
            let (to, rest) = std::mem::take(&mut own).split_at_mut(number);
            to.iter_mut().zip(row).for_each(|(to, &distance)| *to = distance as f32);
            own = rest;
        }
        Ok::<(), Error>(())
    })?;
    Ok(values)
}

/// Distances by matrix multiplication, `|x - y|² = |x|² + |y|² - 2xy`, an order of magnitude faster than differences.
pub(crate) struct Distances {
    centred: Array2<f64>,
    squares: Array1<f64>,
}

impl Distances {
    pub(crate) fn between(features: &Features) -> Self {
        let mut centred = matrix(features);
        if let Some(mean) = centred.mean_axis(Axis(0)) {
            centred -= &mean;
        }
        let squares = centred.rows().into_iter().map(|row| row.dot(&row)).collect();
        Self { centred, squares }
    }

    /// The row numbers in blocks.
    pub(crate) fn blocks(&self) -> Vec<Range<usize>> {
        let rows = self.centred.nrows();
        (0..rows).step_by(BLOCK).map(|start| start..(start + BLOCK).min(rows)).collect()
    }

    /// Distances of the rows of a block to all rows.
    pub(crate) fn of(&self, block: Range<usize>) -> Array2<f64> {
        self.to_first(self.squares.len(), block)
    }

    /// Distances of the rows of a block to the first `others` rows.
    fn to_first(&self, others: usize, block: Range<usize>) -> Array2<f64> {
        let start = block.start;
        let mut distances = self.centred.slice(s![block, ..]).dot(&self.centred.slice(s![..others, ..]).t());
        for ((row, other), distance) in distances.indexed_iter_mut() {
            let row = start + row;
            let scale = self.squares[row] + self.squares[other];
            let squared = scale - 2.0 * *distance;
            *distance = if squared > CANCELLED * scale { squared } else { self.squared_difference(row, other) }.sqrt();
        }
        distances
    }

    /// Distances of all rows to all rows, exactly symmetric.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Array2<f64> {
        let rows = self.centred.nrows();
        let mut all = Array2::zeros((rows, rows));
        let chunks: Vec<_> = all.axis_chunks_iter_mut(Axis(0), BLOCK).zip(self.blocks()).collect();
        chunks.into_par_iter().for_each(|(mut chunk, block)| chunk.assign(&self.of(block)));
        for row in 0..rows {
            for other in 0..row {
                all[[row, other]] = all[[other, row]];
            }
        }
        all
    }

    fn squared_difference(&self, row: usize, other: usize) -> f64 {
        self.centred.row(row).iter().zip(self.centred.row(other)).map(|(x, y)| (x - y) * (x - y)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stand_in::Notes;

    #[test]
    fn large_tables_are_announced() {
        let notes = Notes::default();
        announce(&notes.context(), 11_585, Pairwise::bytes(11_585));
        assert!(notes.taken().is_empty());
        announce(&notes.context(), 50_000, Pairwise::bytes(50_000));
        assert_eq!(notes.taken(), ["distances between all 50000 rows of this class take 5.0 GB"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn they_are_those_of_the_definition(
            mut values in proptest::collection::vec(-10.0..10.0_f32, 300 * 3),
            offset in -1e4..1e4_f32,
            twin in 1..300_usize,
        ) {
            for value in &mut values {
                *value += offset;
            }
            values.copy_within(0..3, twin * 3);
            let rows = Features::new(vec![3], values).unwrap();
            let all = Distances::between(&rows).all();
            for (a, x) in rows.rows().enumerate() {
                for (b, y) in rows.rows().enumerate() {
                    let naive = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>().sqrt();
                    prop_assert!((all[[a, b]] - naive).abs() <= 1e-6 * naive, "{} and {naive}", all[[a, b]]);
                    prop_assert_eq!(all[[a, b]].to_bits(), all[[b, a]].to_bits());
                }
            }
            prop_assert_eq!(all[[0, twin]].to_bits(), 0);
        }
    }
}
