use std::sync::Arc;

use bezoar_core::{Cancel, Edit, Image, ImageShape, Sample};
use candle_core::DType;

use super::*;
use crate::graph::{Graph, GraphBuilder};
use crate::op::Op;
use crate::testing::{array, both_ways, distance};
use crate::window::Window;

/// A small net with everything that training touches.
struct Tiny;

impl Architecture for Tiny {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let mut at = b.input();
        at = b.add("conv", Op::conv(8, Window::new(3).padding(1)), &[at])?;
        at = b.add("norm", Op::batch_norm(), &[at])?;
        at = b.add("relu", Op::RELU, &[at])?;
        at = b.add("pool", Op::MaxPool { window: Window::tiling(4) }, &[at])?;
        at = b.add("flat", Op::Flatten, &[at])?;
        at = b.add("dropout", Op::Dropout { p: 0.2 }, &[at])?;
        b.add("head", Op::linear(classes), &[at])?;
        b.build()
    }
}

/// Images with a bright bar, whose direction is the class.
fn bars(len: usize, seed: u64) -> ImageSet {
    let shape = ImageShape::rgb(8, 8);
    let mut rng = Context::quiet(seed).rng("bars");
    let rows = (0..len).map(|number| {
        let mut image = Image::new(shape, (0..shape.len()).map(|_| rng.next_u32() as u8 / 3).collect()).unwrap();
        let (label, bar) = (number as u32 % 2, rng.next_u32() as usize % 8);
        (0..8).for_each(|at| if label == 0 { image.pixel_mut(bar, at).fill(250) } else { image.pixel_mut(at, bar).fill(250) });
        Edit { sample: Sample { id: format!("{seed}-{number}"), label, path: String::new() }, image }
    });
    ImageSet::from_images(vec!["lying".into(), "standing".into()], rows.collect()).unwrap()
}

fn config(text: serde_json::Value) -> TrainConfig {
    serde_json::from_value(text).unwrap()
}

/// Trains in a folder of its own.
fn trained(cx: &Context, config: &TrainConfig) -> Result<Trained> {
    let folder = tempfile::tempdir().unwrap();
    train(cx, &Tiny, &bars(100, 1), Some(&bars(40, 2)), config, folder.path())
}

fn assert_same(a: &Trained, b: &Trained) {
    assert_eq!(a.history, b.history);
    for (name, value) in a.network.parameters() {
        assert!(distance(value, &b.network.parameters()[name]) == 0.0, "{name} differs");
    }
}

#[test]
fn every_optimizer_and_schedule_learns_bars() {
    for optimizer in [
        json!({ "use": "adam", "rate": 0.01 }),
        json!({ "use": "adam-w", "rate": 0.01 }),
        json!({ "use": "sgd", "rate": 0.05, "nesterov": true }),
    ] {
        let config = config(
            json!({ "epochs": 15, "batch": 16, "optimizer": optimizer, "schedule": { "use": "one-cycle" }, "augment": { "use": "none" } }),
        );
        let Trained { network, history } = trained(&Context::quiet(1), &config).unwrap();
        let score = evaluate(&Context::quiet(1), &network, &bars(60, 3)).unwrap();
        assert!(score.accuracy > 0.95, "{}: {score:?} after {:?}", config.optimizer.name(), history.last());
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_for_any_number_of_threads() {
    let config = config(json!({ "epochs": 2, "batch": 24 }));
    let with = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained(&Context::quiet(seed), &config).unwrap())
    };
    let one = with(1, 5);
    assert_same(&one, &with(2, 5));
    assert_same(&one, &with(3, 5));
    assert_ne!(one.history, with(1, 6).history);
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_weights() {
    struct StopAfter(Cancel, std::sync::atomic::AtomicU64);
    impl bezoar_core::Progress for StopAfter {
        fn task(&self, _: &str, _: u64) -> Box<dyn bezoar_core::Task> {
            Box::new(Self(self.0.clone(), self.1.load(std::sync::atomic::Ordering::Relaxed).into()))
        }
        fn note(&self, _: &str) {}
    }
    impl bezoar_core::Task for StopAfter {
        fn advance(&self, steps: u64) {
            if self.1.fetch_sub(steps, std::sync::atomic::Ordering::Relaxed) <= steps {
                self.0.cancel();
            }
        }
        fn remark(&self, _: &str) {}
    }

    let config = config(json!({ "epochs": 4, "batch": 16, "patience": 4, "schedule": { "use": "cosine" } }));
    let whole = trained(&Context::quiet(3), &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let go = |steps: u64| {
        let cancel = Cancel::default();
        let progress = Arc::new(StopAfter(cancel.clone(), steps.into()));
        let cx = Context::new(3, bezoar_core::Device::Cpu, progress, cancel);
        train(&cx, &Tiny, &bars(100, 1), Some(&bars(40, 2)), &config, folder.path())
    };
    // Seven steps an epoch: in the second epoch, in the third (counted from the start), then to the end.
    assert!(matches!(go(9), Err(Error::Cancelled)));
    assert!(matches!(go(16), Err(Error::Cancelled)));
    assert_same(&go(1000).unwrap(), &whole);
    assert_same(&go(1000).unwrap(), &whole);

    let other = TrainConfig { batch: 17, ..config.clone() };
    let refusal = train(&Context::quiet(3), &Tiny, &bars(100, 1), Some(&bars(40, 2)), &other, folder.path()).unwrap_err();
    assert!(refusal.to_string().contains("another training") && refusal.help().is_some());
}

#[test]
fn early_stopping_keeps_the_best_net() {
    let config = config(json!({ "epochs": 40, "batch": 16, "patience": 2, "optimizer": { "use": "adam", "rate": 0.05 } }));
    let Trained { network, history } = trained(&Context::quiet(2), &config).unwrap();
    let losses: Vec<f64> = history.iter().map(|epoch| epoch.validation.unwrap().loss).collect();
    let best = history.iter().map(|epoch| epoch.validation.unwrap()).min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap();
    assert!(losses.len() < 40 && losses.len() == losses.iter().position(|loss| *loss <= best.loss).unwrap() + 3, "{losses:?}");
    assert_eq!(evaluate(&Context::quiet(2), &network, &bars(40, 2)).unwrap(), best);
}

#[test]
fn a_loss_that_is_no_number_stops_training_and_says_where() {
    let config = config(json!({ "epochs": 3, "batch": 16, "optimizer": { "use": "sgd", "rate": 1e30 } }));
    let stop = trained(&Context::quiet(1), &config).unwrap_err();
    assert!(stop.to_string().contains("epoch 1, batch") && stop.help().unwrap().contains("rate"), "{stop}");
}

#[test]
fn running_statistics_follow_the_batches() {
    let graph = Tiny.graph([3, 8, 8], 2).unwrap();
    let network = Network::init(graph, &mut Context::quiet(1).rng("init"), &Device::Cpu).unwrap();
    let images = crate::testing::random(1, &[6, 3, 8, 8]).to_dtype(DType::F32).unwrap();
    let tape = network.record(&array(&images), Mode::Training { seed: 1 }).unwrap();
    let statistics = network.running_statistics(&tape).unwrap();
    let conv = network.forward_to(&images, network.graph().find("conv").unwrap()).unwrap();
    let values: Vec<f32> = conv.narrow(1, 2, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / (values.len() - 1) as f32;
    let third = |name: &str| statistics[name].to_vec1::<f32>().unwrap()[2];
    assert!((third("norm.running_mean") - 0.1 * mean).abs() < 1e-6);
    assert!((third("norm.running_var") - (0.9 + 0.1 * variance)).abs() < 1e-6);
}

/// Reference values are PyTorch's, in double precision.
#[test]
fn optimizers_step_as_in_pytorch() {
    use optimizer::{Adam, AdamW, Sgd};
    let cases: [(&dyn Optimizer, [f64; 2]); 6] = [
        (&Adam::default(), [0.998_274_177_428_854, -1.999_876_200_063_731]),
        (&Adam { rate: 0.02, betas: [0.8, 0.99], eps: 1e-3, weight_decay: 0.1 }, [0.964_289_230_332_905_1, -1.961_568_225_586_384]),
        (&AdamW { rate: 0.05, weight_decay: 0.1, ..AdamW::default() }, [0.899_515_541_336_537, -1.964_334_955_683_870_3]),
        (&Sgd { rate: 0.1, ..Sgd::default() }, [0.917, -2.0299]),
        (&Sgd { rate: 0.1, momentum: 0.8, nesterov: true, weight_decay: 0.05 }, [0.938_333_581, -1.972_311_484]),
        (&Sgd { rate: 0.1, momentum: 0.0, ..Sgd::default() }, [1.025, -2.02]),
    ];
    let tensor = |values: [f64; 2]| Tensor::new(&values, &Device::Cpu).unwrap();
    for (optimizer, expected) in cases {
        both_ways(|| {
            let parameter = tensor([1.0, -2.0]);
            let slots = optimizer.slots().iter().map(|_| parameter.zeros_like()).collect::<candle_core::Result<Vec<_>>>()?;
            for (step, gradient) in (1..).zip([[0.5, -0.1], [0.25, 0.3], [-1.0, 0.0]]) {
                let gradient = array(&tensor(gradient));
                let change = Change { parameter: &parameter, gradient: &gradient, slots: &slots, rate: optimizer.rate(), step };
                optimizer.update(&change)?;
            }
            assert!(distance(&parameter, &tensor(expected)) < 1e-9, "{parameter}");
            candle_core::Result::Ok(())
        })
        .unwrap();
    }
}
