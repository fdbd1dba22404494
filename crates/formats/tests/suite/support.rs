use std::fmt::Debug;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};
use bezoar_formats::{Array, Values};
use proptest::collection::vec;
use proptest::prelude::*;

/// A file that tests/parity/formats.py wrote.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

/// What an error says, with its hint.
pub(crate) fn message<T: Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    match error.help() {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    }
}

/// Every file that is cut off is an error of a known kind.
pub(crate) fn refuses_all_cuts<T: Debug>(whole: &[u8], read: impl Fn(&[u8]) -> Result<T>) {
    read(whole).unwrap();
    for cut in 0..whole.len() {
        match read(&whole[..cut]) {
            Err(Error::Data { .. }) => {}
            other => panic!("cut at {cut} of {}: {other:?}", whole.len()),
        }
    }
}

pub(crate) fn array() -> impl Strategy<Value = Array> {
    vec(0usize..4, 0..4).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        let values = prop_oneof![
            vec(any::<bool>(), count).prop_map(Values::Bool),
            vec(any::<u8>(), count).prop_map(Values::U8),
            vec(any::<i8>(), count).prop_map(Values::I8),
            vec(any::<i32>(), count).prop_map(Values::I32),
            vec(any::<i64>(), count).prop_map(Values::I64),
            vec(any::<f32>(), count).prop_map(Values::F32),
            vec(any::<f64>(), count).prop_map(Values::F64),
        ];
        values.prop_map(move |values| Array::new(shape.clone(), values).unwrap())
    })
}
