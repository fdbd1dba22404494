use bezoar_formats::{Array, Values, npy, read_array, safetensors, write_array};
use proptest::collection::btree_map;
use proptest::prelude::*;

use crate::support::{array, bytes, data, message, refuses_all_cuts};

fn grid(values: Values) -> Array {
    Array::new(vec![2, 3], values).unwrap()
}

#[test]
fn numpys_files_are_read() {
    let quarters = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25];
    let floats = grid(Values::F32(quarters.map(|value| value as f32).to_vec()));
    assert_eq!(read_array(&data("c.npy")).unwrap(), floats);
    assert_eq!(read_array(&data("version3.npy")).unwrap(), floats);
    assert_eq!(read_array(&data("fortran.npy")).unwrap(), grid(Values::F64(quarters.to_vec())));
    assert_eq!(read_array(&data("big.npy")).unwrap(), grid(Values::I32((0..6).collect())));
    assert_eq!(read_array(&data("targets.npy")).unwrap().to_integers().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(npy::encode(&floats), bytes("c.npy"), "what NumPy writes, byte for byte");
}

proptest! {
    #[test]
    fn arrays_come_back(array in array()) {
        prop_assert_eq!(&npy::decode(&npy::encode(&array), "").unwrap(), &array);
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.npy", "a.safetensors"] {
            let path = folder.path().join(name);
            write_array(&path, &array).unwrap();
            prop_assert_eq!(&read_array(&path).unwrap(), &array);
        }
    }

    #[test]
    fn named_arrays_come_back(arrays in btree_map("[a-z.]{1,8}", array(), 0..4)) {
        prop_assert_eq!(safetensors::decode(&safetensors::encode(&arrays).unwrap(), "").unwrap(), arrays);
    }

    #[test]
    fn any_bytes_are_an_array_or_an_error(bytes: Vec<u8>, header in "[ -~]{0,80}") {
        let _ = npy::decode(&bytes, "");
        let _ = safetensors::decode(&bytes, "");
        let _ = npy::decode(&with_header(&header, &bytes), "");
    }
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn broken_arrays_are_refused() {
    refuses_all_cuts(&bytes("fortran.npy"), |bytes| npy::decode(bytes, "a.npy"));
    refuses_all_cuts(&bytes("net.safetensors"), |bytes| safetensors::decode(bytes, "a.safetensors"));
    let refused = |header: &str| message(npy::decode(&with_header(header, &[0; 8]), "a.npy"));
    let shaped = |shape: &str| refused(&format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}}}"));
    let no = "a.npy: no whole NumPy array: ";
    assert_eq!(message(npy::decode(b"PK\x03\x04", "a.npy")), format!("{no}it begins otherwise"));
    assert_eq!(message(npy::decode(b"\x93NUMPY\x09\x00", "a.npy")), format!("{no}version 9 of the format is not known"));
    assert_eq!(message(npy::decode(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "a.npy")), format!("{no}its header is cut off"));
    assert_eq!(shaped("(3,)"), format!("{no}[3] numbers of type F32 are 12 bytes, not 8"));
    assert_eq!(shaped("(1,)"), format!("{no}[1] numbers of type F32 are 4 bytes, not 8"));
    assert_eq!(shaped("(-2,)"), format!("{no}its shape holds something else than sizes"));
    assert_eq!(shaped("(2"), format!("{no}its header lacks a `)`"));
    let huge = "4294967296, 4294967296";
    assert_eq!(shaped(&format!("({huge},)")), format!("{no}the shape [{huge}] is too large"));
    assert_eq!(shaped(&format!("({})", "1,".repeat(65))), format!("{no}65 dimensions are more than 64"));
    assert_eq!(refused("{'descr': '<f4', 'shape': (2,)}"), format!("{no}its header lacks `fortran_order`"));
    assert_eq!(refused("{'descr': '|O', 'fortran_order': False, 'shape': ()}"), format!("{no}numbers of type `|O` are not known"));
    assert_eq!(
        refused("{'descr': [('x', '<f4')]}"),
        format!("{no}its header has something else where a text is due; records are not known")
    );
    let large = [with_header("{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", &[]), vec![0xff; 8]].concat();
    assert_eq!(message(npy::decode(&large, "a.npy")), format!("{no}18446744073709551615 is too large"));
}

#[test]
fn files_of_arrays_hold_one() {
    let path = data("net.safetensors");
    assert_eq!(message(read_array(&path)), format!("{}: holds 9 tensors where one is due", path.display()));
    assert_eq!(
        message(read_array("a.csv".as_ref())),
        "a.csv: arrays are kept in `.npy` and `.safetensors` files (give the file that extension)"
    );
    assert!(message(read_array("absent.npy".as_ref())).starts_with("absent.npy: "));
    assert_eq!(message(Array::new(vec![2], Values::U8(vec![1]))), "1 values have not the shape [2]");
}
