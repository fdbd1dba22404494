//! What is exported comes back as the same net.

use bezoar_core::{Context, Part};
use bezoar_formats::onnx::{Attribute, Model, Node, Value, decode, encode};
use bezoar_formats::{Array, Values};
use bezoar_models as _;
use bezoar_nn::{Architecture, Network};
use bezoar_onnx::{export, import};
use candle_core::{Device, Tensor};
use rand::RngExt;

fn net(block: serde_json::Value) -> Network {
    let architecture = Part::<dyn Architecture>::from_json(block).unwrap();
    Network::init(architecture.graph([3, 32, 32], 5).unwrap(), &mut Context::quiet(3).rng("net"), &Device::Cpu).unwrap()
}

fn images() -> Tensor {
    let mut rng = Context::quiet(4).rng("images");
    Tensor::from_vec((0..2 * 3 * 32 * 32).map(|_| rng.random::<f32>()).collect::<Vec<_>>(), (2, 3, 32, 32), &Device::Cpu).unwrap()
}

fn scores(net: &Network) -> Vec<Vec<f32>> {
    net.forward(&images()).unwrap().to_vec2().unwrap()
}

#[test]
fn every_architecture_comes_back_as_it_was() {
    for name in ["compact-cnn", "paper-inception", "resnet", "vgg"] {
        let net = net(serde_json::json!({ "use": name }));
        let bytes = encode(&export(&net).unwrap()).unwrap();
        let back = import(&decode(bytes, name, None).unwrap()).unwrap();
        assert_eq!(scores(&back), scores(&net), "{name}");
        let folded = net.fold_batch_norm().unwrap();
        assert_eq!(scores(&import(&export(&folded).unwrap()).unwrap()), scores(&folded), "{name}, folded");
    }
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> Node {
    let inputs = inputs.iter().map(|name| (*name).to_owned()).collect();
    Node { op_type: op_type.into(), inputs, outputs: vec![output.into()], ..Node::default() }
}

fn with(mut node: Node, name: &str, value: Attribute) -> Node {
    node.attributes.insert(name.into(), value);
    node
}

fn ints(values: &[i64]) -> Array {
    Array::new(vec![values.len()], Values::I64(values.to_vec())).unwrap()
}

/// A model of a convolution, what `between` makes of `conv`, and a linear layer on `flat` of so many values.
fn model(between: Vec<Node>, width: usize, constants: Vec<(&str, Array)>) -> Model {
    let floats = |shape: &[usize]| Array::new(shape.to_vec(), Values::F32(vec![0.5; shape.iter().product()])).unwrap();
    let mut nodes = vec![node("Conv", &["x", "w"], "conv")];
    nodes.extend(between);
    nodes.push(node("MatMul", &["flat", "m"], "scores"));
    let mut initializers: std::collections::BTreeMap<_, _> =
        [("w".to_owned(), floats(&[2, 1, 2, 2])), ("m".to_owned(), floats(&[width, 3]))].into();
    initializers.extend(constants.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Model {
        opsets: [(String::new(), 17)].into(),
        inputs: vec![Value { name: "x".into(), shape: Some(vec![None, Some(1), Some(5), Some(5)]), dtype: None }],
        outputs: vec![Value { name: "scores".into(), ..Value::default() }],
        nodes,
        initializers,
        ..Model::default()
    }
}

#[test]
fn what_only_reckons_with_shapes_is_worked_out() {
    let shape = vec![
        node("Shape", &["conv"], "shape"),
        node("Gather", &["shape", "zero"], "batch"),
        with(node("Unsqueeze", &["batch"], "rows"), "axes", Attribute::Ints(vec![0])),
        with(node("Concat", &["rows", "rest"], "target"), "axis", Attribute::Int(0)),
        node("Reshape", &["conv", "target"], "flat"),
    ];
    let zero = Array::new(Vec::new(), Values::I64(vec![0])).unwrap();
    let net = import(&model(shape, 32, vec![("zero", zero), ("rest", ints(&[-1]))])).unwrap();
    assert_eq!(net.graph().classes(), 3);
    assert_eq!(net.graph().nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["input", "conv", "flat", "scores"]);
}

#[test]
fn pools_that_round_up_keep_their_last_window() {
    // On 4 pixels, windows of 3 with a stride of 2 begin at 0 and, rounded up, at 2.
    let pool = |ceil| {
        let pool = with(node("MaxPool", &["conv"], "pool"), "kernel_shape", Attribute::Ints(vec![3, 3]));
        let pool = with(with(pool, "strides", Attribute::Ints(vec![2, 2])), "ceil_mode", Attribute::Int(ceil));
        model(vec![pool, node("Flatten", &["pool"], "flat")], if ceil == 1 { 8 } else { 2 }, Vec::new())
    };
    for ceil in [0, 1] {
        let net = import(&pool(ceil)).unwrap();
        let side = 1 + ceil as usize;
        assert_eq!(net.graph().shape(net.graph().find("pool").unwrap()), [2, side, side]);
    }
}

#[test]
fn all_that_cannot_be_imported_is_named_at_once() {
    let flat = node("Flatten", &["odd2"], "flat");
    let odd = vec![node("Einsum", &["conv"], "odd1"), node("Relu", &["odd1"], "kept"), node("LRN", &["conv"], "odd2"), flat];
    let refused = import(&model([odd, vec![node("Sum", &["flat", "kept"], "unused")]].concat(), 32, Vec::new())).unwrap_err().to_string();
    assert!(refused.contains("`odd2` (LRN)") && !refused.contains("Einsum"), "what nobody needs is no problem: {refused}");
    let both =
        vec![node("Einsum", &["conv"], "a"), node("LRN", &["conv"], "b"), node("Sum", &["a", "b"], "c"), node("Flatten", &["c"], "flat")];
    let refused = import(&model(both, 32, Vec::new())).unwrap_err().to_string();
    assert!(refused.contains("2 nodes") && refused.contains("`a` (Einsum)") && refused.contains("`b` (LRN)"), "{refused}");
}

#[test]
fn broken_models_are_refused() {
    let flat = || vec![node("Flatten", &["conv"], "flat")];
    let refused = |model: Model| import(&model).unwrap_err().to_string();
    let good = || model(flat(), 32, Vec::new());
    import(&good()).unwrap();
    let circle = model(vec![node("Sum", &["conv", "b"], "a"), node("Relu", &["a"], "b"), node("Flatten", &["b"], "flat")], 32, Vec::new());
    assert!(refused(circle).contains("circle"));
    assert!(refused(model(flat(), 31, Vec::new())).contains("scores.weight"));
    let open = Value { name: "x".into(), shape: Some(vec![None, Some(1), None, Some(5)]), dtype: None };
    assert!(refused(Model { inputs: vec![open], ..good() }).contains("leaves the size"));
    let huge = Value { name: "x".into(), shape: Some(vec![None, Some(1), Some(1 << 27), Some(1 << 27)]), dtype: None };
    assert!(!refused(Model { inputs: vec![huge], ..good() }).is_empty());
    let mut nan = good();
    nan.initializers.insert("w".into(), Array::new(vec![2, 1, 2, 2], Values::F32(vec![f32::NAN; 8])).unwrap());
    assert!(refused(nan).contains("finite"));
    let mut twice = good();
    twice.nodes.push(node("Relu", &["conv"], "conv"));
    assert!(refused(twice).contains("two makers"));
    let mut pads = good();
    pads.nodes[0] = with(pads.nodes[0].clone(), "pads", Attribute::Ints(vec![-1, 0, 0, 0]));
    assert!(refused(pads).contains("`pads`"));
    let mut training = good();
    training.nodes.insert(1, with(node("BatchNormalization", &["conv", "s", "s", "s", "s"], "norm"), "training_mode", Attribute::Int(1)));
    training.nodes[2] = node("Flatten", &["norm"], "flat");
    training.initializers.insert("s".into(), Array::new(vec![2], Values::F32(vec![1.0; 2])).unwrap());
    assert!(refused(training).contains("in training"));
    assert!(refused(Model { outputs: Vec::new(), ..good() }).contains("0 outputs"));
}
