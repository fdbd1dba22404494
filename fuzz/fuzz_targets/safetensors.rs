//! What is read as a safetensors file is written and read again as the same.
#![no_main]

use bezoar_formats::safetensors;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(arrays) = safetensors::decode(bytes, "input") {
        let written = safetensors::encode(&arrays).unwrap();
        // As bytes, since NaN is not equal to itself.
        assert_eq!(safetensors::encode(&safetensors::decode(&written, "output").unwrap()).unwrap(), written);
    }
});
