use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bezoar_core::{Context, Result, Skipped, digest_file, hex};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::manifest::{FILE, Manifest, Record};
use super::{CHUNK, Form};
use crate::raw::{Encoded, list_folder, name};
use crate::tables::Parquet;

/// What a folder's manifest says, and where the folder differs from it.
#[derive(Debug)]
pub struct Checked {
    /// The manifest.
    pub manifest: Manifest,
    /// Images that are missing, changed or not in the manifest.
    pub problems: Vec<Skipped>,
}

/// Looks at every file of an exported data set.
///
/// # Errors
/// When there is no manifest, or files cannot be read.
pub fn verify_export(cx: &Context, folder: &Path) -> Result<Checked> {
    let manifest = Manifest::read(folder)?;
    let problems = match manifest.form {
        Form::Folder => files(cx, folder, &manifest)?,
        Form::Parquet => tables(cx, folder, &manifest)?,
    };
    Ok(Checked { manifest, problems })
}

fn problem(path: impl Into<String>, problem: impl Into<String>) -> Skipped {
    Skipped { path: path.into(), problem: problem.into() }
}

fn files(cx: &Context, folder: &Path, manifest: &Manifest) -> Result<Vec<Skipped>> {
    let mut problems = Vec::new();
    let task = cx.task("verify", manifest.samples.len() as u64);
    for chunk in manifest.samples.chunks(CHUNK) {
        cx.check()?;
        let found: Vec<_> = chunk.par_iter().map(|sample| file(folder, sample)).collect();
        problems.extend(found.into_iter().flatten());
        task.advance(chunk.len() as u64);
    }
    let known: BTreeSet<PathBuf> = manifest.samples.iter().map(|sample| folder.join(&sample.file)).collect();
    for path in walk(folder)? {
        if !known.contains(&path) && path != folder.join(FILE) {
            problems.push(problem(path.display().to_string(), "it is not in the manifest"));
        }
    }
    Ok(problems)
}

fn file(folder: &Path, sample: &Record) -> Option<Skipped> {
    let path = folder.join(&sample.file);
    let class = Path::new(&sample.file).parent().map(name);
    if class.as_deref() != Some(&sample.label) {
        return Some(problem(&sample.file, format!("the manifest labels it `{}`", sample.label)));
    }
    match digest_file::<Sha256>(&path) {
        _ if !path.is_file() => Some(problem(&sample.file, "it is missing")),
        Ok(digest) if digest == sample.sha256 => None,
        Ok(_) => Some(problem(&sample.file, "it has changed")),
        Err(error) => Some(problem(&sample.file, error.to_string())),
    }
}

/// All files under a folder; names that begin with a dot are passed over.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in list_folder(folder)? {
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn tables(cx: &Context, folder: &Path, manifest: &Manifest) -> Result<Vec<Skipped>> {
    let mut splits: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for sample in &manifest.samples {
        splits.entry(&sample.split).or_default().push(sample);
    }
    let mut problems = Vec::new();
    for (split, samples) in &splits {
        let path = folder.join(format!("{split}.parquet"));
        if !path.is_file() {
            problems.push(problem(path.display().to_string(), "it is missing"));
            continue;
        }
        let rows = Parquet::rows(folder, split, path.clone())?;
        if rows.entries.len() != samples.len() {
            let said = format!("it has {} rows where the manifest has {}", rows.entries.len(), samples.len());
            problems.push(problem(path.display().to_string(), said));
            continue;
        }
        let task = cx.task(&format!("verify {split}"), samples.len() as u64);
        let mut row = 0;
        rows.store.read(&(0..samples.len()).collect::<Vec<_>>(), &mut |images| {
            cx.check()?;
            for image in &images {
                let (sample, label) = (samples[row], rows.entries[row].sample.label);
                let place = || format!("{} row {row} ({})", path.display(), sample.file);
                match image {
                    Encoded::Bytes(bytes) if hex(&Sha256::digest(bytes)) == sample.sha256 => {
                        if manifest.classes.get(label as usize) != Some(&sample.label) {
                            problems.push(problem(place(), format!("the manifest labels it `{}`", sample.label)));
                        }
                    }
                    _ => problems.push(problem(place(), "it has changed")),
                }
                row += 1;
            }
            task.advance(images.len() as u64);
            Ok(())
        })?;
    }
    for path in walk(folder)? {
        let split = name(&path).strip_suffix(".parquet").map(str::to_owned);
        if path != folder.join(FILE) && !split.is_some_and(|split| splits.contains_key(split.as_str())) {
            problems.push(problem(path.display().to_string(), "it is not in the manifest"));
        }
    }
    Ok(problems)
}
