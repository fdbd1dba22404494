//! From a data set as it lies on disk to decoded splits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bezoar_core::{Context, Error, ImageSet, ImageShape, Result, Sample, Skipped, Splits};
use rand::seq::index;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::{MAX_ENCODED, decode};
use crate::raw::{Encoded, Entry, Raw, RawSplit};
use crate::selection::Kept;

/// What to do about an image that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum OnError {
    /// Stop, and say which images they are.
    #[default]
    Stop,
    /// Leave it out, and list it in the result.
    Skip,
}

pub(crate) fn default_size() -> usize {
    32
}

/// What all readers do alike.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) size: usize,
    pub(crate) on_error: OnError,
    /// At most so many images of a class and split.
    pub(crate) limit: Option<usize>,
}

/// Decodes the kept classes of all splits.
///
/// # Errors
/// When there are no training images, none in a test split, or broken images that are not to be skipped.
pub(crate) fn load(cx: &Context, raw: &Raw, kept: &Kept, options: Options) -> Result<Splits> {
    let mut broken = Vec::new();
    let mut split = |name, split| load_split(cx, name, split, kept, options, &mut broken);
    let train = split("train", &raw.train)?;
    let validation = raw.validation.as_ref().map(|raw| split("validation", raw)).transpose()?;
    let test = raw.test.as_ref().map(|raw| split("test", raw)).transpose()?;
    if let ([first, others @ ..], OnError::Stop) = (broken.as_slice(), options.on_error) {
        return Err(Error::data(&first.path, &first.problem).with_help(ways_to_mend(others)));
    }
    for (name, set) in [("training", Some(&train)), ("test", test.as_ref())] {
        if set.is_some_and(ImageSet::is_empty) {
            return Err(Error::data(raw.root.display(), format!("no {name} image of the chosen classes")));
        }
    }
    let test = test.unwrap_or_else(|| train.select(&[]));
    let skipped = raw.left_out.iter().cloned().chain(broken).collect();
    Ok(Splits { train, validation, test, skipped })
}

/// What to do about a broken image, and about others if there are more.
fn ways_to_mend(others: &[Skipped]) -> String {
    const NAMED: usize = 8;
    let mut names = others.iter().take(NAMED).map(|other| other.path.as_str()).collect::<Vec<_>>().join(", ");
    if others.len() > NAMED {
        names += ", …";
    }
    match others.len() {
        0 => "mend or remove it, or leave broken images out by `on-error: skip`".to_owned(),
        1 => format!("another one is broken too ({names}): mend or remove them, or leave broken images out by `on-error: skip`"),
        more => format!("{more} others are broken too ({names}): mend or remove them, or leave broken images out by `on-error: skip`"),
    }
}

fn load_split(cx: &Context, name: &str, split: &RawSplit, kept: &Kept, options: Options, broken: &mut Vec<Skipped>) -> Result<ImageSet> {
    let chosen = choose(cx, name, split, kept, options.limit);
    let shape = ImageShape::rgb(options.size, options.size);
    let mut samples = Vec::with_capacity(chosen.len());
    let mut pixels = Vec::with_capacity(chosen.len() * shape.len());
    read(cx, name, split, &chosen, options.size, &mut |sample, image| {
        match image {
            Ok(image) => {
                samples.push(sample.clone());
                pixels.extend_from_slice(&image);
            }
            Err(problem) => broken.push(Skipped { path: sample.path.clone(), problem }),
        }
        Ok(())
    })?;
    ImageSet::new(shape, kept.classes().to_vec(), samples, Arc::new(pixels))
}

/// The entries of the kept classes under their new labels, at most `limit` of each, by chance.
fn choose(cx: &Context, name: &str, split: &RawSplit, kept: &Kept, limit: Option<usize>) -> Vec<Entry> {
    let relabel = |entry: &Entry| {
        let label = kept.label(entry.sample.label)?;
        Some(Entry { row: entry.row, sample: Sample { label, ..entry.sample.clone() } })
    };
    let mut entries: Vec<Entry> = split.entries.iter().filter_map(relabel).collect();
    if let Some(limit) = limit {
        let mut classes: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for entry in entries.drain(..) {
            classes.entry(entry.sample.label).or_default().push(entry);
        }
        for (label, class) in classes {
            let mut rng = cx.rng(&format!("limit {name} {}", kept.classes()[label as usize]));
            let drawn = index::sample(&mut rng, class.len(), limit.min(class.len()));
            entries.extend(drawn.into_iter().map(|i| class[i].clone()));
        }
        entries.sort_by_key(|entry| entry.row);
    }
    entries
}

/// Takes an image: its pixels, or what is wrong with it.
pub(crate) type Sink<'a> = dyn FnMut(&Sample, Result<Vec<u8>, String>) -> Result<()> + 'a;

/// Decodes `entries` in parallel and gives them to `sink` in order.
pub(crate) fn read(cx: &Context, name: &str, split: &RawSplit, entries: &[Entry], size: usize, sink: &mut Sink<'_>) -> Result<()> {
    let rows: Vec<usize> = entries.iter().map(|entry| entry.row).collect();
    let task = cx.task(&format!("reading {name} images"), rows.len() as u64);
    let mut next = entries.iter();
    split.store.read(&rows, &mut |images| {
        cx.check()?;
        task.advance(images.len() as u64);
        let decoded: Vec<_> = images.into_par_iter().map(|image| pixels(image, size)).collect();
        decoded.into_iter().zip(&mut next).try_for_each(|(image, entry)| sink(&entry.sample, image))
    })
}

fn pixels(image: Encoded, size: usize) -> Result<Vec<u8>, String> {
    match image {
        Encoded::Bytes(bytes) => decode(&bytes, size),
        Encoded::Missing => Err("there is no image".to_owned()),
        Encoded::File(path) => decode(&read_file(&path)?, size),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("it cannot be read: {error}");
    let facts = fs::metadata(path).map_err(unreadable)?;
    if !facts.is_file() {
        return Err("this is no file".to_owned());
    }
    if facts.len() > MAX_ENCODED {
        return Err(format!("{} bytes are more than an image may have", facts.len()));
    }
    fs::read(path).map_err(unreadable)
}
