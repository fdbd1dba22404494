//! Each rule against its formula, written out value by value on the layer's dense matrix.

use bezoar_attribution::{Analysis, Composite, LayerKind, Limits, Row, Rule, STABILIZER};
use bezoar_nn::{Graph, GraphBuilder, Network, NodeId, Op, Window};
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use crate::support::{Style, distance, explain, host, inception, network, random};

const IMAGES: usize = 2;

/// `y_j = Σ_i w_ji x_i + b_j` for one image.
struct Dense {
    weight: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

impl Dense {
    /// The layer called `layer`, a convolution of the image or a linear layer of its values.
    fn of(net: &Network) -> Self {
        let graph = net.graph();
        let id = graph.find("layer").unwrap();
        let weight = host(net.parameter(id, "weight").unwrap());
        let inputs: usize = graph.input().iter().product();
        let outputs: usize = graph.shape(id).iter().product();
        let mut dense = Self { weight: vec![vec![0.0; inputs]; outputs], bias: vec![0.0; outputs] };
        if let Some(bias) = net.parameter(id, "bias").map(host) {
            let repeat = outputs / bias.len();
            dense.bias = bias.iter().flat_map(|&bias| std::iter::repeat_n(bias, repeat)).collect();
        }
        match graph.node(id).op {
            Op::Conv2d { channels, window, groups, .. } => {
                let &[_, rows, columns] = graph.shape(id) else { panic!("a convolution gives images") };
                let [c, h, w] = graph.input();
                let depth = c / groups;
                for (o, y, x) in product3(channels, rows, columns) {
                    for (i, ky, kx) in product3(depth, window.kernel[0], window.kernel[1]) {
                        let seen = |side: usize, position: usize, cell: usize, size: usize| {
                            let place = position * window.stride[side] + cell * window.dilation[side];
                            place.checked_sub(window.before[side]).filter(|place| *place < size)
                        };
                        if let (Some(row), Some(column)) = (seen(0, y, ky, h), seen(1, x, kx, w)) {
                            let channel = o / (channels / groups) * depth + i;
                            dense.weight[(o * rows + y) * columns + x][(channel * h + row) * w + column] =
                                weight[((o * depth + i) * window.kernel[0] + ky) * window.kernel[1] + kx];
                        }
                    }
                }
            }
            _ => dense.weight.iter_mut().zip(weight.chunks(inputs)).for_each(|(row, weight)| row.copy_from_slice(weight)),
        }
        dense
    }

    /// The relevance that input `x` gets of the relevance `r` of the outputs: each rule's formula, weight by weight. `limits` are the
    /// least and the most that each input can be.
    fn relevance(&self, rule: Rule, x: &[f64], r: &[f64], limits: &[[f64; 2]]) -> Vec<f64> {
        let mut back = vec![0.0; x.len()];
        for ((weight, &bias), &r) in self.weight.iter().zip(&self.bias).zip(r) {
            let products: Vec<f64> = weight.iter().zip(x).map(|(w, x)| w * x).collect();
            let z = products.iter().sum::<f64>() + bias;
            // Each part of the relevance: what of it, the inputs' shares and the bias's.
            let parts: Vec<(f64, Vec<f64>, f64)> = match rule {
                Rule::Epsilon(_) | Rule::Zero => vec![(r, products, bias)],
                Rule::ZPlus => vec![(r, products.iter().map(|p| p.max(0.0)).collect(), bias.max(0.0))],
                Rule::AlphaBeta { alpha, beta } => vec![
                    (alpha * r, products.iter().map(|p| p.max(0.0)).collect(), bias.max(0.0)),
                    (-beta * r, products.iter().map(|p| p.min(0.0)).collect(), bias.min(0.0)),
                ],
                Rule::Gamma(gamma) => {
                    let favoured = |p: f64| if p * z > 0.0 { (1.0 + gamma) * p } else { p };
                    vec![(if z == 0.0 { 0.0 } else { r }, products.iter().map(|p| favoured(*p)).collect(), favoured(bias))]
                }
                Rule::ZBox => {
                    let share = |((w, x), [low, high]): ((&f64, &f64), &[f64; 2])| w * x - w.max(0.0) * low - w.min(0.0) * high;
                    vec![(r, weight.iter().zip(x).zip(limits).map(share).collect(), 0.0)]
                }
                Rule::WSquare => vec![(r, weight.iter().map(|w| w * w).collect(), bias * bias)],
                Rule::Squares => vec![(r, products.iter().map(|p| p * p).collect(), 0.0)],
                Rule::Flat => vec![(r, sees(weight), 0.0)],
                other => panic!("{other:?} is not a rule for weights"),
            };
            for (r, shares, constant) in parts {
                let z = shares.iter().sum::<f64>() + constant;
                let stabilized = match rule {
                    Rule::Zero => z,
                    _ if z >= 0.0 => z + STABILIZER,
                    _ => z - STABILIZER,
                };
                if stabilized != 0.0 {
                    back.iter_mut().zip(shares).for_each(|(back, share)| *back += share * r / stabilized);
                }
            }
        }
        back
    }
}

/// 1 for each input that an output sees.
fn sees(weight: &[f64]) -> Vec<f64> {
    weight.iter().map(|w| f64::from(u8::from(*w != 0.0))).collect()
}

fn product3(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

/// A net of one layer, of any shape that a convolution or linear layer may have.
fn layers() -> impl Strategy<Value = Graph> {
    let side = || (1usize..4, 1usize..3, 0usize..3, 0usize..3, 1usize..3);
    let window = (side(), side()).prop_map(|(down, across)| Window {
        kernel: [down.0, across.0],
        stride: [down.1, across.1],
        before: [down.2, across.2],
        after: [down.3, across.3],
        dilation: [down.4, across.4],
    });
    let conv = (1usize..3, 1usize..3, 1usize..3, window, 5usize..7, 5usize..8, any::<bool>()).prop_map(
        |(groups, inputs, outputs, window, h, w, bias)| {
            let mut builder = GraphBuilder::new([groups * inputs, h, w]).unwrap();
            let op = Op::Conv2d { channels: groups * outputs, window, groups, bias };
            let layer = builder.add("layer", op, &[builder.input()]).unwrap();
            builder.add("flat", Op::Flatten, &[layer]).unwrap();
            builder.build().unwrap()
        },
    );
    let linear = (1usize..20, 1usize..6, any::<bool>()).prop_map(|(inputs, features, bias)| {
        let mut builder = GraphBuilder::new([inputs, 1, 1]).unwrap();
        let flat = builder.add("flat", Op::Flatten, &[builder.input()]).unwrap();
        builder.add("layer", Op::Linear { features, bias }, &[flat]).unwrap();
        builder.build().unwrap()
    });
    prop_oneof![3 => conv, 1 => linear]
}

fn only(rule: Rule) -> Composite {
    Composite::over_base([LayerKind::Convolution, LayerKind::Linear].map(|kind| Row::kind(kind, rule)))
}

/// The graph's input shape for some images.
fn batch(graph: &Graph) -> [usize; 4] {
    let [c, h, w] = graph.input();
    [IMAGES, c, h, w]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn weighted_layers_share_by_their_formula(graph in layers(), seed: u64, signed: bool) {
        let net = network(graph.clone(), seed);
        let images = random(seed ^ 1, &batch(&graph), if signed { -1.0..1.0 } else { 0.0..1.0 });
        let start = random(seed ^ 2, &[IMAGES, graph.classes()], -1.0..1.0);
        let dense = Dense::of(&net);
        let rules = [
            Rule::Zero,
            Rule::Epsilon(STABILIZER),
            Rule::Gamma(0.0),
            Rule::Gamma(0.25),
            Rule::ZPlus,
            Rule::AlphaBeta { alpha: 2.0, beta: 1.0 },
            Rule::AlphaBeta { alpha: 1.0, beta: 0.0 },
            Rule::ZBox,
            Rule::WSquare,
            Rule::Squares,
            Rule::Flat,
        ];
        let channels = graph.input()[0];
        let limits = Limits { low: (0..channels).map(|c| -1.0 - c as f64).collect(), high: vec![1.5; channels] };
        let plane = graph.input()[1] * graph.input()[2];
        let ends: Vec<[f64; 2]> = (0..channels * plane).map(|place| [limits.low[place / plane], limits.high[place / plane]]).collect();
        for rule in rules {
            let expected: Vec<f64> = host(&images)
                .chunks(graph.input().iter().product())
                .zip(host(&start).chunks(graph.classes()))
                .flat_map(|(x, r)| dense.relevance(rule, x, r, &ends))
                .collect();
            let analysis = Analysis::within(net.clone(), &only(rule), &limits).unwrap();
            let found = host(&analysis.explain(&images, |_, rows| Ok(start.narrow(0, rows.start, rows.len()).unwrap())).unwrap().relevance);
            prop_assert!(distance(&found, &expected) < 1e-9, "{rule:?}: {found:?} instead of {expected:?}");
            for balance in analysis.balance(&images, |_, rows| Ok(start.narrow(0, rows.start, rows.len()).unwrap())).unwrap() {
                let accounted = balance.handed_on + balance.absorbed.bias + balance.absorbed.epsilon + balance.absorbed.lost;
                prop_assert!((balance.arrived - accounted).abs() < 1e-9 * (1.0 + balance.arrived.abs()), "{balance:?}");
            }
        }
    }

    #[test]
    fn z_plus_keeps_relevance_where_nothing_is_negative(graph in layers(), seed: u64) {
        let net = network(graph.clone(), seed);
        let positive = net.parameters().iter().map(|(name, value)| {
            let value = if name.ends_with("bias") { value.zeros_like() } else { value.abs() };
            (name.clone(), value.unwrap())
        });
        let net = Network::new(graph.clone(), positive.collect()).unwrap();
        let images = random(seed ^ 1, &batch(&graph), 0.1..1.0);
        let start = random(seed ^ 2, &[IMAGES, graph.classes()], 0.0..1.0);
        let unreached = host(&net.forward(&images).unwrap());
        let expected: f64 = host(&start).iter().zip(unreached).filter(|(_, z)| *z > 0.0).map(|(r, z)| r * z / (z + STABILIZER)).sum();
        let found: f64 = explain(&net, &only(Rule::ZPlus), &images, &start).iter().sum();
        prop_assert!((found - expected).abs() < 1e-9 * (1.0 + expected), "{found} of {expected}");
    }
}

/// A net whose last layer gives each value of what `layers` make of the image `[2, 7, 6]`.
fn transparent(layers: impl FnOnce(&mut GraphBuilder) -> NodeId) -> Network {
    let mut builder = GraphBuilder::new([2, 7, 6]).unwrap();
    let last = layers(&mut builder);
    let flat = builder.add("flat", Op::Flatten, &[last]).unwrap();
    let features = builder.shape(flat)[0];
    builder.add("head", Op::Linear { features, bias: false }, &[flat]).unwrap();
    let identity = Tensor::eye(features, DType::F64, &Device::Cpu).unwrap();
    Network::new(builder.build().unwrap(), [("head.weight".to_owned(), identity)].into()).unwrap()
}

/// Images and the relevance that they start with, and that of the pixels.
fn explained(net: &Network) -> [Vec<f64>; 3] {
    let images = random(5, &batch(net.graph()), -1.0..1.0);
    let start = random(6, &[IMAGES, net.graph().classes()], -1.0..1.0);
    let composite = Composite::over_base([Row::kind(LayerKind::Linear, Rule::Epsilon(1e-14))]);
    let found = explain(net, &composite, &images, &start);
    [host(&images), host(&start), found]
}

/// The places of plane `[7, 6]` under each window, in row-major order of the windows.
fn windows(window: Window) -> Vec<Vec<usize>> {
    let Window { kernel, stride, before, .. } = window;
    let [rows, columns] = window.positions([7, 6]).unwrap();
    let cells = |side: usize, position: usize, size: usize| {
        let places = (0..kernel[side]).filter_map(move |k| (position * stride[side] + k).checked_sub(before[side]));
        places.filter(move |place| *place < size)
    };
    (0..rows)
        .flat_map(|y| (0..columns).map(move |x| (y, x)))
        .map(|(y, x)| cells(0, y, 7).flat_map(|row| cells(1, x, 6).map(move |column| row * 6 + column)).collect())
        .collect()
}

/// What the windows' relevance becomes when each plane's is handed on by `share`.
fn pooled(images: &[f64], start: &[f64], window: Window, share: impl Fn(&[f64], &[usize], f64, &mut [f64])) -> Vec<f64> {
    let windows = windows(window);
    let mut back = vec![0.0; images.len()];
    for (plane, (x, r)) in images.chunks(42).zip(start.chunks(windows.len())).enumerate() {
        for (cells, r) in windows.iter().zip(r) {
            share(x, cells, *r, &mut back[plane * 42..][..42]);
        }
    }
    back
}

/// Everything to the first of the largest values.
fn winner_takes_all(x: &[f64], cells: &[usize], r: f64, back: &mut [f64]) {
    let best = cells.iter().copied().reduce(|best, cell| if x[cell] > x[best] { cell } else { best }).unwrap();
    back[best] += r;
}

#[test]
fn the_winner_takes_all_under_every_window_that_it_wins() {
    for window in [Window::tiling(2), Window::new(3).padding(1), Window::new(3).stride(2)] {
        let net = transparent(|b| b.add("pool", Op::MaxPool { window }, &[b.input()]).unwrap());
        let [images, start, found] = explained(&net);
        assert!(distance(&found, &pooled(&images, &start, window, winner_takes_all)) < 1e-9, "{window:?}");
    }
}

#[test]
fn the_first_of_equal_values_wins() {
    let window = Window::new(3).padding(1);
    let net = transparent(|b| b.add("pool", Op::MaxPool { window }, &[b.input()]).unwrap());
    let images = Tensor::ones(&batch(net.graph()), DType::F64, &Device::Cpu).unwrap();
    let start = random(6, &[IMAGES, net.graph().classes()], -1.0..1.0);
    let found = explain(&net, &Composite::over_base([Row::kind(LayerKind::Linear, Rule::Epsilon(1e-14))]), &images, &start);
    assert!(distance(&found, &pooled(&host(&images), &host(&start), window, winner_takes_all)) < 1e-9);
}

#[test]
fn an_average_pool_shares_by_contribution() {
    for window in [Window::tiling(2), Window::new(3).padding(1)] {
        let net = transparent(|b| b.add("pool", Op::avg_pool(window), &[b.input()]).unwrap());
        let [images, start, found] = explained(&net);
        let area = window.cells() as f64;
        let expected = pooled(&images, &start, window, |x, cells, r, back| {
            let z = cells.iter().map(|&cell| x[cell]).sum::<f64>() / area;
            let z = z + STABILIZER * if z >= 0.0 { 1.0 } else { -1.0 };
            for &cell in cells {
                back[cell] += x[cell] / area * r / z;
            }
        });
        assert!(distance(&found, &expected) < 1e-9, "{window:?}");
    }
}

#[test]
fn a_sum_shares_by_contribution_and_consumers_add_up() {
    let window = Window::new(3).padding(1);
    let net = transparent(|b| {
        let image = b.input();
        let pool = b.add("pool", Op::MaxPool { window }, &[image]).unwrap();
        b.add("sum", Op::Add, &[image, pool, image]).unwrap()
    });
    let [images, start, found] = explained(&net);
    let best: Vec<f64> = images
        .chunks(42)
        .flat_map(|x| windows(window).into_iter().map(|cells| cells.iter().map(|&cell| x[cell]).fold(f64::MIN, f64::max)))
        .collect();
    let share: Vec<f64> = images
        .iter()
        .zip(&best)
        .zip(&start)
        .map(|((x, best), r)| {
            let z = 2.0 * x + best;
            r / (z + STABILIZER * if z >= 0.0 { 1.0 } else { -1.0 })
        })
        .collect();
    let won: Vec<f64> = share.iter().zip(&best).map(|(share, best)| share * best).collect();
    let through_pool = pooled(&images, &won, window, winner_takes_all);
    let expected: Vec<f64> = images.iter().zip(&share).zip(through_pool).map(|((x, share), won)| 2.0 * x * share + won).collect();
    assert!(distance(&found, &expected) < 1e-9);
}

#[test]
fn joined_parts_get_back_their_own() {
    let window = Window::new(3).padding(1);
    let net = transparent(|b| {
        let image = b.input();
        let pool = b.add("pool", Op::MaxPool { window }, &[image]).unwrap();
        let relu = b.add("relu", Op::RELU, &[image]).unwrap();
        let dropout = b.add("dropout", Op::Dropout { p: 0.5 }, &[relu]).unwrap();
        b.add("joined", Op::Concat { axis: 0 }, &[dropout, pool, image]).unwrap()
    });
    let [images, start, found] = explained(&net);
    let mut expected = Vec::new();
    for (x, r) in images.chunks(84).zip(start.chunks(252)) {
        let (relu, rest) = r.split_at(84);
        let (pool, own) = rest.split_at(84);
        let pool = pooled(x, pool, window, winner_takes_all);
        // The last layer gives no relevance to a value of 0.
        let relu = relu.iter().zip(x).map(|(r, x)| if *x > 0.0 { *r } else { 0.0 });
        expected.extend(relu.zip(pool).zip(own).map(|((relu, pool), own)| relu + pool + own));
    }
    assert!(distance(&found, &expected) < 1e-9);
}

#[test]
fn batch_norm_that_stands_alone_shares_like_the_affine_map_that_it_is() {
    let mut builder = GraphBuilder::new([3, 4, 4]).unwrap();
    let norm = builder.add("norm", Op::batch_norm(), &[builder.input()]).unwrap();
    let flat = builder.add("flat", Op::Flatten, &[norm]).unwrap();
    builder.add("head", Op::Linear { features: 3, bias: true }, &[flat]).unwrap();
    let net = network(builder.build().unwrap(), 9);
    let images = random(5, &batch(net.graph()), 0.0..1.0);
    let start = random(6, &[IMAGES, 3], -1.0..1.0);
    let found = explain(&net, &Composite::epsilon(STABILIZER), &images, &start);

    let values = |name: &str| host(&net.parameters()[name]);
    let [weight, bias, head, shift] = ["norm.weight", "norm.bias", "head.weight", "head.bias"].map(values);
    let [mean, variance] = ["norm.running_mean", "norm.running_var"].map(values);
    let head = Dense { weight: head.chunks(48).map(<[f64]>::to_vec).collect(), bias: shift };
    let mut expected = Vec::new();
    for (x, r) in host(&images).chunks(48).zip(host(&start).chunks(3)) {
        let scale = |place: usize| weight[place / 16] / (variance[place / 16] + 1e-5).sqrt();
        let y: Vec<f64> = x.iter().enumerate().map(|(place, x)| (x - mean[place / 16]) * scale(place) + bias[place / 16]).collect();
        let back = head.relevance(Rule::Epsilon(STABILIZER), &y, r, &[]);
        expected.extend((0..48).map(|place| {
            let z = y[place] + STABILIZER * if y[place] >= 0.0 { 1.0 } else { -1.0 };
            x[place] * scale(place) * back[place] / z
        }));
    }
    assert!(distance(&found, &expected) < 1e-9);
}

#[test]
fn layers_without_a_rule_are_named_when_the_analysis_is_made() {
    let net = transparent(|b| b.add("pool", Op::avg_pool(Window::tiling(2)), &[b.input()]).unwrap());
    let refused = |rows: &[Row]| Analysis::new(net.clone(), &Composite::new(rows.to_vec())).unwrap_err().to_string();
    let epsilon = Row::kind(LayerKind::Linear, Rule::Epsilon(STABILIZER));
    let flatten = Row::kind(LayerKind::Flatten, Rule::Route);
    assert!(refused(&[epsilon.clone(), flatten.clone()]).contains("`pool`"));
    assert!(refused(&[epsilon.clone(), flatten.clone(), Row::kind(LayerKind::AveragePool, Rule::ZPlus)]).contains("ZPlus"));
    assert!(refused(&[Row::named("conv*", Rule::Flat)]).contains("`conv*`"));
    assert!(refused(&[Row::named("[", Rule::Flat)]).contains("pattern"));
    assert!(refused(&[Row::named("head", Rule::Gamma(-1.0))]).contains("γ is -1"));
    assert!(refused(&[Row::named("head", Rule::AlphaBeta { alpha: 2.0, beta: 0.5 })]).contains("1 + β"));
    let rows = [Row::kind(LayerKind::AveragePool, Rule::Norm), Row::kind(LayerKind::AveragePool, Rule::Flat), epsilon];
    assert_eq!(Composite::over_base(rows).rules(net.graph()).unwrap(), [Rule::Norm, Rule::Route, Rule::Epsilon(STABILIZER)]);
}

#[test]
fn the_first_layers_are_those_that_the_image_reaches_through_no_weights() {
    let graph = inception(Style { bias: true, norm: true });
    let rules =
        Composite::over_base([Row::first(LayerKind::Convolution, Rule::Flat), Row::named("*", Rule::Gradient)]).rules(&graph).unwrap();
    let flat = graph.nodes().iter().skip(1).zip(rules).filter(|(_, rule)| *rule == Rule::Flat).map(|(node, _)| node.name.as_str());
    assert_eq!(flat.collect::<Vec<_>>(), ["one", "five.reduce", "three.reduce", "pooled.project"]);
    let box_inside = Composite::over_base([Row::named("deep", Rule::ZBox), Row::named("*", Rule::Gradient)]);
    let refused = Analysis::new(network(graph, 1), &box_inside).unwrap_err().to_string();
    assert!(refused.contains("`deep`") && refused.contains("z-box"), "{refused}");
}
