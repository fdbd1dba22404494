//! Rows around `k` centres: the algorithm behind k-means.

use std::ops::Range;

use bezoar_core::{Context, Result};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::mean::{squared_distance, squared_to};
use crate::neighbours::{Rows, ranges, times};

/// Rows that are compared with all centres at once.
const BLOCK: usize = 256;

/// Parts whose sums are taken one by one and then together: fixed, so that threads change nothing.
const PARTS: usize = 64;

/// Estimates below this many uncertainties are measured when starts are drawn.
const BLURRED: f32 = 32.0;

/// How centres are looked for.
pub(crate) struct Search {
    pub(crate) k: usize,
    pub(crate) restarts: usize,
    pub(crate) iterations: u64,
    /// Centres that move less than this have come to rest, in units of the rows' spread.
    pub(crate) tolerance: f64,
}

/// Rows shared out to centres.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Partition {
    /// The nearest centre of each row.
    pub(crate) labels: Vec<usize>,
    /// The sum of squared distances to the centres.
    pub(crate) inertia: f64,
}

impl Search {
    /// The best partition of all starts. There are fewer groups only where there are fewer different rows.
    pub(crate) fn run(&self, cx: &Context, rows: &Rows<'_>, rng: &mut impl Rng) -> Result<Partition> {
        let mut best: Option<Partition> = None;
        for _ in 0..self.restarts {
            let starts = starts(rows, self.k, rng);
            let mut state = State::new(rows, &starts);
            let rest = (self.tolerance * rows.spread()).powi(2);
            for _ in 0..self.iterations {
                cx.check()?;
                let changed = state.assign();
                let moved = state.follow(&changed);
                if changed.is_empty() || moved < rest {
                    break;
                }
            }
            let found = state.finish();
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
        }
        Ok(best.unwrap_or(Partition { labels: Vec::new(), inertia: 0.0 }))
    }
}

/// Rows to start from, far from each other by chance: each is the best of a few that are drawn by their squared distance to the nearest so
/// far (k-means++, the greedy variant of Arthur and Vassilvitskii 2007).
pub(crate) fn starts(rows: &Rows<'_>, k: usize, rng: &mut impl Rng) -> Vec<usize> {
    let trials = 2 + (k as f64).ln() as usize;
    let mut starts = vec![rng.random_range(0..rows.len())];
    let mut nearest = squared_to_rows(rows, &starts).concat();
    while starts.len() < k {
        let total: f64 = nearest.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut drawn: Vec<f64> = (0..trials).map(|_| rng.random::<f64>() * total).collect();
        drawn.sort_by(f64::total_cmp);
        let mut candidates = Vec::with_capacity(trials);
        let (mut row, mut sum) = (0, nearest[0]);
        for drawn in drawn {
            while sum <= drawn && row + 1 < nearest.len() {
                row += 1;
                sum += nearest[row];
            }
            candidates.push(row);
        }
        // Rounding may leave the draw at the end on a row that is a centre already.
        candidates.retain(|&row| nearest[row] > 0.0);
        candidates.dedup();
        let distances = squared_to_rows(rows, &candidates);
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for (at, &candidate) in candidates.iter().enumerate() {
            let nearer: Vec<f64> = nearest.iter().zip(&distances[at]).map(|(&old, &new)| old.min(new)).collect();
            let sum = nearer.iter().sum();
            if best.as_ref().is_none_or(|best| sum < best.0) {
                best = Some((sum, candidate, nearer));
            }
        }
        let Some((_, start, nearer)) = best else { break };
        starts.push(start);
        nearest = nearer;
    }
    starts
}

/// The squared distances of all rows to each of some rows.
fn squared_to_rows(rows: &Rows<'_>, others: &[usize]) -> Vec<Vec<f64>> {
    let theirs: Vec<f32> = others.iter().flat_map(|&other| rows.scaled_row(other)).copied().collect();
    let of_block = |block: Range<usize>| {
        let mut products = Vec::new();
        times(rows.scaled_rows(block.clone()), &theirs, rows.width(), &mut products);
        let blurred = BLURRED * rows.uncertainty();
        let squared = |(at, product): (usize, &f32)| {
            let (row, other) = (block.start + at / others.len(), others[at % others.len()]);
            let lengths = rows.squares()[row] + rows.squares()[other];
            let estimate = lengths - 2.0 * product;
            if estimate > blurred * lengths + rows.underflow() { rows.measured(f64::from(estimate)) } else { rows.squared(row, other) }
        };
        products.iter().enumerate().map(squared).collect::<Vec<f64>>()
    };
    let blocks: Vec<Vec<f64>> = ranges(rows.len(), BLOCK).into_par_iter().map(of_block).collect();
    let column = |at: usize| blocks.iter().flat_map(|block| block.iter().skip(at).step_by(others.len()).copied()).collect();
    (0..others.len()).map(column).collect()
}

/// A search that is under way. Distances are those of scaled rows.
struct State<'a> {
    rows: &'a Rows<'a>,
    centres: Vec<f64>,
    /// The sum and the number of each centre's rows.
    sums: Vec<f64>,
    sizes: Vec<usize>,
    labels: Vec<u32>,
    /// No row is farther from its centre than this.
    upper: Vec<f64>,
    /// No row is nearer to another centre than this.
    lower: Vec<f64>,
}

/// A row that goes to another centre.
struct Change {
    row: usize,
    from: u32,
}

/// Centres of some rows, with the bounds of their distances.
type Bounded<'a> = ((&'a mut [u32], &'a mut [f64]), &'a mut [f64]);

/// No centre yet.
const NONE: u32 = u32::MAX;

impl<'a> State<'a> {
    fn new(rows: &'a Rows<'a>, starts: &[usize]) -> Self {
        let count = rows.len();
        Self {
            rows,
            centres: starts.iter().flat_map(|&start| rows.scaled_row(start)).map(|&value| f64::from(value)).collect(),
            sums: vec![0.0; starts.len() * rows.width()],
            sizes: vec![0; starts.len()],
            labels: vec![NONE; count],
            upper: vec![f64::INFINITY; count],
            lower: vec![0.0; count],
        }
    }

    fn centre(&self, centre: usize) -> &[f64] {
        let width = self.rows.width();
        &self.centres[centre * width..(centre + 1) * width]
    }

    /// Gives each row to its nearest centre. Rows that can have no nearer one by the triangle inequality are not looked at (Hamerly 2010).
    fn assign(&mut self) -> Vec<Change> {
        let (rows, width, k) = (self.rows, self.rows.width(), self.sizes.len());
        let single: Vec<f32> = self.centres.iter().map(|&value| value as f32).collect();
        let squares: Vec<f32> = single.chunks_exact(width).map(|centre| centre.iter().map(|x| x * x).sum()).collect();
        let half: Vec<f64> = (0..k)
            .map(|a| (0..k).filter(|&b| a != b).map(|b| distance(self.centre(a), self.centre(b))).fold(f64::INFINITY, f64::min) / 2.0)
            .collect();
        let centres = &self.centres;
        let of_block = |(number, ((labels, upper), lower)): (usize, Bounded<'_>)| {
            let first = number * BLOCK;
            let unsure: Vec<usize> =
                (0..labels.len()).filter(|&at| labels[at] == NONE || upper[at] >= lower[at].max(half[labels[at] as usize])).collect();
            if unsure.is_empty() {
                return Vec::new();
            }
            let mut products = Vec::new();
            if unsure.len() == labels.len() {
                times(rows.scaled_rows(first..first + labels.len()), &single, width, &mut products);
            } else {
                let gathered: Vec<f32> = unsure.iter().flat_map(|&at| rows.scaled_row(first + at)).copied().collect();
                times(&gathered, &single, width, &mut products);
            }
            let mut changes = Vec::new();
            for (&at, products) in unsure.iter().zip(products.chunks_exact(k)) {
                let row = first + at;
                let own = rows.squares()[row];
                let error = |centre: usize| f64::from((own + squares[centre]) * rows.uncertainty() + rows.underflow());
                let squared = |centre: usize| f64::from(own + squares[centre] - 2.0 * products[centre]);
                let (mut best, mut second) = two_least(k, squared);
                let mut blur = error(best.0).max(error(second.0));
                if second.1 - best.1 <= 2.0 * blur {
                    let values = rows.scaled_row(row);
                    let measured = |centre: usize| squared_to(values, &centres[centre * width..(centre + 1) * width]);
                    (best, second) = two_least(k, measured);
                    blur = 0.0;
                }
                upper[at] = (best.1 + blur).max(0.0).sqrt();
                lower[at] = (second.1 - blur).max(0.0).sqrt();
                if labels[at] != best.0 as u32 {
                    changes.push(Change { row, from: labels[at] });
                    labels[at] = best.0 as u32;
                }
            }
            changes
        };
        let blocks = self.labels.par_chunks_mut(BLOCK).zip(self.upper.par_chunks_mut(BLOCK)).zip(self.lower.par_chunks_mut(BLOCK));
        let changes: Vec<Vec<Change>> = blocks.enumerate().map(of_block).collect();
        changes.into_iter().flatten().collect()
    }

    /// Moves the centres to the means of their rows and says how far: the sum of squares, in measured units.
    fn follow(&mut self, changed: &[Change]) -> f64 {
        let width = self.rows.width();
        if changed.len() > self.labels.len() / PARTS {
            self.sum_all();
        } else {
            for change in changed {
                let to = self.labels[change.row] as usize;
                let signs = [(to, 1.0)].into_iter().chain((change.from != NONE).then_some((change.from as usize, -1.0)));
                for (centre, sign) in signs {
                    let sums = &mut self.sums[centre * width..(centre + 1) * width];
                    for (sum, &value) in sums.iter_mut().zip(self.rows.scaled_row(change.row)) {
                        *sum += sign * f64::from(value);
                    }
                    if sign > 0.0 { self.sizes[centre] += 1 } else { self.sizes[centre] -= 1 }
                }
            }
        }
        self.fill_empty();
        let means = self.means();
        let moves: Vec<f64> =
            (0..self.sizes.len()).map(|centre| distance(self.centre(centre), &means[centre * width..][..width])).collect();
        self.centres = means;
        let mut order: Vec<usize> = (0..moves.len()).collect();
        order.sort_by(|&a, &b| moves[b].total_cmp(&moves[a]));
        // The farthest move of any other centre than a row's own.
        let other = |own: usize| order.iter().find(|&&centre| centre != own).map_or(0.0, |&centre| moves[centre]);
        let others: Vec<f64> = (0..moves.len()).map(other).collect();
        for ((label, upper), lower) in self.labels.iter().zip(&mut self.upper).zip(&mut self.lower) {
            *upper += moves[*label as usize];
            *lower -= others[*label as usize];
        }
        self.rows.measured(moves.iter().map(|moved| moved * moved).sum())
    }

    fn means(&self) -> Vec<f64> {
        let width = self.rows.width();
        let mean =
            |(at, sum): (usize, &f64)| if self.sizes[at / width] > 0 { sum / self.sizes[at / width] as f64 } else { self.centres[at] };
        self.sums.iter().enumerate().map(mean).collect()
    }

    fn sum_all(&mut self) {
        let (width, k) = (self.rows.width(), self.sizes.len());
        let part = |range: Range<usize>| {
            let (mut sums, mut sizes) = (vec![0.0; k * width], vec![0; k]);
            for row in range {
                let centre = self.labels[row] as usize;
                sizes[centre] += 1;
                for (sum, &value) in sums[centre * width..].iter_mut().zip(self.rows.scaled_row(row)) {
                    *sum += f64::from(value);
                }
            }
            (sums, sizes)
        };
        let parts: Vec<(Vec<f64>, Vec<usize>)> =
            ranges(self.rows.len(), self.rows.len().div_ceil(PARTS)).into_par_iter().map(part).collect();
        self.sums = vec![0.0; k * width];
        self.sizes = vec![0; k];
        for (sums, sizes) in parts {
            self.sums.iter_mut().zip(sums).for_each(|(sum, part)| *sum += part);
            self.sizes.iter_mut().zip(sizes).for_each(|(size, part)| *size += part);
        }
    }

    /// Gives a centre without rows the row that is farthest from its own.
    fn fill_empty(&mut self) {
        while let Some(empty) = self.sizes.iter().position(|&size| size == 0) {
            let squared = |row: usize| squared_to(self.rows.scaled_row(row), self.centre(self.labels[row] as usize));
            let shared = (0..self.rows.len()).filter(|&row| self.sizes[self.labels[row] as usize] > 1);
            let farthest = shared.map(|row| (row, squared(row))).fold((0, 0.0), |far, next| if next.1 > far.1 { next } else { far });
            if farthest.1 <= 0.0 {
                return;
            }
            let (row, width) = (farthest.0, self.rows.width());
            let from = self.labels[row] as usize;
            for (at, &value) in self.rows.scaled_row(row).iter().enumerate() {
                self.sums[from * width + at] -= f64::from(value);
                self.sums[empty * width + at] = f64::from(value);
            }
            self.sizes[from] -= 1;
            self.sizes[empty] = 1;
            self.labels[row] = empty as u32;
            (self.upper[row], self.lower[row]) = (f64::INFINITY, 0.0);
        }
    }

    fn finish(mut self) -> Partition {
        self.sum_all();
        let (means, width) = (self.means(), self.rows.width());
        let part = |range: Range<usize>| -> f64 {
            range.map(|row| squared_to(self.rows.scaled_row(row), &means[self.labels[row] as usize * width..][..width])).sum()
        };
        let parts: Vec<f64> = ranges(self.rows.len(), BLOCK).into_par_iter().map(part).collect();
        let labels = self.labels.iter().map(|&label| label as usize).collect();
        Partition { labels, inertia: self.rows.measured(parts.iter().sum()) }
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    squared_distance(a, b).sqrt()
}

/// The least value and the next one, with their numbers; the first of equals. Alone, the least stands for both.
fn two_least(count: usize, value: impl Fn(usize) -> f64) -> ((usize, f64), (usize, f64)) {
    let (mut best, mut second) = ((0, f64::INFINITY), (0, f64::INFINITY));
    for (number, value) in (0..count).map(|number| (number, value(number))) {
        if value < best.1 {
            (best, second) = ((number, value), best);
        } else if value < second.1 {
            second = (number, value);
        }
    }
    (best, second)
}

#[cfg(test)]
mod tests {
    use bezoar_core::Features;
    use proptest::prelude::*;

    use super::*;

    fn search(features: &Features, k: usize, iterations: u64) -> Partition {
        let search = Search { k, restarts: 3, iterations, tolerance: 1e-9 };
        search.run(&Context::quiet(0), &Rows::of(features), &mut Context::quiet(7).rng("test")).unwrap()
    }

    fn means(features: &Features, labels: &[usize]) -> Vec<Vec<f64>> {
        let count = labels.iter().max().map_or(0, |last| last + 1);
        let mean = |cluster: usize| {
            let rows: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] == cluster).collect();
            let column = |at: usize| rows.iter().map(|&row| f64::from(features.row(row)[at])).sum::<f64>() / rows.len() as f64;
            (0..features.width()).map(column).collect()
        };
        (0..count).map(mean).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_row_is_nearer_to_another_mean(
            rows in proptest::collection::vec((0..5_u8, proptest::array::uniform3(-1.0..1.0_f32)), 20..700),
            k in 1..9_usize,
            offset in prop_oneof![Just(0.0_f32), Just(500.0)],
        ) {
            let values = rows.iter().flat_map(|(cloud, row)| row.map(|x| x + f32::from(*cloud) * 1.5 + offset)).collect();
            let features = Features::new(vec![3], values).unwrap();
            let found = search(&features, k, 1000);
            let means = means(&features, &found.labels);
            prop_assert_eq!(means.len(), k);
            let mut inertia = 0.0;
            for (row, &label) in features.rows().zip(&found.labels) {
                let own = squared_to(row, &means[label]);
                prop_assert!(means.iter().all(|mean| squared_to(row, mean) >= own - 1e-5));
                inertia += own;
            }
            prop_assert!((found.inertia - inertia).abs() <= 1e-5 * (1.0 + inertia), "{} and {inertia}", found.inertia);
        }
    }

    #[test]
    fn one_group_is_all_rows() {
        let features = Features::new(vec![1], vec![0.0, 1.0, 5.0]).unwrap();
        assert_eq!(search(&features, 1, 10).labels, [0; 3]);
    }

    #[test]
    fn centres_do_not_run_empty() {
        let mut values = vec![0.0; 50];
        values.extend([1.0, 2.0, 3.0, 100.0]);
        let features = Features::new(vec![1], values).unwrap();
        let labels = search(&features, 5, 100).labels;
        assert_eq!(labels.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
    }
}
