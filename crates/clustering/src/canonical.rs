//! Clustering that neither the order of the rows nor an algorithm's own numbering of clusters can change.

use std::collections::BTreeMap;

use bezoar_core::{Clustering, Error, Features, Membership, Pairwise, Result};
use rayon::prelude::*;

use crate::silhouette::silhouette_by;

/// The numbers of the rows in lexicographic order of their values. Only equal rows are interchangeable.
pub(crate) fn canonical_order(features: &Features) -> Vec<usize> {
    // First values lie side by side here: most comparisons look at nothing else.
    let mut order: Vec<(f32, usize)> = features.rows().enumerate().map(|(row, values)| (values[0], row)).collect();
    order.par_sort_by(|(first, a), (second, b)| {
        let rest = || {
            let pairs = features.row(*a).iter().zip(features.row(*b));
            pairs.map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        };
        first.total_cmp(second).then_with(rest)
    });
    order.into_iter().map(|(_, row)| row).collect()
}

/// What `change` makes of the rows in canonical order, put back into the order in which they came.
///
/// # Errors
/// When a row is not finite, and what `change` says.
pub(crate) fn change_canonically(features: &Features, change: impl FnOnce(&Features) -> Result<Features>) -> Result<Features> {
    check_finite(features)?;
    let order = canonical_order(features);
    let changed = change(&features.select(&order)).map_err(|error| error.among(&order))?;
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &row)| places[row] = place);
    Ok(changed.select(&places))
}

fn check_finite(features: &Features) -> Result<()> {
    features.first_not_finite().map_or(Ok(()), |row| Err(Error::row(row, "holds a NaN or an infinity")))
}

/// How far each row is from the middle of a cluster, by the algorithm's own numbers.
type ToMiddle<'a> = Box<dyn FnOnce(usize) -> Result<Vec<f64>> + 'a>;

/// What an algorithm finds in rows in canonical order.
pub(crate) struct Found<'a> {
    /// The cluster of each row under the algorithm's own numbers; none for noise.
    pub(crate) labels: Vec<Option<usize>>,
    pub(crate) membership: Option<Membership>,
    /// Asked of the largest cluster alone.
    pub(crate) to_middle: Option<ToMiddle<'a>>,
    pub(crate) silhouette: Option<f64>,
}

impl Found<'_> {
    /// Clusters that were found by these distances, if any: a row is then as far from the middle of a cluster as from its other rows in the
    /// mean.
    pub(crate) fn by(labels: Vec<Option<usize>>, membership: Option<Membership>, pairs: Option<Pairwise>) -> Self {
        let Some(pairs) = pairs else { return Self { membership, ..labels.into() } };
        let silhouette = silhouette_by(&pairs, &labels);
        let of = labels.clone();
        let to_middle = move |cluster| {
            let members: Vec<usize> = (0..of.len()).filter(|&row| of[row] == Some(cluster)).collect();
            let mean = |row: usize| {
                let others = members.len() - usize::from(of[row] == Some(cluster));
                members.iter().map(|&member| f64::from(pairs.get(row, member))).sum::<f64>() / others.max(1) as f64
            };
            Ok((0..of.len()).map(mean).collect())
        };
        Self { labels, membership, to_middle: Some(Box::new(to_middle)), silhouette }
    }
}

impl From<Vec<Option<usize>>> for Found<'_> {
    fn from(labels: Vec<Option<usize>>) -> Self {
        Self { labels, membership: None, to_middle: None, silhouette: None }
    }
}

/// Runs `cluster` on the rows in canonical order, so that seeded draws and ties fall to the same rows in whatever order they
/// came. Clusters are then numbered by size, largest first, equal ones by their first row in that order.
///
/// # Errors
/// When there are fewer than `min_rows` rows or one is not finite, and what `cluster` says.
pub(crate) fn cluster_canonically<'a, F: Into<Found<'a>>>(
    features: &Features,
    min_rows: usize,
    cluster: impl FnOnce(&Features) -> Result<F>,
) -> Result<Clustering> {
    if features.len() < min_rows {
        return Err(Error::request(format!("{} rows are too few to cluster: at least {min_rows} are needed", features.len())));
    }
    check_finite(features)?;
    let order = canonical_order(features);
    let Found { labels: found, membership, to_middle, silhouette } =
        cluster(&features.select(&order)).map_err(|error| error.among(&order))?.into();
    let numbers = numbers_by_size(&found);
    let mut labels = vec![None; features.len()];
    for (&row, label) in order.iter().zip(&found) {
        labels[row] = label.map(|label| numbers[&label]);
    }
    let restored = |values: &[f64]| {
        let mut restored = vec![0.0; values.len()];
        for (&row, &value) in order.iter().zip(values) {
            restored[row] = value;
        }
        restored
    };
    let membership = membership.map(|found| Membership { strengths: restored(&found.strengths), outliers: restored(&found.outliers) });
    let largest = numbers.iter().find(|(_, number)| **number == 0).map(|(&own, _)| own);
    let to_bulk = to_middle
        .zip(largest)
        .map(|(far_from, largest)| far_from(largest))
        .transpose()
        .map_err(|error| error.among(&order))?
        .map(|far| restored(&far));
    Ok(Clustering { labels, membership, to_bulk, silhouette })
}

/// Numbers for the clusters, from 0: the largest first, of equal ones that with the first row.
pub(crate) fn numbers_by_size(labels: &[Option<usize>]) -> BTreeMap<usize, u32> {
    let mut sizes = BTreeMap::new();
    for (row, &label) in labels.iter().enumerate() {
        if let Some(label) = label {
            sizes.entry(label).or_insert((0_usize, row)).0 += 1;
        }
    }
    let mut clusters: Vec<_> = sizes.into_iter().collect();
    clusters.sort_by_key(|&(_, (size, first))| (std::cmp::Reverse(size), first));
    clusters.into_iter().zip(0..).map(|((label, _), number)| (label, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_numbered_by_size_then_by_first_row() {
        let rows = Features::new(vec![1], vec![5.0, 4.0, 3.0, 2.0, 1.0, 0.0]).unwrap();
        let found = cluster_canonically(&rows, 2, |sorted| {
            assert_eq!(sorted.values(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
            Ok(vec![Some(7), None, Some(3), Some(9), Some(9), Some(3)])
        });
        assert_eq!(found.unwrap().labels, [Some(0), Some(1), Some(1), Some(0), None, Some(2)]);
    }

    #[test]
    fn errors_name_rows_by_the_order_in_which_they_came() {
        let rows = Features::new(vec![1], vec![3.0, 1.0, 2.0]).unwrap();
        let clustered = cluster_canonically(&rows, 1, |_| -> Result<Found<'_>> { Err(Error::row(0, "is odd")) });
        assert_eq!(clustered.unwrap_err().to_string(), "row 1 of the features: is odd");
        let changed = change_canonically(&rows, |_| Err(Error::row(2, "is odd")));
        assert_eq!(changed.unwrap_err().to_string(), "row 0 of the features: is odd");
    }

    #[test]
    fn middles_by_distances_are_means_over_the_other_rows() {
        let rows = Features::new(vec![1], vec![0.0, 1.0, 3.0, 10.0]).unwrap();
        let found = cluster_canonically(&rows, 1, |rows| {
            let below = |row: usize| (0..row).map(move |other| (row, other));
            let distances = (0..4).flat_map(below).map(|(a, b)| rows.row(a)[0] - rows.row(b)[0]).collect();
            Ok(Found::by(vec![Some(1), Some(1), Some(1), None], None, Some(Pairwise::new(4, distances)?)))
        });
        let found = found.unwrap();
        assert_eq!(found.to_bulk.unwrap(), [2.0, 1.5, 2.5, 26.0 / 3.0]);
        assert_eq!(found.silhouette, None, "one cluster");
    }

    #[test]
    fn rows_that_cannot_be_clustered_are_refused() {
        let rows = Features::new(vec![1], vec![0.0, f32::NAN]).unwrap();
        let refused = |min_rows| {
            cluster_canonically(&rows, min_rows, |_| -> Result<Found<'_>> { unreachable!("refused before") }).unwrap_err().to_string()
        };
        assert_eq!(refused(3), "2 rows are too few to cluster: at least 3 are needed");
        assert_eq!(refused(2), "row 1 of the features: holds a NaN or an infinity");
    }
}
