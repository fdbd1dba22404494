use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Error, Result};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::{Encoded, Writer};

const SCHEMA: &str = "message images {
    required group image {
        required binary bytes;
        required binary path (STRING);
    }
    required int64 label;
}";

/// A table, each chunk of images a row group.
pub(super) struct Table {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
}

impl Table {
    pub(super) fn new(root: &Path, split: &str, classes: &[String]) -> Result<Self> {
        let path = root.join(format!("{split}.parquet"));
        let failed = |error: ParquetError| Error::data(path.display(), error);
        let features = json!({ "image": { "_type": "Image" }, "label": { "_type": "ClassLabel", "names": classes } });
        let names = KeyValue::new("huggingface".to_owned(), json!({ "info": { "features": features } }).to_string());
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![names])).build();
        let schema = parse_message_type(SCHEMA).map_err(failed)?;
        let file = File::create(&path).map_err(|error| Error::io(&path, error))?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Self { path, writer })
    }

    fn rows(&mut self, images: Vec<Encoded>) -> Result<(), ParquetError> {
        let labels: Vec<i64> = images.iter().map(|image| i64::from(image.label)).collect();
        let names: Vec<ByteArray> = images.iter().map(|image| ByteArray::from(image.file.as_str())).collect();
        let bytes: Vec<ByteArray> = images.into_iter().map(|image| ByteArray::from(image.png)).collect();
        let mut group = self.writer.next_row_group()?;
        put::<ByteArrayType>(&mut group, &bytes)?;
        put::<ByteArrayType>(&mut group, &names)?;
        put::<Int64Type>(&mut group, &labels)?;
        group.close().map(|_| ())
    }
}

/// The next column.
fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("more columns than the schema has".into()))?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

impl Writer for Table {
    fn put(&mut self, images: Vec<Encoded>) -> Result<()> {
        self.rows(images).map_err(|error| Error::data(self.path.display(), error))
    }

    fn end(self: Box<Self>) -> Result<()> {
        let Self { path, writer } = *self;
        writer.close().map(|_| ()).map_err(|error| Error::data(path.display(), error))
    }
}
