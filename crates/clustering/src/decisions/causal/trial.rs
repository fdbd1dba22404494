//! Asking the net what squares of images do.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use bezoar_core::{Batch, ClassOrigin, Context, Error, Features, Result};
use rand::seq::IndexedRandom;

use super::squares::Square;

/// What the squares of an image do.
pub(super) struct Effect {
    /// The share of hosts that they turn into the image's class, 0 to 1.
    pub(super) share: f64,
    /// What no class change shows yet, 0 to 1: how much less sure of the class the net is without the strongest square, and how sure it
    /// is of it on average on hosts with all of them.
    pub(super) hint: f64,
}

/// The squares of a class's images, and images of other classes to try them on.
pub(super) struct Trial<'a> {
    origin: ClassOrigin<'a>,
    windows: Features,
    /// Hosts for each image.
    hosts: usize,
    /// Rows of images of any other class, which the net does not take for this one.
    others: Vec<usize>,
}

/// Images looked at in one go.
const CHUNK: usize = 64;

/// Hosts tried first: where an image's squares turn none of them, no others are.
const FIRST: usize = 4;

/// Hosts that those of an image are drawn from, for each of them.
const POOL: usize = 8;

/// What the net says of an image.
struct Answer {
    class: u32,
    /// The probability of the suspect class.
    probability: f64,
}

/// Some images of the class.
struct Chunk {
    /// Their rows in the class.
    rows: Range<usize>,
    images: Batch,
}

impl Chunk {
    /// The pixels of an image, by its place in the chunk.
    fn image(&self, at: usize) -> &[u8] {
        &self.images.pixels[at * self.images.shape.len()..][..self.images.shape.len()]
    }
}

/// The squares of one image on one host.
struct Paste {
    /// The image's place in its chunk.
    at: usize,
    /// A row of the set.
    host: usize,
    /// So many of the strongest squares.
    squares: usize,
}

impl<'a> Trial<'a> {
    /// None if there are too few hosts.
    ///
    /// # Errors
    /// When the windows are none, or the net cannot be asked.
    pub(super) fn new(cx: &Context, origin: ClassOrigin<'a>, hosts: usize) -> Result<Option<Self>> {
        let [_, windows] = origin.suspect.features else {
            return Err(Error::request("the decision `causal` was given no windows"));
        };
        let windows = windows.select(origin.rows)?;
        if !matches!(windows.shape(), [_, 4]) {
            return Err(Error::request(format!("`windows` gives rows of {:?}, not of [count, 4]", windows.shape()))
                .with_help("name `{ use: strongest-window }` there"));
        }
        let images = origin.suspect.images;
        let others: Vec<usize> = (0..images.len()).filter(|&row| images.label(row) != origin.class).collect();
        let mut trial = Self { origin, windows, hosts, others: Vec::new() };
        trial.others = trial.pool(cx, "any class", &others)?;
        Ok((trial.others.len() >= hosts).then_some(trial))
    }

    /// What the squares of each image of the class do. `done` hears how many were tried.
    pub(super) fn effects(&self, cx: &Context, mut done: impl FnMut(usize)) -> Result<Vec<Effect>> {
        let mut pools = BTreeMap::new();
        let mut effects = Vec::with_capacity(self.origin.rows.len());
        for first in (0..self.origin.rows.len()).step_by(CHUNK) {
            cx.check()?;
            let rows = first..(first + CHUNK).min(self.origin.rows.len());
            let chunk = Chunk { images: self.origin.suspect.images.batch(&self.origin.rows[rows.clone()])?, rows };
            let (exchanged, drops) = self.exchange(cx, &chunk, &mut pools)?;
            let (carried, sure) = self.carry(cx, &chunk)?;
            effects.extend(
                (0..chunk.rows.len()).map(|at| Effect { share: exchanged[at].max(carried[at]), hint: f64::midpoint(drops[at], sure[at]) }),
            );
            done(chunk.rows.len());
        }
        Ok(effects)
    }

    /// Hosts to draw from: some of these rows of the set, without those that the net takes for the class as they are.
    fn pool(&self, cx: &Context, name: &str, rows: &[usize]) -> Result<Vec<usize>> {
        let drawn: Vec<usize> = rows.sample(&mut cx.rng(&format!("hosts of {name}")), POOL * self.hosts).copied().collect();
        let mut pool = Vec::with_capacity(drawn.len());
        for rows in drawn.chunks(4 * CHUNK) {
            let answers = self.ask(&self.origin.suspect.images.batch(rows)?)?;
            pool.extend(rows.iter().zip(answers).filter(|(_, answer)| answer.class != self.origin.class).map(|(&row, _)| row));
        }
        Ok(pool)
    }

    /// Where covering an image's strongest square makes the net see another class, the share of hosts of that class that the square turns
    /// into this one; and how much less sure the net is of its class without it. `pools` are the hosts of the classes seen so far.
    fn exchange(&self, cx: &Context, chunk: &Chunk, pools: &mut BTreeMap<u32, Vec<usize>>) -> Result<(Vec<f64>, Vec<f64>)> {
        let shape = chunk.images.shape;
        let mut covered = chunk.images.clone();
        for (row, image) in chunk.rows.clone().zip(covered.pixels.chunks_exact_mut(shape.len())) {
            Square::new(self.windows.row(row), shape).cover(image, shape);
        }
        let (before, after) = (self.ask(&chunk.images)?, self.ask(&covered)?);
        let drops = before.iter().zip(&after).map(|(before, after)| (before.probability - after.probability).max(0.0)).collect();
        let mut pastes = Vec::new();
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            if before.class == self.origin.class && after.class != self.origin.class {
                if let Entry::Vacant(unknown) = pools.entry(after.class) {
                    let rows = self.origin.suspect.images.rows_of(after.class);
                    unknown.insert(self.pool(cx, &format!("class {}", after.class), &rows)?);
                }
                let row = chunk.rows.start + at;
                let hosts = pools[&after.class].sample(&mut cx.rng(&format!("hosts for the exchange of {row}")), self.hosts);
                pastes.extend(hosts.map(|&host| Paste { at, host, squares: 1 }));
            }
        }
        Ok((self.shares(chunk, &pastes)?.0, drops))
    }

    /// The share of hosts of any class that all squares of an image turn, and the mean probability of the class on them.
    fn carry(&self, cx: &Context, chunk: &Chunk) -> Result<(Vec<f64>, Vec<f64>)> {
        let squares = self.windows.shape()[0];
        let drawn = |row: usize| self.others.sample(&mut cx.rng(&format!("hosts for {row}")), self.hosts).copied().collect();
        let drawn: Vec<Vec<usize>> = chunk.rows.clone().map(drawn).collect();
        let paste = |at: usize, hosts: &[usize]| hosts.iter().map(move |&host| Paste { at, host, squares }).collect::<Vec<_>>();
        let first = FIRST.min(self.hosts);
        let some: Vec<Paste> = drawn.iter().enumerate().flat_map(|(at, hosts)| paste(at, &hosts[..first])).collect();
        let (turned, sure) = self.shares(chunk, &some)?;
        let turning = drawn.iter().enumerate().filter(|(at, _)| turned[*at] > 0.0);
        let others: Vec<Paste> = turning.flat_map(|(at, hosts)| paste(at, &hosts[first..])).collect();
        let more = self.shares(chunk, &others)?.0;
        let part = first as f64 / self.hosts as f64;
        Ok((turned.iter().zip(more).map(|(some, others)| some * part + others * (1.0 - part)).collect(), sure))
    }

    /// For each image, the share of its hosts that are turned and the mean probability of the class on them; 0 where it has none.
    fn shares(&self, chunk: &Chunk, pastes: &[Paste]) -> Result<(Vec<f64>, Vec<f64>)> {
        let images = chunk.rows.len();
        let (mut turned, mut sure, mut count) = (vec![0.0; images], vec![0.0; images], vec![0.0_f64; images]);
        for pastes in pastes.chunks(4 * CHUNK) {
            let hosts: Vec<usize> = pastes.iter().map(|paste| paste.host).collect();
            let mut batch = self.origin.suspect.images.batch(&hosts)?;
            let shape = batch.shape;
            for (paste, host) in pastes.iter().zip(batch.pixels.chunks_exact_mut(shape.len())) {
                for window in self.windows.row(chunk.rows.start + paste.at).chunks_exact(4).take(paste.squares) {
                    Square::new(window, shape).paste(chunk.image(paste.at), host, shape);
                }
            }
            for (paste, answer) in pastes.iter().zip(self.ask(&batch)?) {
                count[paste.at] += 1.0;
                sure[paste.at] += answer.probability;
                turned[paste.at] += f64::from(u8::from(answer.class == self.origin.class));
            }
        }
        let mean = |sums: Vec<f64>| sums.iter().zip(&count).map(|(sum, count)| sum / count.max(1.0)).collect();
        Ok((mean(turned), mean(sure)))
    }

    fn ask(&self, batch: &Batch) -> Result<Vec<Answer>> {
        let logits = self.origin.suspect.model.logits(batch)?;
        let suspect = self.origin.class as usize;
        let answer = |row: &[f32]| {
            let class = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or_default();
            let sum: f64 = row.iter().map(|&logit| f64::from(logit - row[class]).exp()).sum();
            let probability = row.get(suspect).map_or(0.0, |&logit| f64::from(logit - row[class]).exp() / sum);
            Answer { class: class as u32, probability }
        };
        Ok(logits.rows().map(answer).collect())
    }
}
