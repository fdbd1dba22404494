//! Whole nets: conservation and identities that must hold whatever the weights.

use bezoar_attribution::{Composite, LayerKind, Row, Rule, STABILIZER};
use bezoar_nn::ops::{Form, Stabilizer};
use bezoar_nn::{Activation, Array, Graph, GraphBuilder, Memory, Mode, Network, Op, Window};
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use crate::support::{Style, attention, distance, explain, host, inception, network, random, residual};

const IMAGES: usize = 3;

fn images(graph: &Graph, seed: u64) -> Tensor {
    let [c, h, w] = graph.input();
    random(seed ^ 1, &[IMAGES, c, h, w], 0.0..1.0)
}

/// Relevance 1 at one class of each image.
fn one_hot(graph: &Graph, seed: u64) -> Tensor {
    let classes = graph.classes();
    let rows: Vec<u32> = (0..IMAGES).map(|image| ((seed as usize % classes + image) % classes) as u32).collect();
    let rows = Tensor::new(rows, &Device::Cpu).unwrap();
    Tensor::eye(classes, DType::F64, &Device::Cpu).unwrap().index_select(&rows, 0).unwrap()
}

fn graphs(style: Style) -> impl Strategy<Value = Graph> {
    prop_oneof![Just(inception(style)), Just(residual(style))]
}

const PLAIN: Style = Style { bias: false, norm: false };

const FULL: Style = Style { bias: true, norm: true };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn without_bias_no_relevance_is_lost(seed: u64) {
        // Under z⁺ a residual block may lose some: a branch that nothing speaks for can still be negative and carry relevance.
        let cases = [
            (residual(PLAIN), Composite::epsilon(1e-12)),
            (inception(PLAIN), Composite::epsilon(1e-12)),
            (inception(PLAIN), Composite::epsilon_plus(1e-12)),
        ];
        for (graph, composite) in cases {
            let net = network(graph.clone(), seed);
            let (images, start) = (images(&graph, seed), one_hot(&graph, seed));
            let tape = net.record(&Array::new(&images, &Memory::default()).unwrap(), Mode::Use).unwrap();
            let scores = host(&(tape.scores().unwrap() * &start).unwrap().sum(1).unwrap());
            let found = explain(&net, &composite.with_stabilizer(Stabilizer { epsilon: 1e-12, form: Form::Add }), &images, &start);
            for (image, score) in found.chunks(found.len() / IMAGES).zip(scores) {
                let sum: f64 = image.iter().sum();
                // Once in some thousand nets no channel of a layer answers to an image: nothing is then said, and nothing explained.
                let said = if score == 0.0 { 0.0 } else { 1.0 };
                prop_assert!((sum - said).abs() < 1e-5, "{sum} remains of {said}");
            }
        }
    }

    #[test]
    fn rules_that_are_special_cases_of_others_agree_with_them(graph in graphs(FULL), seed: u64) {
        let net = network(graph.clone(), seed);
        let (images, start) = (images(&graph, seed), one_hot(&graph, seed));
        let explain = |rule| {
            let rows = [LayerKind::Convolution, LayerKind::Linear, LayerKind::BatchNorm].map(|kind| Row::kind(kind, rule));
            explain(&net, &Composite::over_base(rows), &images, &start)
        };
        prop_assert!(distance(&explain(Rule::Gamma(0.0)), &explain(Rule::Epsilon(STABILIZER))) < 1e-6);
        let favourable = explain(Rule::AlphaBeta { alpha: 1.0, beta: 0.0 });
        prop_assert!(distance(&favourable, &explain(Rule::ZPlus)) < 1e-12);
    }

    #[test]
    fn without_epsilon_and_bias_relevance_is_gradient_times_input(seed: u64) {
        let graph = inception(PLAIN);
        let net = network(graph.clone(), seed);
        let (images, start) = (images(&graph, seed), one_hot(&graph, seed));
        let tape = net.record(&Array::new(&images, &Memory::default()).unwrap(), Mode::Use).unwrap();
        let scores = host(&tape.scores().unwrap());
        // LRP starts with 1 where the gradient starts with 1 for a score of any size.
        let start_scores: Vec<f64> = host(&start).iter().zip(scores).map(|(start, score)| start * score).collect();
        let scaled = Tensor::from_vec(start_scores, start.dims(), &Device::Cpu).unwrap();
        let found = explain(&net, &Composite::epsilon(1e-13), &images, &scaled);
        let gradient = net.image_gradient(tape, &start).unwrap();
        prop_assert!(distance(&found, &host(&(gradient * &images).unwrap())) < 1e-6);
    }

    #[test]
    fn where_all_layers_have_their_derivative_relevance_is_the_gradient(
        seed: u64,
        function in prop_oneof![Just(Activation::Relu), Just(Activation::Gelu), Just(Activation::Silu), Just(Activation::Softplus)],
    ) {
        for graph in [attention(function), inception(FULL), residual(FULL)] {
            let net = network(graph.clone(), seed);
            let (images, start) = (images(&graph, seed), one_hot(&graph, seed));
            let tape = net.record(&Array::new(&images, &Memory::default()).unwrap(), Mode::Use).unwrap();
            let gradient = net.image_gradient(tape, &start).unwrap();
            prop_assert!(distance(&explain(&net, &Composite::gradient(), &images, &start), &host(&gradient)) < 1e-9);
        }
    }

    #[test]
    fn for_the_epsilon_rule_folded_batch_norm_is_as_unfolded(graph in graphs(FULL), seed: u64) {
        let net = network(graph.clone(), seed);
        let folded = net.fold_batch_norm().unwrap();
        prop_assert!(folded.graph().nodes().len() < graph.nodes().len());
        let (images, start) = (images(&graph, seed), one_hot(&graph, seed));
        let explain = |net: &Network| explain(net, &Composite::epsilon(1e-13), &images, &start);
        prop_assert!(distance(&explain(&folded), &explain(&net)) < 1e-6);
    }
}

/// What relevance is when each layer's own output is seen, whatever ReLU comes after it: the rules as they are, and one that gives
/// relevance to zeros where there is none.
fn unfused(net: &Network, composite: Vec<Row>, images: &Tensor, start: &Tensor, form: Form) -> [Vec<f64>; 2] {
    let stabilizer = Stabilizer { epsilon: 0.25, form };
    let idle = Row::named("idle", Rule::Flat);
    [composite.clone(), std::iter::once(idle).chain(composite).collect()]
        .map(|rows| explain(net, &Composite::over_base(rows).with_stabilizer(stabilizer), images, start))
}

#[test]
fn a_relative_epsilon_knows_outputs_below_zero() {
    let mut b = GraphBuilder::new([2, 6, 6]).unwrap();
    let conv = b.add("conv", Op::conv(4, Window::new(3)), &[b.input()]).unwrap();
    let relu = b.add("relu", Op::RELU, &[conv]).unwrap();
    let idle = b.add("idle", Op::conv(1, Window::new(4)), &[relu]).unwrap();
    let idle = b.add("idle.flat", Op::Flatten, &[idle]).unwrap();
    let flat = b.add("flat", Op::Flatten, &[relu]).unwrap();
    let both = b.add("both", Op::Concat { axis: 0 }, &[flat, idle]).unwrap();
    b.add("head", Op::linear(3), &[both]).unwrap();
    let mut net = network(b.build().unwrap(), 3);
    let mut parameters = net.parameters().clone();
    // The idle branch gives 0, and gets no relevance.
    for name in ["idle.weight", "idle.bias"] {
        parameters.insert(name.into(), parameters[name].zeros_like().unwrap());
    }
    net = Network::new(net.graph().clone(), parameters).unwrap();
    let (images, start) = (random(1, &[IMAGES, 2, 6, 6], -1.0..1.0), random(2, &[IMAGES, 3], -1.0..1.0));
    let epsilon = [LayerKind::Convolution, LayerKind::Linear].map(|kind| Row::kind(kind, Rule::Epsilon(0.25)));
    for form in [Form::Add, Form::Clip, Form::Relative] {
        let [fused, seen] = unfused(&net, epsilon.to_vec(), &images, &start, form);
        assert!(distance(&fused, &seen) < 1e-12, "{form:?}");
    }
}
