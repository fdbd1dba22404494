//! What the tests of this crate share.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::graph::Window;

/// Values uniform in -1..1, the same for the same seed.
pub(crate) fn values(seed: u64, len: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A tensor of [`values`].
pub(crate) fn random(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values(seed, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

/// The largest difference of two tensors.
pub(crate) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let host = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    host(a).iter().zip(host(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// `Σ a b`.
pub(crate) fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

/// Checks a gradient against central differences of `f` along some directions.
pub(crate) fn check_gradient(x: &Tensor, gradient: &Tensor, f: impl Fn(&Tensor) -> f64) {
    let step = 1e-6;
    for seed in 0..3 {
        let direction = random(1000 + seed, x.dims());
        let at = |t: f64| f(&(x + (&direction * t).unwrap()).unwrap());
        let measured = (at(step) - at(-step)) / (2.0 * step);
        let claimed = dot(gradient, &direction);
        assert!((measured - claimed).abs() < 1e-5 * (1.0 + claimed.abs()), "the slope is {measured}, not {claimed}");
    }
}

/// Windows of all sorts.
pub(crate) fn windows(dilations: std::ops::Range<usize>) -> impl Strategy<Value = Window> {
    (1usize..5, 1usize..4, 0usize..3, dilations)
        .prop_map(|(kernel, stride, padding, dilation)| Window { kernel, stride, padding: padding.min(kernel / 2), dilation })
}
