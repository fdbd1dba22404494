//! What is done to each value on its own, and joining and parting of channels.

use pulp::{Arch, Simd, WithSimd};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::tasks::Pieces;
use super::{Element, GRAIN, chunks_a_task};

/// `f` of each value. It is copied, so that the compiler knows that writing values does not change what it captured.
pub(crate) fn map<T: Element>(x: &[T], y: &mut [T], f: impl Fn(T) -> T + Sync + Copy) {
    y.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN)).tasks_of(1).for_each(|(y, x)| map_vectors(x, y, f));
}

/// `f` of each pair of values.
pub(crate) fn zip<T: Element>(a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Sync + Copy) {
    y.par_chunks_mut(GRAIN).zip(a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN))).tasks_of(1).for_each(|(y, (a, b))| zip_vectors(a, b, y, f));
}

/// `f` of each value, on the widest vectors that the processor has.
pub(super) fn map_vectors<T: Element>(x: &[T], y: &mut [T], f: impl Fn(T) -> T) {
    zip_vectors(x, x, y, move |x, _| f(x));
}

/// `f` of each pair of values, on the widest vectors that the processor has.
pub(super) fn zip_vectors<T: Element>(a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T) {
    Arch::new().dispatch(Zip { a, b, y, f });
}

struct Zip<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    y: &'a mut [T],
    f: F,
}

impl<T: Element, F: Fn(T, T) -> T> WithSimd for Zip<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, (a, b)) in self.y.iter_mut().zip(self.a.iter().zip(self.b)) {
            *y = (self.f)(*a, *b);
        }
    }
}

/// `r / (z + ε s(z))` with `s(z) = 1` for `z ≥ 0`, else -1, of each pair of values.
pub(crate) fn stabilized_ratios<T: Element>(r: &[T], z: &[T], epsilon: T, y: &mut [T]) {
    zip_vectors(r, z, y, |r, z| r / if z < T::ZERO { z - epsilon } else { z + epsilon });
}

/// `r / (s(z) max(|z|, ε))` of each pair of values.
pub(crate) fn clipped_ratios<T: Element>(r: &[T], z: &[T], epsilon: T, y: &mut [T]) {
    zip_vectors(r, z, y, |r, z| {
        r / if z < T::ZERO - epsilon || z > epsilon {
            z
        } else if z < T::ZERO {
            T::ZERO - epsilon
        } else {
            epsilon
        }
    });
}

/// `r / z` of each pair of values; 0 for `z = 0`.
pub(crate) fn ratios<T: Element>(r: &[T], z: &[T], y: &mut [T]) {
    zip_vectors(r, z, y, |r, z| if z == T::ZERO { T::ZERO } else { r / z });
}

/// The root of the mean square of values.
pub(crate) fn root_mean_square<T: Element>(values: &[T]) -> f64 {
    (values.iter().map(|value| value.to_f64() * value.to_f64()).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Zeroes values with probability `p` and divides the others by `1 - p`; row `i` has a random stream of its own.
pub(crate) fn dropout<T: Element>(x: &[T], y: &mut [T], width: usize, p: f64, key: [u64; 2]) {
    let (threshold, kept) = ((p * 2f64.powi(32)) as u32, T::from_f64(1.0 / (1.0 - p)));
    y.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate().tasks_of(chunks_a_task(width)).for_each(|(row, (y, x))| {
        let mut rng = ChaCha8Rng::from_seed(seed(key, row));
        y.iter_mut().zip(x).for_each(|(y, x)| *y = if rng.next_u32() < threshold { T::ZERO } else { *x * kept });
    });
}

fn seed([a, b]: [u64; 2], row: usize) -> [u8; 32] {
    let mut seed = [0; 32];
    for (to, from) in seed.as_chunks_mut::<8>().0.iter_mut().zip([a, b, row as u64]) {
        *to = from.to_le_bytes();
    }
    seed
}

/// The rows of `parts`, joined: part `i` has `widths[i]` values a row.
pub(crate) fn join<T: Element>(parts: &[&[T]], widths: &[usize], y: &mut [T]) {
    let width = widths.iter().sum();
    y.par_chunks_mut(width).enumerate().tasks_of(chunks_a_task(width)).for_each(|(row, mut y)| {
        for (part, &width) in parts.iter().zip(widths) {
            y.split_off_mut(..width).into_iter().for_each(|y| y.copy_from_slice(&part[row * width..][..width]));
        }
    });
}

/// The values from `start` on of each row of `width` values; `part` of them.
pub(crate) fn part<T: Element>(x: &[T], width: usize, start: usize, part: usize, y: &mut [T]) {
    y.par_chunks_mut(part)
        .zip(x.par_chunks(width))
        .tasks_of(chunks_a_task(width))
        .for_each(|(y, x)| y.copy_from_slice(&x[start..start + part]));
}

/// Puts `rule` of each value, its gradient and its slots in their places.
pub(crate) fn update<T: Element, const SLOTS: usize>(
    parameter: &mut [T],
    gradient: &[T],
    mut slots: [&mut [T]; SLOTS],
    rule: impl Fn(T, T, [T; SLOTS]) -> (T, [T; SLOTS]) + Sync,
) {
    let mut chunks = slots.each_mut().map(|slot| slot.chunks_mut(GRAIN));
    let tasks: Vec<_> = parameter
        .chunks_mut(GRAIN)
        .zip(gradient.chunks(GRAIN))
        .map(|(parameter, gradient)| (parameter, gradient, chunks.each_mut().map(|slot| slot.next().unwrap_or_default())))
        .collect();
    tasks.into_par_iter().for_each(|(parameter, gradient, slots)| Arch::new().dispatch(Update { parameter, gradient, slots, rule: &rule }));
}

struct Update<'a, T, const SLOTS: usize, F> {
    parameter: &'a mut [T],
    gradient: &'a [T],
    slots: [&'a mut [T]; SLOTS],
    rule: F,
}

impl<T: Element, const SLOTS: usize, F: Fn(T, T, [T; SLOTS]) -> (T, [T; SLOTS])> WithSimd for Update<'_, T, SLOTS, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let len = self.parameter.len();
        let (gradient, slots) = (&self.gradient[..len], self.slots.map(|slot| &mut slot[..len]));
        for place in 0..len {
            let mut kept = [T::ZERO; SLOTS];
            for slot in 0..SLOTS {
                kept[slot] = slots[slot][place];
            }
            let (value, kept) = (self.rule)(self.parameter[place], gradient[place], kept);
            self.parameter[place] = value;
            for slot in 0..SLOTS {
                slots[slot][place] = kept[slot];
            }
        }
    }
}
