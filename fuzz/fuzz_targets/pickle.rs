//! State dicts of PyTorch: as archives, and in the older format. The archives are made here around the fuzzer's pickle, whose checksum
//! it would never guess.
#![no_main]

use bezoar_formats::state_dict;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = state_dict::decode(bytes, "input");
    let _ = state_dict::decode(&archive(&[("a/data.pkl", bytes), ("a/data/0", &[0x3c; 64])]), "input");
});

/// A zip archive of stored entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let start = file.len() as u32;
        let size = (content.len() as u32).to_le_bytes();
        let common =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], crc32(content).to_le_bytes().as_slice(), &size, &size, &[name.len() as u8, 0, 0, 0]]
                .concat();
        file.extend([b"PK\x03\x04".as_slice(), &common, name.as_bytes(), content].concat());
        directory.extend([b"PK\x01\x02\x14\0".as_slice(), &common, &[0; 10], &start.to_le_bytes(), name.as_bytes()].concat());
    }
    let count = [entries.len() as u8, 0];
    let end = [(directory.len() as u32).to_le_bytes(), (file.len() as u32).to_le_bytes()].concat();
    [file.as_slice(), &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &end, &[0, 0]].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())))
}
