//! `lrp` and `activations` as a pipeline uses them.

use std::any::Any;
use std::sync::Arc;

use bezoar_attribution::{
    Activations, AlignedPatch, Analysis, Channels, Composite, GradCam, Gradient, GuidedBackprop, IntegratedGradients, Lrp, Preset, Show,
    Side, SmoothGrad, StrongestWindow, Target, Through,
};
use bezoar_core::{
    Batch, Cancel, Classifier, Context, Edit, Error, Features, Image, ImageSet, ImageShape, Part, Plugin, Progress, Registry,
    Representation, Result, Sample, Task,
};
use bezoar_nn::{Array, GraphBuilder, Memory, Mode, Network, Op, features};
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use rand::RngExt;

use crate::support::{Style, distance, inception, network, residual};

const FULL: Style = Style { bias: true, norm: true };

fn net(seed: u64) -> Network {
    network(inception(FULL), seed).to(&Device::Cpu, DType::F32).unwrap()
}

/// Random images that suit the net.
fn images(model: &Network, len: usize, seed: u64) -> ImageSet {
    let shape = model.input();
    let mut rng = Context::quiet(seed).rng("images");
    let rows = (0..len).map(|row| Edit {
        sample: Sample { id: format!("s{row}"), label: rng.random_range(0..model.classes() as u32), path: String::new() },
        image: Image::new(shape, (0..shape.len()).map(|_| rng.random()).collect()).unwrap(),
    });
    let rows = rows.collect();
    ImageSet::from_images((0..model.classes()).map(|class| class.to_string()).collect(), rows).unwrap()
}

fn lrp() -> Lrp {
    Lrp::example()
}

fn represent(cx: &Context, representation: &dyn Representation, model: &dyn Classifier, images: &ImageSet) -> Result<Features> {
    let mut parts: Vec<Features> = Vec::new();
    representation.represent(cx, model, images, &mut |rows| {
        parts.push(rows);
        Ok(())
    })?;
    let shape = parts[0].shape().to_vec();
    assert!(parts.iter().all(|part| part.shape() == shape));
    Features::new(shape, parts.into_iter().flat_map(Features::into_values).collect())
}

fn rows<P: Plugin<Kind = dyn Representation>>(plugin: P, model: &dyn Classifier, images: &ImageSet) -> Result<Features> {
    represent(&Context::quiet(0), &*plugin.build()?, model, images)
}

/// All bits of all values.
fn bits(features: &Features) -> Vec<u32> {
    features.values().iter().map(|value| value.to_bits()).collect()
}

fn built<P: Plugin<Kind = dyn Representation>>(plugin: P) -> Arc<dyn Representation> {
    plugin.build().unwrap()
}

fn all() -> Vec<Arc<dyn Representation>> {
    let presets = [
        Preset::Epsilon,
        Preset::EpsilonPlus,
        Preset::EpsilonPlusFlat,
        Preset::EpsilonGammaBox,
        Preset::EpsilonAlpha2Beta1,
        Preset::EpsilonAlpha2Beta1Flat,
        Preset::ExcitationBackprop,
    ];
    let mut all: Vec<_> = presets.into_iter().map(|composite| built(Lrp { composite, ..lrp() })).collect();
    all.extend([
        built(Lrp { target: Target::Predicted, channels: Channels::Keep, ..lrp() }),
        built(Lrp { at: Some("joined".into()), ..lrp() }),
        built(Activations::example()),
        built(Activations { layer: "deep".into() }),
        built(Activations { layer: "head".into() }),
        built(Gradient { times_input: true, ..Gradient::default() }),
        built(GuidedBackprop::default()),
        built(IntegratedGradients { steps: 3, ..IntegratedGradients::default() }),
        built(SmoothGrad { samples: 2, ..SmoothGrad::default() }),
        built(GradCam::default()),
    ]);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn an_image_alone_decides_its_row(seed: u64, len in 2usize..70) {
        let model = net(seed);
        let images = images(&model, len, seed);
        for (number, representation) in all().iter().enumerate() {
            let cx = Context::quiet(seed);
            let together = represent(&cx, &**representation, &model, &images).unwrap();
            for row in [0, len / 2, len - 1] {
                let alone = represent(&cx, &**representation, &model, &images.select(&[row])).unwrap();
                prop_assert!(bits(&alone) == bits(&together.select(&[row])), "representation {number}, row {row} of {len}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter(seed: u64) {
        let model = net(seed);
        let images = images(&model, 5, seed);
        for representation in all() {
            let [one, two] = [1, 2].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| represent(&Context::quiet(0), &*representation, &model, &images).unwrap())
            });
            prop_assert!(bits(&one) == bits(&two));
        }
    }
}

#[test]
fn rows_have_the_shape_that_was_asked_for() {
    let model = net(1);
    let images = images(&model, 3, 1);
    let sums = rows(lrp(), &model, &images).unwrap();
    let kept = rows(Lrp { channels: Channels::Keep, ..lrp() }, &model, &images).unwrap();
    assert_eq!((sums.len(), sums.shape()), (3, &[16, 16][..]));
    assert_eq!((kept.len(), kept.shape()), (3, &[3, 16, 16][..]));
    for (sum, kept) in sums.rows().zip(kept.rows()) {
        for (place, sum) in sum.iter().enumerate() {
            assert!((sum - (kept[place] + kept[256 + place] + kept[512 + place])).abs() < 1e-6);
        }
    }
    assert_eq!(rows(Activations::example(), &model, &images).unwrap().shape(), [16]);
    assert_eq!(rows(Activations { layer: "joined".into() }, &model, &images).unwrap().shape(), [24, 16, 16]);
}

#[test]
fn the_target_is_the_class_that_was_asked_for() {
    let model = net(2);
    let images = images(&model, 8, 2);
    let predicted: Vec<u32> = model
        .logits(&images.batch(&(0..8).collect::<Vec<_>>()).unwrap())
        .unwrap()
        .rows()
        .map(|scores| (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap() as u32)
        .collect();
    let relabelled = (0..8).map(|row| {
        let sample = Sample { label: predicted[row], ..images.samples()[row].clone() };
        bezoar_core::Row::Keep(row, sample)
    });
    let relabelled = images.recompose(relabelled.collect()).unwrap();
    let label = rows(lrp(), &model, &images).unwrap();
    assert_eq!(rows(lrp(), &model, &relabelled).unwrap(), rows(Lrp { target: Target::Predicted, ..lrp() }, &model, &images).unwrap());
    assert_ne!(rows(lrp(), &model, &relabelled).unwrap(), label);
}

#[test]
fn numbers_that_are_not_finite_name_their_layer_and_sample() {
    let model = net(3);
    let set = images(&model, 4, 3);
    for (layer, value) in [("deep", f64::NAN), ("head", f64::INFINITY)] {
        let mut parameters = model.parameters().clone();
        let name = format!("{layer}.weight");
        let broken = (parameters[&name].ones_like().unwrap() * value).unwrap();
        parameters.insert(name, broken);
        let broken = Network::new(model.graph().clone(), parameters).unwrap();
        for refused in [rows(lrp(), &broken, &set), rows(Activations { layer: "head".into() }, &broken, &set)] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("\"s0\""), "{message}");
        }
        let message = rows(lrp(), &broken, &set).unwrap_err().to_string();
        assert!(message.contains(&format!("`{layer}`")), "{message}");
    }
    // Without any bias a black image gives nothing to share: finite all the same.
    let plain = network(residual(Style { bias: false, norm: false }), 1).to(&Device::Cpu, DType::F32).unwrap();
    let shape = ImageShape::rgb(12, 12);
    let sample = Sample { id: "black".into(), label: 0, path: String::new() };
    let black = ImageSet::from_images(vec!["a".into()], vec![Edit { sample, image: Image::new(shape, vec![0; shape.len()]).unwrap() }]);
    assert!(rows(lrp(), &plain, &black.unwrap()).unwrap().values().iter().all(|value| *value == 0.0));
}

#[test]
fn relevance_that_overflows_names_the_layer_that_makes_it() {
    let model = net(4);
    let mut parameters = model.parameters().clone();
    for name in ["head.weight", "head.bias"] {
        let zeros = parameters[name].zeros_like().unwrap();
        parameters.insert(name.into(), zeros);
    }
    let indifferent = Network::new(model.graph().clone(), parameters).unwrap();
    let set = images(&indifferent, 2, 4);
    let overflow = rows(Lrp { epsilon: 1e-40, ..lrp() }, &indifferent, &set).unwrap_err();
    assert_eq!(overflow.to_string(), "sample \"s0\", layer `head`: the relevance that the layer hands on is not finite");
    assert!(rows(lrp(), &indifferent, &set).unwrap().values().iter().all(|value| *value == 0.0));
}

/// A classifier that is no layer graph.
struct Foreign;

impl Classifier for Foreign {
    fn input(&self) -> ImageShape {
        ImageShape::rgb(16, 16)
    }

    fn classes(&self) -> usize {
        5
    }

    fn layers(&self) -> Vec<String> {
        vec!["hidden".into(), "head".into()]
    }

    fn penultimate(&self) -> String {
        "hidden".into()
    }

    fn logits(&self, _: &Batch) -> Result<Features> {
        unreachable!("nobody asks for scores")
    }

    fn activations(&self, batch: &Batch, layer: &str) -> Result<Features> {
        assert_eq!(layer, "hidden");
        Features::new(vec![2], vec![1.0; 2 * batch.len()])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn requests_that_make_no_sense_are_refused_with_a_hint() {
    let model = net(5);
    let set = images(&model, 2, 5);
    let foreign = rows(lrp(), &Foreign, &set).unwrap_err();
    assert!(foreign.help().unwrap().contains("activations"));
    assert_eq!(rows(Activations::example(), &Foreign, &set).unwrap().shape(), [2]);

    let unknown = rows(Activations { layer: "hiden".into() }, &model, &set).unwrap_err();
    assert_eq!(unknown.to_string(), "the net has no layer `hiden`");
    assert!(unknown.help().unwrap().starts_with("did you mean `hidden`? its layers are input, one,"), "{:?}", unknown.help());

    let classes = (0..9).map(|class| class.to_string()).collect();
    let odd = Edit { sample: Sample { id: "odd".into(), label: 8, path: String::new() }, image: set.image(0).unwrap() };
    let odd = ImageSet::from_images(classes, vec![odd]).unwrap();
    assert_eq!(rows(lrp(), &model, &odd).unwrap_err().to_string(), "an image of class 8 where the net has 5 classes");
    assert!(rows(Lrp { target: Target::Predicted, ..lrp() }, &model, &odd).is_ok());
}

/// Stops the run at the first sign of progress.
struct Impatient(Cancel);

impl Progress for Impatient {
    fn task(&self, _: &str, total: u64) -> Box<dyn Task> {
        assert_eq!(total, 200);
        Box::new(Self(self.0.clone()))
    }

    fn note(&self, _: &str) {}
}

impl Task for Impatient {
    fn advance(&self, steps: u64) {
        assert!(steps > 0);
        self.0.cancel();
    }

    fn remark(&self, _: &str) {}
}

#[test]
fn a_cancelled_run_stops_between_batches() {
    let model = net(6);
    let set = images(&model, 200, 6);
    for representation in all() {
        let cancel = Cancel::default();
        let cx = Context::new(0, bezoar_core::Device::Cpu, Arc::new(Impatient(cancel.clone())), cancel);
        assert!(matches!(represent(&cx, &*representation, &model, &set), Err(Error::Cancelled)));
    }
}

#[test]
fn all_are_plugins_that_yaml_can_name() {
    let registry = Registry::global().unwrap();
    let names = ["lrp", "activations", "gradient", "guided-backprop", "integrated-gradients", "smooth-grad", "grad-cam"];
    for name in names {
        let plugin = registry.get("representation", name).unwrap();
        assert!(!plugin.summary().is_empty());
        let block = serde_json::json!({ "use": name });
        let part = registry.part::<dyn Representation>(&bezoar_config::Node::from_json(block)).unwrap();
        let mut example = plugin.example();
        example.as_object_mut().unwrap().insert("use".into(), name.into());
        assert_eq!(part.block(), example, "the example is the default");
    }
    let part = |block| registry.part::<dyn Representation>(&bezoar_config::Node::from_json(block));
    for refused in [
        serde_json::json!({ "use": "lrp", "epsilon": 0.0 }),
        serde_json::json!({ "use": "lrp", "composite": "epsilon-minus" }),
        serde_json::json!({ "use": "lrp", "target": "truth" }),
        serde_json::json!({ "use": "lrp", "composite": { "rows": [{ "kind": "convolution", "rule": { "gamma": -1.0 } }] } }),
        serde_json::json!({ "use": "lrp", "composite": { "rows": [{ "name": "[", "rule": "flat" }] } }),
        serde_json::json!({ "use": "integrated-gradients", "steps": 0 }),
    ] {
        assert!(part(refused.clone()).is_err(), "{refused}");
    }
}

#[test]
fn composites_can_be_written_row_by_row() {
    let model = net(3);
    let images = images(&model, 3, 3);
    let plus = rows(Lrp { composite: Preset::EpsilonPlus, ..lrp() }, &model, &images).unwrap();
    let block = serde_json::json!({ "use": "lrp", "composite": { "rows": [
        { "kind": "linear", "rule": { "epsilon": 1e-6 } },
        { "first": true, "rule": "z-plus" },
        { "name": "three*", "kind": "convolution", "rule": "z-plus" },
        { "kind": "convolution", "rule": { "alpha-beta": { "alpha": 1.0, "beta": 0.0 } } },
    ] } });
    let part = Registry::global().unwrap().part::<dyn Representation>(&bezoar_config::Node::from_json(block)).unwrap();
    assert_eq!(represent(&Context::quiet(0), &*part, &model, &images).unwrap(), plus);
}

/// The largest distance of values, relative to the largest.
fn apart(found: &[f32], expected: &[f32]) -> f64 {
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    distance(&wide(found), &wide(expected))
}

#[test]
fn gradients_are_those_of_the_net() {
    let model = net(5);
    let set = images(&model, 4, 5);
    let batch = set.batch(&[0, 1, 2, 3]).unwrap();
    let pixels = model.images(&batch).unwrap();
    let labels = Tensor::new(batch.labels.as_slice(), &Device::Cpu).unwrap();
    let start = Tensor::eye(model.classes(), DType::F32, &Device::Cpu).unwrap().index_select(&labels, 0).unwrap();
    let tape = model.record(&Array::new(&pixels, &Memory::default()).unwrap(), Mode::Use).unwrap();
    let gradient = model.image_gradient(tape, &start).unwrap();

    let keep = Gradient { channels: Channels::Keep, ..Gradient::default() };
    let found = rows(keep.clone(), &model, &set).unwrap();
    assert!(apart(found.values(), features(&gradient).unwrap().values()) < 1e-4);
    let times = rows(Gradient { times_input: true, ..keep }, &model, &set).unwrap();
    assert!(apart(times.values(), features(&(&gradient * &pixels).unwrap()).unwrap().values()) < 1e-4);
    let still = SmoothGrad { samples: 2, noise: 0.0, channels: Channels::Keep, target: Target::Label };
    assert!(apart(rows(still.clone(), &model, &set).unwrap().values(), found.values()) < 1e-5);
    let noisy = |seed| represent(&Context::quiet(seed), &*built(SmoothGrad { noise: 0.2, ..still.clone() }), &model, &set).unwrap();
    assert_eq!(noisy(1), noisy(1));
    assert_ne!(noisy(1), noisy(2));
}

#[test]
fn integrated_gradients_add_up_to_the_change_of_the_score() {
    let model = net(6);
    let set = images(&model, 3, 6);
    let batch = set.batch(&[0, 1, 2]).unwrap();
    let pixels = model.images(&batch).unwrap();
    let [here, there] = [pixels.clone(), (pixels.zeros_like().unwrap() + 0.5).unwrap()].map(|images| model.forward(&images).unwrap());
    let change: Vec<Vec<f32>> = (here - there).unwrap().to_vec2().unwrap();
    let found = rows(IntegratedGradients { steps: 300, baseline: 0.5, ..IntegratedGradients::default() }, &model, &set).unwrap();
    for ((row, change), label) in found.rows().zip(change).zip(batch.labels) {
        let (sum, change) = (row.iter().sum::<f32>(), change[label as usize]);
        assert!((sum - change).abs() < 0.02 * change.abs().max(0.1), "{sum} where the score changes by {change}");
    }
}

#[test]
fn guided_backprop_hands_on_what_is_positive() {
    let mut builder = GraphBuilder::new([1, 1, 2]).unwrap();
    let flat = builder.add("flat", Op::Flatten, &[builder.input()]).unwrap();
    let hidden = builder.add("hidden", Op::Linear { features: 3, bias: false }, &[flat]).unwrap();
    let relu = builder.add("relu", Op::RELU, &[hidden]).unwrap();
    builder.add("head", Op::Linear { features: 1, bias: false }, &[relu]).unwrap();
    let weights = [("hidden.weight", Tensor::new(&[[1f32, 2.0], [3.0, -4.0], [5.0, 6.0]], &Device::Cpu).unwrap())];
    let head = ("head.weight", Tensor::new(&[[-1f32, 1.0, 2.0]], &Device::Cpu).unwrap());
    let parameters = weights.into_iter().chain([head]).map(|(name, value)| (name.to_owned(), value)).collect();
    let net = Network::new(builder.build().unwrap(), parameters).unwrap();
    let sample = Sample { id: "one".into(), label: 0, path: String::new() };
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let image = Edit { sample, image: Image::new(shape, vec![51, 255]).unwrap() };
    let set = ImageSet::from_images(vec!["a".into()], vec![image]).unwrap();
    // Of the hidden values 2.2, -3.4 and 7, the first has a negative weight and the second is negative itself.
    assert_eq!(rows(GuidedBackprop::default(), &net, &set).unwrap().values(), [10.0, 12.0]);
    assert_eq!(rows(Gradient::default(), &net, &set).unwrap().values(), [9.0, 10.0]);
}

#[test]
fn grad_cam_weighs_maps_by_their_mean_gradient() {
    let model = net(7);
    let set = images(&model, 2, 7);
    let pixels = model.images(&set.batch(&[0, 1]).unwrap()).unwrap();
    let found = rows(GradCam { layer: Some("joined".into()), ..GradCam::default() }, &model, &set).unwrap();
    assert_eq!(found.shape(), [16, 16]);
    let folded = model.fold_batch_norm().unwrap();
    let maps = folded.forward_to(&pixels, folded.graph().find("joined").unwrap()).unwrap();
    let analysis = Analysis::new(folded, &Composite::gradient()).unwrap().at("joined").unwrap();
    let target = Target::Label.resolve(set.classes()).unwrap();
    let labels: Vec<u32> = set.samples().iter().map(|sample| sample.label).collect();
    let gradient = analysis.explain(&pixels, |scores, rows| target.relevance(scores, &labels[rows])).unwrap().relevance;
    let maps: Vec<f32> = maps.flatten_all().unwrap().to_vec1().unwrap();
    let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
    let expected: Vec<f32> = maps
        .chunks(24 * 256)
        .zip(gradient.chunks(24 * 256))
        .flat_map(|(maps, gradient)| {
            let weights: Vec<f32> = gradient.chunks(256).map(|channel| channel.iter().sum::<f32>() / 256.0).collect();
            (0..256).map(move |place| (0..24).map(|channel| weights[channel] * maps[channel * 256 + place]).sum::<f32>().max(0.0))
        })
        .collect();
    assert!(apart(found.values(), &expected) < 1e-5);
    let smaller = rows(GradCam::default(), &model, &set).unwrap();
    assert!(smaller.shape() == [16, 16] && smaller.values().iter().all(|value| *value >= 0.0));
    assert!(rows(GradCam { layer: Some("head".into()), ..GradCam::default() }, &model, &set).unwrap_err().to_string().contains("`head`"));
}

#[test]
fn relevance_of_a_layer_is_all_there_is_and_goes_through_its_channels() {
    let model = network(inception(Style { bias: false, norm: false }), 8).to(&Device::Cpu, DType::F32).unwrap();
    let set = images(&model, 3, 8);
    for layer in ["joined", "deep", "pool2", "hidden"] {
        let at = rows(Lrp { at: Some(layer.into()), channels: Channels::Keep, epsilon: 1e-9, ..lrp() }, &model, &set).unwrap();
        for row in at.rows() {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{layer}: {}", row.iter().sum::<f32>());
        }
    }
    let through = |channels: Vec<usize>| {
        let through = vec![Through { layer: "deep.relu".into(), channels }];
        rows(Lrp { through, channels: Channels::Keep, ..lrp() }, &model, &set).unwrap()
    };
    let (some, others) = (through(vec![0, 3, 4]), through(vec![1, 2, 5, 6, 7, 8, 9, 10, 11]));
    let both: Vec<f32> = some.values().iter().zip(others.values()).map(|(a, b)| a + b).collect();
    let all = rows(Lrp { channels: Channels::Keep, ..lrp() }, &model, &set).unwrap();
    assert!(apart(&both, all.values()) < 1e-4);
    let wrong = |lrp: Lrp| rows(lrp, &model, &set).unwrap_err().to_string();
    assert!(wrong(Lrp { at: Some("deeper".into()), ..lrp() }).contains("`deeper`"));
    let through = vec![Through { layer: "deep".into(), channels: vec![12] }];
    assert!(wrong(Lrp { through, ..lrp() }).contains("channels 0 to 11"));
    let through = [1, 2].map(|channel| Through { layer: "deep".into(), channels: vec![channel] }).to_vec();
    assert!(wrong(Lrp { through, ..lrp() }).contains("given twice"));
}

/// Heatmaps of `pool1` have a cell for 2 x 2 pixels, those of `deep` 7 for 16.
#[test]
fn squares_of_coarse_heatmaps_are_told_and_shown_in_pixels_of_the_image() {
    let model = net(9);
    let set = images(&model, 6, 9);
    for (layer, side) in [("pool1", 8), ("deep", 7)] {
        let of: Part<dyn Representation> = Part::from_json(serde_json::json!({ "use": "lrp", "at": layer })).unwrap();
        let heatmaps = represent(&Context::quiet(0), &*of, &model, &set).unwrap();
        assert_eq!(heatmaps.shape(), [side, side]);
        let squares = rows(StrongestWindow { of: of.clone(), sizes: vec![Side(1)], count: 1 }, &model, &set).unwrap();
        let colours = rows(AlignedPatch { of, sizes: vec![Side(1)], count: 1, side: 1, show: Show::Pixels }, &model, &set).unwrap();
        for (row, heatmap) in heatmaps.rows().enumerate() {
            let cell = (0..side * side).rev().max_by(|&a, &b| heatmap[a].total_cmp(&heatmap[b])).unwrap();
            let [y, x] = [cell / side, cell % side].map(|cell| 16 * cell / side);
            let [bottom, right] = [cell / side, cell % side].map(|cell| 16 * (cell + 1) / side);
            let mass = heatmap[cell] / heatmap.iter().map(|value| value.max(0.0)).sum::<f32>();
            let found = squares.row(row);
            assert_eq!(found[..3], [y, x, (bottom - y).max(right - x)].map(|pixels| pixels as f32), "{layer}, image {row}");
            assert!((found[3] - mass).abs() < 1e-5, "{layer}: {} and {mass}", found[3]);
            let image = set.image(row).unwrap();
            for (colour, found) in colours.row(row).iter().enumerate() {
                let expected = mass.sqrt() * f32::from(image.pixels()[(y * 16 + x) * 3 + colour]) / 255.0;
                assert!((found - expected).abs() < 1e-5, "{layer}, image {row}: {found} and {expected}");
            }
        }
    }
}

/// What `strongest-window` tells of a few squares is what is around them, the strongest first.
#[test]
fn patches_of_a_few_squares_follow_one_another() {
    let model = net(9);
    let set = images(&model, 4, 9);
    let of: Part<dyn Representation> = Part::from_json(serde_json::json!({ "use": "lrp" })).unwrap();
    let patches =
        |count| rows(AlignedPatch { of: of.clone(), sizes: vec![Side(1)], count, side: 1, show: Show::Relevance }, &model, &set).unwrap();
    let (one, three) = (patches(1), patches(3));
    assert_eq!(three.shape(), [3, 1, 1]);
    let squares = rows(StrongestWindow { of: of.clone(), sizes: vec![Side(1)], count: 3 }, &model, &set).unwrap();
    for row in 0..set.len() {
        let masses = squares.row(row).chunks(4).map(|square| square[3].sqrt());
        assert!(masses.zip(three.row(row)).all(|(mass, patch)| (mass - patch).abs() < 1e-6), "{:?}", three.row(row));
        assert_eq!(three.row(row)[..1], *one.row(row));
    }
}

#[test]
fn targets_start_with_what_they_say() {
    let scores = Tensor::new(&[[1f64, -2.0, 3.0], [0.5, 0.5, -1.0]], &Device::Cpu).unwrap();
    let classes = ["a", "b", "c"].map(str::to_owned);
    let start = |target: Target| target.resolve(&classes).unwrap().relevance(&scores, &[1, 0]).unwrap().to_vec2::<f64>().unwrap();
    assert_eq!(start(Target::Label), [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
    assert_eq!(start(Target::Predicted), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    assert_eq!(start(Target::Class("c".into())), [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]);
    assert_eq!(start(Target::Logit), [[0.0, -2.0, 0.0], [0.5, 0.0, 0.0]]);
    assert_eq!(start(Target::RunnerUp), [[0.0, 1.0, -1.0], [1.0, -1.0, 0.0]]);
    assert_eq!(start(Target::Against("a".into())), [[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]);
    let slope = 1e-6;
    let probability = |scores: &[f64], class: usize| scores[class].exp() / scores.iter().map(|score| score.exp()).sum::<f64>();
    let rows: Vec<Vec<f64>> = scores.to_vec2().unwrap();
    for ((row, label), found) in rows.iter().zip([1, 0]).zip(start(Target::SoftmaxGradient)) {
        for (class, found) in found.iter().enumerate() {
            let mut moved = row.clone();
            moved[class] += slope;
            let expected = (probability(&moved, label) - probability(row, label)) / slope;
            assert!((found - expected).abs() < 1e-5);
        }
    }
    assert!(Target::Class("d".into()).resolve(&classes).is_err());
    let short = Target::Label.resolve(&classes).unwrap();
    assert!(short.relevance(&scores, &[3, 0]).unwrap_err().to_string().contains("class 3"));
}

#[test]
fn what_an_image_or_a_net_holds_is_no_relevance() {
    let is_relevance = |name: &str| Part::<dyn Representation>::from_json(serde_json::json!({ "use": name })).unwrap().is_relevance();
    assert_eq!(["lrp", "gradient", "pixels", "activations"].map(is_relevance), [true, true, false, false]);
}
