//! What is read as an ONNX model is written and read again as the same; what is imported as a net can be exported.
#![no_main]

use bezoar_formats::onnx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = onnx::decode(bytes.to_vec(), "input", None) {
        let written = onnx::encode(&model).unwrap();
        // As bytes, since NaN is not equal to itself.
        assert_eq!(onnx::encode(&onnx::decode(written.clone(), "output", None).unwrap()).unwrap(), written);
        if let Ok(net) = bezoar_onnx::import(&model) {
            let _ = bezoar_onnx::import(&bezoar_onnx::export(&net).unwrap());
        }
    }
});
