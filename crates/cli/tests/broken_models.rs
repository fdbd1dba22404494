//! Broken nets and arrays: each is refused with words that say what is wrong, without a panic, in bounded memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use bezoar_formats::onnx::{Attribute, Model, Node, Value, encode};
use bezoar_formats::{Array, Values, npy, safetensors};

/// What a case spoils, before it is written to files.
struct Good {
    model: Model,
    /// Changes the model's bytes.
    cut: fn(Vec<u8>) -> Vec<u8>,
    images: Vec<u8>,
    images_name: &'static str,
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> Node {
    let inputs = inputs.iter().map(|name| (*name).to_owned()).collect();
    Node { op_type: op_type.into(), inputs, outputs: vec![output.into()], ..Node::default() }
}

fn with(mut node: Node, name: &str, value: Attribute) -> Node {
    node.attributes.insert(name.into(), value);
    node
}

fn ints(node: Node, name: &str, values: &[i64]) -> Node {
    with(node, name, Attribute::Ints(values.to_vec()))
}

fn floats(shape: &[usize]) -> Array {
    Array::new(shape.to_vec(), Values::F32(vec![0.5; shape.iter().product()])).unwrap()
}

fn whole(values: &[i64]) -> Array {
    Array::new(vec![values.len()], Values::I64(values.to_vec())).unwrap()
}

fn value(name: &str, shape: &[Option<usize>]) -> Value {
    Value { name: name.into(), shape: Some(shape.to_vec()), dtype: Some(bezoar_formats::Dtype::F32) }
}

/// A convolution, a rectifier, a pool and a linear layer; two images.
fn good() -> Good {
    let nodes = vec![
        node("Conv", &["x", "w"], "conv"),
        node("Relu", &["conv"], "relu"),
        ints(ints(node("MaxPool", &["relu"], "pool"), "kernel_shape", &[2, 2]), "strides", &[2, 2]),
        node("Flatten", &["pool"], "flat"),
        node("MatMul", &["flat", "m"], "scores"),
    ];
    let model = Model {
        opsets: [(String::new(), 17)].into(),
        inputs: vec![value("x", &[None, Some(1), Some(5), Some(5)])],
        outputs: vec![value("scores", &[None, Some(3)])],
        nodes,
        initializers: [("w".to_owned(), floats(&[2, 1, 2, 2])), ("m".to_owned(), floats(&[8, 3]))].into(),
        ..Model::default()
    };
    Good { model, cut: |bytes| bytes, images: npy::encode(&floats(&[2, 1, 5, 5])), images_name: "x.npy" }
}

impl Good {
    /// Puts an operator between the convolution and the rectifier, with constants.
    fn between(&mut self, node: Node, constants: &[(&str, Array)]) {
        let Node { inputs, .. } = &mut self.model.nodes[1];
        inputs[0].clone_from(&node.outputs[0]);
        self.model.nodes.insert(1, node);
        self.constants(constants);
    }

    fn constants(&mut self, constants: &[(&str, Array)]) {
        self.model.initializers.extend(constants.iter().map(|(name, array)| ((*name).to_owned(), array.clone())));
    }

    /// What the program says, and its exit code; none where a signal ended it.
    fn run(&self, folder: &Path) -> (Option<i32>, String) {
        fs::write(folder.join("net.onnx"), (self.cut)(encode(&self.model).unwrap())).unwrap();
        fs::write(folder.join(self.images_name), &self.images).unwrap();
        // Two gigabytes of addresses, most of which are the program's own and its threads' stacks.
        let limited = format!("ulimit -v 2097152 && exec {} \"$@\"", env!("CARGO_BIN_EXE_bezoar"));
        let arguments = ["infer", "--model", "net.onnx", "--inputs", self.images_name, "--output", "scores.npy"];
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "sh"]).args(arguments).current_dir(folder).env("RAYON_NUM_THREADS", "2");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A field of a protobuf message: lengths and numbers below 2⁷ here, unless `content` says it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut length = Vec::new();
    let mut left = content.len();
    while left >= 128 {
        length.push((left % 128) as u8 | 128);
        left /= 128;
    }
    length.push(left as u8);
    [&[number << 3 | 2], length.as_slice(), content].concat()
}

fn int(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// Adds a weight `m` of 8 x 3 floats whose data lies in another file.
fn external(bytes: Vec<u8>, file: &str, offset: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let place = [entry("location", file), entry("offset", offset)].concat();
    let tensor = [int(1, 8), int(1, 3), int(2, 1), field(8, b"m"), place, int(14, 1)].concat();
    // What is appended to a message is merged into it.
    [bytes, field(7, &field(5, &tensor))].concat()
}

type Case = (&'static str, fn(&mut Good), &'static [&'static str]);

const CASES: &[Case] = &[
    // The file.
    ("an empty file", |good| good.cut = |_| Vec::new(), &["net.onnx", "no ONNX model"]),
    ("cut in the first node", |good| good.cut = |bytes| bytes[..20].to_vec(), &["net.onnx", "no whole ONNX model"]),
    ("cut in the middle", |good| good.cut = |bytes| bytes[..bytes.len() / 2].to_vec(), &["net.onnx", "no whole ONNX model"]),
    ("cut in the last weight", |good| good.cut = |bytes| bytes[..bytes.len() - 60].to_vec(), &["net.onnx", "no whole ONNX model"]),
    ("another file", |good| good.cut = |_| b"PK\x03\x04 an archive".to_vec(), &["net.onnx", "no whole ONNX model"]),
    (
        "a weight outside the folder",
        |good| {
            good.model.initializers.remove("m");
            good.cut = |bytes| external(bytes, "../secret", "0");
        },
        &["`m`", "outside the model's folder"],
    ),
    (
        "a weight at an absolute place",
        |good| {
            good.model.initializers.remove("m");
            good.cut = |bytes| external(bytes, "/etc/passwd", "0");
        },
        &["`m`", "outside the model's folder"],
    ),
    (
        "a weight behind a file's end",
        |good| {
            good.model.initializers.remove("m");
            good.cut = |bytes| external(bytes, "net.onnx", "99999999");
        },
        &["`m`", "end behind its"],
    ),
    (
        "a weight in a missing file",
        |good| {
            good.model.initializers.remove("m");
            good.cut = |bytes| external(bytes, "absent", "0");
        },
        &["`m`", "`absent`"],
    ),
    ("a weight twice", |good| good.cut = |bytes| external(bytes, "absent", "0"), &["`m`"]),
    (
        "a weight of more values than there are",
        |good| {
            good.cut = |bytes| [bytes, field(7, &field(5, &[&[8, 255, 255, 255, 255, 127, 16, 1][..], &field(8, b"v")].concat()))].concat();
        },
        &["`v`"],
    ),
    // The graph.
    ("no operators", |good| good.model.nodes.clear(), &["`scores`", "does not depend on the image"]),
    ("no output", |good| good.model.outputs.clear(), &["0 outputs"]),
    ("two outputs", |good| good.model.outputs.push(value("flat", &[None, Some(8)])), &["2 outputs", "flat"]),
    ("two inputs", |good| good.model.inputs.push(value("y", &[None])), &["2 inputs", "y"]),
    ("an output that nothing makes", |good| good.model.outputs[0].name = "absent".into(), &["`absent`"]),
    ("a circle", |good| good.model.nodes[1] = node("Sum", &["conv", "pool"], "relu"), &["`relu`", "circle"]),
    ("the wrong order", |good| good.model.nodes.swap(0, 1), &["`relu`", "no order"]),
    (
        "a missing weight",
        |good| {
            good.model.initializers.remove("w");
        },
        &["`conv`", "`w`", "nothing makes"],
    ),
    ("two makers of a value", |good| good.model.nodes.push(node("Relu", &["x"], "conv")), &["`conv`", "two makers"]),
    (
        "two unknown operators",
        |good| {
            good.between(node("LRN", &["conv"], "odd"), &[]);
            good.model.nodes[0] = node("Einsum", &["x", "w"], "conv");
        },
        &["`conv` (Einsum)", "not known"],
    ),
    ("an operator of another domain", |good| good.model.nodes[1].domain = "com.example".into(), &["`relu`", "`com.example`"]),
    (
        "images of an open size",
        |good| good.model.inputs[0].shape = Some(vec![None, Some(1), None, None]),
        &["`x`", "leaves the size of images open"],
    ),
    (
        "images of 2^54 pixels",
        |good| good.model.inputs[0].shape = Some(vec![None, Some(1), Some(1 << 27), Some(1 << 27)]),
        &["`x`", "absurd"],
    ),
    (
        "images that fill the memory",
        |good| good.model.inputs[0].shape = Some(vec![None, Some(1 << 20), Some(1 << 20), Some(1 << 20)]),
        &["too large"],
    ),
    ("images without pixels", |good| good.model.inputs[0].shape = Some(vec![None, Some(1), Some(0), Some(5)]), &["`x`"]),
    ("images that are text", |good| good.model.inputs[0].dtype = Some(bezoar_formats::Dtype::I64), &["`x`", "I64"]),
    ("images of one dimension", |good| good.model.inputs[0].shape = Some(vec![None, Some(25)]), &["`x`", "four dimensions"]),
    ("scores that are maps", |good| good.model.outputs[0].name = "pool".into(), &["`pool`", "[batch, classes]"]),
    // Weights.
    (
        "weights that are not numbers",
        |good| good.constants(&[("m", Array::new(vec![8, 3], Values::F32(vec![f32::NAN; 24])).unwrap())]),
        &["`scores`", "not all finite"],
    ),
    (
        "infinite weights",
        |good| good.constants(&[("w", Array::new(vec![2, 1, 2, 2], Values::F32(vec![f32::INFINITY; 8])).unwrap())]),
        &["`conv`", "not all finite"],
    ),
    ("whole weights", |good| good.constants(&[("m", Array::new(vec![8, 3], Values::I32(vec![1; 24])).unwrap())]), &["I32", "not floats"]),
    (
        "weights for other channels",
        |good| good.constants(&[("w", floats(&[2, 3, 2, 2]))]),
        &["conv.weight", "[2, 3, 2, 2]", "[2, 1, 2, 2]"],
    ),
    ("weights for other features", |good| good.constants(&[("m", floats(&[9, 3]))]), &["scores.weight", "[3, 9]"]),
    ("weights that are no matrix", |good| good.constants(&[("m", floats(&[8, 3, 1]))]), &["`scores`", "no matrix"]),
    ("a kernel of one dimension", |good| good.constants(&[("w", floats(&[2, 1, 2]))]), &["`conv`", "convolutions of images"]),
    ("a kernel that does not fit", |good| good.constants(&[("w", floats(&[2, 1, 9, 9]))]), &["`conv`", "does not fit"]),
    // Settings.
    (
        "strides of 0",
        |good| good.model.nodes[0] = ints(good.model.nodes[0].clone(), "strides", &[0, 1]),
        &["`conv`", "`strides`", "out of range"],
    ),
    (
        "strides that overflow",
        |good| good.model.nodes[0] = ints(good.model.nodes[0].clone(), "strides", &[i64::MAX, i64::MAX]),
        &["`strides`", "out of range"],
    ),
    (
        "negative borders",
        |good| good.model.nodes[0] = ints(good.model.nodes[0].clone(), "pads", &[-1, 0, 0, 0]),
        &["`pads`", "out of range"],
    ),
    (
        "borders that overflow",
        |good| good.model.nodes[0] = ints(good.model.nodes[0].clone(), "pads", &[1 << 20; 4]),
        &["`conv`", "too large"],
    ),
    (
        "dilations that overflow",
        |good| good.model.nodes[0] = ints(good.model.nodes[0].clone(), "dilations", &[i64::MIN, 1]),
        &["`dilations`", "out of range"],
    ),
    (
        "groups that do not divide",
        |good| good.model.nodes[0] = with(good.model.nodes[0].clone(), "group", Attribute::Int(3)),
        &["`conv`", "groups"],
    ),
    (
        "negative groups",
        |good| good.model.nodes[0] = with(good.model.nodes[0].clone(), "group", Attribute::Int(-1)),
        &["`group` is negative"],
    ),
    (
        "a word for a number",
        |good| good.model.nodes[0] = with(good.model.nodes[0].clone(), "group", Attribute::String("one".into())),
        &["`group`", "not a whole number"],
    ),
    (
        "a pool without a kernel",
        |good| {
            good.model.nodes[2].attributes.remove("kernel_shape");
        },
        &["`pool`", "`kernel_shape` is missing"],
    ),
    (
        "batch norm in training",
        |good| {
            good.between(
                with(node("BatchNormalization", &["conv", "s", "s", "s", "s"], "norm"), "training_mode", Attribute::Int(1)),
                &[("s", floats(&[2]))],
            );
        },
        &["`norm`", "in training"],
    ),
    (
        "a shape of other values",
        |good| good.between(node("Reshape", &["conv", "t"], "shaped"), &[("t", whole(&[1, 2, 5, 5]))]),
        &["`shaped`", "[1, 2, 5, 5]"],
    ),
    (
        "a negative shape",
        |good| good.between(node("Reshape", &["conv", "t"], "shaped"), &[("t", whole(&[-1, -1]))]),
        &["`shaped`", "[-1, -1]"],
    ),
    (
        "a shape that overflows",
        |good| good.between(node("Reshape", &["conv", "t"], "shaped"), &[("t", whole(&[i64::MAX, i64::MAX]))]),
        &["`shaped`"],
    ),
    (
        "an axis out of range",
        |good| good.between(with(node("Concat", &["conv", "conv"], "both"), "axis", Attribute::Int(7)), &[]),
        &["`both`", "no axis 7 among 4"],
    ),
    (
        "an order that is none",
        |good| good.between(ints(node("Transpose", &["conv"], "turned"), "perm", &[0, 1, 1, 2]), &[]),
        &["`turned`", "`perm`"],
    ),
    (
        "a softmax over the batch",
        |good| good.between(with(node("Softmax", &["conv"], "shares"), "axis", Attribute::Int(0)), &[]),
        &["`shares`", "across the batch"],
    ),
    (
        "a part of nothing",
        |good| good.between(node("Slice", &["conv", "s", "s", "a"], "part"), &[("s", whole(&[3])), ("a", whole(&[2]))]),
        &["`part`"],
    ),
    (
        "a place that is not there",
        |good| good.between(with(node("Gather", &["conv", "i"], "picked"), "axis", Attribute::Int(1)), &[("i", whole(&[9]))]),
        &["`picked`", "no axis 9 among 2"],
    ),
    // Small files that ask for much.
    (
        "a constant of 2^40 values",
        |good| {
            good.between(node("Add", &["conv", "zeros"], "sum"), &[("n", whole(&[1 << 20, 1 << 20]))]);
            good.model.nodes.insert(1, node("ConstantOfShape", &["n"], "zeros"));
        },
        &["`zeros`", "too many"],
    ),
    (
        "a range of 2^60 numbers",
        |good| {
            good.model.nodes.insert(0, node("Range", &["from", "to", "by"], "numbers"));
            good.model.nodes.push(node("Add", &["flat", "numbers"], "scores"));
            good.model.nodes.remove(5);
            let one = |value: i64| Array::new(Vec::new(), Values::I64(vec![value])).unwrap();
            good.constants(&[("from", one(0)), ("to", one(1 << 60)), ("by", one(1))]);
        },
        &["`numbers`", "small whole numbers"],
    ),
    (
        "a margin of 2^40 pixels",
        |good| good.between(ints(node("Pad", &["conv"], "framed"), "pads", &[0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0]), &[]),
        &["`framed`", "too large"],
    ),
    (
        "an image enlarged beyond bounds",
        |good| {
            good.between(
                node("Resize", &["conv", "", "f"], "large"),
                &[("f", Array::new(vec![4], Values::F32(vec![1.0, 1.0, 1e30, 1e30])).unwrap())],
            );
        },
        &["`large`", "whole factors"],
    ),
    (
        "maps joined with themselves again and again",
        |good| {
            for number in 0..30 {
                let (from, to) = (format!("j{number}"), format!("j{}", number + 1));
                let from = if number == 0 { "conv" } else { from.as_str() };
                good.model.nodes.insert(number + 1, node("Concat", &[from, from], &to));
            }
            good.model.nodes[31].inputs[0] = "j30".into();
        },
        &["too large"],
    ),
    // Images.
    ("images of another shape", |good| good.images = npy::encode(&floats(&[2, 1, 5, 6])), &["x.npy", "[2, 1, 5, 6]", "[N, 1, 5, 5]"]),
    ("no images", |good| good.images = npy::encode(&floats(&[0, 1, 5, 5])), &["x.npy", "no images"]),
    (
        "images that are whole numbers",
        |good| good.images = npy::encode(&Array::new(vec![2, 1, 5, 5], Values::I64(vec![1; 50])).unwrap()),
        &["x.npy", "I64"],
    ),
    (
        "an array whose header lies",
        |good| {
            good.images = {
                let mut bytes = npy::encode(&floats(&[2, 1, 5, 5]));
                let at = bytes.windows(2).position(|two| two == b"(2").unwrap();
                bytes[at + 1] = b'9';
                bytes
            }
        },
        &["x.npy", "900 bytes, not 200"],
    ),
    (
        "an array whose header is cut off",
        |good| good.images = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(),
        &["x.npy", "header is cut off"],
    ),
    (
        "a list of arrays whose header is longer than the file",
        |good| {
            good.images_name = "x.safetensors";
            good.images = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        },
        &["x.safetensors"],
    ),
    (
        "a list of arrays that lie outside",
        |good| {
            good.images_name = "x.safetensors";
            good.images = {
                let header = br#"{"x":{"dtype":"F32","shape":[2,1,5,5],"data_offsets":[0,200000]}}"#;
                [&(header.len() as u64).to_le_bytes()[..], header, &[0; 200]].concat()
            };
        },
        &["x.safetensors"],
    ),
    (
        "two arrays for one",
        |good| {
            good.images_name = "x.safetensors";
            good.images = safetensors::encode(&[("a".to_owned(), floats(&[2, 1, 5, 5])), ("b".to_owned(), floats(&[1]))].into()).unwrap();
        },
        &["x.safetensors"],
    ),
];

#[test]
fn what_is_not_broken_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = good().run(folder.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(folder.path().join("scores.npy").exists());
}

/// What is wrong with how a broken case was refused, if anything.
fn fault(spoil: fn(&mut Good), words: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut case = good();
    spoil(&mut case);
    let (code, said) = case.run(folder.path());
    let missing = words.iter().find(|word| !said.contains(**word));
    if !matches!(code, Some(1 | 2)) || !said.lines().any(|line| line.starts_with("error: ")) || said.contains("panicked") {
        Some(format!("ended with {code:?}: {said}"))
    } else if folder.path().join("scores.npy").exists() {
        Some("left a file".into())
    } else {
        missing.map(|word| format!("`{word}` is missing in: {said}"))
    }
}

#[test]
fn broken_nets_and_arrays_are_refused_in_words() {
    let faults: Vec<_> =
        CASES.iter().filter_map(|(what, spoil, words)| fault(*spoil, words).map(|fault| format!("{what}: {fault}"))).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), CASES.len(), faults.join("\n"));
}
