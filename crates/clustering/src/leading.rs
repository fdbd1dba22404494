//! The largest eigenvalues of a symmetric matrix.

use faer::{Mat, MatRef, Side};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Vectors beside those that are wanted: the more of them, the faster the wanted ones settle.
const SPARE: usize = 8;

/// Products with the matrix between two looks at its eigenvalues.
const STEPS: usize = 5;

/// Looks at most. Eigenvalues that lie too close together for these cost less by the dense decomposition.
const LOOKS: usize = 4;

/// The dense decomposition costs less for fewer rows than this many times the basis.
const FEW: usize = 3;

/// An eigenvector `v` has settled when `|A v - λ v|` is below this part of `λ`.
const SETTLED: f64 = 1e-9;

/// The `count` largest eigenvalues of a symmetric matrix without negative ones, largest first, and their vectors as columns; none where all of
/// them are cheaper, or close together, or some are about 0.
///
/// From a block of vectors at once, so that equal eigenvalues are all found, and from always the same one (block Lanczos with restarts; Golub
/// and Underwood 1977).
pub(crate) fn leading(symmetric: MatRef<'_, f64>, count: usize) -> Option<(Vec<f64>, Mat<f64>)> {
    let (size, block) = (symmetric.nrows(), count + SPARE);
    if size < FEW * block * (STEPS + 1) {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut start = Mat::from_fn(size, block, |_, _| rng.random::<f64>() - 0.5);
    for _ in 0..LOOKS {
        let (basis, applied) = krylov(symmetric, start);
        let found = (basis.transpose() * &applied).self_adjoint_eigen(Side::Lower).ok()?;
        let largest_first = |at: usize| basis.ncols() - 1 - at;
        let turn = Mat::from_fn(basis.ncols(), block, |row, column| found.U()[(row, largest_first(column))]);
        let values: Vec<f64> = (0..count).map(|at| found.S().column_vector()[largest_first(at)]).collect();
        let (vectors, applied) = (&basis * &turn, applied * &turn);
        let has_settled = |at: usize| (applied.col(at) - vectors.col(at) * faer::Scale(values[at])).norm_l2() <= SETTLED * values[at];
        if (0..count).all(has_settled) {
            return Some((values, vectors.subcols(0, count).to_owned()));
        }
        start = vectors;
    }
    None
}

/// Vectors of length 1 at right angles that span the first ones and what they become by up to so many products with the matrix; and the matrix
/// times each.
fn krylov(symmetric: MatRef<'_, f64>, mut next: Mat<f64>) -> (Mat<f64>, Mat<f64>) {
    let (size, block) = (next.nrows(), next.ncols());
    let mut basis = Mat::zeros(size, block * (STEPS + 1));
    let mut applied = basis.clone();
    for at in (0..basis.ncols()).step_by(block) {
        let known = basis.subcols(0, at);
        // Once is not enough where little is left.
        for _ in 0..2 {
            next -= known * (known.transpose() * &next);
            next = next.qr().compute_thin_Q();
        }
        basis.subcols_mut(at, block).copy_from(&next);
        next = symmetric * &next;
        applied.subcols_mut(at, block).copy_from(&next);
    }
    (basis, applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 400;

    /// A matrix with these eigenvalues.
    fn with(values: impl Fn(usize) -> f64) -> Mat<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let turned = Mat::from_fn(SIZE, SIZE, |_, _| rng.random::<f64>() - 0.5).qr().compute_thin_Q();
        let stretched = Mat::from_fn(SIZE, SIZE, |row, column| turned[(row, column)] * values(column));
        &stretched * turned.transpose()
    }

    fn are_found(values: impl Fn(usize) -> f64, count: usize) {
        let matrix = with(&values);
        let (found, vectors) = leading(matrix.as_ref(), count).unwrap();
        for (at, &found) in found.iter().enumerate() {
            assert!((found / values(at) - 1.0).abs() < 1e-12, "{found} for {}", values(at));
            let vector = vectors.col(at);
            assert!((&matrix * vector - vector * faer::Scale(found)).norm_l2() <= 1e-8 * found);
        }
        let products = vectors.transpose() * &vectors;
        assert!((products - Mat::<f64>::identity(count, count)).norm_l2() < 1e-12);
    }

    #[test]
    fn the_largest_are_found_equal_ones_included() {
        are_found(|at| 1e3 / (at + 1) as f64, 10);
        are_found(|at| if at < 7 { 5.0 } else { 0.1 / at as f64 }, 10);
        are_found(|at| (-(at as f64)).exp(), 10);
    }

    #[test]
    fn what_is_close_together_is_left_to_others() {
        assert!(leading(with(|at| 1.0 + 1e-4 * (SIZE - at) as f64).as_ref(), 10).is_none());
        assert!(leading(with(|at| if at < 5 { 1.0 } else { 0.0 }).as_ref(), 10).is_none(), "five are about 0");
        assert!(leading(Mat::<f64>::identity(20, 20).as_ref(), 10).is_none(), "few rows");
    }
}
