//! What single operators become.

use bezoar_formats::onnx::{Attribute, Model, Node, Value};
use bezoar_formats::{Array, Values};
use bezoar_nn::{Activation, Network, Op};
use bezoar_onnx::import;
use candle_core::{Device, Tensor};

use crate::support::{ints, model, node, with};

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

/// The scores of a net of one image whose pixels are 0, 1, ... 24.
fn scores(net: &Network) -> Vec<f32> {
    let image = Tensor::from_vec((0..25).map(|pixel| pixel as f32).collect::<Vec<_>>(), (1, 1, 5, 5), &Device::Cpu).unwrap();
    net.forward(&image).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// A model that gives what the nodes make of the image `x` as `flat`, each times 1.
fn plain(nodes: Vec<Node>, width: usize, constants: Vec<(&str, Array)>) -> Model {
    let one = (0..width * width).map(|at| if at / width == at % width { 1.0 } else { 0.0 }).collect();
    let mut model = model(Vec::new(), 0, constants);
    model.nodes = nodes;
    model.nodes.push(node("MatMul", &["flat", "m"], "scores"));
    model.initializers.insert("m".into(), Array::new(vec![width, width], Values::F32(one)).unwrap());
    model
}

fn floats(values: &[f32]) -> Array {
    Array::new(vec![values.len()], Values::F32(values.to_vec())).unwrap()
}

/// What the nodes make of the image, as numbers.
fn made(nodes: Vec<Node>, width: usize, constants: Vec<(&str, Array)>) -> Vec<f32> {
    scores(&import(&plain(nodes, width, constants)).unwrap())
}

#[test]
fn parts_are_cut_as_numpy_cuts() {
    let flat = || node("Flatten", &["part"], "flat");
    let slice = |start: i64, end: i64, axis: i64, step: i64| {
        let constants = vec![("s", ints(&[start])), ("e", ints(&[end])), ("a", ints(&[axis])), ("p", ints(&[step]))];
        (vec![node("Slice", &["x", "s", "e", "a", "p"], "part"), flat()], constants)
    };
    let (nodes, constants) = slice(-2, i64::MAX, 2, 1);
    assert_eq!(made(nodes, 10, constants), (15..25).map(|pixel| pixel as f32).collect::<Vec<_>>());
    let (nodes, constants) = slice(1, 5, -1, 2);
    assert_eq!(made(nodes, 10, constants), [1.0, 3.0, 6.0, 8.0, 11.0, 13.0, 16.0, 18.0, 21.0, 23.0]);
    let (nodes, constants) = slice(0, 5, -1, 3);
    assert_eq!(made(nodes, 10, constants), [0.0, 3.0, 5.0, 8.0, 10.0, 13.0, 15.0, 18.0, 20.0, 23.0]);
    let mut split = with(node("Split", &["x"], "left"), "axis", Attribute::Int(3));
    split.outputs.push("part".into());
    split.attributes.insert("split".into(), Attribute::Ints(vec![4, 1]));
    assert_eq!(made(vec![split, flat()], 5, Vec::new()), [4.0, 9.0, 14.0, 19.0, 24.0]);
    let gather = with(node("Gather", &["x", "i"], "part"), "axis", Attribute::Int(2));
    assert_eq!(made(vec![gather.clone(), flat()], 5, vec![("i", Array::new(Vec::new(), Values::I64(vec![-1])).unwrap())])[..1], [20.0]);
    assert_eq!(made(vec![gather, flat()], 10, vec![("i", ints(&[3, 0]))])[4..6], [19.0, 0.0]);
}

#[test]
fn sums_and_products_take_constants_from_either_side() {
    let row = || ("c", floats(&[1.0, 2.0, 4.0, 8.0, 16.0]));
    let of = |operator: &str, inputs: &[&str]| made(vec![node(operator, inputs, "y"), node("Flatten", &["y"], "flat")], 25, vec![row()]);
    assert_eq!(of("Sub", &["x", "c"])[3..6], [-5.0, -12.0, 4.0]);
    assert_eq!(of("Sub", &["c", "x"])[3..6], [5.0, 12.0, -4.0]);
    assert_eq!(of("Div", &["x", "c"])[3..7], [0.375, 0.25, 5.0, 3.0]);
    assert_eq!(of("Mul", &["c", "x"])[6..8], [12.0, 28.0]);
    assert_eq!(of("Sub", &["x", "x"]), [0.0; 25]);
    let neutral = plain(vec![node("Mul", &["x", "c"], "y"), node("Flatten", &["y"], "flat")], 25, vec![("c", floats(&[1.0]))]);
    assert!(!import(&neutral).unwrap().graph().nodes().iter().any(|node| matches!(node.op, Op::Mul)));
}

#[test]
fn gates_and_gelu_are_known_in_any_order() {
    let constants = || {
        let number = |value: f32| Array::new(Vec::new(), Values::F32(vec![value])).unwrap();
        vec![
            ("half", number(0.5)),
            ("one", number(1.0)),
            ("root", number(std::f32::consts::SQRT_2)),
            ("three", number(3.0)),
            ("six", number(6.0)),
            ("zero", number(0.0)),
        ]
    };
    let gelu = [
        vec![node("Mul", &["half", "x"], "a"), node("Mul", &["a", "sum"], "y")],
        vec![node("Mul", &["sum", "half"], "a"), node("Mul", &["x", "a"], "y")],
        vec![node("Mul", &["x", "sum"], "a"), node("Mul", &["a", "half"], "y")],
    ];
    for last in gelu {
        let inner = vec![node("Div", &["x", "root"], "d"), node("Erf", &["d"], "e"), node("Add", &["one", "e"], "sum")];
        let nodes = [inner, last, vec![node("Flatten", &["y"], "flat")]].concat();
        assert_eq!(function(&plain(nodes, 25, constants())), Activation::Gelu);
    }
    let swish = [
        vec![node("Mul", &["x", "clip"], "a"), node("Div", &["a", "six"], "y")],
        vec![node("Div", &["clip", "six"], "a"), node("Mul", &["a", "x"], "y")],
    ];
    for last in swish {
        let inner = vec![node("Add", &["x", "three"], "sum"), node("Clip", &["sum", "zero", "six"], "clip")];
        let nodes = [inner, last, vec![node("Flatten", &["y"], "flat")]].concat();
        assert_eq!(function(&plain(nodes, 25, constants())), Activation::HardSwish);
    }
    let wrong = vec![
        node("Div", &["x", "three"], "d"),
        node("Erf", &["d"], "e"),
        node("Add", &["one", "e"], "sum"),
        node("Mul", &["half", "x"], "a"),
        node("Mul", &["a", "sum"], "y"),
        node("Flatten", &["y"], "flat"),
    ];
    assert!(import(&plain(wrong, 25, constants())).unwrap_err().to_string().contains("Erf"), "another function stays unknown");
}

/// The only function of a model.
fn function(model: &Model) -> Activation {
    let net = import(model).unwrap();
    let mut functions = net.graph().nodes().iter().filter_map(|node| match node.op {
        Op::Activation { function } => Some(function),
        _ => None,
    });
    let found = functions.next().unwrap();
    assert_eq!(functions.next(), None);
    found
}

#[test]
fn averages_that_count_their_border_and_round_up_count_only_what_was_asked_for() {
    // On 5 pixels and a border of 1, windows of 4 with a stride of 2 begin at -1, 1 and, rounded up, 3, which ends one beyond the border.
    let pool = [("kernel_shape", vec![4, 4]), ("strides", vec![2, 2]), ("pads", vec![1, 1, 1, 1])];
    let pool = pool.into_iter().fold(node("AveragePool", &["x"], "pool"), |pool, (name, value)| with(pool, name, Attribute::Ints(value)));
    let pool = with(with(pool, "ceil_mode", Attribute::Int(1)), "count_include_pad", Attribute::Int(1));
    let means = made(vec![pool, node("Flatten", &["pool"], "flat")], 9, Vec::new());
    assert_eq!(means[..1], [(1 + 2 + 5 + 6 + 7 + 10 + 11 + 12) as f32 / 16.0]);
    assert_eq!(means[8..], [(18 + 19 + 23 + 24) as f32 / 9.0]);
}

#[test]
fn a_batch_may_be_of_any_size_in_the_model() {
    let shape = |size| Value { name: "x".into(), shape: Some(vec![size, Some(1), Some(5), Some(5)]), dtype: None };
    for (size, target) in [(None, [1, 5, 5]), (Some(3), [3, 5, 5]), (Some(3), [15, 5, 1])] {
        let nodes = vec![node("Reshape", &["x", "t"], "rows"), node("Reshape", &["rows", "back"], "flat")];
        let images = size.unwrap_or(1) as i64;
        let constants = vec![("t", ints(&target)), ("back", ints(&[images, 25]))];
        let net = import(&Model { inputs: vec![shape(size)], ..plain(nodes, 25, constants) }).unwrap();
        assert_eq!(scores(&net), (0..25).map(|pixel| pixel as f32).collect::<Vec<_>>());
    }
    let mixes = plain(vec![node("Reshape", &["x", "t"], "flat")], 25, vec![("t", ints(&[5, 15]))]);
    let refused = import(&Model { inputs: vec![shape(Some(3))], ..mixes }).unwrap_err().to_string();
    assert!(refused.contains("mixes 3 images"), "{refused}");
    let along = with(node("Softmax", &["x"], "y"), "axis", Attribute::Int(0));
    let refused = import(&plain(vec![along, node("Flatten", &["y"], "flat")], 25, Vec::new())).unwrap_err().to_string();
    assert!(refused.contains("across the batch"), "{refused}");
}
