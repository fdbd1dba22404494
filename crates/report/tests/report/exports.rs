//! Tables and arrays for other programs.

use bezoar_core::{Context, Plugin};
use bezoar_formats::read_array;
use bezoar_report::{Arrays, Format, List};

use crate::fixture;

#[test]
fn the_list_has_an_action_for_each_image() {
    let (run, folder) = (fixture::attacked(20, 5), tempfile::tempdir().unwrap());
    let files = List {}.build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    assert_eq!(files, [folder.path().join("images.csv")]);
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "id,path,given_label,action,is_label_issue,label_quality");
    assert_eq!(lines.len(), 1 + run.outcome.images.len());
    for (row, line) in lines[1..].iter().enumerate() {
        let flagged = run.outcome.detections.iter().any(|detection| detection.verdict.flagged[row]);
        assert_eq!((line.contains(",remove,True,"), flagged), (flagged, flagged), "{line}");
    }
    assert!(text.contains(",review,False,") && text.contains(",keep,False,"));
}

#[test]
fn features_come_out_as_they_went_in() {
    let run = fixture::attacked(20, 5);
    for format in [Format::Npy, Format::Safetensors] {
        let folder = tempfile::tempdir().unwrap();
        let files = Arrays { format }.build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
        let features: Vec<_> = run.outcome.detections.iter().flat_map(|detection| &detection.features).collect();
        assert!(!files.is_empty() && files.len() <= features.len());
        let (_, source) = features[0];
        let array = read_array(&files[0]).unwrap();
        let rows: Vec<usize> = (0..run.outcome.images.len()).collect();
        assert_eq!(array.shape(), [&[rows.len()], source.shape()].concat());
        assert_eq!(array.to_floats().unwrap(), source.select(&rows).unwrap().values());
        assert!(std::fs::read_dir(folder.path().join("features")).unwrap().all(|file| !file.unwrap().path().ends_with(".partial")));
    }
}
