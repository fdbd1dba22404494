use std::collections::BTreeMap;
use std::fs::{create_dir, write};
use std::path::Path;

use bezoar_formats::onnx::{self, Attribute, Model, Node, Value};
use bezoar_formats::{Array, Dtype, Values, state_dict};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::support::{array, bytes, data, message, refuses_all_cuts};

#[test]
fn exports_of_pytorch_are_read() {
    let parameters = state_dict::read(&data("net.safetensors")).unwrap();
    for (name, opset, batch) in [("script11", 11, None), ("script17", 17, None), ("dynamo18", 18, None), ("dynamo21", 21, None)] {
        let model = onnx::read(&data(&format!("{name}.onnx"))).unwrap();
        assert_eq!(model.producer, "pytorch");
        assert_eq!(model.opsets[""], opset, "{name}");
        let value = |name: &str, sizes: &[usize]| {
            let shape = std::iter::once(batch).chain(sizes.iter().copied().map(Some)).collect();
            Value { name: name.into(), shape: Some(shape), dtype: Some(Dtype::F32) }
        };
        assert_eq!(model.inputs, [value("input", &[3, 8, 8])], "{name}");
        assert_eq!(model.outputs, [value("scores", &[3])], "{name}");
        let head = model.nodes.iter().find(|node| node.op_type == "Gemm").unwrap();
        assert_eq!(head.attributes["transB"], Attribute::Int(1));
        assert_eq!(model.initializers[&head.inputs[1]], parameters["head.weight"], "{name}");
        assert_eq!(model.initializers[&head.inputs[2]], parameters["head.bias"], "{name}");
        assert_eq!(onnx::decode(onnx::encode(&model).unwrap(), "", None).unwrap(), model);
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-zé/.:0-9]{0,6}"
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<i64>().prop_map(Attribute::Int),
        any::<f32>().prop_map(Attribute::Float),
        name().prop_map(Attribute::String),
        array().prop_map(Attribute::Tensor),
        vec(any::<i64>(), 0..4).prop_map(Attribute::Ints),
        vec(any::<f32>(), 0..4).prop_map(Attribute::Floats),
        vec(name(), 0..4).prop_map(Attribute::Strings),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let values = (vec(name(), 0..4), vec(name(), 0..3), btree_map(name(), attribute(), 0..4));
    (name(), "[A-Z][a-z]{0,5}", name(), values).prop_map(|(name, op_type, domain, (inputs, outputs, attributes))| Node {
        name,
        op_type,
        domain,
        inputs,
        outputs,
        attributes,
    })
}

/// The capital keeps their names apart from those of initializers.
fn value() -> impl Strategy<Value = Value> {
    let dtype = prop_oneof![Just(None), Just(Some(Dtype::F16)), Just(Some(Dtype::F32)), Just(Some(Dtype::U64))];
    let shape = option::of(vec(option::of(0usize..300), 0..4));
    ("[A-Z][a-z]{0,5}", shape, dtype).prop_map(|(name, shape, dtype)| Value { name, shape, dtype })
}

fn model() -> impl Strategy<Value = Model> {
    let head = (name(), name(), name(), btree_map(name(), 1..30i64, 0..3));
    let graph = (vec(value(), 0..3), vec(value(), 0..3), vec(node(), 0..4), btree_map(name(), array(), 0..4));
    (head, graph).prop_map(|((producer, producer_version, name, opsets), (inputs, outputs, nodes, initializers))| Model {
        producer,
        producer_version,
        opsets,
        name,
        inputs,
        outputs,
        nodes,
        initializers,
    })
}

proptest! {
    #[test]
    fn models_come_back(model in model()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        onnx::write(&path, &model).unwrap();
        prop_assert_eq!(onnx::read(&path).unwrap(), model);
    }

    #[test]
    fn any_bytes_are_a_model_or_an_error(model in model(), noise: Vec<u8>, at: proptest::sample::Index) {
        let _ = onnx::decode(noise.clone(), "", None);
        let mut bytes = onnx::encode(&model).unwrap();
        let at = at.index(bytes.len());
        for (byte, noise) in bytes[at..].iter_mut().zip(&noise) {
            *byte = *noise;
        }
        let _ = onnx::decode(bytes, "", None);
    }
}

/// A message's field of bytes.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    [&varint(u64::from(number << 3 | 2)), &varint(content.len() as u64), content].concat()
}

/// A message's field with an integer.
fn int(number: u32, value: i64) -> Vec<u8> {
    [varint(u64::from(number << 3)), varint(value as u64)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A model whose graph has these fields.
fn file(graph: &[Vec<u8>]) -> Vec<u8> {
    [int(1, 8), field(7, &graph.concat())].concat()
}

/// A model with one initializer `w` of `dims` numbers of a type.
fn tensor(dims: &[i64], dtype: i64, more: &[Vec<u8>]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&size| int(1, size)).collect();
    file(&[field(5, &[dims, int(2, dtype), field(8, b"w"), more.concat()].concat())])
}

fn only_tensor(bytes: Vec<u8>) -> Array {
    onnx::decode(bytes, "m.onnx", None).unwrap().initializers.remove("w").unwrap()
}

#[test]
fn tensors_are_read_from_any_field() {
    let packed = |number, values: &[i64]| field(number, &values.iter().flat_map(|&value| varint(value as u64)).collect::<Vec<_>>());
    let one = |values| Array::new(vec![2], values).unwrap();
    assert_eq!(only_tensor(tensor(&[2], 1, &[field(4, &[0, 0, 128, 63, 0, 0, 0, 64])])), one(Values::F32(vec![1.0, 2.0])));
    assert_eq!(only_tensor(tensor(&[2], 10, &[packed(5, &[0x3c00, 0xc000])])), one(Values::F32(vec![1.0, -2.0])));
    assert_eq!(only_tensor(tensor(&[2], 16, &[field(9, &[128, 63, 0, 192])])), one(Values::F32(vec![1.0, -2.0])));
    assert_eq!(only_tensor(tensor(&[2], 7, &[packed(7, &[-1, 1])])), one(Values::I64(vec![-1, 1])));
    assert_eq!(only_tensor(tensor(&[2], 3, &[packed(5, &[-1, 1])])), one(Values::I8(vec![-1, 1])));
    assert_eq!(only_tensor(tensor(&[2], 9, &[packed(5, &[0, 1])])), one(Values::Bool(vec![false, true])));
    assert_eq!(only_tensor(tensor(&[2], 12, &[packed(11, &[0, 9])])), one(Values::I64(vec![0, 9])));
}

#[test]
fn broken_models_are_refused() {
    let refused = |bytes: Vec<u8>| message(onnx::decode(bytes, "m.onnx", None));
    assert_eq!(refused(Vec::new()), "m.onnx: no ONNX model: it has no graph");
    assert!(refused(b"PK\x03\x04".to_vec()).starts_with("m.onnx: no whole ONNX model: "));
    let w = "m.onnx, tensor `w`: ";
    assert_eq!(refused(tensor(&[3], 1, &[field(9, &[0; 8])])), format!("{w}[3] numbers of type F32 are 12 bytes, not 8"));
    assert_eq!(refused(tensor(&[3], 1, &[])), format!("{w}0 values have not the shape [3]"));
    assert_eq!(refused(tensor(&[-3], 1, &[])), format!("{w}the shape has the negative size -3"));
    let huge = [i64::MAX, 3];
    assert_eq!(refused(tensor(&huge, 1, &[])), format!("{w}the shape {huge:?} is too large"));
    assert_eq!(refused(tensor(&[1; 65], 1, &[field(9, &[0; 4])])), format!("{w}65 dimensions are more than 64"));
    assert_eq!(refused(tensor(&[1], 8, &[])), format!("{w}numbers of ONNX's type 8 are not known"));
    assert_eq!(refused(tensor(&[1], 2, &[field(5, &varint(300))])), format!("{w}300 is out of its type's range"));
    let twice = field(5, &[int(2, 1), field(8, b"w"), field(9, &[0; 4])].concat());
    assert_eq!(refused(file(&[twice.clone(), twice])), format!("{w}is there twice"));

    let node = |attribute: &[Vec<u8>]| file(&[field(1, &[field(3, b"n"), field(4, b"If"), field(5, &attribute.concat())].concat())]);
    let a = "m.onnx, node 0 (`n`, If), attribute `a`: ";
    assert_eq!(
        refused(node(&[field(1, b"a"), int(20, 5), field(6, b"")])),
        format!(
            "{a}is a graph within the graph, which is not known here (export the model without control flow, as with `torch.onnx.export` \
             in evaluation mode, or simplify it with `onnxsim`)"
        )
    );
    assert_eq!(refused(node(&[field(1, b"a"), int(20, 11)])), format!("{a}attributes of ONNX's type 11 are not known"));
    assert_eq!(refused(node(&[field(1, b"a"), int(20, 4)])), format!("{a}numbers of ONNX's type 0 are not known"));
    assert_eq!(refused(file(&[field(1, b"")])), "m.onnx, node 0 (`, `): has no operator".replace("`, `", "``, "));
    assert_eq!(refused(file(&[field(11, &field(1, b"x"))])), "m.onnx, input or output `x`: is no tensor");
    assert_eq!(refused(file(&[field(15, b"")])), "m.onnx: the model has sparse weights (store them densely)");
    assert_eq!(
        refused([file(&[]), field(25, b"")].concat()),
        "m.onnx: the model has functions of its own (replace their calls with `onnx.inliner.inline_local_functions`)"
    );
}

#[test]
fn cut_models_are_refused() {
    // Behind the graph the file may end anywhere: fields are optional.
    let model = Model { opsets: BTreeMap::new(), ..onnx::read(&data("script17.onnx")).unwrap() };
    refuses_all_cuts(&onnx::encode(&model).unwrap(), |bytes| onnx::decode(bytes.to_vec(), "m.onnx", None));
    let long = bytes("dynamo18.onnx");
    for cut in 0..long.len() {
        let _ = onnx::decode(long[..cut].to_vec(), "m.onnx", None);
    }
}

/// A model whose weights, two floats, lie in another file.
fn external(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> =
        entries.iter().map(|(key, value)| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())).collect();
    tensor(&[2], 1, &[entries.concat(), int(14, 1)])
}

#[test]
fn external_data_stays_in_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    create_dir(&folder).unwrap();
    create_dir(folder.join("sub")).unwrap();
    write(outer.path().join("secret"), [0; 8]).unwrap();
    write(folder.join("w.bin"), [0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64]).unwrap();
    write(folder.join("sub/w.bin"), [0; 8]).unwrap();
    let read = |entries: &[(&str, &str)]| onnx::decode(external(entries), "m.onnx", Some(&folder));
    let values = read(&[("location", "w.bin"), ("offset", "4"), ("length", "8")]).unwrap().initializers["w"].to_floats().unwrap();
    assert_eq!(values, [1.0, 2.0]);
    read(&[("location", "./sub/w.bin"), ("checksum", "?")]).unwrap();

    let refused = |entries: &[(&str, &str)]| message(read(entries));
    let w = "m.onnx, tensor `w`: ";
    for outside in ["../secret", "/etc/passwd", "sub/../../secret", ""] {
        assert_eq!(refused(&[("location", outside)]), format!("{w}its data in `{outside}`: the path leads outside the model's folder"));
    }
    let place = format!("{w}its data in `w.bin`: ");
    assert_eq!(refused(&[("location", "w.bin"), ("offset", "5")]), format!("{place}8 bytes from 5 end behind its 12 bytes"));
    let far = u64::MAX.to_string();
    assert_eq!(refused(&[("location", "w.bin"), ("offset", &far)]), format!("{place}8 bytes from {far} end behind its 12 bytes"));
    assert_eq!(refused(&[("location", "w.bin"), ("length", "4")]), format!("{place}4 bytes where 8 are due"));
    assert_eq!(refused(&[("location", "w.bin"), ("offset", "-4")]), format!("{w}the offset of its data is `-4`"));
    assert_eq!(refused(&[("location", "sub")]), format!("{w}its data in `sub`: it is no file"));
    assert!(refused(&[("location", "absent")]).starts_with(&format!("{w}its data in `absent`: ")));
    assert_eq!(message(onnx::decode(external(&[("location", "w.bin")]), "m.onnx", None)), format!("{place}there is no folder to look in"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
        assert_eq!(refused(&[("location", "link")]), format!("{w}its data in `link`: a link leads outside the model's folder"));
        std::os::unix::fs::symlink("w.bin", folder.join("near")).unwrap();
        read(&[("location", "near")]).unwrap();
    }
}

#[test]
fn external_data_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("w"), [0; 12]).unwrap();
    let entry = field(13, &[field(1, b"location"), field(2, b"w")].concat());
    let tensor = |name: &[u8]| field(5, &[int(1, 2), int(2, 1), field(8, name), entry.clone(), int(14, 1)].concat());
    let model = file(&[tensor(b"a"), tensor(b"b")]);
    let error = message(onnx::decode(model, "m.onnx", Some(folder.path())));
    assert_eq!(error, "m.onnx, tensor `b`: its data in `w`: tensors overlap there");
    assert!(onnx::read(Path::new("absent.onnx")).is_err());
}
