use bezoar_core::{Error, ImageShape, Result};
use serde_json::{Value, json};

use super::category;

/// A project: one kind of heatmaps, with all analyses.
pub(super) struct Project<'a> {
    pub(super) run: &'a str,
    pub(super) representation: &'a str,
    /// The file of the heatmaps.
    pub(super) heatmaps: &'a str,
    /// What the viewer calls each detector, and its file.
    pub(super) analyses: &'a [(String, String)],
    pub(super) shape: ImageShape,
}

impl Project<'_> {
    /// The file that the viewer opens.
    pub(super) fn yaml(&self) -> Result<String> {
        let analysis = |(detector, file): &(String, String)| json!({ "analysis_method": detector, "sources": [file] });
        let project = json!({ "project": {
            "name": format!("{}: {}", self.run, self.representation),
            "model": self.run,
            "label_map": "label-map.json",
            "dataset": {
                "name": self.run,
                "type": "hdf5",
                "path": "dataset.h5",
                "input_width": self.shape.width,
                "input_height": self.shape.height,
                "down_sampling_method": "none",
                "up_sampling_method": "none",
            },
            "attributions": {
                "attribution_method": self.representation,
                "attribution_strategy": "true_label",
                "sources": [self.heatmaps],
            },
            "analyses": self.analyses.iter().map(analysis).collect::<Vec<_>>(),
        } });
        serde_yaml::to_string(&project).map_err(|error| Error::data("ViRelAy's project", error))
    }
}

/// The classes by label and by category.
pub(super) fn label_map(classes: &[String]) -> String {
    let label = |(class, name): (u32, &String)| json!({ "index": class, "word_net_id": category(class), "name": name });
    Value::Array((0..).zip(classes).map(label).collect()).to_string()
}
