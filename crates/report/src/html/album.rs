//! The pictures in the page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bezoar_core::{Error, Image, Result};
use image::DynamicImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::picture::{heatmap, photo};

/// Larger pictures are made smaller, to keep the page small.
const LARGEST: u32 = 96;

/// The name of a picture's CSS class.
pub(super) type Picture = String;

/// All pictures of a page, each kept once however often it is shown.
#[derive(Default)]
pub(super) struct Album {
    /// Numbers by file.
    pictures: BTreeMap<Vec<u8>, usize>,
}

impl Album {
    /// An image as it is.
    pub(super) fn photo(&mut self, image: &Image) -> Result<Picture> {
        self.add(photo(image))
    }

    /// A row of features of this shape in colours, scaled by its largest magnitude: `[H, W]` as it is, `[C, H, W]` summed over
    /// the channels, anything else row by row in the squarest rectangle.
    pub(super) fn heatmap(&mut self, shape: &[usize], row: &[f32]) -> Result<Picture> {
        self.add(heatmap(shape, row).into())
    }

    fn add(&mut self, picture: DynamicImage) -> Result<Picture> {
        let small = if picture.width().max(picture.height()) > LARGEST { picture.thumbnail(LARGEST, LARGEST) } else { picture };
        let mut png = Cursor::new(Vec::new());
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
        small.write_with_encoder(encoder).map_err(|error| Error::request(format!("a picture of the report: {error}")))?;
        let next = self.pictures.len();
        Ok(class(*self.pictures.entry(png.into_inner()).or_insert(next)))
    }

    /// A rule for each picture.
    pub(super) fn stylesheet(&self) -> String {
        let mut css = String::new();
        for (png, &number) in &self.pictures {
            let _ = writeln!(css, ".{}{{background-image:url(data:image/png;base64,{})}}", class(number), BASE64_STANDARD.encode(png));
        }
        css
    }
}

fn class(number: usize) -> Picture {
    format!("p{number}")
}

/// What a heatmap of features of this shape shows, in words.
pub(super) fn explain(shape: &[usize]) -> String {
    match *shape {
        [height, width] => format!("{height} × {width} values"),
        [channels, height, width] => format!("{channels} × {height} × {width} values, channels summed"),
        _ => format!("{} values, row by row", shape.iter().product::<usize>()),
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::ImageShape;

    use super::*;

    #[test]
    fn photos_are_kept_once() {
        let image = Image::new(ImageShape::rgb(2, 2), (0..12).collect()).unwrap();
        let mut album = Album::default();
        let first = album.photo(&image).unwrap();
        assert_eq!(album.photo(&image).unwrap(), first);
        assert_eq!(album.stylesheet().lines().count(), 1);
    }

    #[test]
    fn large_pictures_become_thumbnails() {
        let image = Image::new(ImageShape { height: 100, width: 400, channels: 1 }, vec![7; 40_000]).unwrap();
        let mut album = Album::default();
        album.photo(&image).unwrap();
        let png = album.pictures.keys().next().unwrap();
        let small = image::load_from_memory(png).unwrap();
        assert_eq!((small.width(), small.height()), (96, 24));
    }
}
