//! How often scores fall where, in groups of any size.

/// Bars of a histogram.
const BINS: usize = 40;

/// The share of a group's scores, at its lowest and at its highest, that need not have bars of their own: a single far score would else press
/// all others into one.
const TAIL: f64 = 0.01;

/// The same bins for several groups.
#[derive(Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Of each group, the share of its scores in each bin. What lies beyond counts in the first or last bin.
    pub(crate) shares: Vec<Vec<f64>>,
}

impl Histogram {
    /// None without finite scores.
    pub(crate) fn of(groups: &[Vec<f64>]) -> Option<Self> {
        let finite: Vec<Vec<f64>> = groups.iter().map(|group| finite(group)).collect();
        let filled = || finite.iter().filter(|group| !group.is_empty());
        let tail = |group: &[f64]| (group.len() as f64 * TAIL) as usize;
        let mut from = filled().map(|group| group[tail(group)]).min_by(f64::total_cmp)?;
        let mut to = filled().map(|group| group[group.len() - 1 - tail(group)]).max_by(f64::total_cmp)?;
        if from >= to {
            (from, to) = (from - 0.5, to + 0.5);
        }
        let bin = |score: f64| ((score - from) / (to - from) * BINS as f64).clamp(0.0, (BINS - 1) as f64) as usize;
        let shares = finite.iter().map(|group| {
            let mut shares = vec![0.0; BINS];
            for &score in group {
                shares[bin(score)] += 1.0 / group.len() as f64;
            }
            shares
        });
        Some(Self { from, to, shares: shares.collect() })
    }

    /// The highest share of all.
    pub(crate) fn highest(&self) -> f64 {
        self.shares.iter().flatten().copied().fold(0.0, f64::max)
    }

    /// The outline of a group's bars from left to right.
    pub(crate) fn outline(&self, group: usize) -> Vec<[f64; 2]> {
        let edge = |bin: usize| self.from + (self.to - self.from) * bin as f64 / BINS as f64;
        let mut outline = vec![[self.from, 0.0]];
        for (bin, &share) in self.shares[group].iter().enumerate() {
            outline.extend([[edge(bin), share], [edge(bin + 1), share]]);
        }
        outline.push([self.to, 0.0]);
        outline
    }
}

/// The finite scores, lowest first.
fn finite(group: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = group.iter().copied().filter(|score| score.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    finite
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_makes_a_whole_of_its_own() {
        let histogram = Histogram::of(&[vec![0.0, 1.0, 4.0, f64::NAN], vec![4.0], Vec::new()]).unwrap();
        assert_eq!((histogram.from, histogram.to), (0.0, 4.0));
        let sums: Vec<f64> = histogram.shares.iter().map(|shares| shares.iter().sum()).collect();
        assert!((sums[0] - 1.0).abs() < 1e-9);
        assert_eq!((sums[1], sums[2], histogram.highest()), (1.0, 0.0, 1.0));
    }

    #[test]
    fn far_scores_do_not_stretch_the_bins() {
        let mut scores: Vec<f64> = (0..200).map(f64::from).collect();
        scores.push(1e9);
        let histogram = Histogram::of(&[scores]).unwrap();
        assert!(histogram.to < 200.0);
        assert!(histogram.shares[0][BINS - 1] > 0.0);
    }

    #[test]
    fn equal_scores_have_a_bin_and_none_have_no_histogram() {
        assert_eq!(Histogram::of(&[vec![2.0; 3]]).map(|histogram| (histogram.from, histogram.to)), Some((1.5, 2.5)));
        assert_eq!(Histogram::of(&[vec![f64::NAN], Vec::new()]), None);
    }
}
