//! Means of rows, and how far rows are from them.

/// The mean of rows; empty without rows.
pub(crate) fn mean<'a>(rows: impl IntoIterator<Item = &'a [f32]>) -> Vec<f64> {
    let (mut sums, mut count) = (Vec::new(), 0.0_f64);
    for row in rows {
        sums.resize(row.len(), 0.0);
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
        count += 1.0;
    }
    for sum in &mut sums {
        *sum /= count;
    }
    sums
}

/// The square of the Euclidean distance.
pub(crate) fn squared_distance(a: impl IntoIterator<Item = f64>, b: &[f64]) -> f64 {
    a.into_iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}
