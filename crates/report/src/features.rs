use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::rows::FeatureWriter;
use bezoar_core::{Context, Error, FeatureSource, NamedFeatures, Plugin, Report, Reporter, Result, register};
use bezoar_formats::npy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "features";

/// Rows that are in memory at once.
const BATCH: usize = 512;

/// What the detectors looked at, heatmaps and activations, as arrays for other programs.
///
/// Writes `features/NAME.npy` (or `.safetensors`, with the one tensor `rows`) for each representation, in 32-bit floats, a row for each training
/// image in the order of `scores.parquet` and `images.csv`. NAME is that of the representation in small letters, digits and hyphens, with a
/// number where another has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Arrays {
    /// The files' format.
    pub format: Format,
}

/// A format of arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// NumPy's.
    #[default]
    Npy,
    /// Hugging Face's.
    Safetensors,
}

impl Plugin for Arrays {
    type Kind = dyn Reporter;
    const NAME: &'static str = "features";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Reporter>> {
        Ok(Arc::new(self))
    }
}

register!(Arrays);

impl Reporter for Arrays {
    fn write(&self, cx: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let folder = folder.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        let (mut seen, mut taken, mut files) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for NamedFeatures { name, rows, .. } in report.outcome.detections.iter().flat_map(|detection| &detection.features) {
            if seen.insert(name) {
                let path = folder.join(crate::file::free_name(name, &mut taken)).with_added_extension(self.format.extension());
                self.format.write_rows(cx, &path, rows.as_ref(), report.outcome.images.len())?;
                files.push(path);
            }
        }
        Ok(files)
    }
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
        }
    }

    /// Writes all rows, some at a time, aside and then under their name.
    fn write_rows(self, cx: &Context, path: &Path, source: &dyn FeatureSource, rows: usize) -> Result<()> {
        let aside = path.with_added_extension("partial");
        let task = cx.task("write features", rows as u64);
        let mut batches = (0..rows).step_by(BATCH).map(|start| {
            cx.check()?;
            let batch: Vec<usize> = (start..(start + BATCH).min(rows)).collect();
            task.advance(batch.len() as u64);
            source.select(&batch)
        });
        match self {
            Self::Npy => {
                let io = |error| Error::io(&aside, error);
                let mut file = BufWriter::new(File::create(&aside).map_err(io)?);
                file.write_all(&npy::floats(&[&[rows], source.shape()].concat())).map_err(io)?;
                for batch in batches {
                    let bytes: Vec<u8> = batch?.values().iter().flat_map(|value| value.to_le_bytes()).collect();
                    file.write_all(&bytes).map_err(io)?;
                }
                file.flush().map_err(io)?;
            }
            Self::Safetensors => {
                let mut writer = FeatureWriter::new(&aside, rows);
                batches.try_for_each(|batch| writer.push(&batch?))?;
                writer.finish()?;
            }
        }
        fs::rename(&aside, path).map_err(|error| Error::io(path, error))
    }
}
