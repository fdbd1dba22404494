use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Detection, Error, Outcome, Plugin, Report, Reporter, Result, register};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::role_name;

const FILE: &str = "scores.parquet";

/// One row for each detector and training image, each detector a row group.
const SCHEMA: &str = "message scores {
    required binary detector (STRING);
    required binary sample (STRING);
    required binary path (STRING);
    required binary class (STRING);
    required int32 label;
    optional double score;
    required boolean flagged;
    optional binary truth (STRING);
}";

/// What each detector says of each training image, as a Parquet table.
///
/// Writes `scores.parquet`, a row for each detector and image:
///
/// - `detector`: the detector's name in the pipeline;
/// - `sample`, `path`: the image's id, the same in every run, and where it came from;
/// - `class`, `label`: name and index of the class that it is given as, after the attack;
/// - `score`: its suspicion, higher is more suspicious; null where the detector did not scan its class;
/// - `flagged`: whether the detector accuses it;
/// - `truth`: `clean`, `poison`, or `cover` (the trigger under its true label); null without an attack.
///
/// Rows stand in the order of the training set. The same result gives the same bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Parquet {}

impl Plugin for Parquet {
    type Kind = dyn Reporter;
    const NAME: &'static str = "parquet";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Reporter>> {
        Ok(Arc::new(self))
    }
}

register!(Parquet);

impl Reporter for Parquet {
    fn write(&self, cx: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let bytes = encode(cx, report.outcome)?;
        Ok(vec![crate::file::write(folder, FILE, &bytes)?])
    }
}

fn encode(cx: &Context, outcome: &Outcome) -> Result<Vec<u8>> {
    let failed = |error: ParquetError| Error::data(FILE, error);
    let schema = parse_message_type(SCHEMA).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).map_err(failed)?;
    for detection in &outcome.detections {
        cx.check()?;
        let mut group = writer.next_row_group().map_err(failed)?;
        put_detection(&mut group, outcome, detection).map_err(failed)?;
        group.close().map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

/// The columns of one detector, in the schema's order.
fn put_detection(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, outcome: &Outcome, detection: &Detection) -> ParquetResult<()> {
    let samples = outcome.images.samples();
    let classes = outcome.images.classes();
    let scores = &detection.verdict.scores;
    put_text(group, samples.iter().map(|_| detection.detector.as_str()), None)?;
    put_text(group, samples.iter().map(|sample| sample.id.as_str()), None)?;
    put_text(group, samples.iter().map(|sample| sample.path.as_str()), None)?;
    put_text(group, samples.iter().map(|sample| classes[sample.label as usize].as_str()), None)?;
    put::<Int32Type>(group, &samples.iter().map(|sample| sample.label as i32).collect::<Vec<_>>(), None)?;
    let present: Vec<i16> = scores.iter().map(|score| i16::from(score.is_some())).collect();
    put::<DoubleType>(group, &scores.iter().copied().flatten().collect::<Vec<_>>(), Some(&present))?;
    put::<BoolType>(group, &detection.verdict.flagged, None)?;
    let roles = outcome.truth.as_ref().map_or(&[][..], |truth| &truth.roles);
    put_text(group, roles.iter().map(|&role| role_name(role)), Some(&vec![i16::from(outcome.truth.is_some()); samples.len()]))
}

fn put_text<'a>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    texts: impl Iterator<Item = &'a str>,
    present: Option<&[i16]>,
) -> ParquetResult<()> {
    put::<ByteArrayType>(group, &texts.map(ByteArray::from).collect::<Vec<_>>(), present)
}

/// The next column; `present` says of each row of an optional one whether it has a value.
fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[T::T], present: Option<&[i16]>) -> ParquetResult<()> {
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("more columns than the schema has".into()))?;
    column.typed::<T>().write_batch(values, present, None)?;
    column.close()
}
