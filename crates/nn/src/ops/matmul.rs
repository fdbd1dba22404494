use candle_core::Result;

use super::{check, check_samples, per_place};
use crate::Array;
use crate::kernels::matmul::{self as kernel, Shape};

/// The products of matrices `[N, .., m, k]` and `[N, .., k, n]`.
pub fn matmul(a: &Array, b: &Array) -> Result<Array> {
    multiply([a, b], [false, false])
}

/// The gradients of products of matrices to the left and the right ones: `dy bᵀ` and `aᵀ dy`.
pub fn matmul_backward(a: &Array, b: &Array, dy: &Array) -> Result<[Array; 2]> {
    Ok([multiply([dy, b], [false, true])?, multiply([a, dy], [true, false])?])
}

/// Products of matrices, those that are `transposed` with their rows as columns.
fn multiply([a, b]: [&Array; 2], transposed: [bool; 2]) -> Result<Array> {
    check_samples(a.dims())?;
    check_samples(b.dims())?;
    let ([others @ .., rows, depth], [same @ .., right, columns]) = (a.dims(), b.dims()) else {
        candle_core::bail!("cannot multiply {:?} with {:?}: they are no matrices", a.dims(), b.dims())
    };
    let turned = |pair: [usize; 2], transposed| if transposed { [pair[1], pair[0]] } else { pair };
    let ([rows, depth], [right, columns]) = (turned([*rows, *depth], transposed[0]), turned([*right, *columns], transposed[1]));
    let fits = others == same && !others.is_empty() && depth == right;
    check(fits, || format!("cannot multiply matrices {:?} with {:?}", a.dims(), b.dims()))?;
    let product = [others, &[rows, columns]].concat();
    per_place!(a, T => {
        let (left, right) = (a.slice::<T>()?, b.slice::<T>()?);
        Ok(a.fill(&product, |c| kernel::matmul(Shape { rows, depth, columns, transposed }, left, right, c)))
    }, tensor => {
        let right = b.tensor()?;
        let left = if transposed[0] { tensor.t()?.contiguous()? } else { tensor.clone() };
        let right = if transposed[1] { right.t()?.contiguous()? } else { right.clone() };
        left.matmul(&right).map(Array::of_device)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{array, both_ways, check_gradient, distance, dot, random, tensor, values};

    proptest! {
        #[test]
        fn products_equal_their_sums(
            (images, heads, m, k, n) in (1usize..4, 1usize..4, 1usize..9, 1usize..9, 1usize..9),
        ) {
            let stacks = images * heads;
            let (a, b) = (values(1, stacks * m * k), values(2, stacks * k * n));
            let mut product = vec![0.0; stacks * m * n];
            for stack in 0..stacks {
                for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                    product[(stack * m + row) * n + column] =
                        (0..k).map(|at| a[(stack * m + row) * k + at] * b[(stack * k + at) * n + column]).sum();
                }
            }
            let shape = |rows, columns| [images, heads, rows, columns];
            let (a, b, dy) = (tensor(&a, &shape(m, k)), tensor(&b, &shape(k, n)), random(3, &shape(m, n)));
            both_ways(|| {
                prop_assert!(distance(&matmul(&array(&a), &array(&b)).unwrap(), &tensor(&product, &shape(m, n))) < 1e-12);
                let [da, db] = matmul_backward(&array(&a), &array(&b), &array(&dy)).unwrap();
                check_gradient(&a, &da, |a| dot(&matmul(&array(a), &array(&b)).unwrap(), &dy));
                check_gradient(&b, &db, |b| dot(&matmul(&array(&a), &array(b)).unwrap(), &dy));
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let shapes: [&[usize]; 4] = [&[2, 3, 4], &[2, 4, 3], &[1, 4, 3], &[2, 4]];
        let [a, b, fewer, flat] = shapes.map(|shape| array(&random(1, shape)));
        assert!(matmul(&a, &b).is_ok() && matmul(&a, &a).is_err() && matmul(&a, &fewer).is_err());
        assert!(matmul(&flat, &flat).is_err() && matmul_backward(&a, &b, &a).is_err());
    }
}
