//! A run as a project of the viewer ViRelAy.

mod analysis;
mod attribution;
mod dataset;
mod project;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Error, ImageShape, NamedFeatures, Outcome, Part, Plugin, Report, Reporter, Result, Transform, register};
use hdf5_pure::FileBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::project::Project;
use crate::embedding::default_embed;

const FOLDER: &str = "virelay";

/// Heatmaps, clusters and maps for the viewer ViRelAy: `virelay virelay/NAME.yaml` opens them.
///
/// Writes a project `virelay/NAME.yaml` for each representation with heatmaps as large as the images, and what the projects refer to:
/// `dataset.h5` with the images as bytes `[N, 3, H, W]`, `NAME.h5` with the heatmaps as 32-bit floats `[N, 3, H, W]` (the viewer sums
/// channels: those of one channel have two of zeros beside it), and for each detector `NAME-analysis.h5` with its classes, each with a map by `embed` and with up to three groupings: `clusters` (noise is -1), `flagged` and, after
/// an attack, `truth` (0 or 1). The classes are those that a detector accuses or the attack poisons, or all if there are none. A heatmap's
/// `prediction` is 1 for the class that the image is given as, and 0 for the others: the run keeps no outputs of the net on training images.
///
/// It holds the images or one representation's heatmaps of these classes in memory, three times.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Virelay {
    /// What places the images of a class on their map, by the detector's features; its first two dimensions count. `null` for no analyses.
    #[serde(default = "default_embed")]
    pub embed: Option<Part<dyn Transform>>,
}

impl Plugin for Virelay {
    type Kind = dyn Reporter;
    const NAME: &'static str = "virelay";

    fn example() -> Self {
        Self { embed: default_embed() }
    }

    fn build(self) -> Result<Arc<dyn Reporter>> {
        Ok(Arc::new(self))
    }
}

register!(Virelay);

impl Reporter for Virelay {
    fn write(&self, cx: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        let outcome = report.outcome;
        let shown = Shown::of(outcome);
        let folder = folder.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        let mut files = vec![
            crate::file::write(&folder, "dataset.h5", &dataset::encode(outcome, &shown)?)?,
            crate::file::write(&folder, "label-map.json", project::label_map(outcome.images.classes()).as_bytes())?,
        ];
        let (mut taken, mut analyses) = (BTreeSet::from(["dataset".to_owned(), "label-map".to_owned()]), Vec::new());
        for detection in &outcome.detections {
            cx.check()?;
            let Some(embed) = &self.embed else { break };
            let method = crate::file::free_name(&detection.detector, &mut taken);
            if let Some(file) = analysis::encode(cx, outcome, detection, &shown, &**embed)? {
                let name = format!("{method}-analysis.h5");
                files.push(crate::file::write(&folder, &name, &file)?);
                // The viewer's server makes underscores of hyphens before it looks a method up.
                analyses.push((method.replace('-', "_"), name));
            }
        }
        let mut seen = BTreeSet::new();
        for NamedFeatures { name: representation, rows, .. } in outcome.detections.iter().flat_map(|detection| &detection.features) {
            if !is_heatmap(rows.shape(), outcome.images.shape()) || !seen.insert(representation) {
                continue;
            }
            cx.check()?;
            let name = crate::file::free_name(representation, &mut taken);
            let heatmaps = format!("{name}.h5");
            files.push(crate::file::write(&folder, &heatmaps, &attribution::encode(outcome, &shown, rows.as_ref())?)?);
            let project =
                Project { run: &outcome.name, representation, heatmaps: &heatmaps, analyses: &analyses, shape: outcome.images.shape() };
            files.push(crate::file::write(&folder, &format!("{name}.yaml"), project.yaml()?.as_bytes())?);
        }
        Ok(files)
    }
}

/// What is shown of a run.
struct Shown {
    /// Labels, ascending.
    classes: Vec<u32>,
    /// Rows of the training set, in its order.
    rows: Vec<usize>,
}

impl Shown {
    fn of(outcome: &Outcome) -> Self {
        let images = &outcome.images;
        let mut classes: BTreeSet<u32> = outcome.truth.iter().flat_map(|truth| &truth.targets).copied().collect();
        for verdict in outcome.detections.iter().map(|detection| &detection.verdict) {
            classes.extend(verdict.flagged.iter().zip(images.samples()).filter(|(flagged, _)| **flagged).map(|(_, sample)| sample.label));
        }
        if classes.is_empty() {
            classes = (0..images.classes().len() as u32).collect();
        }
        let rows = (0..images.len()).filter(|&row| classes.contains(&images.label(row))).collect();
        Self { classes: classes.into_iter().collect(), rows }
    }

    fn labels(&self, outcome: &Outcome) -> Vec<u32> {
        self.rows.iter().map(|&row| outcome.images.label(row)).collect()
    }

    /// The shown images of a class, as places among all that are shown.
    fn places_of(&self, outcome: &Outcome, class: u32) -> Vec<usize> {
        (0..self.rows.len()).filter(|&place| outcome.images.label(self.rows[place]) == class).collect()
    }
}

/// Whether the viewer can draw rows of this shape over the images.
fn is_heatmap(shape: &[usize], images: ImageShape) -> bool {
    images.carries(shape) && matches!(*shape, [_, _] | [1 | CHANNELS, _, _])
}

/// Channels of what the viewer draws: it fails on one.
const CHANNELS: usize = 3;

/// The name of a class among groups and in the label map, where a class's own name might hold a slash.
fn category(class: u32) -> String {
    format!("class-{class}")
}

/// A file's bytes.
fn finish(builder: FileBuilder) -> Result<Vec<u8>> {
    builder.finish().map_err(|error| Error::data("an HDF5 file", error))
}

/// Sizes as HDF5 counts them.
fn sizes(shape: &[usize]) -> Vec<u64> {
    shape.iter().map(|&size| size as u64).collect()
}
