use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Context, Error, Outcome, Plugin, Report, Reporter, Result, Verdict, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const FILE: &str = "images.csv";

/// What to do with each training image, as a table that any program reads.
///
/// Writes `images.csv`, a row for each image in the order of the training set, with the columns of cleanlab's tables of label issues:
///
/// - `id`, `path`, `given_label`: the image, and the class that it is given as;
/// - `action`: `remove` what a detector flags; `review` as many of the images that follow by score in the same class; `keep` the others;
/// - `is_label_issue`: whether a detector flags it;
/// - `label_quality`: from 0 (bad) to 1 (good): half the share of its class that is more suspicious, and half of 1 on top if the detector does
///   not flag it, so that all flagged images come before all others. The least over the detectors; empty where none scanned its class.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct List {}

impl Plugin for List {
    type Kind = dyn Reporter;
    const NAME: &'static str = "list";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Reporter>> {
        Ok(Arc::new(self))
    }
}

register!(List);

impl Reporter for List {
    fn write(&self, _: &Context, report: &Report<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
        Ok(vec![crate::file::write(folder, FILE, &encode(report.outcome)?)?])
    }
}

/// What is to be done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Keep,
    Review,
    Remove,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Review => "review",
            Self::Remove => "remove",
        }
    }
}

fn encode(outcome: &Outcome) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| Error::data(FILE, error);
    let images = &outcome.images;
    let mut actions = vec![Action::Keep; images.len()];
    let mut qualities: Vec<Option<f64>> = vec![None; images.len()];
    for detection in &outcome.detections {
        for class in 0..images.classes().len() as u32 {
            for (row, action, quality) in judge(&detection.verdict, &images.rows_of(class)) {
                actions[row] = actions[row].max(action);
                qualities[row] = Some(qualities[row].map_or(quality, |before| before.min(quality)));
            }
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "path", "given_label", "action", "is_label_issue", "label_quality"]).map_err(failed)?;
    for (row, sample) in images.samples().iter().enumerate() {
        let class = &images.classes()[sample.label as usize];
        let quality = qualities[row].map(|quality| format!("{quality:.6}")).unwrap_or_default();
        let issue = if actions[row] == Action::Remove { "True" } else { "False" };
        writer.write_record([&sample.id, &sample.path, class, actions[row].name(), issue, &quality]).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::data(FILE, error))
}

/// What a detector would do with the images of a class that have scores, and the quality of their labels: below a half for the flagged ones, a half
/// or more for the others. Equal scores with equal flags are equal in quality.
fn judge(verdict: &Verdict, rows: &[usize]) -> Vec<(usize, Action, f64)> {
    let scored: Vec<(f64, usize)> = verdict.ranked(rows).into_iter().filter_map(|row| Some((verdict.scores[row]?, row))).collect();
    let mut review = scored.iter().filter(|(_, row)| verdict.flagged[*row]).count();
    let mut judged = Vec::with_capacity(scored.len());
    let mut ahead = 0;
    for equal in scored.chunk_by(|(a, _), (b, _)| a <= b) {
        let half = ahead as f64 / (2 * scored.len()) as f64;
        for &(_, row) in equal {
            let action = if verdict.flagged[row] {
                Action::Remove
            } else if review > 0 {
                review -= 1;
                Action::Review
            } else {
                Action::Keep
            };
            judged.push((row, action, if verdict.flagged[row] { half } else { 0.5 + half }));
        }
        ahead += equal.len();
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flagged_images_go_and_as_many_that_follow_are_looked_at() {
        let scores = [0.9, 0.1, 0.5, 0.5, 0.7, 0.0].map(Some);
        let verdict = Verdict { scores: scores.to_vec(), flagged: vec![true, false, false, true, false, false], ..Verdict::empty(0) };
        let mut judged = judge(&verdict, &[0, 1, 2, 3, 4, 5]);
        judged.sort_by_key(|one| one.0);
        let actions: Vec<&str> = judged.iter().map(|one| one.1.name()).collect();
        assert_eq!(actions, ["remove", "keep", "review", "remove", "review", "keep"]);
        let twelfths: Vec<f64> = judged.iter().map(|one| one.2 * 12.0).collect();
        assert!(twelfths.iter().zip([0.0, 10.0, 8.0, 2.0, 7.0, 11.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{twelfths:?}");
        let unscanned = Verdict { scores: vec![None; 6], ..verdict };
        assert!(judge(&unscanned, &[0, 1, 2]).is_empty());
    }
}
