//! Heatmaps a second, from images to rows.

use bezoar_attribution::{Lrp, Preset};
use bezoar_core::{Context, Edit, Image, ImageSet, ImageShape, Plugin, Sample};
use bezoar_models::{CompactCnn, PaperInception};
use bezoar_nn::{Architecture, Network};
use candle_core::Device;
use divan::Bencher;
use divan::counter::ItemsCount;
use rand::RngExt;

const IMAGES: usize = 128;
const CASES: [(&str, Preset); 4] = [
    ("paper-inception", Preset::Epsilon),
    ("paper-inception", Preset::EpsilonPlus),
    ("compact-cnn", Preset::Epsilon),
    ("compact-cnn", Preset::EpsilonPlus),
];

fn main() {
    divan::main();
}

fn net(name: &str) -> Network {
    let architecture: &dyn Architecture = if name == "paper-inception" { &PaperInception {} } else { &CompactCnn::default() };
    Network::init(architecture.graph([3, 32, 32], 43).unwrap(), &mut Context::quiet(0).rng("net"), &Device::Cpu).unwrap()
}

fn images() -> ImageSet {
    let shape = ImageShape::rgb(32, 32);
    let mut rng = Context::quiet(0).rng("images");
    let rows = (0..IMAGES).map(|row| Edit {
        sample: Sample { id: row.to_string(), label: row as u32 % 43, path: String::new() },
        image: Image::new(shape, (0..shape.len()).map(|_| rng.random()).collect()).unwrap(),
    });
    ImageSet::from_images((0..43).map(|class| class.to_string()).collect(), rows.collect()).unwrap()
}

#[divan::bench(args = CASES.map(|(net, preset)| format!("{net} {preset:?}")))]
fn heatmaps(bencher: Bencher<'_, '_>, case: &str) {
    let (name, composite) = CASES.into_iter().find(|(net, preset)| case == format!("{net} {preset:?}")).unwrap();
    let (net, images) = (net(name), images());
    let lrp = Lrp { composite, ..Lrp::example() }.build().unwrap();
    bencher.counter(ItemsCount::new(IMAGES)).bench_local(|| {
        lrp.represent(&Context::quiet(0), &net, &images, &mut |rows| {
            divan::black_box(rows);
            Ok(())
        })
        .unwrap();
    });
}
