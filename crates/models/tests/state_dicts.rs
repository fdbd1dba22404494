//! The scores that torchvision's nets give, from their own files (`tests/parity/state_dicts.py`).

use std::path::Path;

use bezoar_models::{Vit, load};
use candle_core::{DType, Device, Tensor};

fn host(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_transformer_of_torchvision_gives_its_scores() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let net = load(&Vit { patch: 8, width: 8, depth: 2, heads: 2, mlp_ratio: 2 }, [3, 16, 16], &folder.join("vit.pth")).unwrap();
    let arrays = candle_core::safetensors::load(folder.join("vit.safetensors"), &Device::Cpu).unwrap();
    let (found, expected) = (host(&net.forward(&arrays["images"]).unwrap()), host(&arrays["scores"]));
    let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(found.len() == expected.len() && apart < 1e-5 * expected.iter().fold(0.0, |most: f64, score| most.max(score.abs())), "{apart}");
}

#[test]
fn another_architecture_is_refused_with_all_that_does_not_fit() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vit.pth");
    let refused = load(&Vit { patch: 8, width: 8, depth: 1, heads: 2, mlp_ratio: 4 }, [3, 16, 16], &file).unwrap_err().to_string();
    for problem in [
        "vit.pth",
        "`encoder.layers.encoder_layer_0.mlp.0.weight` is [16, 8], and the net takes [32, 8]",
        "`encoder.layers.encoder_layer_1.self_attention.out_proj.weight` [8, 8] is left over",
    ] {
        assert!(refused.contains(problem), "{problem}: {refused}");
    }
}
