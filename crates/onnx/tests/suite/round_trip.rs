//! What is exported comes back as the same net.

use bezoar_core::{Context, Part};
use bezoar_formats::onnx::{decode, encode};
use bezoar_models as _;
use bezoar_nn::{Activation, Architecture, Border, GraphBuilder, Interpolation, Network, NodeId, Op, Role, Window};
use bezoar_onnx::{export, import};
use candle_core::{DType, Device, Tensor};
use rand::RngExt;

use crate::support::apart;

fn net(block: serde_json::Value) -> Network {
    let architecture = Part::<dyn Architecture>::from_json(block).unwrap();
    Network::init(architecture.graph([3, 32, 32], 5).unwrap(), &mut Context::quiet(3).rng("net"), &Device::Cpu).unwrap()
}

fn images(shape: [usize; 4]) -> Tensor {
    let mut rng = Context::quiet(4).rng("images");
    Tensor::from_vec((0..shape.iter().product()).map(|_| rng.random::<f32>()).collect::<Vec<_>>(), shape.as_slice(), &Device::Cpu).unwrap()
}

fn come_back(net: &Network) -> Network {
    import(&decode(encode(&export(net).unwrap()).unwrap(), "net", None).unwrap()).unwrap()
}

#[test]
fn every_architecture_comes_back_as_it_was() {
    let images = images([2, 3, 32, 32]);
    let scores = |net: &Network| net.forward(&images).unwrap().to_vec2::<f32>().unwrap();
    for name in ["compact-cnn", "paper-inception", "resnet", "vgg"] {
        let net = net(serde_json::json!({ "use": name }));
        assert_eq!(scores(&come_back(&net)), scores(&net), "{name}");
        let folded = net.fold_batch_norm().unwrap();
        assert_eq!(scores(&come_back(&folded)), scores(&folded), "{name}, folded");
    }
}

/// A net that has every op, and every function.
fn all_ops(dtype: DType) -> Network {
    let mut builder = GraphBuilder::new([2, 8, 8]).unwrap();
    let input = builder.input();
    let mut add = |name: &str, op, inputs: &[NodeId]| builder.add(name, op, inputs).unwrap();
    let patches = add("patches", Op::Conv2d { channels: 6, window: Window::new(2).stride(2), groups: 2, bias: true }, &[input]);
    let patches = add("patches.norm", Op::batch_norm(), &[patches]);
    let rows = add("rows", Op::Reshape { shape: vec![6, 16] }, &[patches]);
    let tokens = add("tokens", Op::Transpose { order: vec![1, 0] }, &[rows]);
    let class = add("class", Op::Constant { shape: vec![1, 6] }, &[]);
    let tokens = add("with-class", Op::Concat { axis: 0 }, &[class, tokens]);
    let places = add("places", Op::Constant { shape: vec![17, 6] }, &[]);
    let tokens = add("placed", Op::Add, &[tokens, places]);
    let normed = add("norm", Op::LayerNorm { axes: 1, eps: 1e-3 }, &[tokens]);
    let both = add("both", Op::LayerNorm { axes: 2, eps: 1e-3 }, &[normed]);
    let mut heads = |name: &str, order: [usize; 3]| {
        let all = add(name, Op::linear(4), &[normed]);
        let split = add(&format!("{name}.split"), Op::Reshape { shape: vec![17, 2, 2] }, &[all]);
        add(&format!("{name}.heads"), Op::Transpose { order: order.to_vec() }, &[split])
    };
    let [query, key, value] = [("query", [1, 0, 2]), ("key", [1, 2, 0]), ("value", [1, 0, 2])].map(|(name, order)| heads(name, order));
    let products = add("products", Op::MatMul, &[query, key]);
    let scale = add("scale", Op::Constant { shape: vec![2, 1, 1] }, &[]);
    let products = add("scaled", Op::Mul, &[products, scale]);
    let shares = add("shares", Op::Softmax { axis: 2 }, &[products]);
    let mixed = add("mixed", Op::MatMul, &[shares, value]);
    let mixed = add("turned", Op::Transpose { order: vec![1, 0, 2] }, &[mixed]);
    let mixed = add("joined", Op::Reshape { shape: vec![17, 4] }, &[mixed]);
    let mixed = add("projected", Op::Linear { features: 6, bias: false }, &[mixed]);
    let mut tokens = add("residual", Op::Add, &[mixed, tokens, both]);
    for (name, function) in [
        ("relu", Activation::Relu),
        ("leaky", Activation::LeakyRelu { slope: 0.5 }),
        ("elu", Activation::Elu { alpha: 0.75 }),
        ("gelu", Activation::Gelu),
        ("gelu-tanh", Activation::GeluTanh),
        ("silu", Activation::Silu),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("hard-sigmoid", Activation::HardSigmoid { alpha: 0.25, beta: 0.5 }),
        ("hard-swish", Activation::HardSwish),
        ("softplus", Activation::Softplus),
        ("clip", Activation::Clip { low: -0.5, high: 6.0 }),
    ] {
        tokens = add(name, Op::Activation { function }, &[tokens]);
        let shift = add(&format!("{name}.shift"), Op::Constant { shape: vec![1] }, &[]);
        tokens = add(&format!("{name}.shifted"), Op::Add, &[tokens, shift]);
    }
    let first = add("first", Op::Slice { axis: 0, start: 3, len: 2 }, &[tokens]);
    let first = add("flat", Op::Flatten, &[first]);
    let near = add("near", Op::Upsample { factor: [1, 2], mode: Interpolation::Nearest }, &[input]);
    let large = add("large", Op::Upsample { factor: [2, 1], mode: Interpolation::Bilinear }, &[near]);
    let framed = add("framed", Op::Pad { before: vec![0, 1, 0], after: vec![0, 0, 2], value: 0.5 }, &[large]);
    let dropped = add("dropped", Op::Dropout { p: 0.5 }, &[framed]);
    let pool = add("pool", Op::MaxPool { window: Window::new(3).stride(2).padding(1) }, &[dropped]);
    let mean = add("mean", Op::AvgPool { window: Window::new(3).padding(1), border: Border::Ignored }, &[pool]);
    let mean = add("counted", Op::avg_pool(Window::new(3).padding(1)), &[mean]);
    let channels = add("channels", Op::Mean { axes: vec![1, 2] }, &[mean]);
    let gate = add("gate", Op::Reshape { shape: vec![2, 1, 1] }, &[channels]);
    let gated = add("gated", Op::Mul, &[gate, input]);
    let columns = add("columns", Op::Mean { axes: vec![0, 1] }, &[gated]);
    // Samples with fewer axes are repeated along the first of the others.
    let spread = add("spread", Op::Mul, &[columns, gated]);
    let spread = add("spread.flat", Op::Flatten, &[spread]);
    let all = add("all", Op::Concat { axis: 0 }, &[first, spread]);
    add("head", Op::linear(3), &[all]);
    let graph = builder.build().unwrap();
    let mut rng = Context::quiet(5).rng("parameters");
    let parameters = graph.parameters().into_iter().map(|parameter| {
        let low = if matches!(parameter.role, Role::Variance | Role::Scale) { 0.5 } else { -0.5 };
        let values: Vec<f32> = (0..parameter.shape.iter().product()).map(|_| rng.random_range(low..low + 1.0)).collect();
        let tensor = Tensor::from_vec(values, parameter.shape.as_slice(), &Device::Cpu).unwrap();
        (parameter.name, tensor.to_dtype(dtype).unwrap())
    });
    let parameters = parameters.collect();
    Network::new(graph, parameters).unwrap()
}

#[test]
fn every_op_comes_back_as_it_was() {
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-7)] {
        let net = all_ops(dtype);
        let back = come_back(&net);
        assert_eq!(back.dtype(), dtype);
        let images = images([3, 2, 8, 8]).to_dtype(dtype).unwrap();
        let distance = apart(&back.forward(&images).unwrap(), &net.forward(&images).unwrap());
        assert!(distance < tolerance, "{distance} in {dtype:?}");
        let ops = |net: &Network| net.graph().nodes().iter().map(|node| node.op.clone()).collect::<Vec<_>>();
        let missing: Vec<Op> = ops(&net).into_iter().filter(|op| !ops(&back).contains(op)).collect();
        // Dropout does nothing in use, and the mean over all positions is a pool.
        let wanted = [Op::Dropout { p: 0.5 }, Op::Mean { axes: vec![1, 2] }, Op::Reshape { shape: vec![2, 1, 1] }];
        assert_eq!(missing, wanted);
        assert!(net.graph().nodes().iter().filter(|node| node.op.is_weighted()).all(|node| back.graph().find(&node.name).is_some()));
    }
}
