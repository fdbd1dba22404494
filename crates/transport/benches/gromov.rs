//! One kind of work on heatmaps that Python Optimal Transport does too: prints a line of JSON. `cargo xtask bench gromov` holds both beside each
//! other.

#![expect(clippy::print_stdout, reason = "the line is what it is for")]

use std::path::Path;
use std::time::Instant;

use bezoar_transport::Space;
use bezoar_transport::gromov::{Barycentre, Centre, Embedding, Fast, KMeans, Solver, k_means};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const RANK: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pairs", epsilon, file] => pairs(epsilon.parse().expect("an epsilon"), Path::new(file)),
        ["k-means", epsilon, number] => clusters(epsilon.parse().expect("an epsilon"), number.parse().expect("a number of heatmaps")),
        [] => pairs(0.1, Path::new("")),
        _ => println!("usage: gromov pairs EPSILON FILE | k-means EPSILON NUMBER"),
    }
}

/// Seconds for each pair of the file's first heatmap with the others, heatmaps to costs: on all cores, which are busy with a pair each where the
/// peer's are with parts of one, and one pair after the other. The file has a heatmap a line, values apart by commas.
fn pairs(epsilon: f64, file: &Path) {
    let spaces: Vec<Space> = match std::fs::read_to_string(file) {
        Ok(text) => {
            text.lines().map(|line| square(&line.split(',').map(|value| value.parse().expect("a number")).collect::<Vec<_>>())).collect()
        }
        Err(_) => heatmaps(5, |index| index.is_multiple_of(4)),
    };
    let compute = || -> Vec<f64> {
        let solver = || Solver::new(Fast::new(epsilon)).expect("a positive epsilon");
        let embeddings = embedded(&spaces);
        embeddings[1..].par_iter().map_init(solver, |solver, other| solver.distance(&embeddings[0], other).value).collect()
    };
    let values = compute();
    let per_pair = |compute: &(dyn Fn() -> Vec<f64> + Sync)| {
        let start = Instant::now();
        compute();
        start.elapsed().as_secs_f64() / values.len() as f64
    };
    let seconds = per_pair(&compute);
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let alone = one_core.install(|| per_pair(&compute));
    let support: Vec<usize> = spaces.iter().map(Space::len).collect();
    println!(
        r#"{{"by": "bezoar", "epsilon": {epsilon}, "s_per_pair": {seconds}, "s_per_pair_alone": {alone}, "values": {values:?}, "support": {support:?}}}"#
    );
}

/// Seconds for two clusters of so many heatmaps, embeddings included. None has a square: two groups of noise settle late, two clear groups after
/// one assignment.
fn clusters(epsilon: f64, number: usize) {
    let spaces = heatmaps(number, |_| false);
    let start = Instant::now();
    let embeddings = embedded(&spaces);
    let embedded = start.elapsed().as_secs_f64();
    let settings = KMeans::new(2, Barycentre::between_assignments(epsilon));
    let found = k_means(&embeddings, &settings, &mut ChaCha8Rng::seed_from_u64(0), &|_| true).expect("enough heatmaps");
    let seconds = start.elapsed().as_secs_f64();
    let mut sizes = vec![0; 2];
    for &label in &found.labels {
        sizes[label] += 1;
    }
    let entries = |centre: &Centre| {
        [f64::min, f64::max].map(|of: fn(f64, f64) -> f64| centre.distances.iter().copied().reduce(of).unwrap_or_default())
    };
    let (entries, iterations) = (found.centres.iter().map(entries).collect::<Vec<_>>(), found.iterations);
    println!(
        r#"{{"by": "bezoar", "epsilon": {epsilon}, "heatmaps": {number}, "s": {seconds}, "s_embeddings": {embedded}, "iterations": {iterations}, "sizes": {sizes:?}, "entries": {entries:?}}}"#
    );
}

fn embedded(spaces: &[Space]) -> Vec<Embedding> {
    spaces.par_iter().map(|space| Embedding::of(space, RANK).expect("points of the plane")).collect()
}

fn square(values: &[f32]) -> Space {
    let side = values.len().isqrt();
    Space::from_heatmap(side, side, values, 0.99).expect("a heatmap")
}

/// Discs of noise of some 450 to 480 pixels; those that `poisoned` names have a square that outshines them.
fn heatmaps(number: usize, poisoned: impl Fn(usize) -> bool) -> Vec<Space> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let heatmap = |index: usize| {
        let poisoned = poisoned(index);
        let mut values = vec![0.0_f32; 32 * 32];
        for (pixel, value) in values.iter_mut().enumerate() {
            let [y, x] = [pixel / 32, pixel % 32].map(|place| place as f32 - 16.0);
            if y.hypot(x) < 13.0 {
                // The mean of some draws: near the normal distribution that the peer's script draws from.
                let bump = (0..4).map(|_| rng.random::<f32>()).sum::<f32>() / 4.0 - 0.5;
                *value = (0.3 + 1.04 * bump).max(0.0) * if poisoned { 0.1 } else { 1.0 };
                if poisoned && (16..19).contains(&(pixel / 32)) && (16..19).contains(&(pixel % 32)) {
                    *value += 3.0;
                }
            }
        }
        square(&values)
    };
    (0..number).map(heatmap).collect()
}
