//! Encoded bytes to pixels. Any bytes may come: the answer is an image or what is wrong with them.

use std::io::Cursor;

use image::imageops::{FilterType, resize};
use image::{ImageError, ImageFormat, ImageReader, Limits};

/// The longest side that an image may have, in pixels.
const MAX_SIDE: u32 = 8192;

/// The most memory that decoding one image may take, in bytes.
const MAX_MEMORY: u64 = 256 << 20;

/// The most bytes that an encoded image may have.
pub(crate) const MAX_ENCODED: u64 = 64 << 20;

/// The image, `[size, size, 3]`: grey is spread over three channels, opacity is dropped, other sizes and shapes are stretched
/// to the square by a filter that does not alias.
///
/// # Errors
/// What is wrong with the bytes, as a clause.
pub(crate) fn decode(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    if bytes.is_empty() {
        return Err("there are no bytes".to_owned());
    }
    let format = known_format(bytes).ok_or("this is no JPEG, PNG, PPM or WebP image")?;
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err("the JPEG ends before its end marker".to_owned());
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => format!("the image is larger than {MAX_SIDE} pixels on a side, or than {} MiB", MAX_MEMORY >> 20),
        error => error.to_string(),
    })?;
    let (rgb, side) = (image.into_rgb8(), size as u32);
    Ok(match rgb.dimensions() {
        (0, _) | (_, 0) => return Err("the image has no pixels".to_owned()),
        (width, height) if (width, height) == (side, side) => rgb.into_raw(),
        _ => resize(&rgb, side, side, FilterType::Triangle).into_raw(),
    })
}

/// The format of an image that begins with these bytes, if it is one that we read.
pub(crate) fn known_format(bytes: &[u8]) -> Option<ImageFormat> {
    let known = |format: &ImageFormat| matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Pnm | ImageFormat::WebP);
    image::guess_format(bytes).ok().filter(known)
}

/// Whether the end marker follows the scans. The decoder itself makes grey of what is missing.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 2;
    // At `at` stands a marker, or the coded data of a scan, in which 0xff is followed by 0 or a restart marker.
    while let Some(&[first, second]) = bytes.get(at..at + 2) {
        match [first, second] {
            [0xff, END] => return true,
            [0xff, 0x00 | 0x01 | 0xd0..=0xd8] => at += 2,
            [0xff, 0xff] | [0..=0xfe, _] => at += 1,
            [0xff, _] => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
    false
}

#[cfg(test)]
pub(crate) mod tests {
    use image::{DynamicImage, Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    /// An image with some texture, in a file format.
    pub(crate) fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 37 + y * 11) as u8, (x * y) as u8, (255 - x * 5) as u8]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    const FORMATS: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Pnm, ImageFormat::WebP];

    #[test]
    fn all_formats_come_out_alike() {
        let exact = decode(&encoded(ImageFormat::Png, 12, 12), 12).unwrap();
        for format in FORMATS {
            let pixels = decode(&encoded(format, 12, 12), 12).unwrap();
            let far = pixels.iter().zip(&exact).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() / 432;
            assert!(far <= if format == ImageFormat::Jpeg { 30 } else { 0 }, "{format:?} is {far} away");
            assert_eq!(decode(&encoded(format, 30, 17), 12).unwrap().len(), 432);
        }
    }

    #[test]
    fn grey_and_opacity_become_rgb() {
        let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(4, 4, Rgb([9, 9, 9])));
        for image in [image.to_luma8().into(), image.to_luma_alpha8().into(), image.to_rgba8().into(), DynamicImage::from(image.to_rgb16())]
        {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, ImageFormat::Png).unwrap();
            assert_eq!(decode(bytes.get_ref(), 4).unwrap(), [9; 48]);
        }
    }

    #[test]
    fn a_constant_image_stays_constant_when_stretched() {
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::from_pixel(7, 3, Rgb([200, 100, 50])).write_to(&mut bytes, ImageFormat::Png).unwrap();
        assert!(decode(bytes.get_ref(), 16).unwrap().chunks(3).all(|pixel| pixel == [200, 100, 50]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let png = encoded(ImageFormat::Png, 9, 9);
        let jpeg = encoded(ImageFormat::Jpeg, 40, 40);
        let mut wide_png = png.clone();
        wide_png[16..24].copy_from_slice(&[0x7f; 8]);
        for (bytes, problem) in [
            (&b""[..], "no bytes"),
            (b"Filename;Width;Height", "no JPEG, PNG, PPM or WebP"),
            (b"GIF89a\x01\x00\x01\x00\x00\x00\x00", "no JPEG, PNG, PPM or WebP"),
            (&png[..png.len() / 2], ""),
            (&jpeg[..jpeg.len() - 1], "ends before its end marker"),
            (b"P6\n100000 100000\n255\n", "larger than"),
            (b"P6\n4294967295 4294967295\n255\n", ""),
            (b"P6\n0 4\n255\n", ""),
        ] {
            let error = decode(bytes, 8).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert!(decode(&wide_png, 8).is_err());
    }

    #[test]
    fn every_truncation_is_an_error_or_an_image() {
        for format in FORMATS {
            let bytes = encoded(format, 24, 20);
            for end in 0..bytes.len() {
                let result = decode(&bytes[..end], 8);
                assert!(result.is_err() || format != ImageFormat::Jpeg, "a JPEG cut at {end} of {} passed", bytes.len());
            }
        }
    }

    proptest! {
        #[test]
        fn broken_bytes_never_panic(format in 0usize..4, flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = encoded(FORMATS[format], 16, 16);
            for (index, value) in flips {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            let _ = decode(&bytes, 8);
        }

        #[test]
        fn any_bytes_never_panic(start in 0usize..5, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let magic: [&[u8]; 5] = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"P6\n4 4\n255\n", b"RIFF\x20\0\0\0WEBPVP8L"];
            let _ = decode(&[magic[start], &rest].concat(), 8);
        }
    }
}
