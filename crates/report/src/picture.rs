//! Pixels and heatmaps as pictures.

use bezoar_core::Image;
use image::{DynamicImage, GrayImage, ImageBuffer, RgbImage};

use crate::colormap::color;
use crate::field::Field;

/// An image as it is, in colours or in grey.
pub fn photo(image: &Image) -> DynamicImage {
    let shape = image.shape();
    let (width, height) = (shape.width as u32, shape.height as u32);
    let pixel = |x: u32, y: u32| &image.pixels()[(y as usize * shape.width + x as usize) * shape.channels..][..shape.channels];
    if shape.channels < 3 {
        GrayImage::from_fn(width, height, |x, y| image::Luma([pixel(x, y)[0]])).into()
    } else {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([pixel(x, y)[0], pixel(x, y)[1], pixel(x, y)[2]])).into()
    }
}

/// A row of features of this shape in colours, red above zero and blue below, scaled by its largest magnitude: `[H, W]` as it is,
/// `[C, H, W]` summed over channels, others row by row.
pub fn heatmap(shape: &[usize], row: &[f32]) -> RgbImage {
    let Field { height, width, values } = Field::of(shape, row).scaled();
    ImageBuffer::from_fn(width as u32, height as u32, |x, y| image::Rgb(color(values[y as usize * width + x as usize])))
}

#[cfg(test)]
mod tests {
    use bezoar_core::ImageShape;

    use super::*;

    #[test]
    fn heatmaps_are_centred_at_zero_and_scaled_by_their_largest_magnitude() {
        let map = heatmap(&[1, 3], &[0.0, -4.0, 2.0]);
        assert_eq!(map.pixels().map(|pixel| pixel.0).collect::<Vec<_>>(), [color(0.0), color(-1.0), color(0.5)]);
        assert_eq!(heatmap(&[2, 1, 2], &[1.0, 5.0, 3.0, -5.0]), heatmap(&[1, 2], &[4.0, 0.0]));
        assert_eq!(heatmap(&[2, 2], &[0.0; 4]).pixels().next().map(|pixel| pixel.0), Some(color(0.0)));
        assert_eq!(heatmap(&[1, 2], &[f32::NAN, 1.0]), heatmap(&[1, 2], &[0.0, 1.0]));
        assert_eq!(heatmap(&[7], &[1.0; 7]).dimensions(), (3, 3));
    }

    #[test]
    fn photos_keep_their_pixels() {
        let image = Image::new(ImageShape::rgb(2, 2), (0..12).collect()).unwrap();
        assert_eq!(photo(&image).into_bytes(), image.pixels());
    }
}
