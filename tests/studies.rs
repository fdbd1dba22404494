//! Studies as the engine conducts them.

use std::fs::{File, TryLockError};

use bezoar_config::Source;
use bezoar_engine::{Conducted, Places, Study};
use bezoar_tests::{context, registry};

/// Two cells that fail at once.
const STUDY: &str = "
version: 1
name: small
device: cpu
dataset: { use: image-folder, root: nowhere }
model: { use: compact-cnn }
detect: [{ use: activation-clustering }]
matrix: { seed: [0, 1] }
";

#[test]
fn nobody_else_writes_into_a_study_that_is_held() {
    registry();
    let workplace = tempfile::tempdir().unwrap();
    let places = Places { cache: workplace.path().join("cache"), runs: workplace.path().join("runs") };
    let study = Study::from_source(&Source::new("study.yaml", STUDY), &[]).unwrap();
    let conducted = study.conduct(&context(), &places, Some(2)).unwrap();
    assert!(conducted.results.cells.len() == 2 && conducted.results.cells.iter().all(|cell| cell.problem.is_some()));
    let folder = conducted.folder.clone();
    let lock = File::open(folder.join("lock")).unwrap();
    let is_held = || matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    assert!(is_held());
    let results = conducted.results.clone();
    drop(conducted);
    assert!(!is_held());
    lock.unlock().unwrap();
    let again = Conducted::open(&context(), &folder).unwrap().unwrap();
    assert!(is_held() && again.results == results && again.before == 0);
    assert!(Conducted::open(&context(), workplace.path()).unwrap().is_none());
}
