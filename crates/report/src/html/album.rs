//! The pictures in the page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bezoar_core::{Error, Image, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, GrayImage, Luma};
use maud::Render;
use serde::Serialize;

use crate::colormap::color;
use crate::field::Field;
use crate::picture::photo;

/// Larger pictures are made smaller, to keep the page small.
const LARGEST: u32 = 96;

/// Colours of a heatmap: few enough to make files small, too many to see. Odd, so that zero has its own.
const COLORS: u8 = 63;

/// A picture of the page, by number. As text it is the name of its CSS class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Picture(usize);

impl Render for Picture {
    fn render_to(&self, buffer: &mut String) {
        let _ = write!(buffer, "p{}", self.0);
    }
}

/// All pictures of a page, each kept once however often it is shown.
#[derive(Default)]
pub(super) struct Album {
    /// Numbers by file.
    pictures: BTreeMap<Vec<u8>, usize>,
    size: usize,
}

impl Album {
    /// An image as it is.
    pub(super) fn photo(&mut self, image: &Image) -> Result<Picture> {
        let picture = shrunk(photo(image));
        let mut png = Cursor::new(Vec::new());
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
        picture.write_with_encoder(encoder).map_err(failed)?;
        Ok(self.add(png.into_inner()))
    }

    /// A row of features of this shape in colours, scaled by its largest magnitude: `[H, W]` as it is, `[C, H, W]` summed over
    /// the channels, anything else row by row in the squarest rectangle.
    pub(super) fn heatmap(&mut self, shape: &[usize], row: &[f32]) -> Result<Picture> {
        self.field(Field::of(shape, row))
    }

    /// A field in colours, scaled by its largest magnitude.
    pub(super) fn field(&mut self, field: Field) -> Result<Picture> {
        let Field { height, width, values } = field.scaled();
        let level = |value: f32| (f32::midpoint(value, 1.0) * f32::from(COLORS - 1)).round() as u8;
        let levels = GrayImage::from_fn(width as u32, height as u32, |x, y| Luma([level(values[y as usize * width + x as usize])]));
        Ok(self.add(indexed(&shrunk(levels.into()).into_luma8()).map_err(failed)?))
    }

    /// Bytes of the stylesheet.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Writes some pictures under their names as files of a folder.
    pub(super) fn write(&self, named: &[(String, Picture)], folder: &Path) -> Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        let files: BTreeMap<usize, &[u8]> = self.pictures.iter().map(|(png, &number)| (number, png.as_slice())).collect();
        let named = named.iter().filter_map(|(name, picture)| Some((name, files.get(&picture.0)?)));
        named.map(|(name, png)| crate::file::write(folder, &format!("{name}.png"), png)).collect()
    }

    fn add(&mut self, png: Vec<u8>) -> Picture {
        let next = self.pictures.len();
        if !self.pictures.contains_key(&png) {
            self.size += rule(next, "").len() + png.len().div_ceil(3) * 4;
        }
        Picture(*self.pictures.entry(png).or_insert(next))
    }

    /// A rule for each picture.
    pub(super) fn stylesheet(&self) -> String {
        self.pictures.iter().map(|(png, &number)| rule(number, &BASE64_STANDARD.encode(png))).collect()
    }
}

fn rule(number: usize, base64: &str) -> String {
    format!(".p{number}{{background-image:url(data:image/png;base64,{base64})}}\n")
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::request(format!("a picture of the report: {error}"))
}

fn shrunk(picture: DynamicImage) -> DynamicImage {
    if picture.width().max(picture.height()) > LARGEST { picture.thumbnail(LARGEST, LARGEST) } else { picture }
}

/// Levels of the colour map as a PNG with a palette.
fn indexed(levels: &GrayImage) -> Result<Vec<u8>, png::EncodingError> {
    let palette: Vec<u8> = (0..COLORS).flat_map(|level| color(2.0 * f32::from(level) / f32::from(COLORS - 1) - 1.0)).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, levels.width(), levels.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(levels)?;
    writer.finish()?;
    Ok(file)
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
        album.heatmap(&[2, 2], &[0.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(album.size(), album.stylesheet().len());
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

    #[test]
    fn heatmaps_have_the_colours_of_the_map() {
        let mut album = Album::default();
        album.heatmap(&[1, 3], &[0.0, -4.0, 4.0]).unwrap();
        let map = image::load_from_memory(album.pictures.keys().next().unwrap()).unwrap().into_rgb8();
        assert_eq!(map.pixels().map(|pixel| pixel.0).collect::<Vec<_>>(), [color(0.0), color(-1.0), color(1.0)]);
    }
}
