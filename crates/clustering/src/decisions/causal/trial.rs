//! Asking the net what squares of images do.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bezoar_core::{Batch, ClassOrigin, Context, Part, Representation, Result, highest};
use rand::seq::IndexedRandom;

use super::super::{hosts, windows};
use super::squares::Square;

/// What the squares of an image do.
pub(super) struct Effect {
    /// The share of hosts that they turn into the image's class, 0 to 1.
    pub(super) share: f64,
    /// What no class change shows yet, 0 to 1: how much less sure of the class the net is without the strongest square, and how sure it
    /// is of it on average on hosts with all of them.
    pub(super) hint: f64,
    /// The strongest square.
    strongest: Square,
    /// The class that the net sees without the strongest square, on whose images that square was tried.
    below: Option<u32>,
}

/// The squares of a class's images, and images of other classes to try them on.
pub(super) struct Trial<'a> {
    origin: ClassOrigin<'a>,
    /// What finds an image's squares.
    windows: &'a Part<dyn Representation>,
    /// Hosts for each image.
    hosts: usize,
    /// Rows of images of any other class, which the net does not take for this one.
    others: Vec<usize>,
}

/// Images looked at in one go.
const CHUNK: usize = 64;

/// Hosts tried first: where an image's squares turn none of them, no others are.
const FIRST_HOSTS: usize = 4;

/// Hosts that those of an image are drawn from, for each of them.
const POOL: usize = 8;

/// Spots that a search looks at.
const SPOTS: usize = 8;

/// What the net says of an image.
struct Answer {
    class: u32,
    /// The probability of the suspect class.
    probability: f64,
}

/// Some images of the class.
struct Chunk {
    /// Their rows in the class.
    rows: Vec<usize>,
    images: Batch,
}

impl Chunk {
    /// The pixels of an image, by its place in the chunk.
    fn image(&self, at: usize) -> &[u8] {
        &self.images.pixels[at * self.images.shape.len()..][..self.images.shape.len()]
    }
}

/// Squares of one image on one host.
struct Paste<'a> {
    /// The image's place in its chunk.
    at: usize,
    /// A row of the set.
    host: usize,
    squares: &'a [Square],
}

/// A square, and the class on whose images it turned some; any class if none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    square: Square,
    below: Option<u32>,
}

impl<'a> Trial<'a> {
    /// None if there are too few hosts.
    ///
    /// # Errors
    /// When the net cannot be asked.
    pub(super) fn new(cx: &Context, origin: ClassOrigin<'a>, windows: &'a Part<dyn Representation>, count: usize) -> Result<Option<Self>> {
        let others = hosts::drawn(cx, &origin, "any class", &hosts::of_other_classes(&origin), POOL * count)?;
        Ok((others.len() >= count).then_some(Self { origin, windows, hosts: count, others }))
    }

    /// What the squares of these images of the class do. `done` hears how many were tried.
    pub(super) fn effects(&self, cx: &Context, rows: &[usize], mut done: impl FnMut(usize)) -> Result<Vec<Effect>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let squares = self.squares(cx, rows)?;
        let mut pools = BTreeMap::new();
        let mut effects = Vec::with_capacity(rows.len());
        for (rows, squares) in rows.chunks(CHUNK).zip(squares.chunks(CHUNK)) {
            cx.check()?;
            let chunk = self.chunk(rows.to_vec())?;
            let exchanged = self.exchange(cx, &chunk, squares, &mut pools)?;
            let (carried, sure) = self.carry(cx, &chunk, squares)?;
            effects.extend(exchanged.into_iter().zip(carried).zip(sure).map(|((exchanged, carried), sure)| Effect {
                share: exchanged.share.max(carried),
                hint: f64::midpoint(exchanged.hint, sure),
                below: exchanged.below.filter(|_| exchanged.share >= carried),
                ..exchanged
            }));
            done(chunk.rows.len());
        }
        Ok(effects)
    }

    /// Looks where squares turned at least `effective` of their hosts, in images whose own strongest squares do not: a trigger may lie there
    /// that other parts of the image outshine.
    pub(super) fn search(&self, cx: &Context, effects: &mut [Effect], effective: f64) -> Result<()> {
        let mut found: BTreeMap<Spot, usize> = BTreeMap::new();
        let (with, without): (Vec<usize>, Vec<usize>) = (0..effects.len()).partition(|&row| effects[row].share >= effective);
        for row in with {
            *found.entry(Spot { square: effects[row].strongest.clone(), below: effects[row].below }).or_default() += 1;
        }
        let mut spots: Vec<(Spot, usize)> = found.into_iter().collect();
        spots.sort_by_key(|&(_, images)| Reverse(images));
        for (spot, _) in spots.into_iter().take(SPOTS) {
            let pool =
                spot.below.map_or_else(|| Ok(self.others.clone()), |class| hosts::of_class(cx, &self.origin, class, POOL * self.hosts))?;
            let squares = [spot.square.clone()];
            for rows in without.chunks(CHUNK) {
                cx.check()?;
                let chunk = self.chunk(rows.to_vec())?;
                let tried = self.shown_below(&chunk, &spot)?;
                let drawn = |row: usize| pool.sample(&mut cx.rng(&format!("hosts for the search of {row}")), self.hosts).copied().collect();
                let hosts: Vec<Vec<usize>> =
                    rows.iter().zip(tried).map(|(&row, tried)| if tried { drawn(row) } else { Vec::new() }).collect();
                let (turned, _) = self.turned(&chunk, &hosts, |_| &squares)?;
                for (&row, turned) in rows.iter().zip(turned) {
                    effects[row].share = effects[row].share.max(turned);
                }
            }
        }
        Ok(())
    }

    /// Whether the net sees the spot's class in an image once the spot is covered; all do where it turns any class.
    fn shown_below(&self, chunk: &Chunk, spot: &Spot) -> Result<Vec<bool>> {
        let Some(below) = spot.below else { return Ok(vec![true; chunk.rows.len()]) };
        let mut covered = chunk.images.clone();
        for image in covered.pixels.chunks_exact_mut(covered.shape.len()) {
            spot.square.cover(image, chunk.images.shape);
        }
        Ok(self.ask(&covered)?.iter().map(|answer| answer.class == below).collect())
    }

    /// The rows of the set that are these rows of the class.
    fn of_set(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.origin.rows[row]).collect()
    }

    fn chunk(&self, rows: Vec<usize>) -> Result<Chunk> {
        Ok(Chunk { images: self.origin.suspect.images.batch(&self.of_set(&rows))?, rows })
    }

    /// The squares of these images of the class, each image's strongest first.
    fn squares(&self, cx: &Context, rows: &[usize]) -> Result<Vec<Vec<Square>>> {
        let shape = self.origin.suspect.images.shape();
        windows::of(cx, &self.origin, self.windows, rows, |window| Square::new(window, shape))
    }

    /// Where covering an image's strongest square makes the net see another class, the share of hosts of that class that the square turns
    /// into this one, if there are enough; and how much less sure the net is of its class without it. `pools` are the hosts of the classes seen so far.
    fn exchange(&self, cx: &Context, chunk: &Chunk, squares: &[Vec<Square>], pools: &mut BTreeMap<u32, Vec<usize>>) -> Result<Vec<Effect>> {
        let shape = chunk.images.shape;
        let mut covered = chunk.images.clone();
        for (squares, image) in squares.iter().zip(covered.pixels.chunks_exact_mut(shape.len())) {
            squares[0].cover(image, shape);
        }
        let (before, after) = (self.ask(&chunk.images)?, self.ask(&covered)?);
        let (mut below, mut pastes) = (vec![None; chunk.rows.len()], Vec::new());
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            if before.class == self.origin.class && after.class != self.origin.class {
                if let Entry::Vacant(unknown) = pools.entry(after.class) {
                    unknown.insert(hosts::of_class(cx, &self.origin, after.class, POOL * self.hosts)?);
                }
                // An image or two would say the same for all that are pasted onto them.
                if pools[&after.class].len() < self.hosts {
                    continue;
                }
                let row = chunk.rows[at];
                let hosts = pools[&after.class].sample(&mut cx.rng(&format!("hosts for the exchange of {row}")), self.hosts);
                pastes.extend(hosts.map(|&host| Paste { at, host, squares: &squares[at][..1] }));
                below[at] = Some(after.class);
            }
        }
        let effect = |(at, share): (usize, f64)| {
            let hint = (before[at].probability - after[at].probability).max(0.0);
            Effect { share, hint, strongest: squares[at][0].clone(), below: below[at] }
        };
        Ok(self.shares(chunk, &pastes)?.0.into_iter().enumerate().map(effect).collect())
    }

    /// The share of hosts of any class that all squares of an image turn, and the mean probability of the class on them.
    fn carry(&self, cx: &Context, chunk: &Chunk, squares: &[Vec<Square>]) -> Result<(Vec<f64>, Vec<f64>)> {
        let drawn = |row: usize| self.others.sample(&mut cx.rng(&format!("hosts for {row}")), self.hosts).copied().collect();
        let hosts: Vec<Vec<usize>> = chunk.rows.iter().map(|&row| drawn(row)).collect();
        self.turned(chunk, &hosts, |at| &squares[at])
    }

    /// The share of each image's hosts that squares of it turn, and the mean probability of the class on them. Where the first hosts are not
    /// turned, the others are not tried.
    fn turned<'s>(&self, chunk: &Chunk, hosts: &[Vec<usize>], squares: impl Fn(usize) -> &'s [Square]) -> Result<(Vec<f64>, Vec<f64>)> {
        let paste = |at: usize, hosts: &[usize]| hosts.iter().map(|&host| Paste { at, host, squares: squares(at) }).collect::<Vec<_>>();
        let first = |hosts: &[usize]| FIRST_HOSTS.min(hosts.len());
        let some: Vec<Paste<'_>> = hosts.iter().enumerate().flat_map(|(at, hosts)| paste(at, &hosts[..first(hosts)])).collect();
        let (turned, sure) = self.shares(chunk, &some)?;
        let turning = hosts.iter().enumerate().filter(|(at, _)| turned[*at] > 0.0);
        let others: Vec<Paste<'_>> = turning.flat_map(|(at, hosts)| paste(at, &hosts[first(hosts)..])).collect();
        let more = self.shares(chunk, &others)?.0;
        let part = |hosts: &[usize]| first(hosts) as f64 / hosts.len().max(1) as f64;
        let whole = turned.iter().zip(more).zip(hosts).map(|((some, others), hosts)| some * part(hosts) + others * (1.0 - part(hosts)));
        Ok((whole.collect(), sure))
    }

    /// For each image, the share of its hosts that are turned and the mean probability of the class on them; 0 where it has none.
    fn shares(&self, chunk: &Chunk, pastes: &[Paste<'_>]) -> Result<(Vec<f64>, Vec<f64>)> {
        let images = chunk.rows.len();
        let (mut turned, mut sure, mut count) = (vec![0.0; images], vec![0.0; images], vec![0.0_f64; images]);
        for pastes in pastes.chunks(4 * CHUNK) {
            let hosts: Vec<usize> = pastes.iter().map(|paste| paste.host).collect();
            let mut batch = self.origin.suspect.images.batch(&hosts)?;
            let shape = batch.shape;
            for (paste, host) in pastes.iter().zip(batch.pixels.chunks_exact_mut(shape.len())) {
                for square in paste.squares {
                    square.paste(chunk.image(paste.at), host, shape);
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
            let class = highest(row);
            let sum: f64 = row.iter().map(|&logit| f64::from(logit - row[class]).exp()).sum();
            let probability = row.get(suspect).map_or(0.0, |&logit| f64::from(logit - row[class]).exp() / sum);
            Answer { class: class as u32, probability }
        };
        Ok(logits.rows().map(answer).collect())
    }
}
