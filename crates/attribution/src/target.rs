use bezoar_core::{Error, Result};
use bezoar_nn::{AtPlace, features};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The score that a heatmap explains. It starts with relevance 1, all others with 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// That of the class that the data set gives the image.
    #[default]
    Label,
    /// The highest.
    Predicted,
}

impl Target {
    /// The relevance `[N, classes]` that the scores of images with these labels start with.
    ///
    /// # Errors
    /// When the net has no such class.
    pub fn relevance(self, scores: &Tensor, labels: &[u32]) -> Result<Tensor> {
        let rows = features(scores)?;
        let classes = rows.width();
        let mut start = vec![0f32; rows.values().len()];
        for ((start, scores), &label) in start.chunks_exact_mut(classes).zip(rows.rows()).zip(labels) {
            let class = match self {
                Self::Label => label as usize,
                Self::Predicted => (1..classes).fold(0, |best, class| if scores[class] > scores[best] { class } else { best }),
            };
            let Some(value) = start.get_mut(class) else {
                return Err(Error::request(format!("an image of class {class} where the net has {classes} classes")));
            };
            *value = 1.0;
        }
        Tensor::from_vec(start, scores.dims(), scores.device()).and_then(|start| start.to_dtype(scores.dtype())).at("target")
    }
}
