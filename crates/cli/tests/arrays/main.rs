//! Arrays in, arrays out, as a user asks for it.

mod features;

use std::path::Path;
use std::process::{Command, Output};

use bezoar_attribution::{Analysis, Composite, STABILIZER, Target};
use bezoar_core::{Context, Part};
use bezoar_formats::{Array, Values, onnx, read_array, write_array};
use bezoar_models as _;
use bezoar_nn::{Architecture, Network};
use candle_core::{DType, Device, Tensor};
use rand::RngExt;
use tempfile::{TempDir, tempdir};

const SHAPE: [usize; 4] = [5, 3, 32, 32];

fn bezoar(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bezoar")).args(arguments.split_whitespace()).current_dir(folder).output().unwrap()
}

fn succeeds(folder: &Path, arguments: &str) -> String {
    let output = bezoar(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, arguments: &str) -> String {
    let output = bezoar(folder, arguments);
    assert!(!output.status.success(), "{arguments} was taken");
    String::from_utf8(output.stderr).unwrap()
}

fn floats(path: &Path) -> Vec<f64> {
    match read_array(path).unwrap().values() {
        Values::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::F64(values) => values.clone(),
        other => panic!("{:?}", other.dtype()),
    }
}

fn host(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let scale = expected.iter().fold(0.0, |scale: f64, value| scale.max(value.abs()));
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart <= tolerance * scale, "{apart} of {scale}");
}

/// A folder with `net.onnx`, `x.npy` and `t.npy`, and what is in them.
fn folder() -> (TempDir, Network, Tensor) {
    let folder = tempdir().unwrap();
    let architecture = Part::<dyn Architecture>::from_json(serde_json::json!({ "use": "compact-cnn" })).unwrap();
    let net = Network::init(architecture.graph([3, 32, 32], 4).unwrap(), &mut Context::quiet(1).rng("net"), &Device::Cpu).unwrap();
    onnx::write(&folder.path().join("net.onnx"), &bezoar_onnx::export(&net).unwrap()).unwrap();
    let mut rng = Context::quiet(2).rng("images");
    let values: Vec<f32> = (0..SHAPE.iter().product()).map(|_| rng.random()).collect();
    write_array(&folder.path().join("x.npy"), &Array::new(SHAPE.to_vec(), Values::F32(values.clone())).unwrap()).unwrap();
    write_array(&folder.path().join("t.npy"), &Array::new(vec![5], Values::I64(vec![0, 1, 2, 3, 0])).unwrap()).unwrap();
    (folder, net, Tensor::from_vec(values, SHAPE.as_slice(), &Device::Cpu).unwrap())
}

#[test]
fn arrays_go_through_a_net_and_back() {
    let (folder, net, images) = folder();
    let path = folder.path();
    succeeds(path, "infer --model net.onnx --inputs x.npy --output scores.npy --batch 2");
    assert_close(&floats(&path.join("scores.npy")), &host(&net.forward(&images).unwrap()), 1e-5);
    succeeds(path, "activations --model net.onnx --inputs x.npy --layer stage2.pool --output pool.safetensors");
    let pool = net.forward_to(&images, net.graph().find("stage2.pool").unwrap()).unwrap();
    assert_close(&floats(&path.join("pool.safetensors")), &host(&pool), 1e-5);
    let described = succeeds(path, "model describe net.onnx");
    assert!(described.contains("stage2.pool") && described.contains(&net.graph().parameter_count().to_string()), "{described}");
    succeeds(path, "model export net.onnx --fold --output folded.onnx");
    succeeds(path, "infer --model folded.onnx --inputs x.npy --output folded.npy");
    assert_close(&floats(&path.join("folded.npy")), &floats(&path.join("scores.npy")), 1e-5);
}

#[test]
fn parameters_become_nets_with_their_architecture() {
    let (folder, net, images) = folder();
    let path = folder.path();
    candle_core::safetensors::save(&net.parameters().clone().into_iter().collect(), path.join("weights.safetensors")).unwrap();
    for block in ["compact-cnn", r#"{"use":"compact-cnn","width":16}"#] {
        succeeds(path, &format!("infer --model weights.safetensors --architecture {block} --inputs x.npy --output scores.npy"));
        assert_close(&floats(&path.join("scores.npy")), &host(&net.forward(&images).unwrap()), 1e-5);
    }
    let described = succeeds(path, "model describe weights.safetensors --architecture compact-cnn --images 3x32x32");
    assert!(described.contains(&net.graph().parameter_count().to_string()), "{described}");
    let with =
        |block: &str| refused(path, &format!("infer --model weights.safetensors --architecture {block} --inputs x.npy --output s.npy"));
    assert!(with("compact-cn").contains("model plugins: compact-cnn"), "{}", with("compact-cn"));
    assert!(with(r#"{"use":"compact-cnn","width":8}"#).contains("`stage1.1.conv.weight` is [16, 3, 3, 3], and the net takes [8, 3, 3, 3]"));
    assert!(refused(path, "model describe weights.safetensors --architecture compact-cnn").contains("--images"));
}

#[test]
fn relevance_is_that_of_the_library() {
    let (folder, net, images) = folder();
    let path = folder.path();
    let net = net.to(&Device::Cpu, DType::F64).unwrap().fold_batch_norm().unwrap();
    let images = images.to_dtype(DType::F64).unwrap();
    let analysis = Analysis::new(net, &Composite::epsilon_plus(STABILIZER)).unwrap();
    let classes = [0, 1, 2, 3].map(|class: u32| class.to_string());
    let label = Target::Label.resolve(&classes).unwrap();
    let labels = [0, 1, 2, 3, 0];
    let expected = analysis.explain(&images, |scores, rows| label.relevance(scores, &labels[rows])).unwrap().relevance;
    let checked = succeeds(
        path,
        "attribute --model net.onnx --inputs x.npy --targets t.npy --composite epsilon-plus --precision f64 --batch 2 --check --output r.npy",
    );
    assert_close(&floats(&path.join("r.npy")), &host(&expected), 1e-9);
    assert!(checked.lines().any(|line| line.starts_with("stage2.pool") && line.ends_with("Route")), "{checked}");
    succeeds(path, "attribute --model net.onnx --inputs x.npy --at stage2.pool --target class:2 --output pool.npy");
    assert_eq!(read_array(&path.join("pool.npy")).unwrap().shape()[0], 5);
}

#[test]
fn requests_that_make_no_sense_say_what_is_wrong() {
    let (folder, ..) = folder();
    let path = folder.path();
    write_array(&path.join("few.npy"), &Array::new(vec![2], Values::I64(vec![0, 1])).unwrap()).unwrap();
    write_array(&path.join("high.npy"), &Array::new(vec![5], Values::I64(vec![0, 1, 2, 3, 4])).unwrap()).unwrap();
    let with = |rest: &str| refused(path, &format!("attribute --model net.onnx --inputs x.npy --output r.npy {rest}"));
    for (rest, wanted) in [
        ("--composite epsilon-minus", "epsilon-minus"),
        ("--epsilon 0", "must be positive"),
        ("--target against:9 --targets t.npy", "no class 9"),
        ("--target logit", "--targets"),
        ("--at stage2.pol", "did you mean `stage2.pool`"),
        ("--low 0,0", "2 limits"),
        ("--targets x.npy", "whole numbers"),
        ("--targets few.npy", "holds 2 classes, and there are 5 images"),
        ("--targets high.npy", "4"),
        (r#"--composite {"rows":[{"rule":"z-minus"}]}"#, "z-minus"),
    ] {
        let said = if rest.starts_with("--low") { with(&format!("--composite epsilon-gamma-box {rest}")) } else { with(rest) };
        assert!(said.contains(wanted), "{rest}: {said}");
        assert!(!path.join("r.npy").exists(), "{rest} left a file");
    }
    std::fs::write(path.join("broken.onnx"), b"no protobuf").unwrap();
    assert!(refused(path, "model describe broken.onnx").contains("broken.onnx"));
    assert!(refused(path, "infer --model t.npy --inputs x.npy --output y.npy").contains("no net"));
    assert!(refused(path, "infer --model net.onnx --inputs t.npy --output y.npy").contains("holds [5], and images are [N, C, H, W]"));
    write_array(&path.join("small.npy"), &Array::new(vec![1, 3, 2, 2], Values::F32(vec![0.0; 12])).unwrap()).unwrap();
    assert!(
        refused(path, "infer --model net.onnx --inputs small.npy --output y.npy")
            .contains("[1, 3, 2, 2], and the net takes [N, 3, 32, 32]")
    );
    let [n, c, h, w] = SHAPE;
    let mut values = vec![0.0; n * c * h * w];
    values[3 * c * h * w] = f32::NAN;
    write_array(&path.join("nan.npy"), &Array::new(SHAPE.to_vec(), Values::F32(values)).unwrap()).unwrap();
    assert!(refused(path, "infer --model net.onnx --inputs nan.npy --output y.npy").contains("image 3 holds a value that is not finite"));
    assert!(refused(path, "infer --model net.onnx --inputs x.npy --output y.txt").contains(".npy"));
}
