//! Laws that every plugin of a kind keeps, on its example's settings.

use std::collections::BTreeMap;

use bezoar_attacks::trigger::{Moment, Stamp, Trigger};
use bezoar_attribution::{Analysis, Composite, Preset, Rule, STABILIZER};
use bezoar_config::Node;
use bezoar_core::{
    Attack, Batch, Classifier, ClusteredClass, Clusterer, Clustering, Context, Decision, Distance, Edit, Error, Features, Image, ImageSet,
    ImageShape, Part, Representation, Role, Sample, Splits, Transform,
};
use bezoar_nn::ops::{Form, Stabilizer};
use bezoar_nn::{Architecture, Array, Memory, Mode, Network, Op, TrainConfig, features};
use bezoar_tests::{CLASSES, context, example_block, examples, images, network, networks, registry, splits};
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use rand::Rng;
use serde_json::json;

/// Rows in a few clouds, as features of a class are.
fn clouds() -> impl Strategy<Value = Features> {
    (12..40usize, 2..6usize, prop::collection::vec(-1.0..1.0f32, 240), 1..4usize).prop_map(|(rows, width, noise, clouds)| {
        let value =
            |row: usize, column: usize| (row % clouds) as f32 * 5.0 * ((column % 2) as f32 * 2.0 - 1.0) + noise[row * width + column];
        let values =
            (0..rows).flat_map(|row| (0..width).map(move |column| (row, column))).map(|(row, column)| value(row, column)).collect();
        Features::new(vec![width], values).unwrap()
    })
}

/// A row order and what it makes of the features.
fn shuffled() -> impl Strategy<Value = (Features, Vec<usize>)> {
    clouds().prop_flat_map(|features| {
        let order: Vec<usize> = (0..features.len()).collect();
        (Just(features), Just(order).prop_shuffle())
    })
}

/// The clustering with clusters renamed by first appearance.
fn renamed(labels: &[Option<u32>]) -> Vec<Option<usize>> {
    let mut names = BTreeMap::new();
    labels
        .iter()
        .map(|label| {
            label.map(|label| {
                let next = names.len();
                *names.entry(label).or_insert(next)
            })
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn clusterers_ignore_row_order((features, order) in shuffled()) {
        // Heatmaps have a height and a width.
        let features = Features::new(vec![features.width(), 1], features.values().to_vec()).unwrap();
        for clusterer in examples::<dyn Clusterer>() {
            let straight = clusterer.cluster(&context(), &features).unwrap().labels;
            let shuffled = clusterer.cluster(&context(), &features.select(&order)).unwrap().labels;
            prop_assert_eq!(straight.len(), features.len());
            let expected: Vec<_> = order.iter().map(|&row| straight[row]).collect();
            prop_assert_eq!(renamed(&shuffled), renamed(&expected), "{}", clusterer.name());
        }
    }

    #[test]
    fn transforms_keep_rows_apart((features, order) in shuffled()) {
        for transform in examples::<dyn Transform>() {
            // Heatmaps have a height and a width.
            let features = Features::new(vec![features.width(), 1], features.values().to_vec()).unwrap();
            let straight = transform.transform(&context(), features.clone()).unwrap();
            let shuffled = transform.transform(&context(), features.select(&order)).unwrap();
            prop_assert_eq!(straight.len(), features.len());
            let expected = straight.select(&order);
            let scale = straight.values().iter().fold(1e-6f32, |scale, value| scale.max(value.abs()));
            for (a, b) in shuffled.values().iter().zip(expected.values()) {
                prop_assert!((a - b).abs() <= 1e-4 * scale, "{}: {a} and {b}", transform.name());
            }
        }
    }

    #[test]
    fn decisions_never_accuse_the_largest_cluster_alone((features, _) in shuffled(), sizes in (8..20usize, 1..8usize)) {
        let labels = (0..features.len()).map(|row| Some(u32::from(row % (sizes.0 + sizes.1) >= sizes.0))).collect();
        let clustering = Clustering::of(labels);
        for decision in examples::<dyn Decision>() {
            let class = ClusteredClass { features: &features, clustering: &clustering, origin: None, silhouette: Some(0.5) };
            let decided = decision.decide(&context(), &class);
            if ["causal", "centroid-distance", "concentration", "shift"].contains(&decision.name()) {
                prop_assert!(decided.is_err(), "{} sees more than one class's features", decision.name());
                continue;
            }
            let decided = decided.unwrap();
            prop_assert_eq!(decided.flagged.len(), features.len());
            let largest = clustering.largest();
            let accused = decided.flagged.iter().zip(&clustering.labels).any(|(&flagged, &label)| flagged && label == largest);
            prop_assert!(!accused, "{}", decision.name());
        }
    }
}

/// The rows whose pixels or labels differ.
fn changed(before: &ImageSet, after: &ImageSet) -> Vec<usize> {
    let same = |row: &usize| before.samples()[*row] == after.samples()[*row] && before.image(*row).unwrap() == after.image(*row).unwrap();
    (0..before.len()).filter(|row| !same(row)).collect()
}

#[test]
fn attacks_change_just_what_their_truth_says() {
    let surrogate = network();
    for attack in examples::<dyn Attack>() {
        let name = attack.name();
        for seed in 0..3 {
            let clean = splits(seed);
            let poison = |seed| attack.poison(&Context::quiet(seed), &clean, Some(&surrogate)).unwrap();
            let poisoned = poison(seed);
            let touched: Vec<_> = (0..clean.train.len()).filter(|&row| poisoned.truth.roles[row] != Role::Clean).collect();
            assert_eq!(changed(&clean.train, &poisoned.train), touched, "{name}");
            assert_eq!(poisoned.truth.poisoned() == 0, name == "none");
            assert_eq!(poisoned.truth.targets.is_empty(), name == "none");
            let is_consistent = attack.surrogate().is_some();
            for row in touched {
                if is_consistent || poisoned.truth.roles[row] == Role::Cover {
                    assert_eq!(poisoned.train.label(row), clean.train.label(row), "{name}");
                }
                // Outside a local trigger, only crafted images change, and no further than their ball reaches.
                let radius = attack.block()["craft"]["ascent"]["radius"].as_f64().unwrap_or(0.0);
                let masks = &poisoned.truth.masks[row];
                let (before, after) = (clean.train.image(row).unwrap(), poisoned.train.image(row).unwrap());
                let width = before.shape().width;
                for (at, (a, b)) in before.pixels().iter().zip(after.pixels()).enumerate() {
                    let [y, x] = [at / 3 / width, at / 3 % width];
                    let is_marked = masks.is_empty() || masks.iter().any(|mask| mask.contains(y, x));
                    assert!(is_marked || f64::from(a.abs_diff(*b)) <= radius, "{name}");
                }
            }
            assert_eq!(poisoned.triggered.images.len(), poisoned.triggered.targets.len());
            let digest = |seed| poison(seed).train.digest().unwrap();
            assert_eq!(digest(seed), poisoned.train.digest().unwrap(), "{name}: the same seed");
            assert_eq!(digest(seed) == digest(seed + 9), name == "none", "{name}: another seed");
        }
    }
}

/// Whether a field holds a whole number, or may be left empty beside that.
fn is_whole(field: &serde_json::Value) -> bool {
    field["type"] == "integer" || field["type"].as_array().is_some_and(|types| types.contains(&json!("integer")))
}

/// What becomes of a plugin of a kind at work.
fn try_out(kind: &str, block: serde_json::Value, rows: &Features, surrogate: &dyn Classifier) -> Result<(), Error> {
    match kind {
        "attack" => Part::<dyn Attack>::from_json(block)?.poison(&context(), &splits(1), Some(surrogate)).map(drop),
        "trigger" => {
            let attack = json!({ "use": "backdoor", "trigger": block, "to": "speed-limit-80", "share": 0.1 });
            try_out("attack", attack, rows, surrogate)
        }
        "clusterer" => Part::<dyn Clusterer>::from_json(block)?.cluster(&context(), rows).map(drop),
        "distance" => Part::<dyn Distance>::from_json(block)?.between(&context(), rows).map(drop),
        "transform" => Part::<dyn Transform>::from_json(block)?.transform(&context(), rows.clone()).map(drop),
        _ => {
            let clustering = Clustering::of((0..rows.len()).map(|row| Some(u32::from(row % 4 == 0))).collect());
            let class = ClusteredClass { features: rows, clustering: &clustering, origin: None, silhouette: Some(0.5) };
            Part::<dyn Decision>::from_json(block)?.decide(&context(), &class).map(drop)
        }
    }
}

/// Every field of a plugin with a number's range, and values at and beyond its ends.
fn ends(schema: &serde_json::Value) -> Vec<(String, Vec<(f64, bool)>)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let ends = fields.map(|(name, field)| {
        let step = if is_whole(field) { 1.0 } else { 1e-3 };
        let limit = |key: &str| field[key].as_f64();
        let mut values = Vec::new();
        values.extend(limit("minimum").into_iter().flat_map(|end| [(end, true), (end - step, false)]));
        values.extend(limit("maximum").into_iter().flat_map(|end| [(end, true), (end + step, false)]));
        values.extend(limit("exclusiveMinimum").into_iter().flat_map(|end| [(end, false), (end + 1e-3, true)]));
        values.extend(limit("exclusiveMaximum").into_iter().flat_map(|end| [(end, false), (end - 1e-3, true)]));
        (name.clone(), values)
    });
    ends.filter(|(_, values)| !values.is_empty()).collect()
}

#[test]
fn numbers_beyond_their_range_are_refused_and_at_its_ends_nothing_panics() {
    let surrogate = network();
    let number = |value: f64, field: &serde_json::Value| if is_whole(field) { json!(value as i64) } else { json!(value) };
    // Heatmaps of two shapes, of 3 x 3 pixels.
    let rows =
        (0..24).flat_map(|row| (0..9).map(move |pixel| ((row * 7 + pixel * 5) % 11) as f32 + if row % 4 == pixel { 20.0 } else { 0.0 }));
    let rows = Features::new(vec![3, 3], rows.collect()).unwrap();
    let mut ranges = BTreeMap::new();
    for kind in ["attack", "trigger", "clusterer", "distance", "decision", "transform"] {
        for plugin in registry().of_kind(kind) {
            let schema = plugin.schema();
            for (field, values) in ends(&schema) {
                for (value, is_inside) in values {
                    let mut block = example_block(plugin);
                    block[&field] = number(value, &schema["properties"][&field]);
                    let said = format!("{kind}/{} with {field}: {value}", plugin.name);
                    let mistakes = registry().check(kind, &Node::from_json(block.clone()));
                    assert!(is_inside || !mistakes.is_empty(), "{said}");
                    *ranges.entry(kind).or_insert(0) += 1;
                    if !mistakes.is_empty() {
                        continue;
                    }
                    if let Err(error) = try_out(kind, block, &rows, &surrogate) {
                        assert!(matches!(error, Error::Request { .. }), "{said}: {error}");
                    }
                }
            }
        }
    }
    let at_least = [("attack", 50), ("clusterer", 40), ("decision", 10), ("distance", 10), ("transform", 10), ("trigger", 50)];
    assert!(at_least.iter().all(|(kind, values)| ranges[kind] >= *values), "{ranges:?} values were tried");
}

#[test]
fn grey_and_tiny_images_are_poisoned_or_refused_in_words() {
    for channels in [1, 3] {
        for side in [1, 2, 3, 8, 33] {
            let shape = ImageShape { height: side, width: side + 1, channels };
            let rows = (0..60).map(|row| Edit {
                sample: Sample { id: row.to_string(), label: row % 3, path: String::new() },
                image: Image::new(shape, (0..shape.len()).map(|at| (at * 13 + row as usize * 5) as u8).collect()).unwrap(),
            });
            let set = ImageSet::from_images(CLASSES.map(str::to_owned).to_vec(), rows.collect()).unwrap();
            let clean = Splits { train: set.clone(), validation: None, test: set, skipped: Vec::new() };
            for attack in examples::<dyn Attack>().into_iter().filter(|attack| attack.surrogate().is_none()) {
                match attack.poison(&context(), &clean, None) {
                    Ok(poisoned) => assert_eq!(poisoned.train.shape(), shape),
                    Err(error) => assert!(side < 33 && matches!(error, Error::Request { .. }), "{} of {shape:?}: {error}", attack.name()),
                }
            }
        }
    }
}

#[test]
fn triggers_change_what_they_say_and_depend_on_their_seeds_alone() {
    let shapes = [(32, 32, 3), (32, 40, 1), (65, 33, 3), (2, 3, 3), (1, 1, 1)];
    for trigger in examples::<dyn Trigger>() {
        for (height, width, channels) in shapes {
            let shape = ImageShape { height, width, channels };
            let ready = |seed| trigger.prepare(shape, &mut Context::quiet(seed).rng("trigger"));
            let Ok(stamp) = ready(1) else {
                assert!(height.min(width) < 32, "{} refuses {shape:?}", trigger.name());
                continue;
            };
            let again = ready(1).unwrap();
            let image = images([1, 0, 0], 3).image(0).unwrap().into_pixels().into_iter().cycle().take(shape.len()).collect();
            let image = Image::new(shape, image).unwrap();
            for moment in [Moment::Poison, Moment::Cover, Moment::Test] {
                let stamped = |stamp: &dyn Stamp| {
                    let mut image = image.clone();
                    let masks = stamp.stamp(&mut image, moment, &mut Context::quiet(2).rng("image"));
                    (image, masks)
                };
                let (marked, masks) = stamped(&*stamp);
                assert_eq!((&marked, &masks), (&stamped(&*again).0, &stamped(&*again).1), "{}", trigger.name());
                let untouched = |place: usize| !masks.is_empty() && !masks.iter().any(|mask| mask.contains(place / width, place % width));
                let pixels = image.pixels().chunks(channels).zip(marked.pixels().chunks(channels)).enumerate();
                assert!(pixels.clone().all(|(place, (before, after))| before == after || !untouched(place)), "{}", trigger.name());
                assert!(height < 32 || pixels.clone().any(|(_, (before, after))| before != after), "{} marks nothing", trigger.name());
            }
        }
    }
}

/// All rows that a representation gives.
fn represent(representation: &dyn Representation, net: &dyn Classifier, images: &ImageSet) -> Features {
    let mut all: Option<Features> = None;
    let mut sink = |features: Features| match &mut all {
        Some(all) => all.extend(&features),
        none => {
            *none = Some(features);
            Ok(())
        }
    };
    representation.represent(&context(), net, images, &mut sink).unwrap();
    all.unwrap()
}

/// Those that need no file.
fn representations() -> Vec<Part<dyn Representation>> {
    examples::<dyn Representation>().into_iter().filter(|representation| matches!(representation.fingerprint(), Ok(None))).collect()
}

#[test]
fn representations_see_each_image_alone() {
    let (net, set) = (network(), images([4, 5, 3], 1));
    for representation in representations() {
        let together = represent(&*representation, &net, &set);
        assert_eq!(together.len(), set.len());
        assert!(together.first_not_finite().is_none());
        for row in 0..set.len() {
            let alone = represent(&*representation, &net, &set.select(&[row]));
            assert_eq!(alone.row(0), together.row(row), "{} of row {row}", representation.name());
        }
    }
}

#[test]
fn threads_change_nothing() {
    let (net, set) = (network(), images([9, 8, 7], 2));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let heatmaps: Vec<_> = representations().iter().map(|representation| represent(&**representation, &net, &set)).collect();
            let batch: Batch = set.batch(&(0..set.len()).collect::<Vec<_>>()).unwrap();
            (heatmaps, net.logits(&batch).unwrap())
        })
    };
    assert_eq!(with(1), with(3));
}

/// The largest difference between values, in parts of the largest value.
fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    let host = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (found, expected) = (host(found), host(expected));
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    found.iter().zip(&expected).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / largest
}

/// Some images of noise for a net, fewer than a block of it has and more than two threads share evenly.
fn noise(net: &Network) -> Batch {
    let [channels, height, width] = net.graph().input();
    let shape = ImageShape { channels, height, width };
    let mut pixels = vec![0; 7 * shape.len()];
    context().rng("noise").fill_bytes(&mut pixels);
    Batch { shape, labels: vec![0, 0, 0, 1, 1, 2, 2], pixels }
}

#[test]
fn nets_in_use_give_what_their_layers_give() {
    for (name, net) in networks() {
        let exact = net.to(&Device::Cpu, DType::F64).unwrap();
        let images = Array::new(&exact.images(&noise(&net)).unwrap(), &Memory::default()).unwrap();
        let layers = exact.record(&images, Mode::Use).unwrap().scores().unwrap();
        let found = distance(&net.scores(&noise(&net)).unwrap(), &layers);
        assert!(found < 1e-5, "{name}: {found}");
    }
}

/// The relevance of the images for their own scores, in double precision.
fn relevance(net: &Network, composite: &Composite, images: &Tensor) -> Tensor {
    let analysis = Analysis::new(net.fold_batch_norm().unwrap(), composite).unwrap();
    analysis.explain(images, |scores, _| Ok(scores.clone())).unwrap().relevance
}

#[test]
fn without_epsilon_and_bias_relevance_is_gradient_times_input() {
    for (name, net) in networks() {
        let constant = |name: &str| name.ends_with("bias") || name.ends_with("running_mean");
        let parameters = net.parameters().iter().map(|(name, tensor)| {
            let tensor = tensor.to_dtype(DType::F64).unwrap();
            (name.clone(), if constant(name) { tensor.zeros_like().unwrap() } else { tensor })
        });
        let net = Network::new(net.graph().clone(), parameters.collect()).unwrap();
        // Where a ReLU6 is at its end, and in attention, relevance passes that no gradient does.
        if net.graph().nodes().iter().any(|node| matches!(node.op, Op::Activation { .. } | Op::MatMul) && node.op != Op::RELU) {
            continue;
        }
        let images = net.images(&noise(&net)).unwrap();
        let tape = net.record(&Array::new(&images, &Memory::default()).unwrap(), Mode::Use).unwrap();
        let scores = tape.scores().unwrap();
        let expected = (net.image_gradient(tape, &scores.ones_like().unwrap()).unwrap() * &images).unwrap();
        let found = relevance(&net, &Composite::epsilon(1e-15).with_stabilizer(Stabilizer { epsilon: 1e-15, form: Form::Add }), &images);
        let found = distance(&found, &expected);
        assert!(found < 1e-5, "{name}: {found}");
    }
}

#[test]
fn every_composite_explains_every_net() {
    let presets = [
        Preset::Epsilon,
        Preset::EpsilonPlus,
        Preset::EpsilonPlusFlat,
        Preset::EpsilonGammaBox,
        Preset::EpsilonAlpha2Beta1,
        Preset::EpsilonAlpha2Beta1Flat,
        Preset::ExcitationBackprop,
    ];
    for (name, net) in networks() {
        let batch = noise(&net);
        for preset in &presets {
            let analysis = Analysis::new(net.fold_batch_norm().unwrap(), &preset.of(STABILIZER, 0.25)).unwrap();
            let images = net.images(&batch).unwrap().narrow(0, 0, 2).unwrap();
            let start = |scores: &Tensor, _| Ok(scores.clone());
            let relevance = analysis.explain(&images, start).unwrap().relevance;
            assert!(features(&relevance).unwrap().first_not_finite().is_none(), "{name}, {preset:?}");
            let balances = analysis.balance(&images, start).unwrap();
            for balance in balances.iter().filter(|balance| balance.rule != Rule::Gradient) {
                let accounted = balance.handed_on + balance.absorbed.bias + balance.absorbed.epsilon + balance.absorbed.lost;
                let scale = balances.iter().map(|balance| balance.arrived.abs()).fold(1.0, f64::max);
                assert!((balance.arrived - accounted).abs() < 1e-3 * scale, "{name}, {preset:?}: {balance:?}");
            }
        }
    }
}

/// Images of noise whose class is how bright they are.
fn shaded() -> ImageSet {
    let noise = images([4, 4, 4], 3);
    let edits = noise.samples().iter().enumerate().map(|(row, sample)| {
        let noise = noise.image(row).unwrap();
        let pixels = noise.pixels().iter().map(|pixel| pixel / 4 + 90 * sample.label as u8).collect();
        Edit { sample: sample.clone(), image: Image::new(noise.shape(), pixels).unwrap() }
    });
    ImageSet::from_images(noise.classes().to_vec(), edits.collect()).unwrap()
}

#[test]
fn every_net_learns() {
    for model in examples::<dyn Architecture>().into_iter().filter(|model| matches!(model.fingerprint(), Ok(None))) {
        if model.graph([3, 32, 32], CLASSES.len()).is_err() {
            continue;
        }
        // A net whose scores are rectified loses them at larger rates.
        let (rate, epochs) = if model.name() == "squeezenet" { (2e-4, 50) } else { (1e-3, 12) };
        let config = json!({ "epochs": epochs, "batch": 6, "optimizer": { "use": "adam", "rate": rate }, "augment": { "use": "none" } });
        let config: TrainConfig = serde_json::from_value(config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let history = bezoar_nn::train(&context(), &*model, &shaded(), None, &config, folder.path()).unwrap().history;
        let losses: Vec<f64> = history.iter().map(|epoch| epoch.train.loss).collect();
        assert!(losses[epochs - 1] < 0.9 * losses[0], "{}: {losses:?}", model.name());
    }
}

#[test]
fn relevance_of_an_image_does_not_depend_on_the_others() {
    for (name, net) in networks() {
        let net = net.to(&Device::Cpu, DType::F64).unwrap();
        let images = net.images(&noise(&net)).unwrap();
        for composite in [Composite::epsilon(1e-6), Composite::epsilon_plus(1e-6)] {
            let all = relevance(&net, &composite, &images);
            for image in [0, 6] {
                let alone = relevance(&net, &composite, &images.narrow(0, image, 1).unwrap());
                let found = distance(&all.narrow(0, image, 1).unwrap(), &alone);
                assert!(found == 0.0, "{name}, {composite:?}, image {image}: {found}");
            }
        }
    }
}

#[test]
fn no_images_have_no_scores() {
    for (name, net) in networks() {
        let [c, h, w] = net.graph().input();
        let none = Tensor::zeros((0, c, h, w), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(net.forward(&none).unwrap().dims(), [0, net.graph().classes()], "{name}");
    }
}
