//! The same relevances as zennit 0.5.1, which `tests/parity/lrp.py` asked, and for transformers as LXT 2.1, which
//! `tests/parity/attention.py` asked.
//!
//! zennit's composites differ from ours in one thing: "first" is there the layer that was registered first, here every layer that the
//! image reaches through layers without weights. Where the two are one layer, the script checks that its table is zennit's own
//! composite; where they are several, as in the paper's net, zennit's rules are given to all of them. And zennit leaves the plain
//! gradient to layers that no row fits, where we refuse: nets here have no such layers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bezoar_attribution::{Analysis, Composite, LayerKind, Limits, Preset, Row, Rule, STABILIZER};
use bezoar_models::{PaperInception, Resnet, Vgg};
use bezoar_nn::ops::{Form, Stabilizer};
use bezoar_nn::{Activation, Architecture, Graph, GraphBuilder, Network, NodeId, Op, Role, Window};
use candle_core::{DType, Device, Tensor};

use crate::support::{Style, distance, host, inception};

const IMAGES: usize = 2;
/// Where values of images lie: all in 0..=1, where shorter ways are taken, or of both signs.
const RANGES: [(&str, [f64; 2]); 2] = [("images", [0.0, 1.0]), ("signed", [-1.0, 1.0])];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity")
}

/// Whole nets, and single layers that the rules are tried on.
fn graphs() -> Vec<(&'static str, Graph)> {
    let small = [3, 12, 12];
    let mut all = vec![
        ("vgg", Vgg { width: 2, ..Vgg::default() }.graph([3, 32, 32], 4).unwrap()),
        ("residual", Resnet { width: 3, ..Resnet::default() }.graph(small, 4).unwrap()),
        ("inception", inception(Style { bias: true, norm: true })),
        ("paper", PaperInception {}.graph([3, 32, 32], 8).unwrap()),
    ];
    for bias in [true, false] {
        let mut linear = GraphBuilder::new([3, 4, 4]).unwrap();
        let flat = linear.add("flat", Op::Flatten, &[linear.input()]).unwrap();
        linear.add("layer", Op::Linear { features: 7, bias }, &[flat]).unwrap();
        all.push((if bias { "layer-linear-bias" } else { "layer-linear" }, linear.build().unwrap()));
        let windows = [
            (if bias { "layer-conv-bias" } else { "layer-conv" }, Window::new(3), 1),
            (if bias { "layer-padded-bias" } else { "layer-padded" }, Window::new(3).padding(2).stride(2), 1),
            (if bias { "layer-grouped-bias" } else { "layer-grouped" }, Window::new(2).padding(1).dilation(2), 2),
        ];
        for (name, window, groups) in windows {
            let mut conv = GraphBuilder::new([4, 6, 6]).unwrap();
            let layer = conv.add("layer", Op::Conv2d { channels: 6, window, groups, bias }, &[conv.input()]).unwrap();
            conv.add("flat", Op::Flatten, &[layer]).unwrap();
            all.push((name, conv.build().unwrap()));
        }
    }
    all
}

/// A small vision transformer: patches, a class token, positions, two blocks of attention in two heads and a perceptron.
fn transformer() -> Graph {
    const TOKENS: usize = 5;
    const WIDTH: usize = 6;
    const HEADS: usize = 2;
    let mut b = GraphBuilder::new([3, 8, 8]).unwrap();
    let image = b.input();
    let mut add = |name: &str, op, inputs: &[NodeId]| b.add(name, op, inputs).unwrap();
    let patches = add("patches", Op::conv(WIDTH, Window::tiling(4)), &[image]);
    let patches = add("patches.flat", Op::Reshape { shape: vec![WIDTH, TOKENS - 1] }, &[patches]);
    let patches = add("patches.turned", Op::Transpose { order: vec![1, 0] }, &[patches]);
    let class = add("class", Op::Constant { shape: vec![1, WIDTH] }, &[]);
    let tokens = add("tokens", Op::Concat { axis: 0 }, &[class, patches]);
    let places = add("places", Op::Constant { shape: vec![TOKENS, WIDTH] }, &[]);
    let mut tokens = add("placed", Op::Add, &[tokens, places]);
    for block in ["block1", "block2"] {
        let mut add = |name: &str, op, inputs: &[NodeId]| add(&format!("{block}.{name}"), op, inputs);
        let normed = add("norm1", Op::LayerNorm { axes: 1, eps: 1e-6 }, &[tokens]);
        let all = add("qkv", Op::linear(3 * WIDTH), &[normed]);
        let all = add("qkv.split", Op::Reshape { shape: vec![TOKENS, 3, HEADS, WIDTH / HEADS] }, &[all]);
        let all = add("qkv.turned", Op::Transpose { order: vec![1, 2, 0, 3] }, &[all]);
        let [query, key, value] = ["query", "key", "value"].map(|name| {
            let start = ["query", "key", "value"].iter().position(|other| *other == name).unwrap();
            let part = add(&format!("{name}.slice"), Op::Slice { axis: 0, start, len: 1 }, &[all]);
            add(name, Op::Reshape { shape: vec![HEADS, TOKENS, WIDTH / HEADS] }, &[part])
        });
        let key = add("key.turned", Op::Transpose { order: vec![0, 2, 1] }, &[key]);
        let scores = add("scores", Op::MatMul, &[query, key]);
        let scale = add("scale", Op::Constant { shape: vec![1, 1, 1] }, &[]);
        let scores = add("scores.scaled", Op::Mul, &[scores, scale]);
        let shares = add("shares", Op::Softmax { axis: 2 }, &[scores]);
        let mixed = add("mixed", Op::MatMul, &[shares, value]);
        let mixed = add("mixed.turned", Op::Transpose { order: vec![1, 0, 2] }, &[mixed]);
        let mixed = add("mixed.joined", Op::Reshape { shape: vec![TOKENS, WIDTH] }, &[mixed]);
        let mixed = add("projected", Op::linear(WIDTH), &[mixed]);
        tokens = add("attended", Op::Add, &[mixed, tokens]);
        let normed = add("norm2", Op::LayerNorm { axes: 1, eps: 1e-6 }, &[tokens]);
        let hidden = add("hidden", Op::linear(8), &[normed]);
        let hidden = add("gelu", Op::Activation { function: Activation::Gelu }, &[hidden]);
        let hidden = add("back", Op::linear(WIDTH), &[hidden]);
        tokens = add("thought", Op::Add, &[hidden, tokens]);
    }
    let normed = add("norm", Op::LayerNorm { axes: 1, eps: 1e-6 }, &[tokens]);
    let class = add("class.slice", Op::Slice { axis: 0, start: 0, len: 1 }, &[normed]);
    let class = add("class.flat", Op::Flatten, &[class]);
    add("head", Op::linear(3), &[class]);
    b.build().unwrap()
}

/// Numbers in 0..1 that look random, by a hash of their places; the script has the same.
fn numbers(seed: u64, shape: &[usize], low: f64, high: f64) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let number = |place: u64| {
        let mut x = (place + 1).wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503) & 0xFFFF_FFFF;
        for _ in 0..2 {
            x = ((x ^ (x >> 16)) * 0x45D_9F3B) & 0xFFFF_FFFF;
        }
        (x ^ (x >> 16)) as f64 / 4_294_967_296.0 * (high - low) + low
    };
    Tensor::from_vec((0..count).map(number).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

fn network(graph: Graph) -> Network {
    let parameters = graph.parameters().into_iter().zip(1..).map(|(parameter, seed)| {
        let [low, high] = match parameter.role {
            Role::Weight { fan_in } => [-1.0, 1.0].map(|sign| sign * (3.0 / fan_in as f64).sqrt()),
            Role::Scale | Role::Variance => [0.5, 2.0],
            _ => [-0.3, 0.3],
        };
        (parameter.name.clone(), numbers(seed, &parameter.shape, low, high))
    });
    let parameters = parameters.collect();
    Network::new(graph, parameters).unwrap()
}

fn composites() -> Vec<(&'static str, Composite)> {
    let presets = [
        ("epsilon", Preset::Epsilon),
        ("epsilon-plus", Preset::EpsilonPlus),
        ("epsilon-plus-flat", Preset::EpsilonPlusFlat),
        ("epsilon-gamma-box", Preset::EpsilonGammaBox),
        ("epsilon-alpha2-beta1", Preset::EpsilonAlpha2Beta1),
        ("epsilon-alpha2-beta1-flat", Preset::EpsilonAlpha2Beta1Flat),
        ("excitation-backprop", Preset::ExcitationBackprop),
    ];
    presets.into_iter().map(|(name, preset)| (name, preset.of(STABILIZER, 0.25))).collect()
}

fn rules() -> Vec<(&'static str, Composite)> {
    let only = |rule| Composite::over_base([LayerKind::Convolution, LayerKind::Linear].map(|kind| Row::kind(kind, rule)));
    let relative = Stabilizer { epsilon: 0.25, form: Form::Relative };
    vec![
        ("epsilon", only(Rule::Epsilon(STABILIZER))),
        ("epsilon-clip", only(Rule::Epsilon(0.1)).with_stabilizer(Stabilizer { epsilon: STABILIZER, form: Form::Clip })),
        ("epsilon-relative", only(Rule::Epsilon(0.25)).with_stabilizer(relative)),
        ("gamma", only(Rule::Gamma(0.25))),
        ("z-plus", only(Rule::ZPlus)),
        ("z-plus-relative", only(Rule::ZPlus).with_stabilizer(relative)),
        ("alpha-beta", only(Rule::AlphaBeta { alpha: 3.0, beta: 2.0 })),
        ("z-box", only(Rule::ZBox)),
        ("w-square", only(Rule::WSquare)),
        ("flat", only(Rule::Flat)),
    ]
}

#[test]
fn the_nets_are_those_that_the_others_were_asked_about() {
    let zennits = graphs().into_iter().map(|(name, graph)| (format!("lrp/{name}.json"), graph));
    for (name, graph) in zennits.chain([("attention.json".to_owned(), transformer())]) {
        let (file, json) = (folder().join(&name), serde_json::to_string(&graph).unwrap() + "\n");
        if std::env::var_os("BEZOAR_BLESS").is_some() {
            std::fs::write(&file, &json).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), json, "{name}: bless, then run the script in tests/parity");
    }
}

/// The first image for the first class, the others for others.
fn one_hot(classes: usize) -> Tensor {
    let rows: Vec<u32> = (0..IMAGES).map(|image| (image * 7 % classes) as u32).collect();
    Tensor::eye(classes, DType::F64, &Device::Cpu).unwrap().index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap()
}

#[test]
fn relevances_of_a_transformer_are_those_of_lxt() {
    let arrays: HashMap<String, Tensor> = candle_core::safetensors::load(folder().join("attention.safetensors"), &Device::Cpu).unwrap();
    let net = network(transformer());
    let (images, start) = (numbers(1000, &[IMAGES, 3, 8, 8], 0.0, 1.0), one_hot(net.graph().classes()));
    // LXT adds its ε whatever the sign of the denominator: both are next to nothing here.
    let composite = Composite::epsilon(1e-14).with_stabilizer(Stabilizer { epsilon: 1e-14, form: Form::Add });
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        let analysis = Analysis::new(net.to(&Device::Cpu, dtype).unwrap(), &composite).unwrap();
        let (images, start) = (images.to_dtype(dtype).unwrap(), start.to_dtype(dtype).unwrap());
        let explained = analysis.explain(&images, |_, rows| Ok(start.narrow(0, rows.start, rows.len()).unwrap())).unwrap();
        let off = |found: &Tensor, expected: &str| distance(&host(found), &host(&arrays[expected]));
        let errors = [off(&explained.scores, "scores"), off(&explained.relevance, "relevance")];
        assert!(errors.iter().all(|error| *error < tolerance), "scores and relevance in {dtype:?} are off by {errors:?}");
    }
}

#[test]
fn relevances_are_zennits() {
    let arrays: HashMap<String, Tensor> = candle_core::safetensors::load(folder().join("lrp.safetensors"), &Device::Cpu).unwrap();
    let mut compared = 0;
    for (name, graph) in graphs() {
        let net = network(graph.clone()).fold_batch_norm().unwrap();
        let is_layer = name.starts_with("layer-");
        let [c, h, w] = graph.input();
        for (kind, [low, high]) in RANGES {
            let images = numbers(1000, &[IMAGES, c, h, w], low, high);
            let classes = graph.classes();
            let start = if is_layer {
                // Outputs near 0 magnify rounding without bound.
                let far = net.forward(&images).unwrap().abs().unwrap().gt(0.1).unwrap().to_dtype(DType::F64).unwrap();
                (numbers(1001, &[IMAGES, classes], -1.0, 1.0) * far).unwrap()
            } else {
                one_hot(classes)
            };
            for (key, composite) in if is_layer { rules() } else { composites() } {
                // α2β1 amplifies rounding through the residual net so much that zennit's own f32 is 1.1e-4 off its f64.
                let single = host(&arrays[&format!("{name}.{kind}.{key}.single")])[0];
                for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, (1.5 * single).max(1e-4))] {
                    let limits = Limits::all(&graph, low, high);
                    let analysis = Analysis::within(net.to(&Device::Cpu, dtype).unwrap(), &composite, &limits).unwrap();
                    let start = start.to_dtype(dtype).unwrap();
                    let images = images.to_dtype(dtype).unwrap();
                    let explained = analysis.explain(&images, |_, rows| Ok(start.narrow(0, rows.start, rows.len()).unwrap())).unwrap();
                    let off = |found: &Tensor, expected: &str| distance(&host(found), &host(&arrays[&format!("{name}.{kind}.{expected}")]));
                    assert!(off(&explained.scores, "scores") < tolerance, "scores of {name}, {kind} in {dtype:?}");
                    let error = off(&explained.relevance, key);
                    assert!(error < tolerance, "{key} of {name}, {kind} in {dtype:?} is off by {error}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * 2 * (4 * composites().len() + 8 * rules().len()));
}
