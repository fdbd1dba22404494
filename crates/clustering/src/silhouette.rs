use bezoar_core::{Clustering, Features, Pairwise};
use ndarray::ArrayView1;
use rayon::prelude::*;

use crate::canonical::numbers_by_size;
use crate::distances::Distances;

/// Mean silhouette coefficient of a clustering, -1 to 1, over Euclidean distances (Rousseeuw 1987).
///
/// Rows that are noise are left out. None with fewer than two clusters. As in scikit-learn, a row alone in its cluster counts 0.
pub fn silhouette(features: &Features, clustering: &Clustering) -> Option<f64> {
    // linfa 0.8.1 has a silhouette score too. It counts a row alone in its cluster as 1, gives NaN where all distances are
    // zero, sums in the order of a hash map, and takes some eight times as long.
    let sizes = clustering.sizes();
    if sizes.len() < 2 {
        return None;
    }
    let (rows, labels): (Vec<usize>, Vec<usize>) =
        clustering.labels.iter().enumerate().filter_map(|(row, label)| label.map(|label| (row, label as usize))).unzip();
    let distances = Distances::between(&features.select(&rows));
    let coefficients: Vec<f64> = distances
        .blocks()
        .into_par_iter()
        .flat_map_iter(|block| {
            let own = &labels[block.clone()];
            let of_block = distances.of(block);
            let coefficient = |(row, &own): (ArrayView1<'_, f64>, _)| coefficient(row.iter().copied(), &labels, own, &sizes);
            of_block.rows().into_iter().zip(own).map(coefficient).collect::<Vec<_>>()
        })
        .collect();
    Some(coefficients.iter().sum::<f64>() / coefficients.len() as f64)
}

/// The same over these distances, of clusters under any numbers.
pub(crate) fn silhouette_by(pairs: &Pairwise, labels: &[Option<usize>]) -> Option<f64> {
    let numbers = numbers_by_size(labels);
    if numbers.len() < 2 {
        return None;
    }
    let (rows, labels): (Vec<usize>, Vec<usize>) =
        labels.iter().enumerate().filter_map(|(row, label)| label.map(|label| (row, numbers[&label] as usize))).unzip();
    let mut sizes = vec![0; numbers.len()];
    for &label in &labels {
        sizes[label] += 1;
    }
    let coefficients: Vec<f64> = rows
        .par_iter()
        .zip(&labels)
        .map(|(&row, &own)| coefficient(rows.iter().map(|&other| f64::from(pairs.get(row, other))), &labels, own, &sizes))
        .collect();
    Some(coefficients.iter().sum::<f64>() / coefficients.len() as f64)
}

/// `(b - a) / max(a, b)`, where `a` is the mean distance to the other rows of the own cluster and `b` that to the nearest other
/// cluster.
fn coefficient(distances: impl Iterator<Item = f64>, labels: &[usize], own: usize, sizes: &[usize]) -> f64 {
    if sizes[own] == 1 {
        return 0.0;
    }
    let mut sums = vec![0.0; sizes.len()];
    for (distance, &label) in distances.zip(labels) {
        sums[label] += distance;
    }
    let within = sums[own] / (sizes[own] - 1) as f64;
    let others = (0..sizes.len()).filter(|&cluster| cluster != own);
    let nearest = others.map(|cluster| sums[cluster] / sizes[cluster] as f64).fold(f64::INFINITY, f64::min);
    let larger = within.max(nearest);
    if larger > 0.0 { (nearest - within) / larger } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clustering(labels: &[i32]) -> Clustering {
        Clustering::of(labels.iter().map(|&label| u32::try_from(label).ok()).collect())
    }

    #[test]
    fn two_tight_groups_far_apart_are_near_one() {
        let rows = Features::new(vec![1], vec![0.0, 0.1, 10.0, 10.1, 500.0]).unwrap();
        let value = silhouette(&rows, &clustering(&[0, 0, 1, 1, -1])).unwrap();
        let by_hand = (2.0 * (10.05 - 0.1) / 10.05 + 2.0 * (9.95 - 0.1) / 9.95) / 4.0;
        assert!((value - by_hand).abs() < 1e-7, "{value} and {by_hand}");
    }

    #[test]
    fn it_is_defined_wherever_there_are_two_clusters() {
        let rows = Features::new(vec![1], vec![0.0, 0.0, 0.0]).unwrap();
        assert_eq!(silhouette(&rows, &clustering(&[0, 0, 0])), None);
        assert_eq!(silhouette(&rows, &clustering(&[0, -1, 0])), None);
        assert_eq!(silhouette(&rows, &clustering(&[0, 0, 1])), Some(0.0), "equal rows give 0, not NaN");
        let apart = Features::new(vec![1], vec![0.0, 1.0, 3.0]).unwrap();
        let value = silhouette(&apart, &clustering(&[1, 1, 0])).unwrap();
        let by_hand = ((3.0 - 1.0) / 3.0 + (2.0 - 1.0) / 2.0 + 0.0) / 3.0;
        assert!((value - by_hand).abs() < 1e-9, "a row alone counts 0: {value}");
    }

    proptest! {
        #[test]
        fn it_lies_between_minus_one_and_one_and_ignores_names(
            rows in proptest::collection::vec((-5.0..5.0_f32, 0..3_u32), 3..40)
        ) {
            let features = Features::new(vec![1], rows.iter().map(|row| row.0).collect()).unwrap();
            let mut labels: Vec<Option<u32>> = rows.iter().map(|row| Some(row.1)).collect();
            labels[..3].copy_from_slice(&[Some(0), Some(1), Some(2)]);
            let value = silhouette(&features, &Clustering::of(labels.clone())).unwrap();
            prop_assert!((-1.0..=1.0).contains(&value));
            let renamed = labels.iter().map(|label| label.map(|label| (label + 1) % 3)).collect();
            let again = silhouette(&features, &Clustering::of(renamed)).unwrap();
            prop_assert!((value - again).abs() < 1e-12);
            let below = (0..rows.len()).flat_map(|row| (0..row).map(move |other| (row, other)));
            let pairs = Pairwise::new(rows.len(), below.map(|(a, b)| (rows[a].0 - rows[b].0).abs()).collect()).unwrap();
            let numbers: Vec<Option<usize>> = labels.iter().map(|label| label.map(|label| 7 * label as usize)).collect();
            prop_assert!((value - silhouette_by(&pairs, &numbers).unwrap()).abs() < 1e-5);
        }
    }
}
