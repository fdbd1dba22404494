//! Sums and moments of each channel, and batch normalisation's backward pass.
//!
//! Values are `[images, channels, plane]`. A plane is summed in lanes of its own precision, planes in `f64`.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::elementwise::{map_vectors, zip_vectors};
use super::tasks::Pieces;
use super::{Element, chunks_a_task};

const LANES: usize = 16;

/// `Σ f(a, b)` over two planes.
fn sum<T: Element>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> f64 {
    Arch::new().dispatch(Sum { a, b, f })
}

struct Sum<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    f: F,
}

impl<T: Element, F: Fn(T, T) -> T> WithSimd for Sum<'_, T, F> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut lanes = [T::ZERO; LANES];
        let (a, a_rest) = self.a.as_chunks::<LANES>();
        let (b, b_rest) = self.b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] += (self.f)(a[lane], b[lane]);
            }
        }
        for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
            *lane += (self.f)(*a, *b);
        }
        lanes.iter().map(|lane| lane.to_f64()).sum()
    }
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
///
/// Those of each plane are taken while it is in the cache, and joined (Chan, Golub and `LeVeque` 1983).
pub(crate) fn moments<T: Element>(x: &[T], channels: usize, plane: usize) -> Vec<Moments> {
    per_channel(channels, |channel| {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for values in planes(x, channels, plane, channel) {
            let size = plane as f64;
            let own = sum(values, values, |value, _| value) / size;
            let center = T::from_f64(own);
            let spread = sum(values, values, |value, _| (value - center) * (value - center));
            let (total, apart) = (count + size, own - mean);
            mean += apart * size / total;
            squares += spread + apart * apart * count * size / total;
            count = total;
        }
        Moments { mean, variance: squares / count }
    })
}

/// `x * scale + shift` with a factor and a summand for each channel; `rectified`, negative values become zero then.
pub(crate) fn affine<T: Element>(x: &[T], plane: usize, scale: &[T], shift: &[T], rectified: bool, y: &mut [T]) {
    let least = if rectified { T::ZERO } else { T::LOWEST };
    y.par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().tasks_of(chunks_a_task(plane)).for_each(|(number, (y, x))| {
        let (scale, shift) = (scale[number % scale.len()], shift[number % scale.len()]);
        map_vectors(x, y, |x| {
            let value = x * scale + shift;
            if value < least { least } else { value }
        });
    });
}

/// What a channel's backward pass needs.
pub(crate) struct Backward<'a, T> {
    pub(crate) moments: &'a [Moments],
    pub(crate) eps: f64,
    pub(crate) weight: &'a [T],
    /// Factor and summand of the forward pass, when negative values became zero after it: no gradient passes there.
    pub(crate) rectified: Option<[&'a [T]; 2]>,
}

/// The gradients of a loss through `y = (x - mean) / sqrt(variance + eps) * weight + bias` with the batch's own moments: that to `x`
/// is written to `dx`, those to `weight` and `bias` are returned.
pub(crate) fn backward<T: Element>(x: &[T], dy: &[T], plane: usize, facts: &Backward<'_, T>, dx: &mut [T]) -> [Vec<T>; 2] {
    struct Channel<T> {
        scale: T,
        shift: T,
        dy: T,
        x: T,
        center: T,
        constant: T,
        weight: f64,
        bias: f64,
    }
    impl<T: Element> Channel<T> {
        fn pass(&self, x: T, dy: T) -> T {
            if x * self.scale + self.shift > T::ZERO { dy } else { T::ZERO }
        }
    }
    let channels = facts.weight.len();
    let count = (x.len() / channels) as f64;
    let all = per_channel(channels, |channel| {
        let Moments { mean, variance } = facts.moments[channel];
        let deviation = 1.0 / (variance + facts.eps).sqrt();
        let factor = facts.weight[channel].to_f64() * deviation;
        let [scale, shift] = facts.rectified.map_or([T::ZERO, T::ONE], |affine| affine.map(|values| values[channel]));
        let mut all = Channel {
            scale,
            shift,
            dy: T::from_f64(factor),
            x: T::ZERO,
            center: T::from_f64(mean),
            constant: T::ZERO,
            weight: 0.0,
            bias: 0.0,
        };
        for (x, dy) in planes(x, channels, plane, channel).zip(planes(dy, channels, plane, channel)) {
            all.bias += sum(x, dy, |x, dy| all.pass(x, dy));
            all.weight += sum(x, dy, |x, dy| (x - all.center) * all.pass(x, dy));
        }
        all.weight *= deviation;
        all.x = T::from_f64(-factor * deviation * all.weight / count);
        all.constant = T::from_f64(-factor * all.bias / count);
        all
    });
    let planes = dx.par_chunks_mut(plane).zip(x.par_chunks(plane).zip(dy.par_chunks(plane))).enumerate();
    planes.tasks_of(chunks_a_task(plane)).for_each(|(number, (dx, (x, dy)))| {
        let channel = &all[number % channels];
        zip_vectors(x, dy, dx, |x, dy| channel.pass(x, dy) * channel.dy + (x - channel.center) * channel.x + channel.constant);
    });
    [|channel: &Channel<T>| channel.weight, |channel: &Channel<T>| channel.bias]
        .map(|of| all.iter().map(|channel| T::from_f64(of(channel))).collect())
}
