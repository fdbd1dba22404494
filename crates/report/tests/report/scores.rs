//! `scores.parquet` says what the verdicts say.

use std::fs::File;

use bezoar_core::{Context, Plugin};
use bezoar_report::Parquet;

use crate::fixture;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use tempfile::TempDir;

/// The table of a run, in a folder that lives as long.
fn write(run: &fixture::Run) -> (TempDir, File) {
    let folder = tempfile::tempdir().unwrap();
    let files = Parquet::example().build().unwrap().write(&Context::quiet(0), &run.report(), folder.path()).unwrap();
    assert_eq!(files, [folder.path().join("scores.parquet")]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let file = File::open(&files[0]).unwrap();
    (folder, file)
}

#[test]
fn rows_read_back_as_they_were() {
    let mut run = fixture::attacked(3, 2);
    run.outcome.detections[1].verdict.scores[4] = None;
    let outcome = &run.outcome;
    let (_folder, file) = write(&run);
    let table = SerializedFileReader::new(file).unwrap();
    assert_eq!(table.num_row_groups(), outcome.detections.len());
    let mut rows = table.get_row_iter(None).unwrap();
    for detection in &outcome.detections {
        for (at, sample) in outcome.images.samples().iter().enumerate() {
            let row = rows.next().unwrap().unwrap();
            assert_eq!(row.get_string(0).unwrap(), &detection.detector);
            assert_eq!(row.get_string(1).unwrap(), &sample.id);
            assert_eq!(row.get_string(2).unwrap(), &sample.path);
            assert_eq!(row.get_string(3).unwrap(), &outcome.images.classes()[sample.label as usize]);
            assert_eq!(row.get_int(4).unwrap(), sample.label as i32);
            assert_eq!(row.get_double(5).ok(), detection.verdict.scores[at]);
            assert_eq!(row.get_bool(6).unwrap(), detection.verdict.flagged[at]);
            assert_eq!(row.get_string(7).unwrap(), if outcome.truth.as_ref().unwrap().is_poison(at) { "poison" } else { "clean" });
        }
    }
    assert!(rows.next().is_none());
}

#[test]
fn what_nobody_knows_is_null() {
    let (_folder, file) = write(&fixture::unattacked(2));
    let table = SerializedFileReader::new(file).unwrap();
    assert!(table.get_row_iter(None).unwrap().all(|row| row.unwrap().get_string(7).is_err()));
}

#[test]
fn the_same_result_gives_the_same_bytes() {
    let bytes = || {
        let (folder, _) = write(&fixture::attacked(3, 2));
        std::fs::read(folder.path().join("scores.parquet")).unwrap()
    };
    assert_eq!(bytes(), bytes());
}
