use std::sync::Arc;

use bezoar_core::{Context, Detection, Features, GroundTruth, Measurement, Metric, Outcome, Plugin, Result, Retrial, Scope, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Localisation;

/// Whether the heatmaps that a detector looks at mark the trigger, where its place is known.
///
/// Means over the poison images: `mask-mass` is the share of positive relevance that lies on the trigger (arXiv 2003.07258, equation 6),
/// `mask-rank` the share of the trigger among as many of the most relevant pixels (equation 7), `mask-hit` how often the most relevant pixel
/// lies on it (the pointing game, arXiv 1608.00507). Heatmaps are a detector's first relevance that has the size of the images, pixels and activations not
/// among them; channels are summed. Detectors without heatmaps, and triggers without a place, have no such figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TriggerLocalisation {}

impl Plugin for TriggerLocalisation {
    type Kind = dyn Metric;
    const NAME: &'static str = "localisation";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(TriggerLocalisation);

/// Heatmaps that are in memory at once.
const BATCH: usize = 512;

impl Metric for TriggerLocalisation {
    fn measure(&self, cx: &Context, outcome: &Outcome, _: &dyn Retrial) -> Result<Vec<Measurement>> {
        let Some(truth) = &outcome.truth else { return Ok(Vec::new()) };
        let placed: Vec<usize> = (0..truth.roles.len()).filter(|&row| truth.is_poison(row) && !truth.masks[row].is_empty()).collect();
        let mut measurements = Vec::new();
        for detection in &outcome.detections {
            cx.check()?;
            if let Some(found) = localise(outcome, truth, detection, &placed)? {
                let figures = [("mask-mass", found.mass), ("mask-rank", found.rank), ("mask-hit", found.pointing)];
                measurements.extend(figures.map(|(metric, value)| Measurement {
                    metric: metric.to_owned(),
                    detector: Some(detection.detector.clone()),
                    scope: Scope::Attacked,
                    value: Some(value),
                }));
            }
        }
        Ok(measurements)
    }
}

/// The mean over some images; none without images or heatmaps.
fn localise(outcome: &Outcome, truth: &GroundTruth, detection: &Detection, rows: &[usize]) -> Result<Option<Localisation>> {
    let size = outcome.images.shape();
    let heatmaps = detection.features.iter().find(|features| features.is_relevance && size.carries(features.rows.shape()));
    let (Some(heatmaps), false) = (heatmaps, rows.is_empty()) else { return Ok(None) };
    let mut found = Vec::with_capacity(rows.len());
    for rows in rows.chunks(BATCH) {
        let features = heatmaps.rows.select(rows)?;
        let each = rows.iter().zip(features.rows());
        found.extend(
            each.map(|(&row, heatmap)| {
                Localisation::of(&summed(&features, heatmap, size.height * size.width), size.width, &truth.masks[row])
            }),
        );
    }
    Ok(Some(Localisation::mean(&found)))
}

/// The channels of a heatmap summed.
fn summed(features: &Features, heatmap: &[f32], pixels: usize) -> Vec<f32> {
    debug_assert_eq!(features.width() % pixels, 0, "channels of whole images");
    let mut sum = vec![0.0; pixels];
    for channel in heatmap.chunks_exact(pixels) {
        sum.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
    }
    sum
}
