//! A poisoned data set as files that any other tool can read, with a manifest that says what is what.
//!
//! All images are written in the same way, poisoned or not: as PNG, without loss, in an order and under names drawn by chance.

mod check;
mod files;
mod manifest;
mod table;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use bezoar_core::{Context, Error, GroundTruth, Image, ImageSet, Result, Role, hex};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use check::{Checked, verify_export};
pub use manifest::{Manifest, Origin, Record};

/// Images that are encoded between two looks at whether the user wants to stop.
const CHUNK: usize = 512;

/// How images lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A folder for each split, in it a folder for each class.
    Folder,
    /// A Parquet table for each split, as the Hugging Face hub keeps them.
    Parquet,
}

/// One split of a data set after an attack.
pub struct Split<'a> {
    /// Such as `train`.
    pub name: &'static str,
    /// Its images.
    pub images: &'a ImageSet,
    /// The true class of each.
    pub labels: Vec<u32>,
    /// What the attack did to each.
    pub truth: GroundTruth,
    /// What the attacker wants each to be taken for; none where that is what it is labelled as.
    pub targets: Option<&'a [u32]>,
}

/// Where encoded images go.
trait Writer {
    /// Takes the images of a split, which come in order.
    fn put(&mut self, images: Vec<Encoded>) -> Result<()>;

    /// Ends the split.
    fn end(self: Box<Self>) -> Result<()>;
}

/// An image on its way to disk.
struct Encoded {
    label: u32,
    /// Its file, or its place in a table.
    file: String,
    png: Vec<u8>,
}

impl Form {
    /// Whether a data set can be written to `out`.
    ///
    /// # Errors
    /// When `out` is there and not empty, or has no name.
    pub fn check_place(out: &Path) -> Result<()> {
        let problem = if out.is_file() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
            "is there already"
        } else if out.file_name().is_none() {
            "is no name of a folder"
        } else {
            return Ok(());
        };
        Err(Error::request(format!("{} {problem}", out.display())).with_help("name a folder that is new or empty"))
    }
}

/// Writes a data set into the new folder `out`, and its manifest.
///
/// # Errors
/// When `out` is there and not empty, a class cannot be the name of a folder, or a file cannot be written. Nothing is then left of it.
pub fn export(cx: &Context, origin: Origin, splits: &[Split<'_>], form: Form, out: &Path) -> Result<Manifest> {
    Form::check_place(out)?;
    let classes = splits.first().map(|split| split.images.classes().to_vec()).unwrap_or_default();
    if form == Form::Folder
        && let Some(class) = classes.iter().find(|class| class.is_empty() || class.starts_with('.') || class.contains(['/', '\\', '\0']))
    {
        return Err(Error::request(format!("the class {class:?} cannot be the name of a folder")).with_help("write Parquet tables"));
    }
    let aside = aside(out);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|error| Error::io(&aside, error))?;
    }
    fs::create_dir_all(&aside).map_err(|error| Error::io(&aside, error))?;
    let manifest = Manifest { format: 1, form, origin, classes, samples: Vec::new() };
    let written = write_all(cx, splits, form, &aside, manifest).and_then(|manifest| {
        // An empty folder may be there.
        let _ = fs::remove_dir(out);
        fs::rename(&aside, out).map_err(|error| Error::io(out, error))?;
        Ok(manifest)
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(&aside);
    }
    written
}

/// Where a folder is written before it takes its place: hidden beside it.
fn aside(out: &Path) -> PathBuf {
    let name = out.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    out.with_file_name(format!(".{name}.partial"))
}

fn write_all(cx: &Context, splits: &[Split<'_>], form: Form, folder: &Path, mut manifest: Manifest) -> Result<Manifest> {
    for split in splits.iter().filter(|split| !split.images.is_empty()) {
        let writer: Box<dyn Writer> = match form {
            Form::Folder => Box::new(files::Files::new(folder, split.name, &manifest.classes)?),
            Form::Parquet => Box::new(table::Table::new(folder, split.name, &manifest.classes)?),
        };
        write(cx, split, form, writer, &mut manifest)?;
    }
    manifest.write(folder)?;
    Ok(manifest)
}

/// Writes the images of a split, in an order drawn by chance: names and places say nothing about what is poison.
fn write(cx: &Context, split: &Split<'_>, form: Form, mut writer: Box<dyn Writer>, manifest: &mut Manifest) -> Result<()> {
    let mut order: Vec<usize> = (0..split.images.len()).collect();
    order.shuffle(&mut cx.rng(&format!("order of {}", split.name)));
    let numbered: Vec<(usize, usize)> = order.into_iter().enumerate().collect();
    let task = cx.task(&format!("write {}", split.name), numbered.len() as u64);
    for chunk in numbered.chunks(CHUNK) {
        cx.check()?;
        let encode = |&(number, row): &(usize, usize)| {
            let sample = &split.images.samples()[row];
            let class = &manifest.classes[sample.label as usize];
            let file = match form {
                Form::Folder => format!("{}/{class}/{number:06}.png", split.name),
                Form::Parquet => format!("{number:06}.png"),
            };
            Ok((row, Encoded { label: sample.label, file, png: png(&split.images.image(row)?)? }))
        };
        let images = chunk.par_iter().map(encode).collect::<Result<Vec<_>>>()?;
        for (row, image) in &images {
            let place = |label: u32| manifest.classes[label as usize].clone();
            let role = if split.targets.is_some() { Role::Poison } else { split.truth.roles[*row] };
            manifest.samples.push(Record {
                split: split.name.to_owned(),
                file: image.file.clone(),
                role,
                label: place(image.label),
                true_label: place(split.labels[*row]),
                target: split.targets.map(|targets| place(targets[*row])),
                masks: split.truth.masks[*row].clone(),
                source: split.images.samples()[*row].id.clone(),
                sha256: hex(&Sha256::digest(&image.png)),
            });
        }
        writer.put(images.into_iter().map(|(_, image)| image).collect())?;
        task.advance(chunk.len() as u64);
    }
    writer.end()
}

fn png(image: &Image) -> Result<Vec<u8>> {
    let shape = image.shape();
    let mut bytes = Cursor::new(Vec::new());
    let color = match shape.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        other => return Err(Error::request(format!("images of {other} channels cannot be written as PNG"))),
    };
    let written = PngEncoder::new(&mut bytes).write_image(image.pixels(), shape.width as u32, shape.height as u32, color);
    written.map_err(|error| Error::data("PNG", error))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests;
