//! The same relevances as zennit 0.5.1, which `tests/parity/zennit_lrp.py` asked.

use std::collections::HashMap;
use std::path::Path;

use bezoar_attribution::{Analysis, Composite, STABILIZER, Target};
use bezoar_nn::Network;
use candle_core::{DType, Device, Tensor};

use crate::support::{Style, distance, host, inception};

fn arrays() -> HashMap<String, Tensor> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/zennit_lrp.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

#[test]
fn relevances_are_zennits() {
    let arrays = arrays();
    let parameters = arrays.iter().filter_map(|(name, value)| Some((name.strip_prefix("net.")?.to_owned(), value.clone())));
    let net = Network::new(inception(Style { bias: true, norm: true }), parameters.collect()).unwrap();
    let target = Target::Label.resolve(&[]).unwrap();
    let labels: Vec<u32> = arrays["labels"].to_vec1().unwrap();
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        let net = net.to(&Device::Cpu, dtype).unwrap().fold_batch_norm().unwrap();
        for (name, composite) in [("epsilon", Composite::epsilon(STABILIZER)), ("epsilon-plus", Composite::epsilon_plus(STABILIZER))] {
            let analysis = Analysis::new(net.clone(), &composite).unwrap();
            // One set of images in 0..1, where z⁺ takes its shorter way, and one with both signs.
            for images in ["images", "signed"] {
                let pixels = arrays[images].to_dtype(dtype).unwrap();
                let explained = analysis.explain(&pixels, |scores, rows| target.relevance(scores, &labels[rows])).unwrap();
                let off = |found: &Tensor, expected: &str| distance(&host(found), &host(&arrays[&format!("{images}.{expected}")]));
                assert!(off(&explained.scores, "scores") < tolerance, "scores of {images} in {dtype:?}");
                let error = off(&explained.relevance, name);
                assert!(error < tolerance, "{name} of {images} in {dtype:?} is off by {error}");
            }
        }
    }
}
