use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Height, width and channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Values a pixel: 3 for RGB, 1 for grey.
    pub channels: usize,
}

impl ImageShape {
    /// An RGB image of this height and width.
    pub const fn rgb(height: usize, width: usize) -> Self {
        Self { height, width, channels: 3 }
    }

    /// Bytes an image takes.
    pub const fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether an image has no pixel at all.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether features of this shape lie on the image pixel by pixel: `[height, width]` or `[channels, height, width]`, whatever number of
    /// channels. A cut-out or a coarser map does not.
    pub fn carries(self, features: &[usize]) -> bool {
        matches!(*features, [height, width] | [_, height, width] if [height, width] == [self.height, self.width])
    }
}

/// One image: 8-bit values, row by row, channels interleaved (`[height, width, channels]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    shape: ImageShape,
    pixels: Vec<u8>,
}

impl Image {
    /// An image from its values, in the order `[height, width, channels]`.
    ///
    /// # Errors
    /// When the number of values does not fit the shape.
    pub fn new(shape: ImageShape, pixels: Vec<u8>) -> Result<Self> {
        if pixels.len() != shape.len() || shape.is_empty() {
            return Err(Error::request(format!("{} values do not make an image of {shape:?}", pixels.len())));
        }
        Ok(Self { shape, pixels })
    }

    /// Height, width and channels.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All values, `[height, width, channels]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The channels of the pixel in row `y` and column `x`, for change.
    pub fn pixel_mut(&mut self, y: usize, x: usize) -> &mut [u8] {
        let start = (y * self.shape.width + x) * self.shape.channels;
        &mut self.pixels[start..start + self.shape.channels]
    }

    /// All values, for change.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The values, given away.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

/// What is known of an image beside its pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The same for the same image in every run, and unique in a set.
    pub id: String,
    /// The class that the data set gives it (right or wrong), an index into the class names.
    pub label: u32,
    /// Where it came from: a file, or a table and its row.
    pub path: String,
}

/// Where the pixels of a set are kept: in memory, in a file, or anywhere that can be read row by row.
pub trait PixelSource: Send + Sync {
    /// Writes the pixels of one image, `[height, width, channels]`, to `out`, which has just their length.
    fn read(&self, row: usize, out: &mut [u8]) -> Result<()>;
}

impl PixelSource for Vec<u8> {
    fn read(&self, row: usize, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self[row * out.len()..(row + 1) * out.len()]);
        Ok(())
    }
}

/// Some rows of another source, some of its own.
struct View {
    base: Arc<dyn PixelSource>,
    slots: Vec<Slot>,
    own: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Slot {
    Base(usize),
    Own(usize),
}

impl PixelSource for View {
    fn read(&self, row: usize, out: &mut [u8]) -> Result<()> {
        match self.slots[row] {
            Slot::Base(row) => self.base.read(row, out),
            Slot::Own(row) => self.own.read(row, out),
        }
    }
}

/// Labelled images of one shape. Cheap to clone; the pixels are shared and may lie on disk.
#[derive(Clone)]
pub struct ImageSet {
    shape: ImageShape,
    classes: Arc<[String]>,
    samples: Arc<[Sample]>,
    pixels: Arc<dyn PixelSource>,
}

impl std::fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageSet")
            .field("shape", &self.shape)
            .field("classes", &self.classes)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// One image of a set, changed or new.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What is known of it.
    pub sample: Sample,
    /// Its pixels.
    pub image: Image,
}

/// A row of [`ImageSet::recompose`].
pub enum Row {
    /// The image of this row of the old set, with these facts.
    Keep(usize, Sample),
    /// An image of its own.
    Own(Edit),
}

impl ImageSet {
    /// A set from its parts; row `i` of `pixels` belongs to `samples[i]`.
    ///
    /// # Errors
    /// When a label has no class name, an id stands twice, or the shape is empty.
    pub fn new(shape: ImageShape, classes: Vec<String>, samples: Vec<Sample>, pixels: Arc<dyn PixelSource>) -> Result<Self> {
        if shape.is_empty() {
            return Err(Error::request("images without pixels"));
        }
        let mut ids = std::collections::BTreeSet::new();
        for sample in &samples {
            if sample.label as usize >= classes.len() {
                return Err(Error::data(&sample.path, format!("label {} where the set has {} classes", sample.label, classes.len())));
            }
            if !ids.insert(sample.id.as_str()) {
                return Err(Error::data(&sample.path, format!("the sample id {:?} stands twice in the set", sample.id)));
            }
        }
        Ok(Self { shape, classes: classes.into(), samples: samples.into(), pixels })
    }

    /// A set of images in memory.
    ///
    /// # Errors
    /// As [`ImageSet::new`], and when an image has another shape than the first.
    pub fn from_images(classes: Vec<String>, rows: Vec<Edit>) -> Result<Self> {
        let shape = rows.first().ok_or_else(|| Error::request("a data set without images"))?.image.shape();
        let mut samples = Vec::with_capacity(rows.len());
        let mut pixels = Vec::with_capacity(rows.len() * shape.len());
        for row in rows {
            if row.image.shape() != shape {
                return Err(Error::data(row.sample.path, format!("{:?} where the other images have {shape:?}", row.image.shape())));
            }
            pixels.extend_from_slice(row.image.pixels());
            samples.push(row.sample);
        }
        Self::new(shape, classes, samples, Arc::new(pixels))
    }

    /// The shape that all images have.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The names of the classes; labels are indices into it.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What is known of each image, in row order.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The given label of a row.
    pub fn label(&self, row: usize) -> u32 {
        self.samples[row].label
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The rows that carry `label`, ascending.
    pub fn rows_of(&self, label: u32) -> Vec<usize> {
        (0..self.len()).filter(|&row| self.samples[row].label == label).collect()
    }

    /// One image.
    pub fn image(&self, row: usize) -> Result<Image> {
        let mut pixels = vec![0; self.shape.len()];
        self.read(row, &mut pixels)?;
        Ok(Image { shape: self.shape, pixels })
    }

    /// The pixels of one image, `[height, width, channels]`, written to `out`.
    pub fn read(&self, row: usize, out: &mut [u8]) -> Result<()> {
        self.pixels.read(row, out)
    }

    /// The images of `rows`, in that order.
    pub fn batch(&self, rows: &[usize]) -> Result<Batch> {
        let size = self.shape.len();
        let mut pixels = vec![0; rows.len() * size];
        for (&row, out) in rows.iter().zip(pixels.chunks_exact_mut(size)) {
            self.read(row, out)?;
        }
        Ok(Batch { shape: self.shape, labels: rows.iter().map(|&row| self.samples[row].label).collect(), pixels })
    }

    /// All images in order, `size` at a time.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Result<Batch>> + '_ {
        let ranges = (0..self.len()).step_by(size.max(1)).map(move |start| start..(start + size.max(1)).min(self.len()));
        ranges.map(|range: Range<usize>| self.batch(&range.collect::<Vec<_>>()))
    }

    /// Only these rows, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let samples = rows.iter().map(|&row| self.samples[row].clone()).collect();
        let slots = rows.iter().map(|&row| Slot::Base(row)).collect();
        self.view(samples, slots, Vec::new())
    }

    /// A set of kept and new images under the same class names.
    ///
    /// # Errors
    /// As [`ImageSet::new`], and when a new image has another shape.
    pub fn recompose(&self, rows: Vec<Row>) -> Result<Self> {
        let (mut samples, mut slots, mut own, mut owned) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for row in rows {
            match row {
                Row::Keep(row, sample) => {
                    slots.push(Slot::Base(row));
                    samples.push(sample);
                }
                Row::Own(Edit { sample, image }) => {
                    if image.shape() != self.shape {
                        return Err(Error::data(sample.path, format!("{:?} where the set has {:?}", image.shape(), self.shape)));
                    }
                    own.extend_from_slice(image.pixels());
                    slots.push(Slot::Own(owned));
                    owned += 1;
                    samples.push(sample);
                }
            }
        }
        let view = self.view(samples.into(), slots, own);
        Self::new(view.shape, view.classes.to_vec(), view.samples.to_vec(), view.pixels)
    }

    fn view(&self, samples: Arc<[Sample]>, slots: Vec<Slot>, own: Vec<u8>) -> Self {
        let pixels = Arc::new(View { base: self.pixels.clone(), slots, own });
        Self { shape: self.shape, classes: self.classes.clone(), samples, pixels }
    }

    /// SHA-256 over shape, class names, ids, labels, paths and pixels: equal sets have equal digests.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let facts = serde_json::to_vec(&(self.shape, &self.classes[..], &self.samples[..])).map_err(Error::request)?;
        hash.update(facts);
        let mut pixels = vec![0; self.shape.len()];
        for row in 0..self.len() {
            self.read(row, &mut pixels)?;
            hash.update(&pixels);
        }
        Ok(crate::hex(&hash.finalize()))
    }
}

/// Some images of a set, decoded.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shape of each image.
    pub shape: ImageShape,
    /// The given label of each image.
    pub labels: Vec<u32>,
    /// `[images, height, width, channels]`.
    pub pixels: Vec<u8>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ImageSet {
        let rows = (0..6u8)
            .map(|i| Edit {
                sample: Sample { id: format!("s{i}"), label: u32::from(i % 2), path: format!("{i}.png") },
                image: Image::new(ImageShape::rgb(2, 2), vec![i; 12]).unwrap(),
            })
            .collect();
        ImageSet::from_images(vec!["a".into(), "b".into()], rows).unwrap()
    }

    #[test]
    fn views_show_the_images_that_they_name() {
        let odd = set().select(&[5, 1]);
        assert_eq!(odd.image(0).unwrap().pixels(), [5; 12]);
        assert_eq!(odd.samples()[1].id, "s1");
        let own = Edit {
            sample: Sample { id: "new".into(), label: 0, path: String::new() },
            image: Image::new(ImageShape::rgb(2, 2), vec![9; 12]).unwrap(),
        };
        let mixed = odd.recompose(vec![Row::Own(own), Row::Keep(1, odd.samples()[1].clone())]).unwrap();
        assert_eq!(mixed.image(0).unwrap().pixels(), [9; 12]);
        assert_eq!(mixed.image(1).unwrap().pixels(), [1; 12]);
        assert_ne!(mixed.digest().unwrap(), odd.digest().unwrap());
    }

    #[test]
    fn batches_cover_all_images_in_order() {
        let labels: Vec<u32> = set().batches(4).flat_map(|batch| batch.unwrap().labels).collect();
        assert_eq!(labels, [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn impossible_sets_are_refused() {
        let twice = vec![Sample { id: "x".into(), label: 0, path: "p".into() }; 2];
        let shape = ImageShape::rgb(1, 1);
        assert!(ImageSet::new(shape, vec!["a".into()], twice, Arc::new(vec![0; 6])).is_err());
        let unknown = vec![Sample { id: "x".into(), label: 1, path: "p".into() }];
        assert!(ImageSet::new(shape, vec!["a".into()], unknown, Arc::new(vec![0; 3])).is_err());
    }
}
