//! The one radius of clusterers by density.

/// Rows that make a neighbourhood dense unless set.
pub(super) fn default_min_points() -> usize {
    5
}

/// The share of dense rows unless set.
pub(super) fn default_quantile() -> f64 {
    0.9
}

/// Distances, of squared ones.
pub(super) fn roots(squared: &[f64]) -> Vec<f64> {
    squared.iter().map(|squared| squared.sqrt()).collect()
}

/// The radius at which a share of `quantile` of the rows is dense, from the distance of each to the farthest row that it needs for that.
pub(super) fn radius(mut reaches: Vec<f64>, quantile: f64) -> f64 {
    reaches.sort_by(f64::total_cmp);
    reaches.get((quantile * reaches.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0.0)
}
