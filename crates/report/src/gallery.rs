//! What attacks do to images, as one picture.

use std::convert::Infallible;

use bezoar_core::{Image, Mask};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_7X13;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::text::{Baseline, Text};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::picture::photo;

/// An image before and after an attack.
pub struct Pair {
    /// Before.
    pub clean: Image,
    /// After.
    pub poisoned: Image,
    /// Where the trigger lies; nowhere where all of the image may have changed.
    pub masks: Vec<Mask>,
}

/// What an attack did to some images.
pub struct Exhibit {
    /// The attack's name.
    pub title: String,
    /// The images.
    pub pairs: Vec<Pair>,
}

/// Side of a tile in pixels, at least; images grow by whole numbers.
const SIDE: u32 = 64;

/// Pixels between tiles.
const GAP: u32 = 4;

/// Pixels that a line of text takes.
const LINE: u32 = 17;

/// Neither black nor white, so that the borders of tiles are seen.
const PAPER: Rgb<u8> = Rgb([214, 216, 222]);

/// A row for each exhibit: for each of its images the image, what became of it, the difference, and the trigger's place in white.
///
/// Differences are amplified until the largest is as large as can be; by how much stands above the row.
pub fn gallery(exhibits: &[Exhibit]) -> RgbImage {
    let tiles: Vec<Vec<RgbImage>> =
        exhibits.iter().map(|exhibit| exhibit.pairs.iter().flat_map(|pair| tiles(pair, gain(exhibit))).collect()).collect();
    let side = |measure: fn(&RgbImage) -> u32| tiles.iter().flatten().map(measure).max().unwrap_or(SIDE);
    let [width, height] = [side(RgbImage::width), side(RgbImage::height)];
    let columns = tiles.iter().map(Vec::len).max().unwrap_or_default() as u32;
    let row = LINE + height + GAP;
    let size = [GAP + columns * (width + GAP), GAP + exhibits.len() as u32 * row];
    let mut page = RgbImage::from_pixel(size[0], size[1], PAPER);
    for (at, (exhibit, tiles)) in exhibits.iter().zip(&tiles).enumerate() {
        let top = GAP + at as u32 * row;
        let title = format!("{}  (differences x{:.1})", exhibit.title, gain(exhibit));
        let ink = MonoTextStyle::new(&FONT_7X13, Rgb888::BLACK);
        let place = Point::new(GAP as i32, top as i32);
        // Drawing on a picture cannot fail.
        let _ = Text::with_baseline(&title, place, ink, Baseline::Top).draw(&mut Page(&mut page));
        for (column, tile) in tiles.iter().enumerate() {
            let left = GAP + column as u32 * (width + GAP);
            imageops::replace(&mut page, tile, left.into(), (top + LINE).into());
        }
    }
    page
}

/// By how much the differences of an exhibit are amplified.
fn gain(exhibit: &Exhibit) -> f64 {
    let apart = |pair: &Pair| pair.clean.pixels().iter().zip(pair.poisoned.pixels()).map(|(a, b)| a.abs_diff(*b)).max();
    let largest = exhibit.pairs.iter().filter_map(apart).max().unwrap_or_default().max(1);
    (127.0 / f64::from(largest)).max(1.0)
}

fn tiles(pair: &Pair, gain: f64) -> [RgbImage; 4] {
    let shape = pair.clean.shape();
    let [clean, poisoned] = [&pair.clean, &pair.poisoned].map(|image| photo(image).into_rgb8());
    let difference = RgbImage::from_fn(clean.width(), clean.height(), |x, y| {
        let (before, after) = (clean.get_pixel(x, y), poisoned.get_pixel(x, y));
        Rgb([0, 1, 2].map(|channel| (128.0 + gain * (f64::from(after[channel]) - f64::from(before[channel]))).clamp(0.0, 255.0) as u8))
    });
    let is_inside = |x: u32, y: u32| pair.masks.is_empty() || pair.masks.iter().any(|mask| mask.contains(y as usize, x as usize));
    let place = RgbImage::from_fn(clean.width(), clean.height(), |x, y| Rgb([if is_inside(x, y) { 255 } else { 0 }; 3]));
    let scale = SIDE.div_ceil(shape.height.max(shape.width) as u32).max(1);
    [clean, poisoned, difference, place]
        .map(|tile| imageops::resize(&tile, tile.width() * scale, tile.height() * scale, FilterType::Nearest))
}

/// A picture to draw text on.
struct Page<'a>(&'a mut RgbImage);

impl OriginDimensions for Page<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Page<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(place, color) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(place.x), u32::try_from(place.y))
                && let Some(pixel) = self.0.get_pixel_mut_checked(x, y)
            {
                *pixel = Rgb([color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::ImageShape;

    use super::*;

    #[test]
    fn each_image_stands_beside_what_became_of_it() {
        let shape = ImageShape::rgb(32, 32);
        let clean = Image::new(shape, vec![100; shape.len()]).unwrap();
        let mut poisoned = clean.clone();
        poisoned.pixel_mut(1, 2).copy_from_slice(&[110, 100, 95]);
        let masks = vec![Mask { top: 1, left: 2, height: 1, width: 1 }];
        let exhibit = |title: &str| Exhibit {
            title: title.into(),
            pairs: vec![Pair { clean: clean.clone(), poisoned: poisoned.clone(), masks: masks.clone() }],
        };
        let page = gallery(&[exhibit("a"), exhibit("b")]);
        assert_eq!(page.dimensions(), (GAP + 4 * (64 + GAP), GAP + 2 * (LINE + 64 + GAP)));
        let tile = |column: u32, x: u32, y: u32| page.get_pixel(GAP + column * (64 + GAP) + 2 * x, GAP + LINE + 2 * y).0;
        assert_eq!([tile(0, 2, 1), tile(1, 2, 1), tile(1, 3, 1)], [[100; 3], [110, 100, 95], [100; 3]]);
        assert_eq!([tile(2, 2, 1), tile(2, 3, 1)], [[255, 128, 64], [128; 3]]);
        assert_eq!([tile(3, 2, 1), tile(3, 3, 1)], [[255; 3], [0; 3]]);
        assert!(page.pixels().any(|pixel| pixel.0 == [0; 3]), "the title is written");
        assert_eq!(gallery(&[]).height(), GAP);
    }
}
