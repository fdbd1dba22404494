//! HDBSCAN's tree of clusters: which groups of rows there are at which density, and how long they last.

use bezoar_core::Membership;

use crate::disjoint_sets::DisjointSets;
use crate::spanning_tree::Edge;

/// A cluster and what becomes of it as density grows: rows leave it, or it splits. Densities are inverse distances.
struct Cluster {
    parent: Option<usize>,
    /// The density at which it split off its parent.
    birth: f64,
    size: usize,
}

/// The clusters of at least so many rows (Campello, Moulavi and Sander 2013). Parents stand before their children; the first cluster is
/// all rows.
pub(crate) struct CondensedTree {
    clusters: Vec<Cluster>,
    /// For each row, the last cluster that it is in, and the density at which it leaves it; infinite among equal rows.
    rows: Vec<(usize, f64)>,
}

/// Two groups that become one at some distance: rows below the number of rows, earlier merges above it.
struct Merge {
    children: [usize; 2],
    distance: f64,
    size: usize,
}

fn merges(count: usize, tree: &[Edge]) -> Vec<Merge> {
    let mut sets = DisjointSets::of(count);
    // What the set of each name stands for: a row, or the last merge.
    let mut groups: Vec<(usize, usize)> = (0..count).map(|row| (row, 1)).collect();
    let mut merges = Vec::with_capacity(tree.len());
    for edge in tree {
        let (a, b) = (sets.name(edge.a as usize), sets.name(edge.b as usize));
        let ((left, left_size), (right, right_size)) = (groups[a], groups[b]);
        let size = left_size + right_size;
        sets.join(a, b);
        groups[a] = (count + merges.len(), size);
        merges.push(Merge { children: [left, right], distance: edge.weight.sqrt(), size });
    }
    merges
}

impl CondensedTree {
    /// The clusters in a minimum spanning tree of squared distances, by weight.
    pub(crate) fn of(count: usize, tree: &[Edge], min_cluster_size: usize) -> Self {
        let merges = merges(count, tree);
        let size = |node: usize| if node < count { 1 } else { merges[node - count].size };
        let mut condensed =
            Self { clusters: vec![Cluster { parent: None, birth: 0.0, size: count }], rows: vec![(0, f64::INFINITY); count] };
        let mut open: Vec<(usize, usize)> = if merges.is_empty() { vec![] } else { vec![(count + merges.len() - 1, 0)] };
        while let Some((node, cluster)) = open.pop() {
            let Merge { children, distance, .. } = &merges[node - count];
            let density = if *distance > 0.0 { distance.recip() } else { f64::INFINITY };
            // Equal rows are no two clusters, however many there are.
            let is_split = density.is_finite() && children.iter().all(|&child| size(child) >= min_cluster_size);
            for &child in children {
                if is_split {
                    condensed.clusters.push(Cluster { parent: Some(cluster), birth: density, size: size(child) });
                    open.push((child, condensed.clusters.len() - 1));
                } else if size(child) >= min_cluster_size && density.is_finite() {
                    open.push((child, cluster));
                } else {
                    condensed.leave(count, &merges, child, (cluster, density));
                }
            }
        }
        // A child of one row cannot be opened: where clusters may be so small, it ends as it was born.
        condensed
    }

    /// All rows below a node leave a cluster.
    fn leave(&mut self, count: usize, merges: &[Merge], node: usize, exit: (usize, f64)) {
        let mut below = vec![node];
        while let Some(node) = below.pop() {
            if node < count {
                self.rows[node] = exit;
            } else {
                below.extend(merges[node - count].children);
            }
        }
    }

    /// The sum over a cluster's rows of how long they stay, from its birth to their leaving or its split. Equal rows are held to stay until the
    /// greatest density of rows that differ: without an end, a handful of them would outlast any cluster around them.
    fn stabilities(&self) -> Vec<f64> {
        let densest = self.deaths().into_iter().fold(0.0, f64::max);
        let mut stabilities = vec![0.0; self.clusters.len()];
        for &(cluster, density) in &self.rows {
            stabilities[cluster] += density.min(densest) - self.clusters[cluster].birth;
        }
        for child in &self.clusters {
            if let Some(parent) = child.parent {
                stabilities[parent] += (child.birth - self.clusters[parent].birth) * child.size as f64;
            }
        }
        stabilities
    }

    /// The clusters that last longer than all clusters within them together (excess of mass), each for itself and those within it.
    fn chosen(&self, allow_single_cluster: bool) -> Vec<Option<usize>> {
        let mut stabilities = self.stabilities();
        let mut within = vec![0.0; self.clusters.len()];
        let mut is_chosen = vec![true; self.clusters.len()];
        is_chosen[0] = allow_single_cluster;
        for cluster in (0..self.clusters.len()).rev() {
            if within[cluster] > stabilities[cluster] {
                is_chosen[cluster] = false;
                stabilities[cluster] = within[cluster];
            }
            if let Some(parent) = self.clusters[cluster].parent {
                within[parent] += stabilities[cluster];
            }
        }
        let mut chosen: Vec<Option<usize>> = Vec::with_capacity(self.clusters.len());
        for (cluster, Cluster { parent, .. }) in self.clusters.iter().enumerate() {
            let above = parent.and_then(|parent| chosen[parent]);
            chosen.push(above.or(is_chosen[cluster].then_some(cluster)));
        }
        chosen
    }

    /// The greatest finite density at which something leaves each cluster.
    fn deaths(&self) -> Vec<f64> {
        let mut deaths = vec![0.0_f64; self.clusters.len()];
        for &(cluster, density) in self.rows.iter().filter(|(_, density)| density.is_finite()) {
            deaths[cluster] = deaths[cluster].max(density);
        }
        for child in &self.clusters {
            if let Some(parent) = child.parent {
                deaths[parent] = deaths[parent].max(child.birth);
            }
        }
        deaths
    }

    /// The cluster of each row, none for noise, with how firmly it belongs and how far out it lies (GLOSH).
    pub(crate) fn cut(&self, allow_single_cluster: bool) -> (Vec<Option<usize>>, Membership) {
        let chosen = self.chosen(allow_single_cluster);
        let deaths = self.deaths();
        // If all rows are one cluster, it is of those that stay until it ends.
        let labels: Vec<Option<usize>> =
            self.rows.iter().map(|&(cluster, density)| chosen[cluster].filter(|&chosen| chosen > 0 || density >= deaths[0])).collect();
        let strength = |(&(_, density), label): (&(usize, f64), &Option<usize>)| {
            let death = label.map_or(f64::INFINITY, |cluster| deaths[cluster]);
            if label.is_none() {
                0.0
            } else if death > 0.0 {
                (density / death).min(1.0)
            } else {
                1.0
            }
        };
        let strengths = self.rows.iter().zip(&labels).map(strength).collect();
        let mut last = deaths;
        for (cluster, Cluster { parent, .. }) in self.clusters.iter().enumerate().rev() {
            if let Some(parent) = *parent {
                last[parent] = last[parent].max(last[cluster]);
            }
        }
        let outlier = |&(cluster, density): &(usize, f64)| {
            if last[cluster] > 0.0 && density < last[cluster] { (last[cluster] - density) / last[cluster] } else { 0.0 }
        };
        let outliers = self.rows.iter().map(outlier).collect();
        (labels, Membership { strengths, outliers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows on a line, each joined to the next.
    fn line(places: &[f64]) -> Vec<Edge> {
        let mut edges: Vec<Edge> =
            (1..places.len() as u32).map(|b| Edge { weight: (places[b as usize] - places[b as usize - 1]).powi(2), a: b - 1, b }).collect();
        edges.sort_by(|a, b| a.weight.total_cmp(&b.weight));
        edges
    }

    fn cut(places: &[f64], min_cluster_size: usize) -> (Vec<Option<usize>>, Membership) {
        CondensedTree::of(places.len(), &line(places), min_cluster_size).cut(false)
    }

    #[test]
    fn a_few_equal_rows_do_not_break_the_group_around_them() {
        let group = (0..24_u8).map(f64::from);
        let places: Vec<f64> = group.chain([100.0, 101.0, 102.0, 103.0, 104.0, 105.0]).collect();
        let mut equal = places.clone();
        equal.splice(10..10, [10.0; 4]);
        let groups = |places: &[f64]| cut(places, 5).0.into_iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!([groups(&places), groups(&equal)], [2, 2]);
    }

    #[test]
    fn two_groups_by_hand() {
        // The groups part at distance 6, density 1/6. The last row leaves the second one at distance 2.
        let (labels, membership) = cut(&[0.0, 1.0, 2.0, 8.0, 9.0, 10.0, 12.0], 3);
        assert_eq!(labels[0], labels[2]);
        assert_ne!(labels[0], labels[3]);
        assert_eq!(labels[3], labels[6]);
        assert_eq!(membership.strengths, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
        assert_eq!(membership.outliers, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
    }

    /// The Python package divides by an infinite density, so that one pair of equal rows leaves all others of its cluster at strength 0.
    #[test]
    fn equal_rows_take_no_strength_from_others() {
        let (labels, membership) = cut(&[0.0, 0.0, 1.0, 2.0, 9.0, 10.0, 11.0], 3);
        assert_eq!(labels.iter().filter(|label| **label == labels[0]).count(), 4);
        assert_eq!(membership.strengths, [1.0; 7]);
        assert_eq!(membership.outliers, [0.0; 7]);
    }

    #[test]
    fn equal_rows_are_no_two_clusters() {
        assert_eq!(cut(&[3.0; 20], 2).0, [None; 20]);
        let mut places = vec![0.0; 10];
        places.extend([5.0; 6]);
        let labels = cut(&places, 2).0;
        assert!(labels[..10].iter().all(|label| label.is_some() && *label == labels[0]));
        assert!(labels[10..].iter().all(|label| label.is_some() && *label == labels[10] && *label != labels[0]));
    }

    #[test]
    fn no_rows_and_one_row_are_noise() {
        assert_eq!(cut(&[], 2).0, []);
        assert_eq!(cut(&[1.0], 2).0, [None]);
    }
}
