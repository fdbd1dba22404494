//! Nets and numbers for tests.

use bezoar_attribution::{Analysis, Composite};
use bezoar_core::Context;
use bezoar_nn::{Activation, Graph, GraphBuilder, Interpolation, Network, NodeId, Op, Role, Window};
use candle_core::{DType, Device, Tensor};
use rand::RngExt;

/// Values uniform in `range`, the same for the same seed.
pub(crate) fn values(seed: u64, len: usize, range: std::ops::Range<f64>) -> Vec<f64> {
    let mut rng = Context::quiet(seed).rng("values");
    (0..len).map(|_| rng.random_range(range.clone())).collect()
}

/// A tensor of [`values`].
pub(crate) fn random(seed: u64, shape: &[usize], range: std::ops::Range<f64>) -> Tensor {
    Tensor::from_vec(values(seed, shape.iter().product(), range), shape, &Device::Cpu).unwrap()
}

/// All values of a tensor.
pub(crate) fn host(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest distance of two tensors' values, relative to the largest value of `expected`.
pub(crate) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max) / scale
}

/// A net with random parameters, in `f64`; variances and scales are positive.
pub(crate) fn network(graph: Graph, seed: u64) -> Network {
    let parameters = graph.parameters().into_iter().enumerate().map(|(number, parameter)| {
        let seed = seed.wrapping_mul(1000).wrapping_add(number as u64);
        let value = match parameter.role {
            Role::Variance | Role::Scale => random(seed, &parameter.shape, 0.5..2.0),
            Role::Weight { fan_in } => random(seed, &parameter.shape, -1.0..1.0).affine((3.0 / fan_in as f64).sqrt(), 0.0).unwrap(),
            Role::Bias { .. } | Role::Shift | Role::Mean | Role::Value => random(seed, &parameter.shape, -0.3..0.3),
        };
        (parameter.name, value)
    });
    let parameters = parameters.collect();
    Network::new(graph, parameters).unwrap()
}

/// The relevance of images when the scores start with `start`.
pub(crate) fn explain(network: &Network, composite: &Composite, images: &Tensor, start: &Tensor) -> Vec<f64> {
    let analysis = Analysis::new(network.clone(), composite).unwrap();
    host(&analysis.explain(images, |_, rows| Ok(start.narrow(0, rows.start, rows.len()).unwrap())).unwrap().relevance)
}

/// What a random net is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) bias: bool,
    pub(crate) norm: bool,
}

/// Adds a convolution, its batch norm if any, and its activation.
fn conv(builder: &mut GraphBuilder, style: Style, name: &str, channels: usize, window: Window, input: NodeId) -> NodeId {
    let conv = builder.add(name, Op::Conv2d { channels, window, groups: 1, bias: style.bias }, &[input]).unwrap();
    let normed = if style.norm { builder.add(&format!("{name}.norm"), Op::batch_norm(), &[conv]).unwrap() } else { conv };
    builder.add(&format!("{name}.relu"), Op::RELU, &[normed]).unwrap()
}

/// The paper's net in small: branches from the image, one through an overlapping max-pool, joined; convolutions and pools; linear layers.
pub(crate) fn inception(style: Style) -> Graph {
    let mut b = GraphBuilder::new([3, 16, 16]).unwrap();
    let image = b.input();
    let one = conv(&mut b, style, "one", 6, Window::new(1), image);
    let five = conv(&mut b, style, "five.reduce", 4, Window::new(1), image);
    let five = conv(&mut b, style, "five", 6, Window::new(5).padding(2), five);
    let three = conv(&mut b, style, "three.reduce", 4, Window::new(1), image);
    let three = conv(&mut b, style, "three", 8, Window::new(3).padding(1), three);
    let pooled = b.add("pooled", Op::MaxPool { window: Window::new(3).padding(1) }, &[image]).unwrap();
    let pooled = conv(&mut b, style, "pooled.project", 4, Window::new(1), pooled);
    let joined = b.add("joined", Op::Concat { axis: 0 }, &[one, five, three, pooled]).unwrap();
    let pool = b.add("pool1", Op::MaxPool { window: Window::tiling(2) }, &[joined]).unwrap();
    let deep = conv(&mut b, style, "deep", 12, Window::new(2), pool);
    let pool = b.add("pool2", Op::MaxPool { window: Window::new(3).stride(2) }, &[deep]).unwrap();
    let flat = b.add("flat", Op::Flatten, &[pool]).unwrap();
    let hidden = b.add("hidden", Op::Linear { features: 16, bias: style.bias }, &[flat]).unwrap();
    let hidden = b.add("hidden.relu", Op::RELU, &[hidden]).unwrap();
    let hidden = b.add("hidden.dropout", Op::Dropout { p: 0.5 }, &[hidden]).unwrap();
    b.add("head", Op::Linear { features: 5, bias: style.bias }, &[hidden]).unwrap();
    b.build().unwrap()
}

/// Two residual blocks, one with a projection, and an average pool.
pub(crate) fn residual(style: Style) -> Graph {
    let mut b = GraphBuilder::new([3, 12, 12]).unwrap();
    let image = b.input();
    let stem = conv(&mut b, style, "stem", 6, Window::new(3).padding(1), image);
    let same = conv(&mut b, style, "block1.a", 6, Window::new(3).padding(1), stem);
    let same =
        b.add("block1.b", Op::Conv2d { channels: 6, window: Window::new(3).padding(1), groups: 2, bias: style.bias }, &[same]).unwrap();
    let sum = b.add("block1.sum", Op::Add, &[same, stem]).unwrap();
    let sum = b.add("block1.relu", Op::RELU, &[sum]).unwrap();
    let down = conv(&mut b, style, "block2.a", 8, Window::new(3).padding(1).stride(2), sum);
    let project =
        b.add("block2.project", Op::Conv2d { channels: 8, window: Window::new(1).stride(2), groups: 1, bias: style.bias }, &[sum]).unwrap();
    let sum = b.add("block2.sum", Op::Add, &[down, project]).unwrap();
    let sum = b.add("block2.relu", Op::RELU, &[sum]).unwrap();
    let mean = b.add("mean", Op::avg_pool(Window::tiling(3)), &[sum]).unwrap();
    let flat = b.add("flat", Op::Flatten, &[mean]).unwrap();
    b.add("head", Op::Linear { features: 4, bias: style.bias }, &[flat]).unwrap();
    b.build().unwrap()
}

/// A net of what no rule of LRP is for: attention over patches, and channels that gate each other.
pub(crate) fn attention(function: Activation) -> Graph {
    let mut b = GraphBuilder::new([2, 6, 6]).unwrap();
    let image = b.input();
    let mut add = |name: &str, op, inputs: &[NodeId]| b.add(name, op, inputs).unwrap();
    let patches = add("patches", Op::conv(4, Window::rectangle([2, 3]).stride(2)), &[image]);
    let patches = add("patches.function", Op::Activation { function }, &[patches]);
    let rows = add("rows", Op::Reshape { shape: vec![4, 6] }, &[patches]);
    let tokens = add("tokens", Op::Transpose { order: vec![1, 0] }, &[rows]);
    let class = add("class", Op::Constant { shape: vec![1, 4] }, &[]);
    let tokens = add("all", Op::Concat { axis: 0 }, &[class, tokens]);
    let normed = add("norm", Op::LayerNorm { axes: 1, eps: 1e-3 }, &[tokens]);
    let query = add("query", Op::linear(3), &[normed]);
    let key = add("key", Op::linear(3), &[normed]);
    let key = add("key.turned", Op::Transpose { order: vec![1, 0] }, &[key]);
    let scores = add("scores", Op::MatMul, &[query, key]);
    let shares = add("shares", Op::Softmax { axis: 1 }, &[scores]);
    let mixed = add("mixed", Op::MatMul, &[shares, normed]);
    let tokens = add("sum", Op::Add, &[mixed, tokens]);
    let first = add("first", Op::Slice { axis: 0, start: 0, len: 1 }, &[tokens]);
    let first = add("first.flat", Op::Flatten, &[first]);
    let large = add("large", Op::Upsample { factor: [2, 1], mode: Interpolation::Bilinear }, &[image]);
    let framed = add("framed", Op::Pad { before: vec![0, 1, 0], after: vec![0, 0, 1], value: 0.5 }, &[large]);
    let framed = add("framed.function", Op::Activation { function }, &[framed]);
    let gate = add("gate", Op::Mean { axes: vec![1, 2] }, &[framed]);
    let gate = add("gate.shape", Op::Reshape { shape: vec![2, 1, 1] }, &[gate]);
    let gated = add("gated", Op::Mul, &[gate, image]);
    let pooled = add("pooled", Op::MaxPool { window: Window::tiling(3) }, &[gated]);
    let pooled = add("pooled.flat", Op::Flatten, &[pooled]);
    let both = add("both", Op::Concat { axis: 0 }, &[first, pooled]);
    add("head", Op::linear(3), &[both]);
    b.build().unwrap()
}
