use pulp::{Arch, Simd, WithSimd};

use crate::vector::LANES;
use crate::{Error, Result};

/// A finite metric-measure space: points with weights, and the distances between them.
///
/// Weights are positive and are brought to the sum 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    weights: Vec<f64>,
    geometry: Geometry,
}

#[derive(Clone, Debug, PartialEq)]
enum Geometry {
    /// Points of the plane, divided by their diameter, and the diameter.
    Plane(Vec<[f64; 2]>, f64),
    /// A symmetric matrix, row after row.
    Matrix(Vec<f64>),
}

impl Space {
    /// Points with these distances, row after row of a symmetric matrix.
    ///
    /// # Errors
    /// When weights are not positive, or distances are negative, not finite, or differ by direction.
    pub fn from_distances(distances: Vec<f64>, weights: Vec<f64>) -> Result<Self> {
        let weights = probabilities(weights)?;
        let points = weights.len();
        if distances.len() != points * points {
            return Err(Error::Count { weights: points, what: "distances", expected: points * points, found: distances.len() });
        }
        for from in 0..points {
            for to in 0..points {
                let value = distances[from * points + to];
                let problem = if !value.is_finite() || value < 0.0 {
                    "distances are finite and not negative"
                } else if (value - distances[to * points + from]).abs() > 0.0 {
                    "the way back is of another length"
                } else {
                    continue;
                };
                return Err(Error::Distance { from, to, value, problem });
            }
        }
        Ok(Self { weights, geometry: Geometry::Matrix(distances) })
    }

    /// Points of the plane under Euclidean distance, in units of the largest one.
    ///
    /// # Errors
    /// When weights are not positive or a coordinate is not finite.
    pub fn from_points(mut points: Vec<[f64; 2]>, weights: Vec<f64>) -> Result<Self> {
        let weights = probabilities(weights)?;
        if points.len() != weights.len() {
            return Err(Error::Count { weights: weights.len(), what: "points", expected: weights.len(), found: points.len() });
        }
        if let Some(index) = points.iter().position(|point| !point.iter().all(|x| x.is_finite())) {
            let [y, x] = points[index];
            return Err(Error::Point { index, y, x });
        }
        let squares = points.iter().enumerate().flat_map(|(i, &a)| points[..i].iter().map(move |&b| squared(a, b)));
        let diameter = squares.fold(0.0, f64::max).sqrt();
        if diameter > 0.0 {
            points.iter_mut().flatten().for_each(|x| *x /= diameter);
        }
        Ok(Self { weights, geometry: Geometry::Plane(points, if diameter > 0.0 { diameter } else { 1.0 }) })
    }

    /// The pixels that carry `mass` of a heatmap, as *Heatmap Clustering* (arXiv 2204.12848) takes them: values are stretched to 0 to 1
    /// and divided by their sum; the largest are taken until their sum exceeds `mass` (0 to 1; of equal ones the first in reading order);
    /// distances are Euclidean, in units of the largest between pixels taken.
    ///
    /// # Errors
    /// When the heatmap has another size, holds a value that is not finite, or is the same everywhere.
    pub fn from_heatmap(height: usize, width: usize, values: &[f32], mass: f64) -> Result<Self> {
        let refuse = |problem: String| Err(Error::Heatmap { problem });
        if !(mass > 0.0 && mass <= 1.0) {
            return Err(Error::Setting { name: "mass", value: mass, range: "above 0 and at most 1" });
        }
        if values.len() != height * width || values.is_empty() {
            return refuse(format!("has {} values, not {height} x {width}", values.len()));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return refuse(format!("holds {} at row {}, column {}", values[index], index / width, index % width));
        }
        let lowest = values.iter().copied().fold(f32::INFINITY, f32::min);
        let above: Vec<f64> = values.iter().map(|&value| f64::from(value) - f64::from(lowest)).collect();
        let sum: f64 = above.iter().sum();
        if sum <= 0.0 {
            return refuse("is the same everywhere: no pixel stands out".to_owned());
        }
        // Solvers know weights in single precision.
        let weighs = |pixel: &usize| (above[*pixel] / sum) as f32 > 0.0;
        let mut order: Vec<usize> = (0..values.len()).filter(weighs).collect();
        order.sort_by(|&a, &b| above[b].total_cmp(&above[a]));
        let mut carried = 0.0;
        let taken = order.iter().take_while(|&&pixel| {
            let more = carried <= mass;
            carried += above[pixel] / sum;
            more
        });
        let support: Vec<usize> = taken.copied().collect();
        let points = support.iter().map(|&pixel| [(pixel / width) as f64, (pixel % width) as f64]).collect();
        Self::from_points(points, support.iter().map(|&pixel| above[pixel]).collect())
    }

    /// Number of points.
    #[expect(clippy::len_without_is_empty, reason = "there is always a point")]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// The weights, with the sum 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// How far one point is from another.
    pub fn distance(&self, from: usize, to: usize) -> f64 {
        match &self.geometry {
            Geometry::Plane(points, _) => euclid(points[from], points[to]),
            Geometry::Matrix(distances) => distances[from * self.len() + to],
        }
    }

    /// All distances, row after row.
    pub fn distances(&self) -> Vec<f64> {
        match &self.geometry {
            Geometry::Matrix(distances) => distances.clone(),
            Geometry::Plane(points, _) => Arch::new().dispatch(BetweenAll(points)),
        }
    }

    /// The points in units of their diameter, and the diameter, where they lie in a plane.
    pub(crate) fn places(&self) -> Option<(&[[f64; 2]], f64)> {
        match &self.geometry {
            Geometry::Plane(points, diameter) => Some((points, *diameter)),
            Geometry::Matrix(_) => None,
        }
    }

    /// Mean and mean square of the distance between two random points: m1 and m2.
    pub fn moments(&self) -> (f64, f64) {
        let distances = self.distances();
        (mean(&mean_rows(&distances, &self.weights), &self.weights), mean_square(&distances, &self.weights))
    }
}

/// The mean of each row of a matrix.
pub(crate) fn mean_rows(rows: &[f64], weights: &[f64]) -> Vec<f64> {
    Arch::new().dispatch(MeanRows { rows, weights, of: |value| value })
}

/// The mean of the squares of a matrix.
pub(crate) fn mean_square(rows: &[f64], weights: &[f64]) -> f64 {
    mean(&Arch::new().dispatch(MeanRows { rows, weights, of: |value| value * value }), weights)
}

/// The mean of values with these weights.
#[inline(always)]
pub(crate) fn mean(values: &[f64], weights: &[f64]) -> f64 {
    mean_of(values, weights, |value| value)
}

/// The mean of what a function makes of values with these weights.
#[inline(always)]
fn mean_of(values: &[f64], weights: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    for (values, weights) in values.chunks(LANES).zip(weights.chunks(LANES)) {
        for ((sum, &value), weight) in sums.iter_mut().zip(values).zip(weights) {
            *sum += of(value) * weight;
        }
    }
    sums.into_iter().sum()
}

/// The mean of what a function makes of each row's values.
struct MeanRows<'a, F> {
    rows: &'a [f64],
    weights: &'a [f64],
    of: F,
}

impl<F: Fn(f64) -> f64 + Copy> WithSimd for MeanRows<'_, F> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f64> {
        let mut means = vec![0.0; self.rows.len() / self.weights.len()];
        for (mean, row) in means.iter_mut().zip(self.rows.chunks_exact(self.weights.len())) {
            *mean = mean_of(row, self.weights, self.of);
        }
        means
    }
}

/// The distances between points of the plane, row after row.
struct BetweenAll<'a>(&'a [[f64; 2]]);

impl WithSimd for BetweenAll<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f64> {
        let points = self.0;
        let [ys, xs] = [0, 1].map(|axis| points.iter().map(|point| point[axis]).collect::<Vec<f64>>());
        let mut distances = vec![0.0; points.len() * points.len()];
        for (row, &[y, x]) in distances.chunks_exact_mut(points.len()).zip(points) {
            for ((distance, &other_y), &other_x) in row.iter_mut().zip(&ys).zip(&xs) {
                *distance = squared([y, x], [other_y, other_x]).sqrt();
            }
        }
        distances
    }
}

fn euclid(a: [f64; 2], b: [f64; 2]) -> f64 {
    squared(a, b).sqrt()
}

#[inline(always)]
fn squared(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (y, x) = (a[0] - b[0], a[1] - b[1]);
    y * y + x * x
}

fn probabilities(mut weights: Vec<f64>) -> Result<Vec<f64>> {
    if weights.is_empty() {
        return Err(Error::Empty);
    }
    if let Some(index) = weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
        return Err(Error::Weight { index, value: weights[index] });
    }
    let sum: f64 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= sum;
    }
    Ok(weights)
}
