//! What the tests of this crate share.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::graph::{Graph, GraphBuilder, NodeId, Role};
use crate::op::{Interpolation, Op};
use crate::window::{Border, Window};
use crate::{Activation, Array, Memory, Network};

/// Values uniform in -1..1, the same for the same seed.
pub(crate) fn values(seed: u64, len: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A tensor of these values.
pub(crate) fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

/// A tensor of [`values`].
pub(crate) fn random(seed: u64, shape: &[usize]) -> Tensor {
    tensor(&values(seed, shape.iter().product()), shape)
}

/// The array of a tensor, as the layers take it.
pub(crate) fn array(tensor: &Tensor) -> Array {
    Array::new(tensor, &Memory::default()).unwrap()
}

/// A tensor or an array.
pub(crate) trait AsTensor {
    fn as_tensor(&self) -> Tensor;
}

impl AsTensor for Tensor {
    fn as_tensor(&self) -> Tensor {
        self.clone()
    }
}

impl AsTensor for Array {
    fn as_tensor(&self) -> Tensor {
        self.to_tensor().unwrap()
    }
}

/// The largest difference of two tensors or arrays.
pub(crate) fn distance(a: &impl AsTensor, b: &impl AsTensor) -> f64 {
    let (a, b) = (&a.as_tensor(), &b.as_tensor());
    assert_eq!(a.dims(), b.dims());
    let host = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    host(a).iter().zip(host(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// `Σ a b`.
pub(crate) fn dot(a: &impl AsTensor, b: &impl AsTensor) -> f64 {
    (a.as_tensor() * b.as_tensor()).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

/// Checks a gradient against central differences of `f` along some directions.
pub(crate) fn check_gradient(x: &Tensor, gradient: &impl AsTensor, f: impl Fn(&Tensor) -> f64) {
    let step = 1e-6;
    for seed in 0..3 {
        let direction = random(1000 + seed, x.dims());
        let at = |t: f64| f(&(x + (&direction * t).unwrap()).unwrap());
        let measured = (at(step) - at(-step)) / (2.0 * step);
        let claimed = dot(gradient, &direction);
        assert!((measured - claimed).abs() < 1e-5 * (1.0 + claimed.abs()), "the slope is {measured}, not {claimed}");
    }
}

thread_local! {
    static COMPOSING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether ops must go the way of devices without kernels.
pub(crate) fn is_composing() -> bool {
    COMPOSING.get()
}

/// Runs `body` first with our kernels, then with the ops composed as on a GPU.
pub(crate) fn both_ways<E>(body: impl Fn() -> Result<(), E>) -> Result<(), E> {
    body()?;
    COMPOSING.set(true);
    let result = body();
    COMPOSING.set(false);
    result
}

/// Windows of all sorts, every second one the same both ways but for its border.
pub(crate) fn windows(dilations: std::ops::Range<usize>) -> impl Strategy<Value = Window> {
    let side = || (1usize..5, 1usize..4, dilations.clone(), 0usize..3, 0usize..3);
    (side(), side(), any::<bool>()).prop_map(|(down, across, is_square)| {
        let (rows, columns) = (down, if is_square { (down.0, down.1, down.2, across.3, across.4) } else { across });
        Window {
            kernel: [rows.0, columns.0],
            stride: [rows.1, columns.1],
            dilation: [rows.2, columns.2],
            before: [rows.3, columns.3],
            after: [rows.4, columns.4],
        }
    })
}

/// A net of convolutions, on images `[2, 9, 8]` and four classes, with parameters as after some training.
pub(crate) fn net(dtype: DType) -> Network {
    let mut builder = GraphBuilder::new([2, 9, 8]).unwrap();
    let input = builder.input();
    let mut add = |name: &str, op, inputs: &[NodeId]| builder.add(name, op, inputs).unwrap();
    let a = add("a", Op::conv(4, Window::new(3).padding(1)), &[input]);
    let a = add("a.norm", Op::batch_norm(), &[a]);
    let a = add("a.relu", Op::RELU, &[a]);
    let pool = add("pool", Op::MaxPool { window: Window::new(3).padding(1) }, &[input]);
    let b = add("b", Op::Conv2d { channels: 4, window: Window::new(1), groups: 2, bias: false }, &[pool]);
    let sum = add("sum", Op::Add, &[a, b]);
    let joined = add("joined", Op::Concat { axis: 0 }, &[sum, a, input]);
    let normed = add("joined.norm", Op::batch_norm(), &[joined]);
    let c = add("c", Op::Conv2d { channels: 6, window: Window::new(2).stride(2).dilation(2), groups: 2, bias: true }, &[normed]);
    let c = add("c.relu", Op::RELU, &[c]);
    let mean = add("mean", Op::AvgPool { window: Window::new(2).border([0; 2], [0, 1]), border: Border::Ignored }, &[c]);
    let flat = add("flat", Op::Flatten, &[mean]);
    let hidden = add("hidden", Op::Linear { features: 7, bias: false }, &[flat]);
    let hidden = add("hidden.norm", Op::batch_norm(), &[hidden]);
    let dropped = add("hidden.dropout", Op::Dropout { p: 0.3 }, &[hidden]);
    add("head", Op::linear(4), &[dropped]);
    trained(builder.build().unwrap(), dtype)
}

/// A net with the ops that [`net`] has not, on images `[2, 8, 8]` and three classes: attention over patches beside channels that gate
/// each other.
pub(crate) fn attentive(dtype: DType) -> Network {
    let mut builder = GraphBuilder::new([2, 8, 8]).unwrap();
    let input = builder.input();
    let mut add = |name: &str, op, inputs: &[NodeId]| builder.add(name, op, inputs).unwrap();
    let activation = |function| Op::Activation { function };
    let patches = add("patches", Op::conv(6, Window::rectangle([2, 4]).stride(2)), &[input]);
    let rows = add("rows", Op::Reshape { shape: vec![6, 12] }, &[patches]);
    let tokens = add("tokens", Op::Transpose { order: vec![1, 0] }, &[rows]);
    let class = add("class", Op::Constant { shape: vec![1, 6] }, &[]);
    let tokens = add("with-class", Op::Concat { axis: 0 }, &[class, tokens]);
    let offset = add("offset", Op::Constant { shape: vec![6] }, &[]);
    let tokens = add("placed", Op::Add, &[offset, tokens]);
    let normed = add("norm", Op::LayerNorm { axes: 1, eps: 1e-3 }, &[tokens]);
    let mut heads = |name: &str, order: [usize; 3]| {
        let all = add(name, Op::linear(4), &[normed]);
        let split = add(&format!("{name}.split"), Op::Reshape { shape: vec![13, 2, 2] }, &[all]);
        add(&format!("{name}.heads"), Op::Transpose { order: order.to_vec() }, &[split])
    };
    let [query, key, value] = [("query", [1, 0, 2]), ("key", [1, 2, 0]), ("value", [1, 0, 2])].map(|(name, order)| heads(name, order));
    let scores = add("scores", Op::MatMul, &[query, key]);
    let scale = add("scale", Op::Constant { shape: vec![2, 1, 1] }, &[]);
    let scores = add("scaled", Op::Mul, &[scores, scale]);
    let shares = add("shares", Op::Softmax { axis: 2 }, &[scores]);
    let mixed = add("mixed", Op::MatMul, &[shares, value]);
    let mixed = add("mixed.turned", Op::Transpose { order: vec![1, 0, 2] }, &[mixed]);
    let mixed = add("mixed.joined", Op::Reshape { shape: vec![13, 4] }, &[mixed]);
    let mixed = add("projected", Op::Linear { features: 6, bias: false }, &[mixed]);
    let tokens = add("residual", Op::Add, &[mixed, tokens]);
    let tokens = add("gelu", activation(Activation::Gelu), &[tokens]);
    let first = add("first", Op::Slice { axis: 0, start: 0, len: 1 }, &[tokens]);
    let first = add("first.flat", Op::Flatten, &[first]);
    let large = add("large", Op::Upsample { factor: [2, 3], mode: Interpolation::Bilinear }, &[input]);
    let framed = add("framed", Op::Pad { before: vec![0, 1, 0], after: vec![0, 0, 2], value: 0.5 }, &[large]);
    let swish = add("swish", activation(Activation::HardSwish), &[framed]);
    let means = add("means", Op::Mean { axes: vec![1, 2] }, &[swish]);
    let gate = add("gate", Op::Reshape { shape: vec![2, 1, 1] }, &[means]);
    let gate = add("gate.sigmoid", activation(Activation::Sigmoid), &[gate]);
    let gated = add("gated", Op::Mul, &[gate, input]);
    let columns = add("columns", Op::Mean { axes: vec![0, 1] }, &[gated]);
    let both = add("both", Op::Concat { axis: 0 }, &[first, columns]);
    add("head", Op::linear(3), &[both]);
    trained(builder.build().unwrap(), dtype)
}

/// A net with parameters as after some training.
fn trained(graph: Graph, dtype: DType) -> Network {
    let parameters = graph.parameters().into_iter().enumerate().map(|(number, parameter)| {
        let value = random(100 + number as u64, &parameter.shape);
        let value = if matches!(parameter.role, Role::Variance | Role::Scale) { (value + 1.5).unwrap() } else { value };
        (parameter.name, value.to_dtype(dtype).unwrap())
    });
    let parameters = parameters.collect();
    Network::new(graph, parameters).unwrap()
}
