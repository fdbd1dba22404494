//! The nearest rows of each row by Euclidean distance, found among all without a table of all distances.

use std::ops::Range;

use bezoar_core::{Context, Features, Pairwise, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::mean::squared_to;

/// Rows of a tile of products.
pub(crate) const TILE_ROWS: usize = 128;

/// Columns of a tile of products: with [`TILE_ROWS`] few enough that a tile stays in the cache.
pub(crate) const TILE_COLUMNS: usize = 1024;

/// Values that are looked at together before any of them is looked at alone.
pub(crate) const LANES: usize = 16;

/// Rows whose distances are estimated by products in single precision, `|x - y|² = |x|² + |y|² - 2xy`, and measured in double precision
/// where the estimate is too close to call. Estimates are of rows moved to their mean and scaled to values of at most 1, so that nothing
/// overflows.
pub(crate) struct Rows<'a> {
    features: &'a Features,
    scaled: Vec<f32>,
    squares: Vec<f32>,
    /// What a measured squared distance is in estimated ones.
    unit: f64,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(features: &'a Features) -> Self {
        let (count, width) = (features.len(), features.width());
        let mut mean = vec![0.0_f64; width];
        for row in features.rows() {
            for (mean, &value) in mean.iter_mut().zip(row) {
                *mean += f64::from(value) / count as f64;
            }
        }
        let centred = |row: &[f32]| row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect::<Vec<_>>();
        let peak = features.rows().flat_map(centred).fold(0.0_f64, |peak, value| peak.max(value.abs()));
        let scale = if peak > 0.0 { peak.recip() } else { 1.0 };
        let mut scaled = Vec::with_capacity(count * width);
        for row in features.rows() {
            scaled.extend(row.iter().zip(&mean).map(|(&value, mean)| ((f64::from(value) - mean) * scale) as f32));
        }
        let square = |row: &[f32]| row.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>() as f32;
        let squares = scaled.chunks_exact(width).map(square).collect();
        Self { features, scaled, squares, unit: scale * scale }
    }

    pub(crate) fn len(&self) -> usize {
        self.squares.len()
    }

    /// The squared lengths of the scaled rows.
    pub(crate) fn squares(&self) -> &[f32] {
        &self.squares
    }

    /// A measured squared distance as an estimate would say it.
    pub(crate) fn scaled(&self, squared: f64) -> f32 {
        (squared * self.unit) as f32
    }

    /// An estimated squared distance as it would be measured.
    pub(crate) fn measured(&self, estimate: f64) -> f64 {
        estimate / self.unit
    }

    /// The part of the squared lengths of both rows by which an estimate may be wrong: the sum of products of `width` terms, and the
    /// rounding of rows, lengths and sums.
    pub(crate) fn uncertainty(&self) -> f32 {
        (self.features.width() + 24) as f32 * f32::EPSILON / 2.0
    }

    /// What an estimate may be wrong by whatever the lengths: products too small for single precision.
    pub(crate) fn underflow(&self) -> f32 {
        4.0 * self.features.width() as f32 * f32::MIN_POSITIVE
    }

    /// The squared distance of two rows.
    pub(crate) fn squared(&self, a: usize, b: usize) -> f64 {
        let differences = self.features.row(a).iter().zip(self.features.row(b)).map(|(&x, &y)| f64::from(x) - f64::from(y));
        differences.map(|difference| difference * difference).sum()
    }

    /// The squared distance of a row to a point.
    pub(crate) fn squared_to(&self, row: usize, point: &[f64]) -> f64 {
        squared_to(self.features.row(row), point)
    }

    /// The mean of some rows.
    pub(crate) fn centre(&self, rows: &[usize]) -> Vec<f64> {
        let mut centre = vec![0.0; self.features.width()];
        for &row in rows {
            for (centre, &value) in centre.iter_mut().zip(self.features.row(row)) {
                *centre += f64::from(value) / rows.len() as f64;
            }
        }
        centre
    }

    /// The features of some rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Features {
        self.features.select(rows)
    }

    /// Products of all pairs of scaled rows of two ranges, row after row.
    pub(crate) fn products(&self, rows: Range<usize>, columns: Range<usize>, products: &mut Vec<f32>) {
        times(self.scaled_rows(rows), self.scaled_rows(columns), self.width(), products);
    }

    /// Values a row.
    pub(crate) fn width(&self) -> usize {
        self.features.width()
    }

    /// One scaled row.
    pub(crate) fn scaled_row(&self, row: usize) -> &[f32] {
        self.scaled_rows(row..row + 1)
    }

    /// Scaled rows, one after the other.
    pub(crate) fn scaled_rows(&self, rows: Range<usize>) -> &[f32] {
        &self.scaled[rows.start * self.width()..rows.end * self.width()]
    }

    /// The root of the rows' variance in the mean over the columns.
    pub(crate) fn spread(&self) -> f64 {
        let squares: f64 = self.squares.iter().map(|&square| f64::from(square)).sum();
        self.measured(squares / self.scaled.len() as f64).sqrt()
    }
}

/// Products of all pairs of two lists of rows, row after row.
pub(crate) fn times(rows: &[f32], columns: &[f32], width: usize, products: &mut Vec<f32>) {
    let (count, others) = (rows.len() / width, columns.len() / width);
    products.resize(count * others, 0.0);
    let left = MatRef::from_row_major_slice(rows, count, width);
    let right = MatRef::from_row_major_slice(columns, others, width);
    let product = MatMut::from_row_major_slice_mut(products, count, others);
    matmul(product, Accum::Replace, left, right.transpose(), 1.0, Par::Seq);
}

/// `0..count` in ranges of `size`, the last one shorter.
pub(crate) fn ranges(count: usize, size: usize) -> Vec<Range<usize>> {
    (0..count).step_by(size).map(|start| start..(start + size).min(count)).collect()
}

/// The nearest rows of each row, nearest first, of equally near ones the first; the row itself is none of them.
pub(crate) struct Neighbours {
    count: usize,
    found: Vec<(u32, f64)>,
}

impl Neighbours {
    /// The `count` nearest of each row, or all there are, with their squared Euclidean distances.
    pub(crate) fn of_rows(cx: &Context, rows: &Rows<'_>, count: usize) -> Result<Self> {
        let count = count.min(rows.len().saturating_sub(1));
        let of_block = |block: Range<usize>| {
            cx.check()?;
            Ok(nearest_of_block(rows, block, count))
        };
        let blocks: Vec<Result<Vec<_>>> = ranges(rows.len(), TILE_ROWS).into_par_iter().map(of_block).collect();
        Ok(Self { count, found: blocks.into_iter().collect::<Result<Vec<_>>>()?.concat() })
    }

    /// The same by distances that are known, which are squared.
    pub(crate) fn of_pairs(pairs: &Pairwise, count: usize) -> Self {
        let count = count.min(pairs.len().saturating_sub(1));
        let of_row = |row: usize| {
            let others = pairs.row(row).enumerate().filter(|&(other, _)| other != row);
            let mut all: Vec<(u32, f64)> = others.map(|(other, distance)| (other as u32, f64::from(distance).powi(2))).collect();
            keep_nearest(&mut all, count);
            all
        };
        Self { count, found: (0..pairs.len()).into_par_iter().map(of_row).collect::<Vec<_>>().concat() }
    }

    /// The squared distance of each of `rows` rows to the farthest of its `count` nearest ones; 0 to none.
    pub(crate) fn reaches(&self, rows: usize, count: usize) -> Vec<f64> {
        let reach = |row| count.checked_sub(1).map_or(0.0, |last| self.of(row)[last].1);
        (0..rows).map(reach).collect()
    }

    /// The nearest of one row, with their squared distances.
    pub(crate) fn of(&self, row: usize) -> &[(u32, f64)] {
        &self.found[row * self.count..(row + 1) * self.count]
    }
}

/// The first `count` by distance, then number.
fn keep_nearest(all: &mut Vec<(u32, f64)>, count: usize) {
    let nearer = |a: &(u32, f64), b: &(u32, f64)| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0));
    if count < all.len() {
        all.select_nth_unstable_by(count, nearer);
        all.truncate(count);
    }
    all.sort_unstable_by(nearer);
}

fn nearest_of_block(rows: &Rows<'_>, block: Range<usize>, count: usize) -> Vec<(u32, f64)> {
    let all = rows.len() - 1;
    let kept = (count + (count / 2).max(8)).min(all);
    let mut candidates: Vec<Candidates> = block.clone().map(|row| Candidates::new(row, kept)).collect();
    let mut products = Vec::new();
    for columns in ranges(rows.len(), TILE_COLUMNS) {
        rows.products(block.clone(), columns.clone(), &mut products);
        for (candidates, products) in candidates.iter_mut().zip(products.chunks_exact(columns.len())) {
            candidates.offer(products, &rows.squares[columns.clone()], columns.start);
        }
    }
    candidates.into_iter().flat_map(|candidates| candidates.settle(rows, count)).collect()
}

/// The rows that seem nearest to one row.
struct Candidates {
    row: usize,
    kept: usize,
    /// Estimates at or above this are of no interest.
    limit: f32,
    /// Estimated squared distances less the row's own squared length.
    found: Vec<(f32, u32)>,
}

impl Candidates {
    fn new(row: usize, kept: usize) -> Self {
        Self { row, kept, limit: f32::INFINITY, found: Vec::with_capacity(4 * kept + LANES) }
    }

    fn offer(&mut self, products: &[f32], squares: &[f32], first: usize) {
        for (chunk, (products, squares)) in products.chunks(LANES).zip(squares.chunks(LANES)).enumerate() {
            let limit = self.limit;
            // A count has no early end, so that all lanes are compared at once.
            let near = products.iter().zip(squares).filter(|(product, square)| **square - 2.0 * **product < limit).count();
            if near == 0 {
                continue;
            }
            for (lane, (product, square)) in products.iter().zip(squares).enumerate() {
                let (estimate, other) = (square - 2.0 * product, first + chunk * LANES + lane);
                if estimate < self.limit && other != self.row {
                    self.found.push((estimate, other as u32));
                }
            }
            if self.found.len() >= 4 * self.kept {
                self.narrow();
            }
        }
    }

    /// Forgets all but the nearest.
    fn narrow(&mut self) {
        if self.found.len() > self.kept {
            self.found.select_nth_unstable_by(self.kept - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.found.truncate(self.kept);
            self.limit = self.found[self.kept - 1].0;
        }
    }

    /// Measures them. All rows are measured where one that was forgotten may be nearer than the last.
    fn settle(mut self, rows: &Rows<'_>, count: usize) -> Vec<(u32, f64)> {
        self.narrow();
        let measured = |other: u32| (other, rows.squared(self.row, other as usize));
        let mut nearest: Vec<(u32, f64)> = self.found.iter().map(|&(_, other)| measured(other)).collect();
        keep_nearest(&mut nearest, count);
        if self.kept + 1 < rows.len()
            && let Some(&(_, farthest)) = nearest.last()
        {
            let own = f64::from(rows.squares[self.row]);
            let forgotten = f64::from(self.limit) + own;
            // A row that is estimated to be so far away is not much longer than both together.
            let lengths = own + 2.0 * (own + forgotten.max(0.0));
            let certain = forgotten - lengths * f64::from(rows.uncertainty()) - f64::from(rows.underflow());
            if rows.measured(certain) < farthest {
                nearest = (0..rows.len() as u32).filter(|&other| other as usize != self.row).map(measured).collect();
                keep_nearest(&mut nearest, count);
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_definition(features: &Features, row: usize, count: usize) -> Vec<f64> {
        let squared = |other: usize| -> f64 {
            features.row(row).iter().zip(features.row(other)).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
        };
        let mut all: Vec<f64> = (0..features.len()).filter(|&other| other != row).map(squared).collect();
        all.sort_by(f64::total_cmp);
        all.truncate(count);
        all
    }

    fn found(features: &Features, count: usize) -> Neighbours {
        Neighbours::of_rows(&Context::quiet(0), &Rows::of(features), count).unwrap()
    }

    fn distances(neighbours: &Neighbours, row: usize) -> Vec<f64> {
        neighbours.of(row).iter().map(|neighbour| neighbour.1).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn they_are_those_of_the_definition(
            mut values in proptest::collection::vec(-1.0..1.0_f32, 300 * 4),
            offset in prop_oneof![Just(0.0_f32), -1e4..1e4_f32],
            scale in prop_oneof![Just(1.0_f32), Just(1e-20), Just(1e30)],
            count in 1..12_usize,
        ) {
            for value in &mut values {
                *value = (*value + offset) * scale;
            }
            values.copy_within(0..40, 400);
            let features = Features::new(vec![4], values).unwrap();
            let neighbours = found(&features, count);
            for row in 0..features.len() {
                prop_assert_eq!(distances(&neighbours, row), by_definition(&features, row, count));
            }
        }
    }

    #[test]
    fn a_row_far_out_does_not_blur_the_others() {
        let mut values: Vec<f32> = (0..200).map(|i| (i * 37 % 101) as f32).collect();
        values[0] = 1e30;
        let features = Features::new(vec![1], values).unwrap();
        let neighbours = found(&features, 3);
        for row in 0..200 {
            assert_eq!(distances(&neighbours, row), by_definition(&features, row, 3), "row {row}");
        }
    }

    #[test]
    fn there_are_no_more_than_other_rows() {
        let features = Features::new(vec![1], vec![0.0, 1.0, 5.0]).unwrap();
        assert_eq!(found(&features, 10).of(1), [(0, 1.0), (2, 16.0)]);
        assert_eq!(found(&Features::new(vec![1], vec![3.0]).unwrap(), 2).of(0), []);
    }

    #[test]
    fn known_distances_give_the_same() {
        let values: Vec<f32> = (0..60).map(|i| (i * 37 % 101) as f32).collect();
        let features = Features::new(vec![1], values.clone()).unwrap();
        let below = (0..60).flat_map(|row| (0..row).map(move |other| (row, other)));
        let pairs = Pairwise::new(60, below.map(|(row, other)| (values[row] - values[other]).abs()).collect()).unwrap();
        let (rows, known) = (found(&features, 4), Neighbours::of_pairs(&pairs, 4));
        for row in 0..60 {
            assert_eq!(rows.of(row), known.of(row));
        }
    }
}
