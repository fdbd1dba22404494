//! The kernels on one core. An item is a floating-point operation that the plain sum takes, so that item/s stand beside those of the
//! GEMM library, which comes near the processor's peak; Winograd's minimal filters do fewer and may pass it.

use std::fmt;

use bezoar_nn::ops::{
    BatchNorm, Convolution, activation, activation_backward, avg_pool2d, channel_affine, channel_moments, conv2d_backward_weight,
    layer_norm, matmul, max_pool2d, max_pool2d_backward, softmax,
};
use bezoar_nn::{Activation, Array, Border, Memory, Window};
use candle_core::{Device, Result, Tensor};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() -> std::result::Result<(), rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    divan::main();
    Ok(())
}

/// A convolution of some images.
#[derive(Clone, Copy)]
struct Layer {
    images: usize,
    inputs: usize,
    outputs: usize,
    side: usize,
    window: Window,
    groups: usize,
}

impl Layer {
    const fn new(images: usize, inputs: usize, outputs: usize, side: usize, window: Window) -> Self {
        Self { images, inputs, outputs, side, window, groups: 1 }
    }

    fn out(&self) -> usize {
        self.window.positions([self.side; 2]).unwrap()[0]
    }

    fn operations(&self) -> ItemsCount {
        let cells = self.inputs / self.groups * self.window.cells();
        ItemsCount::new(2 * self.images * self.outputs * self.out() * self.out() * cells)
    }

    fn weight(&self) -> Tensor {
        noise(&[self.outputs, self.inputs / self.groups, self.window.kernel[0], self.window.kernel[1]])
    }

    fn input(&self) -> Array {
        array(&[self.images, self.inputs, self.side, self.side])
    }

    fn gradient(&self) -> Array {
        array(&[self.images, self.outputs, self.out(), self.out()])
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, inputs, outputs, side, window: Window { kernel: [rows, columns], stride: [stride, _], .. }, groups } = self;
        write!(f, "{images} x {inputs}->{outputs} @{side} {rows}x{columns}/{stride}")?;
        if *groups > 1 { write!(f, " groups {groups}") } else { Ok(()) }
    }
}

/// Of `paper-inception`, of a ResNet and a VGG for 32x32 pixels, and of nets with few channels, strides and groups.
const LAYERS: [Layer; 13] = [
    Layer::new(8, 48, 64, 32, Window::new(5).padding(2)),
    Layer::new(8, 64, 96, 32, Window::new(3).padding(1)),
    Layer::new(8, 96, 96, 32, Window::new(3).padding(1)),
    Layer::new(8, 256, 256, 16, Window::new(2)),
    Layer::new(8, 256, 256, 7, Window::new(2)),
    Layer::new(16, 64, 64, 32, Window::new(3).padding(1)),
    Layer::new(16, 64, 128, 32, Window::new(3).stride(2).padding(1)),
    Layer::new(16, 64, 128, 32, Window::new(1).stride(2)),
    Layer::new(16, 256, 256, 8, Window::new(3).padding(1)),
    Layer::new(16, 512, 512, 4, Window::new(3).padding(1)),
    Layer::new(16, 512, 512, 2, Window::new(3).padding(1)),
    Layer::new(16, 3, 16, 32, Window::new(3).padding(1)),
    Layer { groups: 64, ..Layer::new(16, 64, 64, 16, Window::new(3).padding(1)) },
];

fn noise(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap()
}

fn array(shape: &[usize]) -> Array {
    Array::new(&noise(shape), &Memory::default()).unwrap()
}

/// Runs what is measured, which must not fail.
fn go<T>(result: Result<T>) -> T {
    result.unwrap()
}

#[divan::bench]
fn gemm_1024(bencher: Bencher<'_, '_>) {
    const N: usize = 1024;
    let (a, b) = (noise(&[N, N]), noise(&[N, N]));
    bencher.counter(ItemsCount::new(2 * N * N * N)).bench_local(|| go(black_box(&a).matmul(&b)));
}

#[divan::bench(args = LAYERS)]
fn convolution(bencher: Bencher<'_, '_>, layer: &Layer) {
    let (convolution, x) = (Convolution::new(layer.weight(), layer.window, layer.groups), layer.input());
    bencher.counter(layer.operations()).bench_local(|| go(convolution.forward(black_box(&x), None, true)));
}

#[divan::bench(args = LAYERS)]
fn gradient_to_input(bencher: Bencher<'_, '_>, layer: &Layer) {
    let (convolution, dy) = (Convolution::new(layer.weight(), layer.window, layer.groups), layer.gradient());
    bencher.counter(layer.operations()).bench_local(|| go(convolution.backward_input(black_box(&dy), [layer.side; 2])));
}

#[divan::bench(args = LAYERS)]
fn gradient_to_weights(bencher: Bencher<'_, '_>, layer: &Layer) {
    let (x, dy) = (layer.input(), layer.gradient());
    bencher.counter(layer.operations()).bench_local(|| go(conv2d_backward_weight(black_box(&x), &dy, layer.window, layer.groups)));
}

#[divan::bench(args = LAYERS)]
fn relevance(bencher: Bencher<'_, '_>, layer: &Layer) {
    let (convolution, x) = (Convolution::new(layer.weight(), layer.window, layer.groups), layer.input());
    let (r, z) = (layer.gradient(), layer.gradient());
    bencher.counter(layer.operations()).bench_local(|| go(convolution.relevance(black_box(&r), &z, 1e-6, &x)));
}

/// Values that a pass over a batch reads.
const BATCH: [usize; 4] = [16, 64, 32, 32];

fn bytes() -> BytesCount {
    BytesCount::new(4 * BATCH.iter().product::<usize>())
}

#[divan::bench]
fn max_pool(bencher: Bencher<'_, '_>) {
    let x = array(&BATCH);
    bencher.counter(bytes()).bench_local(|| go(max_pool2d(black_box(&x), Window::new(2).stride(2))));
}

#[divan::bench]
fn max_pool_backward(bencher: Bencher<'_, '_>) {
    let (x, dy) = (array(&BATCH), array(&[16, 64, 16, 16]));
    bencher.counter(bytes()).bench_local(|| go(max_pool2d_backward(black_box(&x), &dy, Window::new(2).stride(2))));
}

#[divan::bench]
fn average_pool(bencher: Bencher<'_, '_>) {
    let x = array(&BATCH);
    bencher.counter(bytes()).bench_local(|| go(avg_pool2d(black_box(&x), Window::new(2).stride(2), Border::Counted)));
}

/// Those of mobile nets and of transformers.
const FUNCTIONS: [Activation; 5] =
    [Activation::Relu, Activation::Clip { low: 0.0, high: 6.0 }, Activation::HardSwish, Activation::Silu, Activation::Gelu];

#[divan::bench(args = FUNCTIONS)]
fn activation_function(bencher: Bencher<'_, '_>, function: &Activation) {
    let x = array(&BATCH);
    bencher.counter(bytes()).bench_local(|| go(activation(black_box(&x), *function)));
}

#[divan::bench(args = FUNCTIONS)]
fn activation_function_backward(bencher: Bencher<'_, '_>, function: &Activation) {
    let (x, dy) = (array(&BATCH), array(&BATCH));
    bencher.counter(bytes()).bench_local(|| go(activation_backward(black_box(&x), &dy, *function)));
}

/// Of a small vision transformer on 224x224 pixels.
const TOKENS: [usize; 3] = [8, 197, 192];

#[divan::bench]
fn layer_norm_of_tokens(bencher: Bencher<'_, '_>) {
    let (x, [weight, bias]) = (array(&TOKENS), [noise(&[192]), noise(&[192])]);
    bencher.bench_local(|| go(layer_norm(black_box(&x), &weight, &bias, 1e-6)));
}

#[divan::bench]
fn attention(bencher: Bencher<'_, '_>) {
    let [query, key, value] = [[8, 3, 197, 64], [8, 3, 64, 197], [8, 3, 197, 64]].map(|shape| array(&shape));
    let operations = ItemsCount::new(2 * 2 * 8 * 3 * 197 * 197 * 64_usize);
    bencher.counter(operations).bench_local(|| go(matmul(&go(softmax(&go(matmul(black_box(&query), &key)), 2)), &value)));
}

#[divan::bench]
fn batch_norm(bencher: Bencher<'_, '_>) {
    let (x, [scale, shift]) = (array(&BATCH), [noise(&[64]), noise(&[64])]);
    bencher.counter(bytes()).bench_local(|| {
        black_box(go(channel_moments(black_box(&x))));
        go(channel_affine(&x, &scale, &shift, true))
    });
}

#[divan::bench]
fn batch_norm_backward(bencher: Bencher<'_, '_>) {
    let (x, dy, weight) = (array(&BATCH), array(&BATCH), noise(&[64]));
    let moments = go(channel_moments(&x));
    let norm = BatchNorm { moments: &moments, eps: 1e-5, weight: &weight, rectified: None };
    bencher.counter(bytes()).bench_local(|| go(norm.backward(black_box(&x), &dy)));
}
