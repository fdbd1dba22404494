//! Sums and moments of each channel, and batch normalisation's backward pass.
//!
//! Values are `[images, channels, plane]`. A plane is summed in lanes of its own precision, planes in `f64`.

use rayon::prelude::*;

use super::{Element, chunks_a_task};

const LANES: usize = 16;

/// `Σ f(a, b)` over two planes.
fn sum<T: Element>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> f64 {
    let mut lanes = [T::ZERO; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += f(*a, *b);
    }
    lanes.iter().map(|lane| lane.to_f64()).sum()
}

/// The planes of one channel in all images.
fn planes<T>(values: &[T], channels: usize, plane: usize, channel: usize) -> impl Iterator<Item = &[T]> {
    values.chunks_exact(channels * plane).map(move |image| &image[channel * plane..][..plane])
}

fn per_channel<R: Send>(channels: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    (0..channels).into_par_iter().map(f).collect()
}

/// The sum of each channel.
pub(crate) fn channel_sums<T: Element>(values: &[T], channels: usize, plane: usize) -> Vec<T> {
    let total = |channel| planes(values, channels, plane, channel).map(|plane| sum(plane, plane, |value, _| value)).sum();
    per_channel(channels, |channel| T::from_f64(total(channel)))
}

/// Mean and biased variance of a channel.
#[derive(Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

/// The moments of each channel.
pub(crate) fn moments<T: Element>(x: &[T], channels: usize, plane: usize) -> Vec<Moments> {
    let count = (x.len() / channels) as f64;
    per_channel(channels, |channel| {
        let over = |f: &dyn Fn(&[T]) -> f64| planes(x, channels, plane, channel).map(f).sum::<f64>() / count;
        let mean = over(&|plane| sum(plane, plane, |value, _| value));
        let center = T::from_f64(mean);
        let variance = over(&|plane| sum(plane, plane, |value, _| (value - center) * (value - center)));
        Moments { mean, variance }
    })
}

/// `x * scale + shift` with a factor and a summand for each channel.
pub(crate) fn affine<T: Element>(x: &[T], plane: usize, scale: &[T], shift: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().with_min_len(chunks_a_task(plane)).for_each(|(number, (y, x))| {
        let (scale, shift) = (scale[number % scale.len()], shift[number % scale.len()]);
        y.iter_mut().zip(x).for_each(|(y, x)| *y = *x * scale + shift);
    });
    y
}

/// The gradients of a loss through `y = (x - mean) / sqrt(variance + eps) * weight + bias` with the batch's own moments:
/// to `x`, `weight` and `bias`.
pub(crate) fn backward<T: Element>(x: &[T], dy: &[T], plane: usize, moments: &[Moments], eps: f64, weight: &[T]) -> [Vec<T>; 3] {
    struct Channel<T> {
        dy: T,
        x: T,
        center: T,
        constant: T,
        weight: f64,
        bias: f64,
    }
    let channels = weight.len();
    let count = (x.len() / channels) as f64;
    let facts = per_channel(channels, |channel| {
        let Moments { mean, variance } = moments[channel];
        let (center, deviation) = (T::from_f64(mean), 1.0 / (variance + eps).sqrt());
        let (mut bias, mut product) = (0.0, 0.0);
        for (x, dy) in planes(x, channels, plane, channel).zip(planes(dy, channels, plane, channel)) {
            bias += sum(dy, dy, |dy, _| dy);
            product += sum(x, dy, |x, dy| (x - center) * dy);
        }
        let factor = weight[channel].to_f64() * deviation;
        Channel {
            dy: T::from_f64(factor),
            x: T::from_f64(-factor * deviation * deviation * product / count),
            center,
            constant: T::from_f64(-factor * bias / count),
            weight: product * deviation,
            bias,
        }
    });
    let mut dx = vec![T::ZERO; x.len()];
    let planes = dx.par_chunks_mut(plane).zip(x.par_chunks(plane).zip(dy.par_chunks(plane))).enumerate();
    planes.with_min_len(chunks_a_task(plane)).for_each(|(number, (dx, (x, dy)))| {
        let channel = &facts[number % channels];
        dx.iter_mut().zip(x.iter().zip(dy)).for_each(|(dx, (x, dy))| {
            *dx = *dy * channel.dy + (*x - channel.center) * channel.x + channel.constant;
        });
    });
    [dx, facts.iter().map(|channel| T::from_f64(channel.weight)).collect(), facts.iter().map(|channel| T::from_f64(channel.bias)).collect()]
}
