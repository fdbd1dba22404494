//! Rows of fixed size in a safetensors file, written one after the other and read by number, so that a set may be larger than memory.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::{Error, FeatureSource, Features, ImageSet, ImageShape, PixelSource, Result, Sample};

/// The one tensor of such a file.
const TENSOR: &str = "rows";

/// The metadata under which a file says more than its rows.
const NOTE: &str = "bezoar";

/// Writes rows one after the other; [`finish`](Self::finish) checks that all came.
struct RowWriter {
    file: BufWriter<File>,
    path: PathBuf,
    bytes_left: usize,
}

impl RowWriter {
    fn create(path: &Path, dtype: Dtype, shape: &[usize], note: Option<&str>) -> Result<Self> {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let tensor = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [0, bytes] });
        let header = match note {
            Some(note) => serde_json::json!({ "__metadata__": { NOTE: note }, TENSOR: tensor }),
            None => serde_json::json!({ TENSOR: tensor }),
        };
        let mut header = header.to_string();
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let io = |error| Error::io(path, error);
        let mut file = BufWriter::new(File::create(path).map_err(io)?);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
        file.write_all(header.as_bytes()).map_err(io)?;
        Ok(Self { file, path: path.to_owned(), bytes_left: bytes })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes_left =
            self.bytes_left.checked_sub(bytes.len()).ok_or_else(|| Error::data(self.path.display(), "more rows than announced"))?;
        self.file.write_all(bytes).map_err(|error| Error::io(&self.path, error))
    }

    fn finish(mut self) -> Result<()> {
        if self.bytes_left > 0 {
            return Err(Error::data(self.path.display(), format!("{} bytes of rows are missing", self.bytes_left)));
        }
        self.file.flush().map_err(|error| Error::io(&self.path, error))
    }
}

/// Reads rows by number.
struct RowReader {
    file: File,
    path: PathBuf,
    shape: Vec<usize>,
    note: Option<String>,
    start: u64,
    row_bytes: usize,
}

impl RowReader {
    fn open(path: &Path, dtype: Dtype) -> Result<Self> {
        let io = |error| Error::io(path, error);
        let broken = |problem: &dyn std::fmt::Display| Error::data(path.display(), format!("no file of rows: {problem}"));
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length);
        if length > size {
            return Err(broken(&"the header is cut off"));
        }
        let mut head = vec![0; length as usize];
        file.read_exact(&mut head).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&head).map_err(|error| broken(&error))?;
        let tensor = metadata.info(TENSOR).ok_or_else(|| broken(&"it holds other tensors"))?;
        if tensor.dtype != dtype || tensor.shape.len() < 2 {
            return Err(broken(&"it holds another type of rows"));
        }
        let start = 8 + length;
        if size != start + tensor.data_offsets.1 as u64 {
            return Err(broken(&"the rows are cut off"));
        }
        let row_bytes = tensor.shape[1..].iter().product::<usize>() * dtype.bitsize() / 8;
        let note = metadata.metadata().as_ref().and_then(|notes| notes.get(NOTE).cloned());
        Ok(Self { file, path: path.to_owned(), shape: tensor.shape.clone(), note, start, row_bytes })
    }

    fn read(&self, row: usize, out: &mut [u8]) -> Result<()> {
        if row >= self.shape[0] {
            return Err(Error::data(self.path.display(), format!("row {row} of {}", self.shape[0])));
        }
        read_exact_at(&self.file, out, self.start + (row * self.row_bytes) as u64).map_err(|error| Error::io(&self.path, error))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !out.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, out, offset)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        out = &mut out[read..];
        offset += read as u64;
    }
    Ok(())
}

/// Writes features to a file as they come.
pub struct FeatureWriter {
    path: PathBuf,
    rows: usize,
    writer: Option<(Vec<usize>, RowWriter)>,
}

impl FeatureWriter {
    /// A file for `rows` rows; their shape is that of the first that comes.
    pub fn new(path: impl Into<PathBuf>, rows: usize) -> Self {
        Self { path: path.into(), rows, writer: None }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they have another shape than those before, are more than announced, or cannot be written.
    pub fn push(&mut self, features: &Features) -> Result<()> {
        if self.writer.is_none() {
            let shape = [&[self.rows], features.shape()].concat();
            self.writer = Some((features.shape().to_vec(), RowWriter::create(&self.path, Dtype::F32, &shape, None)?));
        }
        let Some((shape, writer)) = &mut self.writer else { unreachable!("made above") };
        if features.shape() != shape {
            return Err(Error::data(self.path.display(), format!("rows of {:?} after rows of {shape:?}", features.shape())));
        }
        let bytes: Vec<u8> = features.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.write(&bytes)
    }

    /// Closes the file.
    ///
    /// # Errors
    /// When rows are missing.
    pub fn finish(self) -> Result<()> {
        match self.writer {
            Some((_, writer)) => writer.finish(),
            None => Err(Error::data(self.path.display(), "no rows came")),
        }
    }
}

/// Features in a file.
pub struct FeatureFile(RowReader);

impl FeatureFile {
    /// Opens a file that [`FeatureWriter`] wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        RowReader::open(path.as_ref(), Dtype::F32).map(Self)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.shape[0]
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FeatureSource for FeatureFile {
    fn shape(&self) -> &[usize] {
        &self.0.shape[1..]
    }

    fn select(&self, rows: &[usize]) -> Result<Features> {
        let mut values = Vec::with_capacity(rows.len() * self.0.row_bytes / 4);
        let mut bytes = vec![0; self.0.row_bytes];
        for &row in rows {
            self.0.read(row, &mut bytes)?;
            values.extend(bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)));
        }
        Features::new(self.shape().to_vec(), values)
    }
}

impl PixelSource for RowReader {
    fn read(&self, row: usize, out: &mut [u8]) -> Result<()> {
        Self::read(self, row, out)
    }
}

/// Writes a set of images to one file.
pub fn write_images(path: &Path, set: &ImageSet) -> Result<()> {
    let ImageShape { height, width, channels } = set.shape();
    let note = serde_json::to_string(&(set.classes(), set.samples())).map_err(Error::request)?;
    let mut writer = RowWriter::create(path, Dtype::U8, &[set.len(), height, width, channels], Some(&note))?;
    let mut pixels = vec![0; set.shape().len()];
    for row in 0..set.len() {
        set.read(row, &mut pixels)?;
        writer.write(&pixels)?;
    }
    writer.finish()
}

/// A set of images in a file that [`write_images`] wrote; the pixels stay there.
pub fn open_images(path: &Path) -> Result<ImageSet> {
    let reader = RowReader::open(path, Dtype::U8)?;
    let &[_, height, width, channels] = &reader.shape[..] else { return Err(Error::data(path.display(), "no file of images")) };
    let note = reader.note.as_deref().ok_or_else(|| Error::data(path.display(), "no file of images"))?;
    let (classes, samples): (Vec<String>, Vec<Sample>) = serde_json::from_str(note).map_err(|error| Error::data(path.display(), error))?;
    if samples.len() != reader.shape[0] {
        return Err(Error::data(path.display(), "as many samples as rows are needed"));
    }
    ImageSet::new(ImageShape { height, width, channels }, classes, samples, Arc::new(reader))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edit, Image};

    #[test]
    fn features_come_back_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features");
        let all = Features::new(vec![2, 2], (0..24).map(|i| i as f32).collect()).unwrap();
        let mut writer = FeatureWriter::new(&path, 6);
        writer.push(&all.select(&[0, 1, 2, 3])).unwrap();
        writer.push(&all.select(&[4, 5])).unwrap();
        writer.finish().unwrap();
        let file = FeatureFile::open(&path).unwrap();
        assert_eq!(FeatureSource::select(&file, &[5, 0]).unwrap(), all.select(&[5, 0]));
        assert_eq!(FeatureSource::shape(&file), [2, 2]);
        assert!(FeatureSource::select(&file, &[6]).is_err());
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..100]).unwrap();
        assert!(FeatureFile::open(&path).is_err(), "a truncated file must be noticed");
    }

    #[test]
    fn missing_and_surplus_rows_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let row = Features::new(vec![1], vec![1.0]).unwrap();
        let mut writer = FeatureWriter::new(folder.path().join("f"), 2);
        writer.push(&row).unwrap();
        assert!(writer.finish().is_err());
        let mut writer = FeatureWriter::new(folder.path().join("f"), 1);
        writer.push(&row).unwrap();
        assert!(writer.push(&row).is_err());
    }

    #[test]
    fn images_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        let rows = (0..5u8)
            .map(|i| Edit {
                sample: Sample { id: format!("é{i}"), label: 0, path: String::new() },
                image: Image::new(ImageShape { height: 2, width: 3, channels: 1 }, vec![i; 6]).unwrap(),
            })
            .collect();
        let set = ImageSet::from_images(vec!["\"x\"".into()], rows).unwrap();
        write_images(&path, &set).unwrap();
        assert_eq!(open_images(&path).unwrap().digest().unwrap(), set.digest().unwrap());
    }
}
