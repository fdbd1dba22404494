//! `lrp` and `activations` as a pipeline uses them.

use std::any::Any;
use std::sync::Arc;

use bezoar_attribution::{Activations, Channels, Lrp, Preset, Target};
use bezoar_core::{
    Batch, Cancel, Classifier, Context, Device, Edit, Error, Features, Image, ImageSet, ImageShape, Plugin, Progress, Registry,
    Representation, Result, Sample, Task,
};
use bezoar_nn::Network;
use candle_core::DType;
use proptest::prelude::*;
use rand::RngExt;

use crate::support::{Style, inception, network, residual};

const FULL: Style = Style { bias: true, norm: true };

fn net(seed: u64) -> Network {
    network(inception(FULL), seed).to(&candle_core::Device::Cpu, DType::F32).unwrap()
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

fn all() -> Vec<Arc<dyn Representation>> {
    let lrps =
        [lrp(), Lrp { composite: Preset::EpsilonPlus, ..lrp() }, Lrp { target: Target::Predicted, channels: Channels::Keep, ..lrp() }];
    let activations = [Activations::example(), Activations { layer: "deep".into() }, Activations { layer: "head".into() }];
    lrps.into_iter().map(|lrp| lrp.build().unwrap()).chain(activations.into_iter().map(|layer| layer.build().unwrap())).collect()
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
    let plain = network(residual(Style { bias: false, norm: false }), 1).to(&candle_core::Device::Cpu, DType::F32).unwrap();
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
        let cx = Context::new(0, Device::Cpu, Arc::new(Impatient(cancel.clone())), cancel);
        assert!(matches!(represent(&cx, &*representation, &model, &set), Err(Error::Cancelled)));
    }
}

#[test]
fn both_are_plugins_that_yaml_can_name() {
    let registry = Registry::global().unwrap();
    for name in ["lrp", "activations"] {
        let plugin = registry.get("representation", name).unwrap();
        assert!(!plugin.summary().is_empty());
        let block = serde_json::json!({ "use": name });
        let part = registry.part::<dyn Representation>(&bezoar_config::Node::from_json(block)).unwrap();
        let mut example = plugin.example();
        example.as_object_mut().unwrap().insert("use".into(), name.into());
        assert_eq!(part.block(), example, "the example is the default");
    }
    let refused = |block| registry.part::<dyn Representation>(&bezoar_config::Node::from_json(block)).is_err();
    assert!(refused(serde_json::json!({ "use": "lrp", "epsilon": 0.0 })));
    assert!(refused(serde_json::json!({ "use": "lrp", "composite": "epsilon-minus" })));
    assert!(refused(serde_json::json!({ "use": "lrp", "target": "truth" })));
}
