//! Graphs of near rows and the spectrum of their Laplacians.

use std::collections::BTreeMap;

use bezoar_core::{Context, Error, Features, Pairwise, Result};
use faer::{Mat, Side};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::disjoint_sets::DisjointSets;
use crate::neighbours::{Neighbours, Rows};
use crate::spanning_tree::{self, Edge};

/// Components of at most so many rows are solved as dense matrices.
const DENSE: usize = 700;

/// Vectors beside those that are wanted: the more of them, the faster the wanted ones settle.
const SPARE: usize = 8;

/// An eigenvector `v` has settled when `|L v - λ v|` is below this.
const SETTLED: f64 = 1e-7;

/// Most rounds in which eigenvectors may settle.
const ROUNDS: usize = 200;

/// Rows joined by weights: symmetric, without loops.
pub(crate) struct Graph {
    /// The neighbours of each row and their weights, by number.
    neighbours: Vec<Vec<(u32, f64)>>,
}

/// The least eigenvalues of a graph's normalised Laplacian, ascending, and a vector of each.
pub(crate) struct Spectrum {
    pub(crate) values: Vec<f64>,
    pub(crate) vectors: Vec<Vec<f64>>,
}

impl Graph {
    /// Joins rows that are among each other's nearest with weight 1, and rows of which one is among the other's nearest with ½.
    pub(crate) fn of_neighbours(rows: usize, nearest: &Neighbours) -> Self {
        let mut weights: Vec<BTreeMap<u32, f64>> = vec![BTreeMap::new(); rows];
        for row in 0..rows {
            for &(other, _) in nearest.of(row) {
                *weights[row].entry(other).or_default() += 0.5;
                *weights[other as usize].entry(row as u32).or_default() += 0.5;
            }
        }
        Self { neighbours: weights.into_iter().map(|row| row.into_iter().collect()).collect() }
    }

    /// Joins each row to its `neighbours` nearest by Euclidean distance, and the components of this graph by the shortest edges until no more
    /// than `most` are left.
    pub(crate) fn of_rows(cx: &Context, features: &Features, neighbours: usize, most: usize) -> Result<Self> {
        let rows = Rows::of(features);
        let nearest = Neighbours::of_rows(cx, &rows, neighbours)?;
        let mut graph = Self::of_neighbours(features.len(), &nearest);
        if graph.count() > most {
            graph.join(&spanning_tree::of_rows(cx, &rows, &nearest, &vec![0.0; features.len()])?, most);
        }
        Ok(graph)
    }

    /// The same by distances that are known.
    pub(crate) fn of_pairs(cx: &Context, pairs: &Pairwise, neighbours: usize, most: usize) -> Result<Self> {
        let mut graph = Self::of_neighbours(pairs.len(), &Neighbours::of_pairs(pairs, neighbours));
        if graph.count() > most {
            graph.join(&spanning_tree::of_pairs(cx, pairs, &vec![0.0; pairs.len()])?, most);
        }
        Ok(graph)
    }

    /// The connected component of each row, numbered by first row.
    pub(crate) fn components(&self) -> Vec<usize> {
        let mut components = vec![usize::MAX; self.neighbours.len()];
        let mut next = 0;
        for start in 0..components.len() {
            if components[start] < usize::MAX {
                continue;
            }
            let mut open = vec![start];
            components[start] = next;
            while let Some(row) = open.pop() {
                for &(other, _) in &self.neighbours[row] {
                    if components[other as usize] == usize::MAX {
                        components[other as usize] = next;
                        open.push(other as usize);
                    }
                }
            }
            next += 1;
        }
        components
    }

    /// The sum of the weights at each row.
    pub(crate) fn degrees(&self) -> impl Iterator<Item = f64> + '_ {
        self.neighbours.iter().map(|row| row.iter().map(|(_, weight)| weight).sum())
    }

    /// The number of connected components.
    pub(crate) fn count(&self) -> usize {
        self.components().iter().max().map_or(0, |last| last + 1)
    }

    /// Joins components by the shortest edges of a spanning tree until no more than `most` are left.
    pub(crate) fn join(&mut self, tree: &[Edge], most: usize) {
        let components = self.components();
        let mut count = components.iter().max().map_or(0, |last| last + 1);
        let mut sets = DisjointSets::of(count);
        for edge in tree {
            let (a, b) = (sets.name(components[edge.a as usize]), sets.name(components[edge.b as usize]));
            if count <= most {
                break;
            }
            if a != b {
                sets.join(a, b);
                count -= 1;
                for (row, other) in [(edge.a, edge.b), (edge.b, edge.a)] {
                    self.neighbours[row as usize].push((other, 1.0));
                    self.neighbours[row as usize].sort_unstable_by_key(|&(other, _)| other);
                }
            }
        }
    }

    /// The `count` least eigenvalues of `I - D^-½ W D^-½` and their vectors. They lie between 0 and 2, and 0 is there once for each
    /// connected component: components are solved one by one, so that none is missed.
    ///
    /// # Errors
    /// When a large component's eigenvalues are not found.
    pub(crate) fn spectrum(&self, count: usize, rng: &mut impl Rng) -> Result<Spectrum> {
        let components = self.components();
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); components.iter().max().map_or(0, |last| last + 1)];
        for (row, &component) in components.iter().enumerate() {
            members[component].push(row);
        }
        let mut all: Vec<(f64, Vec<f64>)> = Vec::new();
        for rows in &members {
            let component = Laplacian::of(self, rows);
            let found = if rows.len() <= DENSE.max(4 * count) { component.all()? } else { component.least(count, rng)? };
            for (value, part) in found.into_iter().take(count) {
                let mut vector = vec![0.0; components.len()];
                rows.iter().zip(part).for_each(|(&row, value)| vector[row] = value);
                all.push((value, vector));
            }
            // Of many components only the best are of interest, and only these are kept.
            if all.len() > 4 * count {
                keep_least(&mut all, count);
            }
        }
        keep_least(&mut all, count);
        let (values, vectors) = all.into_iter().unzip();
        Ok(Spectrum { values, vectors })
    }
}

fn keep_least(pairs: &mut Vec<(f64, Vec<f64>)>, count: usize) {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs.truncate(count);
}

/// The normalised Laplacian of one connected component.
#[derive(Debug)]
struct Laplacian {
    /// Each row's neighbours and `w / √(d d')`.
    links: Vec<Vec<(u32, f64)>>,
    /// The eigenvector of the eigenvalue 0: roots of degrees, of length 1.
    still: Vec<f64>,
}

impl Laplacian {
    fn of(graph: &Graph, rows: &[usize]) -> Self {
        let degrees: Vec<f64> = rows.iter().map(|&row| graph.neighbours[row].iter().map(|(_, weight)| weight).sum()).collect();
        let place = |row: u32| rows.partition_point(|&other| other < row as usize);
        let link = |from: usize, &(to, weight): &(u32, f64)| {
            let to = place(to);
            (to as u32, weight / (degrees[from] * degrees[to]).sqrt())
        };
        let links = rows.iter().enumerate().map(|(from, &row)| graph.neighbours[row].iter().map(|to| link(from, to)).collect()).collect();
        let total: f64 = degrees.iter().sum();
        // A row without neighbours is a component of its own.
        let still = if rows.len() == 1 { vec![1.0] } else { degrees.iter().map(|degree| (degree / total).sqrt()).collect() };
        Self { links, still }
    }

    /// All eigenvalues of a small component, the least first.
    fn all(&self) -> Result<Vec<(f64, Vec<f64>)>> {
        let size = self.links.len();
        if size == 1 {
            return Ok(vec![(0.0, self.still.clone())]);
        }
        let mut dense = Mat::<f64>::identity(size, size);
        for (row, links) in self.links.iter().enumerate() {
            for &(other, weight) in links {
                dense[(row, other as usize)] -= weight;
            }
        }
        let found = dense.self_adjoint_eigen(Side::Lower).map_err(|error| Error::request(format!("spectrum of the graph: {error:?}")))?;
        let (values, vectors) = (found.S().column_vector(), found.U());
        let pair = |at: usize| (values[at].clamp(0.0, 2.0), (0..size).map(|row| vectors[(row, at)]).collect());
        let rest = (1..size).map(pair);
        Ok([(0.0, self.still.clone())].into_iter().chain(rest).collect())
    }

    /// `L x`.
    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let value =
            |(links, x_row): (&Vec<(u32, f64)>, &f64)| x_row - links.iter().map(|&(to, weight)| weight * x[to as usize]).sum::<f64>();
        self.links.iter().zip(x).map(value).collect()
    }

    /// The least eigenvalues of a large component. A polynomial of the Laplacian that is small on the unwanted part of the spectrum and
    /// grows below it turns vectors towards the wanted eigenvectors, several at a time so that equal eigenvalues are all found
    /// (Chebyshev-filtered subspace iteration; Zhou, Saad, Tiago and Chelikowsky 2006).
    fn least(&self, count: usize, rng: &mut impl Rng) -> Result<Vec<(f64, Vec<f64>)>> {
        let size = self.links.len();
        let wanted = count.saturating_sub(1);
        let mut vectors: Vec<Vec<f64>> = (0..wanted + SPARE).map(|_| (0..size).map(|_| rng.random::<f64>() - 0.5).collect()).collect();
        let mut cut = 1.0;
        for _ in 0..ROUNDS {
            vectors = vectors.into_par_iter().map(|vector| self.filter(vector, cut)).collect();
            self.make_orthonormal(&mut vectors);
            let (values, rotated, unsettled) = self.ritz(&vectors, wanted)?;
            vectors = rotated;
            if unsettled < SETTLED {
                let rest = values.into_iter().zip(vectors).take(wanted).map(|(value, vector)| (value.clamp(0.0, 2.0), vector));
                return Ok([(0.0, self.still.clone())].into_iter().chain(rest).collect());
            }
            cut = values[values.len() - 1].clamp(1e-9, 1.9);
        }
        Err(Error::request(format!("spectrum of the graph: the {count} least eigenvalues of {size} rows do not settle"))
            .with_help("more `neighbours` make a graph whose eigenvalues are farther apart"))
    }

    /// A Chebyshev polynomial that stays within -1 and 1 between `cut` and 2.
    fn filter(&self, vector: Vec<f64>, cut: f64) -> Vec<f64> {
        // A higher degree would let the least eigenvector drown all others.
        let degree = (9.0 / (cut / 2.0_f64).sqrt()).clamp(4.0, 400.0) as usize;
        let (centre, half) = (f64::midpoint(2.0, cut), (2.0 - cut) / 2.0);
        let scaled = |x: &[f64], factor: f64| -> Vec<f64> {
            self.apply(x).iter().zip(x).map(|(applied, x)| factor * (applied - centre * x) / half).collect()
        };
        let mut last = vector;
        let mut now = scaled(&last, 1.0);
        for _ in 1..degree {
            let mut next = scaled(&now, 2.0);
            next.iter_mut().zip(&last).for_each(|(next, last)| *next -= last);
            (last, now) = (now, next);
        }
        now
    }

    /// Makes vectors orthogonal to each other and to the eigenvector that is known, all of length 1.
    fn make_orthonormal(&self, vectors: &mut [Vec<f64>]) {
        for at in 0..vectors.len() {
            let (before, rest) = vectors.split_at_mut(at);
            let vector = &mut rest[0];
            make_unit(vector);
            // Once is not enough where little is left.
            for _ in 0..2 {
                for other in [&self.still].into_iter().chain(before.iter()) {
                    let along = dot(vector, other);
                    vector.iter_mut().zip(other).for_each(|(x, other)| *x -= along * other);
                }
                make_unit(vector);
            }
        }
    }

    /// The eigenvalues within the space of orthonormal vectors, ascending, their vectors, and how far the worst of the `wanted` first ones
    /// is from settled.
    fn ritz(&self, vectors: &[Vec<f64>], wanted: usize) -> Result<(Vec<f64>, Vec<Vec<f64>>, f64)> {
        let applied: Vec<Vec<f64>> = vectors.par_iter().map(|vector| self.apply(vector)).collect();
        let count = vectors.len();
        let inner = Mat::from_fn(count, count, |row, column| {
            f64::midpoint(dot(&vectors[row], &applied[column]), dot(&vectors[column], &applied[row]))
        });
        let found = inner.self_adjoint_eigen(Side::Lower).map_err(|error| Error::request(format!("spectrum of the graph: {error:?}")))?;
        let rotate = |from: &[Vec<f64>], to: usize| {
            let mut rotated = vec![0.0; from[0].len()];
            for (at, vector) in from.iter().enumerate() {
                let weight = found.U()[(at, to)];
                rotated.iter_mut().zip(vector).for_each(|(x, value)| *x += weight * value);
            }
            rotated
        };
        let values: Vec<f64> = (0..count).map(|at| found.S().column_vector()[at]).collect();
        let rotated: Vec<Vec<f64>> = (0..count).into_par_iter().map(|to| rotate(vectors, to)).collect();
        let residual = |at: usize| {
            let image = rotate(&applied, at);
            image.iter().zip(&rotated[at]).map(|(image, x)| (image - values[at] * x).powi(2)).sum::<f64>().sqrt()
        };
        let unsettled = (0..wanted).into_par_iter().map(residual).collect::<Vec<_>>().into_iter().fold(0.0, f64::max);
        Ok((values, rotated, unsettled))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn make_unit(vector: &mut [f64]) {
    let length = dot(vector, vector).sqrt().max(f64::MIN_POSITIVE);
    for x in vector.iter_mut() {
        *x /= length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(values: Vec<f32>, width: usize, neighbours: usize) -> Graph {
        let features = Features::new(vec![width], values).unwrap();
        let found = Neighbours::of_rows(&Context::quiet(0), &Rows::of(&features), neighbours).unwrap();
        Graph::of_neighbours(features.len(), &found)
    }

    fn spectrum(graph: &Graph, count: usize) -> Spectrum {
        graph.spectrum(count, &mut Context::quiet(0).rng("spectrum")).unwrap()
    }

    /// How far `L v` is from `λ v`.
    fn residual(graph: &Graph, value: f64, vector: &[f64]) -> f64 {
        let degrees: Vec<f64> = graph.neighbours.iter().map(|row| row.iter().map(|(_, weight)| weight).sum()).collect();
        let difference = |row: usize| {
            let linked: f64 = graph.neighbours[row]
                .iter()
                .map(|&(to, weight)| weight / (degrees[row] * degrees[to as usize]).sqrt() * vector[to as usize])
                .sum();
            vector[row] - linked - value * vector[row]
        };
        (0..vector.len()).map(|row| difference(row).powi(2)).sum::<f64>().sqrt()
    }

    fn rows(count: usize, groups: usize) -> Vec<f32> {
        (0..count).flat_map(|i| [(i % groups) as f32 * 50.0 + (i * 37 % 101) as f32 * 0.1, (i * 53 % 97) as f32 * 0.1]).collect()
    }

    #[test]
    fn a_path_of_three_by_hand() {
        let path = Graph { neighbours: vec![vec![(1, 1.0)], vec![(0, 1.0), (2, 1.0)], vec![(1, 1.0)]] };
        for (found, by_hand) in spectrum(&path, 3).values.iter().zip([0.0, 1.0, 2.0]) {
            assert!((found - by_hand).abs() < 1e-12, "{found}");
        }
    }

    /// The spectrum printed for `SpRAy` in the thesis behind Heatmap Clustering is none: an elementwise product with `√d` for the matrix
    /// product with `d^-½`, so that 676 is plotted where no eigenvalue exceeds 2, and the largest are shown for the least.
    #[test]
    fn eigenvalues_lie_between_zero_and_two_with_a_zero_for_each_component() {
        // Few rows are solved as dense matrices, many are not.
        for (count, groups) in [(60, 1), (120, 3), (900, 1), (2400, 3)] {
            let graph = graph(rows(count, groups), 2, 10);
            assert_eq!(graph.components().iter().max(), Some(&(groups - 1)), "{count} rows");
            let Spectrum { values, vectors } = spectrum(&graph, groups + 4);
            assert!(values.is_sorted() && values[0] >= 0.0 && values[groups + 3] <= 2.0, "{values:?}");
            assert!(values[groups - 1].abs() < 1e-12 && values[groups] > 1e-4, "{values:?}");
            for (value, vector) in values.iter().zip(&vectors) {
                let length: f64 = vector.iter().map(|x| x * x).sum();
                assert!((length - 1.0).abs() < 1e-9, "{length}");
                assert!(residual(&graph, *value, vector) < 1e-6, "{count} rows, {value}");
            }
        }
    }

    #[test]
    fn components_are_joined_by_the_shortest_edges() {
        let mut graph = graph(vec![0.0, 1.0, 10.0, 11.0, 13.0, 14.0], 1, 1);
        let tree = [(0, 1, 1.0), (2, 3, 1.0), (4, 5, 1.0), (3, 4, 4.0), (1, 2, 81.0)].map(|(a, b, weight)| Edge { weight, a, b });
        graph.join(&tree, 2);
        assert_eq!(graph.components(), [0, 0, 1, 1, 1, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_graph_has_a_spectrum(values in proptest::collection::vec(-9..9_i8, 2..120), neighbours in 1..6_usize) {
            let graph = graph(values.iter().map(|&value| f32::from(value)).collect(), 1, neighbours);
            let components = graph.components().iter().max().unwrap() + 1;
            let Spectrum { values, vectors } = spectrum(&graph, values.len());
            prop_assert_eq!(values.iter().filter(|value| value.abs() < 1e-9).count(), components);
            prop_assert!(values.iter().all(|value| (0.0..=2.0).contains(value)));
            for (value, vector) in values.iter().zip(&vectors) {
                prop_assert!(residual(&graph, *value, vector) < 1e-9);
            }
        }
    }
}
