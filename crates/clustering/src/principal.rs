use bezoar_core::{Context, Error, Features, Result};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, ColRef, Mat, MatRef, Par, Side};
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

use crate::canonical::canonical_order;
use crate::distances::announce_table;
use crate::leading::leading;
use crate::mean::mean;
use crate::neighbours::{ranges, times};

/// Variances below this part of the largest are rounding errors of `f32` rows, not directions.
const NO_VARIANCE: f64 = 1e-12;

/// The same where products were rounded to single precision.
const NO_VARIANCE_OF_MANY: f64 = 1e-6;

/// Values from which on products are taken in single precision.
const LARGE: usize = 1 << 22;

/// Widest rows whose products of columns are taken so.
const WIDE: usize = 1024;

/// Rows whose products are summed in single precision.
const BLOCK: usize = 1024;

/// Parts that are summed one by one and then together: fixed, so that threads change nothing.
const PARTS: usize = 8;

/// Rows seen along the directions in which they vary most.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalComponents {
    /// Variance along each direction, largest first (divided by rows less one); no longer than asked for, and no longer than the
    /// rank of the rows.
    pub variances: Vec<f64>,
    /// Variance of the rows in all directions.
    pub total_variance: f64,
    /// The coordinates of each centred row along the directions, row after row.
    pub coordinates: Vec<f64>,
}

/// Says what the products of all pairs of rows will take before they are made, if that is much: rows of more values than there are rows are
/// compared with each other.
pub(crate) fn announce_products(cx: &Context, rows: usize, width: usize) {
    if width > rows {
        // Their eigenvectors take as much again.
        announce_table(cx, "products and eigenvectors of", rows, 2 * rows.pow(2) * size_of::<f64>());
    }
}

/// Principal components of the rows, at most `dimensions` of them: right to nine digits, or to six for more than four million values.
///
/// The largest entry of each direction is positive, the first of equals, so that signs are no accident. The order of the rows
/// does not change their coordinates.
///
/// # Errors
/// When a value is not finite or so large that squares overflow.
pub fn principal_components(features: &Features, dimensions: usize) -> Result<PrincipalComponents> {
    // linfa-reduction 0.8.1 iterates (LOBPCG) from a random start and returns whatever it has when that does not converge: of 12
    // rows of 128 values and rank 5 it gives a first singular value of 4.072 where 4.107 is right, and of 500 rows of 12 values,
    // 9.14 for 9.75. For 2,500 rows of 128 and of 1,024 values it takes 0.17 s and 2.1 s; the decomposition below 5 ms and 0.3 s.
    let order = canonical_order(features);
    if features.values().len() >= LARGE && features.width() <= WIDE && features.len() > features.width() {
        let found = of_many(features, &order, dimensions)?;
        // What single precision sees no variance in may have some.
        if found.variances.len() == dimensions.min(features.width()) {
            return Ok(found);
        }
    }
    let (values, width) = (features.values(), features.width());
    let mut rows = Array2::from_shape_fn((order.len(), width), |(row, column)| f64::from(values[order[row] * width + column]));
    if let Some(mean) = rows.mean_axis(Axis(0)) {
        rows -= &mean;
    }
    let (count, width) = rows.dim();
    let freedom = count.saturating_sub(1).max(1) as f64;
    let total_variance = rows.iter().map(|value| value * value).sum::<f64>() / freedom;
    let wide = width > count;
    let products = if wide { rows.dot(&rows.t()) } else { rows.t().dot(&rows) };
    let (values, vectors) = eigen(&products, dimensions)?;
    let found = values.iter().take_while(|&&value| value > 0.0 && value > NO_VARIANCE * values[0]).count();
    let vectors = vectors.slice_move(ndarray::s![.., ..found]);
    let mut directions = if wide { rows.t().dot(&vectors) } else { vectors };
    point_to_the_peak(&mut directions);
    let sorted = rows.dot(&directions);
    let mut coordinates = vec![0.0; count * found];
    for (row, &original) in sorted.rows().into_iter().zip(&order) {
        for (to, &from) in coordinates[original * found..].iter_mut().zip(row) {
            *to = from;
        }
    }
    let variances = values[..found].iter().map(|value| value / freedom).collect();
    Ok(PrincipalComponents { variances, total_variance, coordinates })
}

/// The value of the largest magnitude, the first of equals: its sign settles that of a direction.
pub(crate) fn peak(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |peak: f64, value| if value.abs() > peak.abs() { value } else { peak })
}

/// Makes directions of length 1 whose largest entry, the first of equals, is positive.
fn point_to_the_peak(directions: &mut Array2<f64>) {
    for mut direction in directions.columns_mut() {
        let length = direction.dot(&direction).sqrt().copysign(peak(direction.iter().copied()));
        direction /= length;
    }
}

/// The same from products in single precision, summed up in double precision: variances are right to six digits.
fn of_many(features: &Features, order: &[usize], dimensions: usize) -> Result<PrincipalComponents> {
    let (count, width) = (features.len(), features.width());
    // Moved by about their mean, so that little cancels; what is left of it is taken from the sums.
    let some = order.iter().take(BLOCK).map(|&row| features.row(row));
    let origin: Vec<f32> = mean(some).into_iter().map(|value| value as f32).collect();
    let moved = |rows: &[usize], values: &mut Vec<f32>| {
        values.resize(rows.len() * width, 0.0);
        for (to, &row) in values.chunks_exact_mut(width).zip(rows) {
            to.iter_mut().zip(features.row(row)).zip(&origin).for_each(|((to, value), origin)| *to = value - origin);
        }
    };
    // Of the products only what is not above the diagonal, column after column.
    let products_and_sums = ranges(count, count.div_ceil(PARTS)).into_par_iter().map(|rows| {
        let (mut products, mut sums) = (vec![0.0_f64; width * (width + 1) / 2], vec![0.0_f64; width]);
        let (mut values, mut product) = (Vec::new(), Mat::<f32>::zeros(width, width));
        for block in order[rows].chunks(BLOCK) {
            moved(block, &mut values);
            let mut sum = vec![0.0_f32; width];
            values.chunks_exact(width).for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
            sums.iter_mut().zip(sum).for_each(|(sums, sum)| *sums += f64::from(sum));
            let values = MatRef::from_row_major_slice(&values, block.len(), width);
            let lower = BlockStructure::TriangularLower;
            let all = BlockStructure::Rectangular;
            triangular::matmul(&mut product, lower, Accum::Replace, values.transpose(), all, values, all, 1.0, Par::Seq);
            let mut rest = products.as_mut_slice();
            for column in 0..width {
                let product = product.col(column).try_as_col_major().map(ColRef::as_slice).unwrap_or_default();
                let (of_column, others) = rest.split_at_mut(width - column);
                of_column.iter_mut().zip(&product[column..]).for_each(|(sum, &product)| *sum += f64::from(product));
                rest = others;
            }
        }
        [products, sums]
    });
    let [products, sums] =
        products_and_sums.collect::<Vec<_>>().into_iter().reduce(|[a, b], [c, d]| [plus(a, &c), plus(b, &d)]).unwrap_or_default();
    let off: Vec<f64> = sums.into_iter().map(|sum| sum / count as f64).collect();
    let centred = |row: usize, column: usize| {
        let (before, from) = (row.min(column), row.max(column));
        products[before * (2 * width - before + 1) / 2 + from - before] - count as f64 * off[row] * off[column]
    };
    let products = Array2::from_shape_fn((width, width), |(row, column)| centred(row, column));
    let freedom = count.saturating_sub(1).max(1) as f64;
    let total_variance = products.diag().sum() / freedom;
    let (values, vectors) = eigen(&products, dimensions)?;
    let found = values.iter().take_while(|&&value| value > 0.0 && value > NO_VARIANCE_OF_MANY * values[0]).count();
    let mut directions = vectors.slice_move(ndarray::s![.., ..found]);
    point_to_the_peak(&mut directions);
    let middle = Array1::from(off).dot(&directions);
    let directions: Vec<f32> = directions.t().iter().map(|&value| value as f32).collect();
    let mut coordinates = vec![0.0; count * found];
    coordinates.par_chunks_mut((BLOCK * found).max(1)).enumerate().for_each_init(Default::default, |(values, products), (number, to)| {
        let rows: Vec<usize> = (number * BLOCK..number * BLOCK + to.len() / found).collect();
        moved(&rows, values);
        times(values, &directions, width, products);
        to.iter_mut().zip(products).zip(middle.iter().cycle()).for_each(|((to, from), middle)| *to = f64::from(*from) - middle);
    });
    let variances = values[..found].iter().map(|value| value / freedom).collect();
    Ok(PrincipalComponents { variances, total_variance, coordinates })
}

fn plus(mut sums: Vec<f64>, more: &[f64]) -> Vec<f64> {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    sums
}

/// The largest eigenvalues of a symmetric matrix, at most `most`, largest first, and their vectors as columns.
fn eigen(symmetric: &Array2<f64>, most: usize) -> Result<(Vec<f64>, Array2<f64>)> {
    let size = symmetric.nrows();
    if symmetric.iter().any(|value| !value.is_finite()) {
        return Err(Error::request("principal components of features that are not finite or too large to be squared"));
    }
    let flat = symmetric.as_standard_layout();
    let matrix = MatRef::from_row_major_slice(flat.as_slice().unwrap_or_default(), size, size);
    let kept = most.min(size);
    let (values, vectors) = if let Some(found) = leading(matrix, kept) {
        found
    } else {
        let all = matrix.self_adjoint_eigen(Side::Lower).map_err(|error| Error::request(format!("principal components: {error:?}")))?;
        let largest_first = |index: usize| size - 1 - index;
        (
            (0..kept).map(|index| all.S().column_vector()[largest_first(index)]).collect(),
            Mat::from_fn(size, kept, |row, column| all.U()[(row, largest_first(column))]),
        )
    };
    Ok((values, Array2::from_shape_fn((size, kept), |(row, column)| vectors[(row, column)])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;
    use crate::stand_in::Notes;

    fn features(width: usize, values: &[f32]) -> Features {
        Features::new(vec![width], values.to_vec()).unwrap()
    }

    #[test]
    fn rows_on_a_line_have_one_component() {
        let line = features(2, &[0.0, 0.0, 3.0, 4.0, 6.0, 8.0]);
        let found = principal_components(&line, 5).unwrap();
        assert_eq!(found.variances.len(), 1);
        assert!((found.variances[0] - 25.0).abs() < 1e-9 && (found.total_variance - 25.0).abs() < 1e-9);
        for (coordinate, expected) in found.coordinates.iter().zip([-5.0, 0.0, 5.0]) {
            assert!((coordinate - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn products_of_many_rows_are_announced_where_they_are_made() {
        let notes = Notes::default();
        let announced = |rows: usize, width: usize| {
            announce_products(&notes.context(), rows, width);
            notes.taken()
        };
        assert_eq!(announced(4100, 4101), ["products and eigenvectors of all 4100 rows of this class take 0.3 GB"]);
        assert!(announced(4000, 4001).is_empty() && announced(4100, 2).is_empty());
    }

    #[test]
    fn equal_rows_have_none() {
        let found = principal_components(&features(3, &[1.0; 12]), 2).unwrap();
        assert_eq!(found, PrincipalComponents { variances: vec![], total_variance: 0.0, coordinates: vec![] });
    }

    #[test]
    fn many_rows_have_the_components_that_few_have() {
        let values: Vec<f32> = (0..300 * 40).map(|i| ((i * 7919 + i * i) % 1009) as f32 * ((i % 40 + 1) as f32) + 3e4).collect();
        let features = features(40, &values);
        let exact = principal_components(&features, 6).unwrap();
        let found = of_many(&features, &canonical_order(&features), 6).unwrap();
        assert!((found.total_variance / exact.total_variance - 1.0).abs() < 1e-5);
        for (a, b) in found.variances.iter().zip(&exact.variances) {
            assert!((a / b - 1.0).abs() < 1e-5, "{a} and {b}");
        }
        let peak = exact.coordinates.iter().fold(0.0_f64, |peak, value| peak.max(value.abs()));
        for (a, b) in found.coordinates.iter().zip(&exact.coordinates) {
            assert!((a - b).abs() < 1e-3 * peak, "{a} and {b}");
        }
    }

    #[test]
    fn directions_in_which_single_precision_sees_no_variance_are_found_too() {
        let (rows, width) = (LARGE / 128 + 1, 128);
        let mut rng = Context::quiet(0).rng("values");
        let values: Vec<f32> = (0..rows * width).map(|at| rng.random::<f32>() * if at % width == 0 { 4e3 } else { 1.0 }).collect();
        let features = features(width, &values);
        assert_eq!(of_many(&features, &canonical_order(&features), 10).unwrap().variances.len(), 1);
        assert_eq!(principal_components(&features, 10).unwrap().variances.len(), 10);
    }

    #[test]
    fn values_that_cannot_be_squared_are_refused() {
        assert!(principal_components(&features(1, &[f32::NAN, 1.0]), 1).is_err());
        assert!(principal_components(&features(1, &[f32::MAX, f32::MIN]), 1).is_ok(), "f32 squares fit into f64");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn all_components_keep_all_distances(
            (rows, width, values) in (2..12_usize, 1..12_usize)
                .prop_flat_map(|(rows, width)| (Just(rows), Just(width), proptest::collection::vec(-3.0..3.0_f32, rows * width)))
        ) {
            let features = features(width, &values);
            let found = principal_components(&features, width).unwrap();
            let components = found.variances.len();
            prop_assert!(components <= width.min(rows - 1));
            prop_assert!(found.variances.is_sorted_by(|a, b| a >= b));
            prop_assert!((found.variances.iter().sum::<f64>() - found.total_variance).abs() < 1e-9 * (1.0 + found.total_variance));
            let coordinates = |row: usize| &found.coordinates[row * components..(row + 1) * components];
            for a in 0..rows {
                for b in 0..a {
                    let kept: f64 = coordinates(a).iter().zip(coordinates(b)).map(|(x, y)| (x - y).powi(2)).sum();
                    let true_: f64 = features.row(a).iter().zip(features.row(b)).map(|(&x, &y)| f64::from(x - y).powi(2)).sum();
                    prop_assert!((kept - true_).abs() < 1e-4 * (1.0 + true_), "{kept} and {true_}");
                }
            }
        }
    }
}
