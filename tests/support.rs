//! What the tests of the whole share: the linked registry, small data, a small net.

use bezoar_core::{Context, Edit, Error, Image, ImageSet, ImageShape, Kind, Part, Registration, Registry, Sample, Splits};
use bezoar_nn::{Architecture, AtPlace, Network};
use candle_core::Device;
use rand::{Rng, RngExt};
use serde_json::{Value, json};

/// All plugins.
///
/// # Panics
/// When two plugins claim one name.
pub fn registry() -> &'static Registry {
    bezoar_plugins::link();
    Registry::global().unwrap_or_else(|problem| panic!("{problem}"))
}

/// A plugin's example as the block that stands in a pipeline.
pub fn example_block(plugin: &Registration) -> Value {
    let mut block = json!({ "use": plugin.name });
    if let (Some(block), Value::Object(fields)) = (block.as_object_mut(), plugin.example()) {
        block.extend(fields);
    }
    block
}

/// Every plugin of a kind, built from its example.
///
/// # Panics
/// When an example does not build.
pub fn examples<K: Kind + ?Sized>() -> Vec<Part<K>> {
    let blocks = registry().of_kind(K::NAME).map(example_block);
    blocks.map(|block| Part::from_json(block.clone()).unwrap_or_else(|error| panic!("{block}: {error}"))).collect()
}

/// Class names that the examples of attacks and data sets use.
pub const CLASSES: [&str; 3] = ["speed-limit-50", "speed-limit-80", "stop"];

/// Images of noise, `sizes` of each class.
///
/// # Panics
/// Never: the parts fit.
pub fn images(sizes: [usize; 3], seed: u64) -> ImageSet {
    let shape = ImageShape::rgb(32, 32);
    let labels = sizes.iter().enumerate().flat_map(|(label, &size)| std::iter::repeat_n(label, size));
    let rows = labels.enumerate().map(|(row, label)| Edit {
        sample: Sample { id: format!("{row:05}"), label: label as u32, path: format!("{}/{row:05}.png", CLASSES[label]) },
        image: Image::new(shape, noise(shape.len(), seed, row)).unwrap_or_else(|error| panic!("{error}")),
    });
    ImageSet::from_images(CLASSES.map(str::to_owned).to_vec(), rows.collect()).unwrap_or_else(|error| panic!("{error}"))
}

/// A small data set of noise.
pub fn splits(seed: u64) -> Splits {
    Splits {
        train: images([60, 40, 20], seed),
        validation: Some(images([12, 9, 8], seed + 1)),
        test: images([10, 10, 10], seed + 2),
        skipped: Vec::new(),
    }
}

/// Bytes that depend on seed and row alone.
fn noise(length: usize, seed: u64, row: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Context::quiet(seed).rng(&row.to_string()).fill_bytes(&mut bytes);
    bytes
}

/// A context for tests.
pub fn context() -> Context {
    Context::quiet(7)
}

/// A net of every architecture that needs no file, for three classes and images of 32x32 pixels or as few more as it takes, with its name.
/// Its batch norms have statistics of their own, as after training.
///
/// # Panics
/// When an example does not build.
pub fn networks() -> Vec<(&'static str, Network)> {
    let build = |model: Part<dyn Architecture>| {
        let graph = [32, 75].into_iter().find_map(|side| model.graph([3, side, side], CLASSES.len()).ok());
        let graph = graph.ok_or_else(|| Error::request(format!("{} takes no images", model.name())))?;
        let mut rng = context().rng("weights");
        let net = Network::init(graph, &mut rng, &Device::Cpu)?;
        // Fresh weights make values six times less in square from layer to layer.
        let parameters = net.parameters().iter().map(|(name, tensor)| {
            let shift = match name.rsplit('.').next() {
                Some("running_mean") => rng.random_range(-0.1..0.1),
                Some("running_var") => rng.random_range(0.1..0.25) - 1.0,
                _ => 0.0,
            };
            Ok((name.clone(), (tensor + shift).at(name)?))
        });
        Ok::<_, Error>((model.name(), Network::new(net.graph().clone(), parameters.collect::<Result<_, Error>>()?)?))
    };
    let fresh = examples::<dyn Architecture>().into_iter().filter(|model| matches!(model.fingerprint(), Ok(None)));
    fresh.map(|model| build(model).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// A small untrained net for images of 32x32 pixels and three classes.
///
/// # Panics
/// When `compact-cnn` does not build.
pub fn network() -> Network {
    let build = || {
        registry();
        let model: Part<dyn Architecture> = Part::from_json(json!({ "use": "compact-cnn" }))?;
        let graph = model.graph([3, 32, 32], CLASSES.len())?;
        Network::init(graph, &mut context().rng("weights"), &bezoar_nn::device(bezoar_core::Device::Cpu)?)
    };
    build().unwrap_or_else(|error| panic!("{error}"))
}
