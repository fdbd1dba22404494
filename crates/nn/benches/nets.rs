//! Images a second of whole nets: scores, and training steps without augmentation and optimizer.

use bezoar_models::{CompactCnn, PaperInception};
use bezoar_nn::{Architecture, Array, Memory, Mode, Network, cross_entropy};
use candle_core::{Device, Tensor};
use divan::Bencher;
use divan::counter::ItemsCount;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 64;
const NETS: [&str; 2] = ["paper-inception", "compact-cnn"];

fn main() {
    divan::main();
}

fn net(name: &str) -> Network {
    let architecture: &dyn Architecture = if name == NETS[0] { &PaperInception {} } else { &CompactCnn::default() };
    Network::init(architecture.graph([3, 32, 32], 43).unwrap(), &mut ChaCha8Rng::seed_from_u64(0), &Device::Cpu).unwrap()
}

fn images() -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f32> = (0..BATCH * 3 * 32 * 32).map(|_| rng.random_range(0.0..1.0)).collect();
    Tensor::from_vec(values, (BATCH, 3, 32, 32), &Device::Cpu).unwrap()
}

#[divan::bench(args = NETS)]
fn forward(bencher: Bencher<'_, '_>, name: &str) {
    let (net, images) = (net(name).fold_batch_norm().unwrap(), images());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| net.forward(&images).unwrap());
}

#[divan::bench(args = NETS)]
fn gradients(bencher: Bencher<'_, '_>, name: &str) {
    let (net, images) = (net(name), Array::new(&images(), &Memory::default()).unwrap());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let tape = net.record(&images, Mode::Training { seed: 0 }).unwrap();
        let loss = cross_entropy(&tape.scores().unwrap(), &[7; BATCH]).unwrap();
        net.parameter_gradients(tape, &loss.gradient).unwrap()
    });
}
