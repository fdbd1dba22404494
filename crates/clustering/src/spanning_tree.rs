//! The minimum spanning tree of rows whose distances are all known only to whoever measures them.

use std::ops::Range;

use bezoar_core::{Context, Pairwise, Result};
use rayon::prelude::*;

use crate::neighbours::{LANES, Neighbours, Rows, TILE_COLUMNS, TILE_ROWS, ranges};

/// Blocks of rows that are looked through before what they show is used for the next ones: fixed, so that threads change nothing.
const WAVE: usize = 16;

/// Neighbours that are looked up to begin the tree with: more of them leave less to look for afterwards.
pub(crate) const NEIGHBOURS: usize = 15;

/// Two rows and what joins them: their squared distance, or a greater core distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) weight: f64,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

impl Edge {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.weight.total_cmp(&other.weight).then(self.a.cmp(&other.a)).then(self.b.cmp(&other.b))
    }
}

/// Rows joined by edges, lightest first (Kruskal 1956).
pub(crate) struct Forest {
    /// The edges that were needed, by weight.
    pub(crate) edges: Vec<Edge>,
    parents: Vec<u32>,
    /// What joined each row to its parent.
    weights: Vec<f64>,
    sizes: Vec<u32>,
}

impl Forest {
    pub(crate) fn of(rows: usize, mut edges: Vec<Edge>) -> Self {
        edges.sort_unstable_by(Edge::order);
        let mut forest = Self {
            edges: Vec::with_capacity(rows.saturating_sub(1)),
            parents: (0..rows as u32).collect(),
            weights: vec![f64::INFINITY; rows],
            sizes: vec![1; rows],
        };
        for edge in edges {
            forest.join(edge);
        }
        forest
    }

    fn join(&mut self, edge: Edge) {
        let (a, b) = (self.root(edge.a as usize), self.root(edge.b as usize));
        if a != b {
            let (small, large) = if self.sizes[a] < self.sizes[b] { (a, b) } else { (b, a) };
            self.sizes[large] += self.sizes[small];
            self.parents[small] = large as u32;
            self.weights[small] = edge.weight;
            self.edges.push(edge);
        }
    }

    /// The row that stands for all that are joined to this one. Paths stay short since the smaller side is hung below the larger one.
    pub(crate) fn root(&self, mut row: usize) -> usize {
        while self.parents[row] as usize != row {
            row = self.parents[row] as usize;
        }
        row
    }

    /// The heaviest edge on the path between two rows; infinite where there is none.
    fn bottleneck(&self, mut a: usize, mut b: usize) -> f64 {
        // Weights only grow towards the root, since heavier edges were joined later.
        let mut heaviest = f64::NEG_INFINITY;
        while a != b {
            let (up_a, up_b) = (self.weights[a], self.weights[b]);
            if up_a.is_infinite() && up_b.is_infinite() {
                return f64::INFINITY;
            }
            let lower = if up_a <= up_b { &mut a } else { &mut b };
            heaviest = heaviest.max(self.weights[*lower]);
            *lower = self.parents[*lower] as usize;
        }
        heaviest
    }

    /// All rows so that joined ones stand together: the heaviest edge between two of them is the heaviest step between their places.
    fn order(&self) -> Vec<usize> {
        let rows = self.parents.len();
        let mut joined = Self::of(rows, Vec::new());
        let mut next: Vec<usize> = vec![usize::MAX; rows];
        let (mut heads, mut tails): (Vec<usize>, Vec<usize>) = ((0..rows).collect(), (0..rows).collect());
        for &edge in &self.edges {
            let (a, b) = (joined.root(edge.a as usize), joined.root(edge.b as usize));
            next[tails[a]] = heads[b];
            let (head, tail) = (heads[a], tails[b]);
            joined.join(edge);
            let root = joined.root(a);
            (heads[root], tails[root]) = (head, tail);
        }
        let roots = (0..rows).filter(|&row| joined.root(row) == row);
        let mut order = Vec::with_capacity(rows);
        for root in roots {
            let mut row = heads[root];
            while row != usize::MAX {
                order.push(row);
                row = next[row];
            }
        }
        order
    }
}

/// The minimum spanning tree of distances that are known, where rows are no nearer than their squared `cores` (Prim 1957).
pub(crate) fn of_pairs(cx: &Context, pairs: &Pairwise, cores: &[f64]) -> Result<Vec<Edge>> {
    let rows = pairs.len();
    let mut edges = Vec::with_capacity(rows.saturating_sub(1));
    let mut nearest: Vec<Edge> = (0..rows as u32).map(|b| Edge { weight: f64::INFINITY, a: 0, b }).collect();
    let mut outside: Vec<usize> = (1..rows).collect();
    let mut last = 0;
    while !outside.is_empty() {
        cx.check()?;
        for &row in &outside {
            let weight = f64::from(pairs.get(last, row)).powi(2).max(cores[last]).max(cores[row]);
            if weight < nearest[row].weight {
                nearest[row] = Edge { weight, a: last as u32, b: row as u32 };
            }
        }
        let (at, _) = outside
            .iter()
            .enumerate()
            .fold((0, f64::INFINITY), |best, (at, &row)| if nearest[row].weight < best.1 { (at, nearest[row].weight) } else { best });
        // `remove` keeps the order, and with it which of equal ones comes first.
        last = outside.remove(at);
        edges.push(nearest[last]);
    }
    edges.sort_unstable_by(Edge::order);
    Ok(edges)
}

/// The minimum spanning tree by Euclidean distance, where rows are no nearer than their squared `cores`; exact, and without a table of
/// distances.
///
/// Nearest neighbours and bridges between their groups make a tree that is nearly right. Then all pairs are looked at once: a pair whose
/// distance is not below the heaviest edge on the tree's path between them is no edge of the minimum spanning tree, and with the tree's
/// rows in its own order that edge is the maximum of a range. The few pairs that are left, and the tree, hold the minimum spanning tree.
pub(crate) fn of_rows(cx: &Context, rows: &Rows<'_>, neighbours: &Neighbours, cores: &[f64]) -> Result<Vec<Edge>> {
    let near = |row: usize| neighbours.of(row).iter().map(move |&(other, squared)| edge(row, other as usize, squared, cores));
    let mut forest = Forest::of(rows.len(), (0..rows.len()).flat_map(near).collect());
    let bridges = bridges(rows, &forest, cores);
    if !bridges.is_empty() {
        forest = Forest::of(rows.len(), [std::mem::take(&mut forest.edges), bridges].concat());
    }
    let order = forest.order();
    let features = rows.select(&order);
    let sorted = Rows::of(&features);
    let cores: Vec<f64> = order.iter().map(|&row| cores[row]).collect();
    let mut place = vec![0_u32; order.len()];
    for (position, &row) in order.iter().enumerate() {
        place[row] = position as u32;
    }
    let moved = |edge: &Edge| Edge { weight: edge.weight, a: place[edge.a as usize], b: place[edge.b as usize] };
    let mut forest = Forest::of(rows.len(), forest.edges.iter().map(moved).collect());
    for wave in ranges(rows.len(), TILE_ROWS).chunks(WAVE) {
        cx.check()?;
        let steps: Vec<f64> = (1..order.len()).map(|row| forest.bottleneck(row - 1, row)).collect();
        let found: Vec<Vec<Edge>> = wave.par_iter().map(|block| lighter(&sorted, block.clone(), &steps, &cores)).collect();
        if found.iter().any(|found| !found.is_empty()) {
            forest = Forest::of(rows.len(), found.into_iter().fold(std::mem::take(&mut forest.edges), |all, found| [all, found].concat()));
        }
    }
    let back = |edge: &Edge| {
        let (a, b) = (order[edge.a as usize] as u32, order[edge.b as usize] as u32);
        Edge { weight: edge.weight, a: a.min(b), b: a.max(b) }
    };
    let mut edges: Vec<Edge> = forest.edges.iter().map(back).collect();
    edges.sort_unstable_by(Edge::order);
    Ok(edges)
}

fn edge(a: usize, b: usize, squared: f64, cores: &[f64]) -> Edge {
    Edge { weight: squared.max(cores[a]).max(cores[b]), a: a.min(b) as u32, b: a.max(b) as u32 }
}

/// Edges that join all trees of a forest: between trees whose centres are near, from about the nearest rows.
fn bridges(rows: &Rows<'_>, forest: &Forest, cores: &[f64]) -> Vec<Edge> {
    let mut members: std::collections::BTreeMap<usize, Vec<usize>> = std::collections::BTreeMap::new();
    for row in 0..rows.len() {
        members.entry(forest.root(row)).or_default().push(row);
    }
    let trees: Vec<Vec<usize>> = members.into_values().collect();
    let centres: Vec<Vec<f64>> = trees.iter().map(|tree| rows.centre(tree)).collect();
    let nearest = |tree: &[usize], distance: &dyn Fn(usize) -> f64| {
        tree.iter().fold((usize::MAX, f64::INFINITY), |best, &row| {
            let distance = distance(row);
            if best.0 == usize::MAX || distance < best.1 { (row, distance) } else { best }
        })
    };
    let mut bridges = Vec::new();
    let mut to: Vec<(usize, f64)> = vec![(0, f64::INFINITY); trees.len()];
    let mut outside: Vec<usize> = (1..trees.len()).collect();
    let mut last = 0;
    while !outside.is_empty() {
        for &tree in &outside {
            let squared: f64 = centres[tree].iter().zip(&centres[last]).map(|(x, y)| (x - y) * (x - y)).sum();
            if squared < to[tree].1 {
                to[tree] = (last, squared);
            }
        }
        let at = (0..outside.len()).fold(0, |best, at| if to[outside[at]].1 < to[outside[best]].1 { at } else { best });
        last = outside.remove(at);
        let (here, there) = (&trees[last], &trees[to[last].0]);
        let (a, _) = nearest(here, &|row| rows.squared_to(row, &centres[to[last].0]));
        let (b, _) = nearest(there, &|row| rows.squared(row, a));
        let (a, squared) = nearest(here, &|row| rows.squared(row, b));
        bridges.push(edge(a, b, squared, cores));
    }
    bridges
}

/// Edges between a block of rows and all rows before them that are lighter than the heaviest step between their places. Where they
/// become many, those that close a circle of lighter ones are dropped.
fn lighter(rows: &Rows<'_>, block: Range<usize>, steps: &[f64], cores: &[f64]) -> Vec<Edge> {
    let many = 2 * rows.len() + (1 << 16);
    let uncertain = 1.0 - rows.uncertainty();
    let squares: Vec<f32> = rows.squares()[..block.end].iter().map(|square| square * uncertain).collect();
    let mut found = Vec::new();
    // The heaviest step between each row of the block and the columns that were looked at.
    let mut heaviest = vec![0.0_f64; block.len()];
    let mut products = Vec::new();
    let consider = |row: usize, column: usize, heaviest: f64, found: &mut Vec<Edge>| {
        if cores[row].max(cores[column]) < heaviest {
            let edge = edge(row, column, rows.squared(row, column), cores);
            if edge.weight < heaviest {
                found.push(edge);
                if found.len() > many {
                    *found = Forest::of(rows.len(), std::mem::take(found)).edges;
                }
            }
        }
    };
    for row in block.clone() {
        for column in (block.start..row).rev() {
            let heaviest = &mut heaviest[row - block.start];
            *heaviest = heaviest.max(steps[column]);
            consider(row, column, *heaviest, &mut found);
        }
    }
    for columns in ranges(block.start, TILE_COLUMNS).into_iter().rev() {
        rows.products(block.clone(), columns.clone(), &mut products);
        // The heaviest step from each column to the end of the tile and on to the next column, and the same as estimates are.
        let mut suffix: Vec<f64> = steps[columns.clone()].to_vec();
        for column in (1..suffix.len()).rev() {
            suffix[column - 1] = suffix[column - 1].max(suffix[column]);
        }
        let scaled: Vec<f32> = suffix.iter().map(|&step| rows.scaled(step)).collect();
        for (row, products) in block.clone().zip(products.chunks_exact(columns.len())) {
            let so_far = heaviest[row - block.start];
            let (own, limit) = (squares[row] - rows.underflow(), rows.scaled(so_far));
            let tile = products.chunks(LANES).zip(squares[columns.clone()].chunks(LANES)).zip(scaled.chunks(LANES));
            for (chunk, ((products, squares), steps)) in tile.enumerate() {
                let near = |product: f32, square: f32, step: f32| own + square - 2.0 * product < limit.max(step);
                let lanes = products.iter().zip(squares).zip(steps);
                if lanes.clone().filter(|((product, square), step)| near(**product, **square, **step)).count() == 0 {
                    continue;
                }
                for (lane, ((&product, &square), &step)) in lanes.enumerate() {
                    if near(product, square, step) {
                        let column = chunk * LANES + lane;
                        consider(row, columns.start + column, so_far.max(suffix[column]), &mut found);
                    }
                }
            }
            heaviest[row - block.start] = so_far.max(suffix[0]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use bezoar_core::Features;
    use proptest::prelude::*;

    use super::*;

    /// Clouds far and near, rows that are equal, and rows on a grid, whose distances are often equal.
    fn rows() -> impl Strategy<Value = Features> {
        let row = (0..4_u8, any::<bool>(), proptest::array::uniform3(-1.0..1.0_f32));
        proptest::collection::vec(row, 2..400).prop_map(|rows| {
            let place = |(cloud, on_grid, row): (u8, bool, [f32; 3])| {
                row.map(|x| (if on_grid { (x * 2.0).round() } else { x }) + f32::from(cloud * cloud) * 2.0)
            };
            let mut rows: Vec<[f32; 3]> = rows.into_iter().map(place).collect();
            rows.extend_from_within(..rows.len() / 8);
            Features::new(vec![3], rows.concat()).unwrap()
        })
    }

    fn pairs(features: &Features) -> Pairwise {
        let distance = |(row, other): (usize, usize)| {
            let squares = features.row(row).iter().zip(features.row(other)).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2));
            squares.sum::<f64>().sqrt() as f32
        };
        let below = (0..features.len()).flat_map(|row| (0..row).map(move |other| (row, other)));
        Pairwise::new(features.len(), below.map(distance).collect()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rows_and_their_distances_have_the_same_tree(features in rows(), reach in 1..8_usize) {
            let cx = Context::quiet(0);
            let rows = Rows::of(&features);
            let neighbours = Neighbours::of_rows(&cx, &rows, reach).unwrap();
            let cores: Vec<f64> = (0..features.len()).map(|row| neighbours.of(row).last().map_or(0.0, |last| last.1)).collect();
            let found = of_rows(&cx, &rows, &neighbours, &cores).unwrap();
            let known = of_pairs(&cx, &pairs(&features), &cores).unwrap();
            prop_assert_eq!(found.len(), features.len() - 1);
            for (ours, theirs) in found.iter().zip(&known) {
                prop_assert!((ours.weight - theirs.weight).abs() <= 1e-5 * theirs.weight, "{ours:?} and {theirs:?}");
            }
            prop_assert_eq!(Forest::of(features.len(), found).edges.len(), features.len() - 1, "all rows are joined");
        }

        #[test]
        fn the_heaviest_step_between_places_is_the_heaviest_edge_between_rows(features in rows()) {
            let known = of_pairs(&Context::quiet(0), &pairs(&features), &vec![0.0; features.len()]).unwrap();
            let forest = Forest::of(features.len(), known);
            let order = forest.order();
            let mut heaviest = 0.0_f64;
            for places in order.windows(2) {
                heaviest = heaviest.max(forest.bottleneck(places[0], places[1]));
                prop_assert!((forest.bottleneck(order[0], places[1]) - heaviest).abs() <= 0.0);
            }
        }
    }
}
