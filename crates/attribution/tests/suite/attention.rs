//! Rules for what transformers are made of, each against its formula in AttnLRP (arXiv 2402.05602), and a whole small one.

use bezoar_attribution::{Analysis, Composite, LayerKind, Row, Rule};
use bezoar_nn::ops::{Form, Stabilizer};
use bezoar_nn::{Activation, GraphBuilder, Interpolation, Network, NodeId, Op};
use candle_core::{DType, Device, Tensor};

use crate::support::{attention, distance, explain, host, network, random};

const IMAGES: usize = 2;
const ROWS: usize = 4;
const COLUMNS: usize = 3;
const PLANE: usize = ROWS * COLUMNS;
const EPSILON: f64 = 1e-13;

/// A net whose scores are the values that `layers` make of an image `[2, 4, 3]`.
fn transparent(layers: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Network {
    let mut builder = GraphBuilder::new([2, ROWS, COLUMNS]).unwrap();
    let last = layers(&mut builder);
    let flat = builder.add("flat", Op::Flatten, &[last]).unwrap();
    let features = builder.shape(flat)[0];
    builder.add("head", Op::Linear { features, bias: false }, &[flat]).unwrap();
    let net = network(builder.build().unwrap(), 4);
    let mut parameters = net.parameters().clone();
    parameters.insert("head.weight".into(), Tensor::eye(features, DType::F64, &Device::Cpu).unwrap());
    Network::new(net.graph().clone(), parameters).unwrap()
}

/// Holds the relevance of images to `formula`: from an image and its scores' relevance, that of its values.
fn holds(net: &Network, formula: impl Fn(&[f64], &[f64]) -> Vec<f64>) {
    let classes = net.graph().classes();
    let (images, start) = (random(5, &[IMAGES, 2, ROWS, COLUMNS], -1.0..1.0), random(6, &[IMAGES, classes], -1.0..1.0));
    let composite = Composite::epsilon(EPSILON).with_stabilizer(Stabilizer { epsilon: EPSILON, form: Form::Add });
    let found = explain(net, &composite, &images, &start);
    let expected: Vec<f64> = host(&images).chunks(2 * PLANE).zip(host(&start).chunks(classes)).flat_map(|(x, r)| formula(x, r)).collect();
    assert!(distance(&found, &expected) < 1e-9, "{found:?} instead of {expected:?}");
}

/// The image's channels.
fn channels(b: &mut GraphBuilder) -> [NodeId; 2] {
    [0, 1].map(|start| b.add(&format!("channel{start}"), Op::Slice { axis: 0, start, len: 1 }, &[b.input()]).unwrap())
}

#[test]
fn softmax_hands_on_its_taylor_share() {
    let net = transparent(|b| b.add("softmax", Op::Softmax { axis: 2 }, &[b.input()]).unwrap());
    holds(&net, |x, r| {
        let row = |(x, r): (&[f64], &[f64])| {
            let total: f64 = x.iter().map(|x| x.exp()).sum();
            let sum: f64 = r.iter().sum();
            x.iter().zip(r).map(|(x, r)| x * (r - x.exp() / total * sum)).collect::<Vec<_>>()
        };
        x.chunks(COLUMNS).zip(r.chunks(COLUMNS)).flat_map(row).collect()
    });
}

#[test]
fn factors_get_equal_parts() {
    let net = transparent(|b| {
        let factors = channels(b);
        b.add("product", Op::Mul, &factors).unwrap()
    });
    holds(&net, |_, r| [r, r].concat().iter().map(|r| r / 2.0).collect());
    let scaled = transparent(|b| {
        let factor = b.add("factor", Op::Constant { shape: vec![2, 1, 1] }, &[]).unwrap();
        b.add("product", Op::Mul, &[b.input(), factor]).unwrap()
    });
    holds(&scaled, |_, r| r.to_vec());
}

#[test]
fn matrices_get_equal_parts() {
    let net = transparent(|b| {
        let [left, right] = channels(b);
        let right = b.add("turned", Op::Transpose { order: vec![0, 2, 1] }, &[right]).unwrap();
        b.add("product", Op::MatMul, &[left, right]).unwrap()
    });
    holds(&net, |x, r| {
        let (a, b) = x.split_at(PLANE);
        let mut back = vec![0.0; 2 * PLANE];
        for (i, j) in (0..ROWS).flat_map(|i| (0..ROWS).map(move |j| (i, j))) {
            let term = |k: usize| a[i * COLUMNS + k] * b[j * COLUMNS + k];
            let output: f64 = (0..COLUMNS).map(term).sum();
            for k in 0..COLUMNS {
                let share = term(k) * r[i * ROWS + j] / (2.0 * output);
                back[i * COLUMNS + k] += share;
                back[PLANE + j * COLUMNS + k] += share;
            }
        }
        back
    });
}

#[test]
fn layer_norm_shares_as_if_its_deviation_were_a_constant() {
    let net = transparent(|b| b.add("norm", Op::LayerNorm { axes: 1, eps: 1e-3 }, &[b.input()]).unwrap());
    let [weight, bias] = ["norm.weight", "norm.bias"].map(|name| host(&net.parameters()[name]));
    holds(&net, |x, r| {
        let row = |(x, r): (&[f64], &[f64])| {
            let mean = x.iter().sum::<f64>() / COLUMNS as f64;
            let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / COLUMNS as f64 + 1e-3).sqrt();
            let share: Vec<f64> =
                (0..COLUMNS).map(|j| r[j] * weight[j] / deviation / ((x[j] - mean) / deviation * weight[j] + bias[j])).collect();
            let middle = share.iter().sum::<f64>() / COLUMNS as f64;
            x.iter().zip(share).map(|(x, share)| x * (share - middle)).collect::<Vec<_>>()
        };
        x.chunks(COLUMNS).zip(r.chunks(COLUMNS)).flat_map(row).collect()
    });
}

#[test]
fn means_and_larger_images_share_by_contribution() {
    let mean = transparent(|b| b.add("mean", Op::Mean { axes: vec![0, 1] }, &[b.input()]).unwrap());
    holds(&mean, |x, r| {
        let total = |column: usize| x.iter().skip(column).step_by(COLUMNS).sum::<f64>();
        x.iter().enumerate().map(|(place, x)| x / total(place % COLUMNS) * r[place % COLUMNS]).collect()
    });
    let large = transparent(|b| b.add("large", Op::Upsample { factor: [1, 2], mode: Interpolation::Nearest }, &[b.input()]).unwrap());
    holds(&large, |_, r| r.chunks(2).map(|pair| pair[0] + pair[1]).collect());
}

#[test]
fn a_transformer_accounts_for_all_relevance() {
    for function in [Activation::Relu, Activation::Gelu] {
        let graph = attention(function);
        let net = network(graph.clone(), 7);
        let (images, start) = (random(8, &[IMAGES, 2, 6, 6], 0.0..1.0), random(9, &[IMAGES, graph.classes()], -1.0..1.0));
        let analysis = Analysis::new(net.clone(), &Composite::epsilon(1e-6)).unwrap();
        let balances = analysis.balance(&images, |_, rows| Ok(start.narrow(0, rows.start, rows.len()).unwrap())).unwrap();
        assert_eq!(balances.len(), graph.nodes().len() - 1, "each layer is on the way");
        for balance in balances {
            let accounted = balance.handed_on + balance.absorbed.bias + balance.absorbed.epsilon + balance.absorbed.lost;
            assert!((balance.arrived - accounted).abs() < 1e-9 * (1.0 + balance.arrived.abs()), "{balance:?}");
        }
    }
}

#[test]
fn layers_without_a_rule_are_refused_by_name() {
    let rows = [LayerKind::Convolution, LayerKind::Linear].map(|kind| Row::kind(kind, Rule::ZPlus));
    let refused = Analysis::new(network(attention(Activation::Gelu), 1), &Composite::new(rows)).unwrap_err().to_string();
    assert!(refused.contains("`patches.function`") && refused.contains("has no rule"), "{refused}");
}
