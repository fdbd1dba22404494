//! Digests of bytes, for telling files apart.

use std::path::Path;
use std::{fs, io};

use sha2::Digest;

use crate::{Error, Result};

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A file's digest in lower-case hexadecimal. The file is read piece by piece.
///
/// # Errors
/// When the file cannot be read.
pub fn digest_file<H: Digest>(path: &Path) -> Result<String> {
    struct Hashing<H>(H);
    impl<H: Digest> io::Write for Hashing<H> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let io = |error| Error::io(path, error);
    let mut hash = Hashing(H::new());
    io::copy(&mut fs::File::open(path).map_err(io)?, &mut hash).map_err(io)?;
    Ok(hex(&hash.0.finalize()))
}
