use std::sync::Arc;

use bezoar_core::{Context, Detection, Measurement, Metric, Outcome, Plugin, Result, Retrial, Scope, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detection::in_percent;

/// Which classes each detector accuses: whether it finds the attacked ones, and how often it is wrong.
///
/// A class is accused if one of its images is flagged. `class-detection-rate` is the accused share of the attacked classes,
/// `class-false-alarms` the number of accused classes that are clean, and `false-alarm` is 1 if there is any, so that its mean over runs is the
/// rate of false alarms by data set. Of a detector with p-values, which hold over all classes together, `any-clean-p-at-5%` and so on are 1 if
/// any clean class has one of at most that: over the runs of a calibrated test, the mean stays at or below it. They need an attack, if only
/// `none`, and so a truth.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClassDetection {
    /// Levels to which p-values are held.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub p_at: Vec<f64>,
}

impl Default for ClassDetection {
    fn default() -> Self {
        Self { p_at: vec![0.01, 0.05, 0.1] }
    }
}

impl Plugin for ClassDetection {
    type Kind = dyn Metric;
    const NAME: &'static str = "class-detection";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Metric>> {
        Ok(Arc::new(self))
    }
}

register!(ClassDetection);

impl Metric for ClassDetection {
    fn measure(&self, _: &Context, outcome: &Outcome, _: &dyn Retrial) -> Result<Vec<Measurement>> {
        let Some(truth) = &outcome.truth else { return Ok(Vec::new()) };
        Ok(outcome.detections.iter().flat_map(|detection| self.of(outcome, &truth.targets, detection)).collect())
    }
}

impl ClassDetection {
    fn of(&self, outcome: &Outcome, attacked: &[u32], detection: &Detection) -> Vec<Measurement> {
        let verdict = &detection.verdict;
        let mut accused = vec![false; outcome.images.classes().len()];
        for (sample, flagged) in outcome.images.samples().iter().zip(&verdict.flagged) {
            accused[sample.label as usize] |= flagged;
        }
        let found = attacked.iter().filter(|&&class| accused[class as usize]).count();
        let wrong = accused.iter().filter(|accused| **accused).count() - found;
        let clean = verdict.classes.iter().filter(|class| !attacked.contains(&class.class));
        let p_values: Vec<f64> = clean.filter_map(|class| class.p_value).collect();
        let mut figures = vec![
            ("class-detection-rate".to_owned(), (!attacked.is_empty()).then(|| found as f64 / attacked.len() as f64)),
            ("class-false-alarms".to_owned(), Some(wrong as f64)),
            ("false-alarm".to_owned(), Some(f64::from(u8::from(wrong > 0)))),
        ];
        if !p_values.is_empty() {
            let any = |level: f64| f64::from(u8::from(p_values.iter().any(|p_value| *p_value <= level)));
            figures.extend(self.p_at.iter().map(|&level| (format!("any-clean-p-at-{}", in_percent(level)), Some(any(level)))));
        }
        let named = |(metric, value)| Measurement { metric, detector: Some(detection.detector.clone()), scope: Scope::All, value };
        figures.into_iter().map(named).collect()
    }
}
