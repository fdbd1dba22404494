//! Nets as exporters write them give onnxruntime's scores; `tests/parity/onnx_nets.py` makes both.

use bezoar_formats::{Values, onnx, read_array};
use bezoar_nn::{Activation, Network, Op};
use bezoar_onnx::{export, import};
use candle_core::{DType, Device, Tensor};

use crate::support::{apart, data};

const NETS: [&str; 12] = [
    "dense-script17-any",
    "inception-dynamo21-any",
    "inception-script11-any",
    "keras",
    "mobile-dynamo18-any",
    "mobile-script11-2",
    "mobile-script17-any",
    "transformer-dynamo18-2",
    "transformer-dynamo23-any",
    "transformer-script17-any",
    "windows-dynamo18-2",
    "windows-script11-any",
];

fn tensor(name: &str) -> Tensor {
    let (shape, values) = read_array(&data(name)).unwrap().into_parts();
    let Values::F32(values) = values else { panic!("{name} is not f32") };
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn net(name: &str) -> Network {
    import(&onnx::read(&data(&format!("{name}.onnx"))).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn scores_are_onnxruntimes() {
    let images = tensor("images.npy");
    for name in NETS {
        let (net, expected) = (net(name), tensor(&format!("{name}.npy")));
        let scores = net.forward(&images).unwrap();
        assert!(apart(&scores, &expected) < 1e-5, "{name}: {scores} for {expected}");
        let exact = net.to(&Device::Cpu, DType::F64).unwrap().forward(&images.to_dtype(DType::F64).unwrap()).unwrap();
        assert!(apart(&exact, &expected) < 1e-5, "{name} in f64");
        let back = import(&export(&net).unwrap()).unwrap();
        assert!(apart(&back.forward(&images).unwrap(), &scores) < 1e-6, "{name}, exported");
        let one = net.forward(&images.narrow(0, 1, 1).unwrap()).unwrap();
        assert!(apart(&one, &expected.narrow(0, 1, 1).unwrap()) < 1e-5, "{name}, one image");
    }
}

#[test]
fn spelled_out_functions_are_recognised() {
    let count = |name: &str, is: fn(&Op) -> bool| net(name).graph().nodes().iter().filter(|node| is(&node.op)).count();
    for name in NETS.into_iter().filter(|name| name.starts_with("transformer")) {
        assert_eq!(count(name, |op| matches!(op, Op::LayerNorm { .. })), 2, "{name}");
        assert_eq!(count(name, |op| matches!(op, Op::Activation { function: Activation::Gelu })), 1, "{name}");
        assert_eq!(count(name, |op| matches!(op, Op::MatMul)), 2, "{name}");
        assert_eq!(count(name, |op| matches!(op, Op::Linear { bias: true, .. })), 5, "{name}");
    }
    for name in NETS.into_iter().filter(|name| name.starts_with("windows")) {
        assert_eq!(count(name, |op| matches!(op, Op::LayerNorm { .. })), 1, "{name}");
        assert_eq!(count(name, |op| matches!(op, Op::Activation { function: Activation::GeluTanh })), 1, "{name}");
    }
    for name in NETS.into_iter().filter(|name| name.starts_with("mobile")) {
        assert_eq!(count(name, |op| matches!(op, Op::Activation { function: Activation::HardSwish })), 1, "{name}");
        assert_eq!(count(name, |op| matches!(op, Op::Activation { function: Activation::Silu })), 1, "{name}");
    }
}

#[test]
fn turned_images_are_turned_back() {
    let keras = net("keras");
    assert_eq!(keras.graph().input(), [3, 16, 16]);
    let turns = keras.graph().nodes().iter().filter(|node| matches!(node.op, Op::Transpose { .. })).count();
    assert!(turns <= 1, "the convolution takes the images as they are");
}

#[test]
fn probabilities_are_left_out() {
    assert!(!net("dense-script17-any").graph().nodes().iter().any(|node| matches!(node.op, Op::Softmax { .. })));
}
