use std::f64::consts::PI;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};
use pulp::{Arch, Simd, WithSimd};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::space::{mean, mean_rows, mean_square};
use crate::{Error, Result, Space};

/// Directions looked for beyond those asked for, so that the last of these are found well.
const SPARE: usize = 8;

/// Rounds of subspace iteration.
const ROUNDS: usize = 1;

/// Variances below this part of the mean distance are rounding errors.
const NO_VARIANCE: f64 = 1e-6;

/// A space whose distances are of negative type (Euclidean ones are), as points whose *squared* Euclidean distances are those distances,
/// seen along the directions in which they vary most under the space's weights.
///
/// The double-centred matrix `-(C - c 1ᵀ - 1 cᵀ + m1) / 2` of such distances is positive semidefinite, `F Fᵀ`. Couplings enter the
/// Gromov-Wasserstein cost through `c` and the covariance of `F` alone, and along a direction only in proportion to its variance, which
/// falls fast: some 64 directions stand for the whole matrix.
#[derive(Clone, Debug)]
pub struct Embedding {
    pub(super) weights: Vec<f64>,
    /// The eccentricity less its mean, the coordinates along each direction, and those in the plane where they count: a row of `columns` a
    /// point.
    pub(super) rows: Vec<f32>,
    pub(super) columns: usize,
    rank: usize,
    /// Variance along all directions kept.
    pub(super) variance: f64,
    /// Mean and mean square of the distance between two random points.
    pub(super) moments: (f64, f64),
}

impl Embedding {
    /// The space along at most `rank` directions.
    ///
    /// # Errors
    /// When the distances are not of negative type, or `rank` is 0.
    pub fn of(space: &Space, rank: usize) -> Result<Self> {
        if rank == 0 {
            return Err(Error::Setting { name: "rank", value: 0.0, range: "at least 1" });
        }
        let weights = space.weights();
        let points = space.len();
        let distances = space.distances();
        let eccentricities = mean_rows(&distances, weights);
        let (mean, square) = (mean(&eccentricities, weights), mean_square(&distances, weights));
        let roots: Vec<f64> = weights.iter().map(|weight| weight.sqrt()).collect();
        let mut centred = Mat::zeros(points, points);
        Arch::new().dispatch(Centre { distances: &distances, eccentricities: &eccentricities, mean, roots: &roots, to: &mut centred });
        let sketched = rank + SPARE;
        let (values, directions) = if 2 * sketched >= points {
            let exact = Mat::from_fn(points, points, |i, j| f64::from(centred[(i, j)]));
            eigen(&exact)
        } else {
            leading(&centred, guess(space, &roots, sketched))
        };
        let least = NO_VARIANCE * mean;
        if values.iter().any(|&value| value < -least) {
            return Err(Error::NotNegativeType);
        }
        let kept = values.iter().take(rank).take_while(|&&value| value > least).count();
        let columns = 1 + kept;
        let mut rows = vec![0.0; points * columns];
        for (row, eccentricity) in rows.chunks_exact_mut(columns).zip(&eccentricities) {
            row[0] = (eccentricity - mean) as f32;
        }
        for (direction, value) in values[..kept].iter().enumerate() {
            let (deviation, along) = (value.sqrt(), directions.col(direction));
            for ((row, &coordinate), root) in rows.chunks_exact_mut(columns).zip(along.iter()).zip(&roots) {
                row[1 + direction] = (coordinate * deviation / root) as f32;
            }
        }
        Ok(Self { weights: weights.to_vec(), rows, columns, rank: kept, variance: values[..kept].iter().sum(), moments: (mean, square) })
    }

    /// Number of points.
    #[expect(clippy::len_without_is_empty, reason = "there is always a point")]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Where a point lies along each direction.
    pub fn coordinates(&self, point: usize) -> &[f32] {
        &self.rows[point * self.columns + 1..][..self.rank]
    }

    /// Number of directions kept.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// With further columns behind the directions.
    pub(super) fn with_columns<const N: usize>(mut self, more: &[[f64; N]]) -> Self {
        let columns = self.columns + N;
        let rows = self.rows.chunks_exact(self.columns).zip(more);
        self.rows = rows.flat_map(|(row, more)| row.iter().copied().chain(more.iter().map(|&value| value as f32))).collect();
        self.columns = columns;
        self
    }

    /// The space along no direction: its weights alone.
    pub(super) fn bare(space: &Space) -> Self {
        let weights = space.weights().to_vec();
        Self { rows: vec![0.0; weights.len()], weights, columns: 1, rank: 0, variance: 0.0, moments: (0.0, 0.0) }
    }
}

/// Writes the double-centred distances, each with the roots of both points' weights.
struct Centre<'a> {
    distances: &'a [f64],
    eccentricities: &'a [f64],
    mean: f64,
    roots: &'a [f64],
    to: &'a mut Mat<f32>,
}

impl WithSimd for Centre<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { distances, eccentricities, mean, roots, to } = self;
        let columns = to.col_iter_mut().zip(distances.chunks_exact(roots.len())).zip(eccentricities.iter().zip(roots));
        for ((column, distances), (&own, &root)) in columns {
            let column = column.try_as_col_major_mut().expect("columns of a matrix are contiguous").as_slice_mut();
            let rows = column.iter_mut().zip(distances).zip(eccentricities).zip(roots);
            for (((to, &distance), &other), &root_of_other) in rows {
                *to = (0.5 * (own + other - mean - distance) * root * root_of_other) as f32;
            }
        }
    }
}

/// Columns that nearly span the leading directions: waves over the plane, the longest first; anything where there is no plane.
fn guess(space: &Space, roots: &[f64], columns: usize) -> Mat<f32> {
    let Some((places, _)) = space.places() else {
        // Where the search starts leaves no trace in what it finds.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        return Mat::from_fn(roots.len(), columns, |_, _| StandardNormal.sample(&mut rng));
    };
    let mut waves: Vec<(usize, usize)> = (0..columns).flat_map(|y| (0..columns.div_ceil(y + 1)).map(move |x| (y, x))).collect();
    waves.sort_by_key(|&(y, x)| (y * y + x * x, y));
    waves.truncate(columns);
    let counts = waves.iter().map(|&(y, x)| y.max(x) + 1).max().unwrap_or_default();
    // The waves of each count along an axis, a value a point.
    let along = |axis: usize| -> Vec<Vec<f64>> {
        let values = places.iter().map(|place| place[axis]);
        let (low, high) = values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let scale = if high > low { PI / (high - low) } else { 0.0 };
        let mut waves: Vec<Vec<f64>> = vec![vec![1.0; places.len()], values.map(|x| (scale * (x - low)).cos()).collect()];
        for count in 2..counts {
            // cos nx = 2 cos x cos (n - 1)x - cos (n - 2)x
            let (before, last) = (&waves[count - 2], &waves[count - 1]);
            waves.push(waves[1].iter().zip(last).zip(before).map(|((base, last), before)| 2.0 * base * last - before).collect());
        }
        waves
    };
    let (vertical, horizontal) = (along(0), along(1));
    Mat::from_fn(roots.len(), columns, |point, column| {
        let (down, across) = waves[column];
        (roots[point] * vertical[down][point] * horizontal[across][point]) as f32
    })
}

/// The leading eigenvalues of a symmetric matrix, largest first, and their vectors as columns: subspace iteration from a guess, with the
/// eigenvalues of the matrix within the last subspace.
fn leading(symmetric: &Mat<f32>, guess: Mat<f32>) -> (Vec<f64>, Mat<f64>) {
    let mut block = guess;
    let mut image = Mat::zeros(block.nrows(), block.ncols());
    for _ in 0..ROUNDS {
        matmul(&mut image, Accum::Replace, symmetric, &block, 1.0_f32, Par::Seq);
        block = image.qr().compute_thin_Q();
    }
    matmul(&mut image, Accum::Replace, symmetric, &block, 1.0_f32, Par::Seq);
    let within = block.transpose() * &image;
    let (values, vectors) = eigen(&Mat::from_fn(within.nrows(), within.ncols(), |i, j| f64::from(within[(i.max(j), i.min(j))])));
    let turned = block * Mat::from_fn(vectors.nrows(), vectors.ncols(), |i, j| vectors[(i, j)] as f32);
    (values, Mat::from_fn(turned.nrows(), turned.ncols(), |i, j| f64::from(turned[(i, j)])))
}

/// All eigenvalues of a symmetric matrix, largest first, and their vectors as columns.
fn eigen(symmetric: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
    let size = symmetric.nrows();
    let decomposed = symmetric.self_adjoint_eigen(Side::Lower).expect("a finite symmetric matrix has eigenvalues");
    let (values, vectors) = (decomposed.S().column_vector(), decomposed.U());
    ((0..size).rev().map(|index| values[index]).collect(), Mat::from_fn(size, size, |row, column| vectors[(row, size - 1 - column)]))
}
