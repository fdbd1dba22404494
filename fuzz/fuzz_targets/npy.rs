//! What is read as a `.npy` file is written and read again as the same.
#![no_main]

use bezoar_formats::npy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = npy::decode(bytes, "input") {
        let written = npy::encode(&array);
        // As bytes, since NaN is not equal to itself.
        assert_eq!(npy::encode(&npy::decode(&written, "output").unwrap()), written);
    }
});
