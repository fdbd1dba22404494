use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use bezoar_core::{Context, Error, Result, Sample, Skipped, digest_file, hex};
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
    let known: BTreeSet<&Path> = manifest.samples.iter().map(|sample| Path::new(&sample.file)).collect();
    problems.extend(unknown(folder, |path| known.contains(path))?);
    Ok(problems)
}

fn file(folder: &Path, sample: &Record) -> Option<Skipped> {
    let place = Path::new(&sample.file);
    if place.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Some(problem(&sample.file, "it is outside the folder"));
    }
    if place.parent().map(name).as_deref() != Some(&sample.label) {
        return Some(problem(&sample.file, format!("the manifest labels it `{}`", sample.label)));
    }
    let path = folder.join(place);
    if !path.is_file() {
        return Some(problem(&sample.file, "it is missing"));
    }
    match digest_file::<Sha256>(&path) {
        Ok(digest) if digest == sample.sha256 => None,
        Ok(_) => Some(problem(&sample.file, "it has changed")),
        Err(error) => Some(problem(&sample.file, error.to_string())),
    }
}

/// What lies in a folder beside its manifest and what is known.
fn unknown(folder: &Path, is_known: impl Fn(&Path) -> bool) -> Result<Vec<Skipped>> {
    let paths = walk(folder)?;
    let inside = paths.iter().map(|path| path.strip_prefix(folder).unwrap_or(path));
    let unknown = inside.filter(|path| *path != Path::new(FILE) && !is_known(path));
    Ok(unknown.map(|path| problem(path.display().to_string(), "it is not in the manifest")).collect())
}

/// All files under a folder; names that begin with a dot are passed over, and links are not followed.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in list_folder(folder)? {
        if path.is_dir() && !path.is_symlink() {
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
        match table(cx, folder, split, samples, &manifest.classes) {
            Ok(found) => problems.extend(found),
            Err(Error::Data { problem: said, .. }) => problems.push(problem(file_of(split), said)),
            Err(error) => return Err(error),
        }
    }
    let known: BTreeSet<String> = splits.keys().map(|split| file_of(split)).collect();
    problems.extend(unknown(folder, |path| known.contains(path.to_string_lossy().as_ref()))?);
    Ok(problems)
}

/// A split's table.
fn file_of(split: &str) -> String {
    format!("{split}.parquet")
}

fn table(cx: &Context, folder: &Path, split: &str, samples: &[&Record], classes: &[String]) -> Result<Vec<Skipped>> {
    let file = file_of(split);
    let path = folder.join(&file);
    if !path.is_file() {
        return Ok(vec![problem(file, "it is missing")]);
    }
    let rows = Parquet::rows(folder, split, path)?;
    if rows.entries.len() != samples.len() {
        let said = format!("it has {} rows where the manifest has {}", rows.entries.len(), samples.len());
        return Ok(vec![problem(file, said)]);
    }
    let task = cx.task(&format!("verify {split}"), samples.len() as u64);
    let (mut problems, mut row) = (Vec::new(), 0);
    rows.store.read(&(0..samples.len()).collect::<Vec<_>>(), &mut |images| {
        cx.check()?;
        for image in &images {
            let said = difference(image, &rows.entries[row].sample, samples[row], classes);
            problems.extend(said.map(|said| problem(format!("{file} row {row} ({})", samples[row].file), said)));
            row += 1;
        }
        task.advance(images.len() as u64);
        Ok(())
    })?;
    Ok(problems)
}

/// How a table's row differs from what the manifest says.
fn difference(image: &Encoded, found: &Sample, sample: &Record, classes: &[String]) -> Option<String> {
    let is_it = matches!(image, Encoded::Bytes(bytes) if hex(&Sha256::digest(bytes)) == sample.sha256);
    if !is_it {
        Some("it has changed".to_owned())
    } else if classes.get(found.label as usize) != Some(&sample.label) {
        Some(format!("the manifest labels it `{}`", sample.label))
    } else if found.id != format!("{}/{}", sample.split, sample.file) {
        Some(format!("the table calls it `{}`", found.id))
    } else {
        None
    }
}
