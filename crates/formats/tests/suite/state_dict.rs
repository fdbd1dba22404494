use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bezoar_formats::{Array, Values, safetensors, state_dict};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{bytes, data, message, refuses_all_cuts};

fn floats(shape: &[usize], values: impl IntoIterator<Item = u8>) -> Array {
    Array::new(shape.to_vec(), Values::F32(values.into_iter().map(|value| f32::from(value) / 4.0).collect())).unwrap()
}

/// The state dict of tests/parity/formats.py.
fn kinds() -> BTreeMap<String, Array> {
    let array = |shape: &[usize], values| Array::new(shape.to_vec(), values).unwrap();
    [
        ("transposed", floats(&[4, 3], [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])),
        ("slice", floats(&[2, 2], [4, 6, 8, 10])),
        ("repeated", floats(&[2, 3], [2; 6])),
        ("scalar", array(&[], Values::I64(vec![7]))),
        ("half", floats(&[3, 4], 0..12)),
        ("bfloat", floats(&[3, 4], 0..12)),
        ("double", array(&[3, 4], Values::F64((0..12).map(|value| f64::from(value) / 4.0).collect()))),
        ("parameter", floats(&[3, 4], 0..12)),
        ("flags", array(&[2], Values::Bool(vec![true, false]))),
        ("empty", floats(&[0, 3], [])),
    ]
    .map(|(name, array)| (name.to_owned(), array))
    .into()
}

#[test]
fn pytorchs_files_are_read() {
    for name in ["kinds.pt", "protocol4.pt", "legacy.pt"] {
        assert_eq!(state_dict::read(&data(name)).unwrap(), kinds(), "{name}");
    }
    let net = state_dict::read(&data("net.safetensors")).unwrap();
    assert_eq!(net["conv.weight"].shape(), [4, 3, 3, 3]);
    assert_eq!(state_dict::read(&data("checkpoint.pth")).unwrap(), net);
}

#[test]
fn calls_are_refused_and_not_made() {
    let help = "(save the parameters alone, with `torch.save(model.state_dict(), path)` or as safetensors)";
    let refused = |name: &str| message(state_dict::decode(&bytes(name), name));
    assert_eq!(
        refused("evil.pt"),
        format!("evil.pt: its pickle calls `posix.system`, which no state dict needs; nothing of it was run {help}")
    );
    assert!(!Path::new("/tmp/bezoar-was-here").exists());
    assert_eq!(
        refused("whole.pt"),
        format!("whole.pt: its pickle calls `__main__.Net`, which no state dict needs; nothing of it was run {help}")
    );
}

#[test]
fn cut_files_are_refused() {
    for name in ["checkpoint.pth", "legacy.pt", "net.safetensors"] {
        refuses_all_cuts(&bytes(name), |bytes| state_dict::decode(bytes, name));
    }
}

/// The archive of a pickle and one storage.
fn archive(pickle: &[u8], storage: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", storage)] {
        writer.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The pickle of a dict with one tensor `w` of floats; `view` is the pickle of its offset, shape and strides.
fn pickle(key: &[u8], view: &[u8]) -> Vec<u8> {
    let head = b"\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01".as_slice();
    [head, key, b"U\x03cpuK\x04tQ", view, b"\x89)tRs."].concat()
}

#[test]
fn views_outside_their_storage_are_refused() {
    let file = |view: &[u8]| archive(&pickle(b"0", view), &[0; 16], CompressionMethod::Stored);
    let decode = |view: &[u8]| state_dict::decode(&file(view), "a.pt");
    assert_eq!(decode(b"K\x00K\x04\x85K\x01\x85").unwrap()["w"], floats(&[4], [0; 4]));
    let refused = |view: &[u8]| message(decode(view));
    let outside = "leads outside 16 bytes";
    assert_eq!(refused(b"K\x01K\x04\x85K\x01\x85"), format!("a.pt, tensor `w`: the shape [4] with strides [1] from 1 {outside}"));
    assert_eq!(refused(b"K\x00K\x04\x85K\x02\x85"), format!("a.pt, tensor `w`: the shape [4] with strides [2] from 0 {outside}"));
    assert_eq!(refused(b"K\x00K\x04\x85)"), "a.pt, tensor `w`: 0 strides for the shape [4]");
    let sizes = "a.pt, tensor `w`: has a shape, strides or an offset that are no sizes";
    assert_eq!(refused(b"K\x00J\xff\xff\xff\xff\x85K\x01\x85"), sizes);
    assert_eq!(refused(b"J\xff\xff\xff\xffK\x04\x85K\x01\x85"), sizes);
    let large = "a.pt, tensor `w`: it and those before are far larger than the file";
    assert_eq!(refused(b"K\x00J\xff\xff\xff\x7f\x85K\x00\x85"), large);
    let huge = b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\x00\x85";
    assert_eq!(refused(huge), "a.pt, tensor `w`: the shape [9223372036854775807] is too large");
}

#[test]
fn archives_must_be_whole_and_plain() {
    let pickle = pickle(b"0", b"K\x00K\x04\x85K\x01\x85");
    let whole = archive(&pickle, &[7; 16], CompressionMethod::Stored);
    let mut flipped = whole.clone();
    let at = flipped.windows(16).position(|window| window == [7; 16]).unwrap();
    flipped[at] = 8;
    assert_eq!(message(state_dict::decode(&flipped, "a.pt")), "a.pt, tensor `w`: the archive's entry `data/0`: Invalid checksum");
    let packed = archive(&pickle, &[7; 16], CompressionMethod::Deflated);
    assert_eq!(
        message(state_dict::decode(&packed, "a.pt")),
        "a.pt: no whole file of PyTorch: the archive's entry `data.pkl`: is compressed, which PyTorch does not do"
    );
    let refused = |pickle: &[u8]| message(state_dict::decode(&archive(pickle, &[], CompressionMethod::Stored), "a.pt"));
    assert_eq!(
        refused(b"K\x01."),
        format!(
            "a.pt: holds no state dict ({})",
            "save the parameters alone, with `torch.save(model.state_dict(), path)` or as safetensors"
        )
    );
    assert_eq!(refused(b"}U\x05epochK\x03s."), "a.pt, tensor `epoch`: is no tensor, and a state dict holds nothing else");
    assert_eq!(refused(b"}."), "a.pt: holds no tensors");
    assert_eq!(refused(b"}q\x00U\x05modelh\x00s."), "a.pt, tensor `model`: is no tensor, and a state dict holds nothing else");
    assert_eq!(refused(b"((((("), "a.pt: its pickle is broken: it is cut off");
    assert_eq!(message(state_dict::decode(b"hello, world", "a.pt")), "a.pt: neither a safetensors file nor one of `torch.save`");
}

proptest! {
    #[test]
    fn any_pickle_is_a_state_dict_or_an_error(pickle: Vec<u8>, at in 0usize..1000, byte: u8) {
        let _ = state_dict::decode(&archive(&pickle, &[0; 16], CompressionMethod::Stored), "");
        let mut legacy = bytes("legacy.pt");
        let at = at % legacy.len();
        legacy[at] = byte;
        let _ = state_dict::decode(&legacy, "");
    }

    #[test]
    fn prefixes_are_left_out_only_before_all(all: bool) {
        let names = ["module.a", if all { "module.b" } else { "b" }];
        let arrays: BTreeMap<_, _> = names.map(|name| (name.to_owned(), floats(&[1], [1]))).into();
        let read = state_dict::decode(&safetensors::encode(&arrays).unwrap(), "").unwrap();
        let expected = if all { ["a", "b"] } else { ["b", "module.a"] };
        prop_assert_eq!(read.keys().collect::<Vec<_>>(), expected);
    }
}
