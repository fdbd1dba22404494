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

/// The squared Euclidean distance of a row to a point.
#[inline]
pub(crate) fn squared_to(row: &[f32], point: &[f64]) -> f64 {
    row.iter().zip(point).map(|(&x, y)| (f64::from(x) - y) * (f64::from(x) - y)).sum()
}

/// The squared Euclidean distance of two points.
#[inline]
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}
