//! A run in which every text is an attempt at markup.

use bezoar_core::{Edit, ImageSet, Skipped};

use crate::fixture;

pub(crate) const HOSTILE: &str = "</style></pre></script><script>alert('\"1&2\"')</script><img src=x onerror=alert(1)>";

/// A small run with `HOSTILE` for every name, path and sentence.
pub(crate) fn run() -> fixture::Run {
    let mut run = fixture::attacked(3, 2);
    let outcome = &mut run.outcome;
    let edits = outcome.images.samples().iter().enumerate().map(|(row, sample)| {
        let mut sample = sample.clone();
        sample.id = format!("{HOSTILE}{row}");
        sample.path = format!("{HOSTILE}{row}");
        Edit { sample, image: outcome.images.image(row).unwrap() }
    });
    let classes = (0..outcome.images.classes().len()).map(|class| format!("{HOSTILE}{class}")).collect();
    outcome.images = ImageSet::from_images(classes, edits.collect()).unwrap();
    outcome.name = HOSTILE.into();
    outcome.facts = vec![(HOSTILE.into(), HOSTILE.into())];
    outcome.skipped = vec![Skipped { path: HOSTILE.into(), problem: HOSTILE.into() }];
    for detection in &mut outcome.detections {
        detection.detector = HOSTILE.into();
        detection.features[0].name = HOSTILE.into();
        for input in &mut detection.verdict.inputs {
            (input.name, input.value) = (HOSTILE.into(), HOSTILE.into());
        }
        for class in &mut detection.verdict.classes {
            (class.reason, class.statistic_name) = (HOSTILE.into(), HOSTILE.into());
        }
    }
    for measurement in &mut run.measurements {
        measurement.detector = measurement.detector.as_ref().map(|_| HOSTILE.to_owned());
        measurement.metric.push_str(HOSTILE);
    }
    run.stages[0].name = HOSTILE.into();
    run.stages[0].digest = Some(HOSTILE.into());
    run.resolved = HOSTILE.into();
    run.balances = run.balances.into_values().map(|balance| (HOSTILE.to_owned(), balance)).collect();
    run
}
