use bezoar_core::{Clustering, Features};

use crate::mean::{mean, squared_to};

/// How far each row lies from the bulk of its class: its distance to the mean of the largest cluster, divided by the median of
/// these distances over all rows. Where the clusterer was given a distance, by that one: to the cluster's medoid, barycentre, or, where it has
/// neither, its rows in the mean.
///
/// A row of the bulk scores about 1 in every class, whatever the scale of the features, so that scores of different classes can be
/// ranked together. The decision has no part in it. If all rows are noise, their own mean stands for the bulk. If more than half of
/// the rows lie on the mean, the mean distance replaces the median; if all do, every score is 0.
pub fn distance_to_bulk(features: &Features, clustering: &Clustering) -> Vec<f64> {
    let mut scores = clustering.to_bulk.clone().unwrap_or_else(|| euclidean(features, clustering));
    let unit = [median(&scores), scores.iter().sum::<f64>() / scores.len() as f64].into_iter().find(|&unit| unit > 0.0);
    for score in &mut scores {
        *score /= unit.unwrap_or(1.0);
    }
    scores
}

/// The distances to the mean of the largest cluster.
fn euclidean(features: &Features, clustering: &Clustering) -> Vec<f64> {
    let largest = clustering.largest();
    let bulk = features.rows().zip(&clustering.labels).filter(|(_, label)| largest.is_none() || **label == largest).map(|(row, _)| row);
    let middle = mean(bulk);
    features.rows().map(|row| squared_to(row, &middle).sqrt()).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_distance_to_the_mean_of_the_largest_cluster_in_medians() {
        let rows = Features::new(vec![1], vec![-1.0, 1.0, -3.0, 3.0, 8.0]).unwrap();
        let clustering = Clustering::of(vec![Some(0), Some(0), Some(0), Some(0), Some(1)]);
        assert_eq!(distance_to_bulk(&rows, &clustering), [1.0 / 3.0, 1.0 / 3.0, 1.0, 1.0, 8.0 / 3.0]);
        let noise = Clustering::of(vec![None; 5]);
        assert!((distance_to_bulk(&rows, &noise)[4] - (8.0 - 1.6) / 2.6).abs() < 1e-12, "all noise: the mean of all rows");
    }

    #[test]
    fn it_is_finite_without_spread() {
        let same = Features::new(vec![2], vec![4.0; 8]).unwrap();
        assert_eq!(distance_to_bulk(&same, &Clustering::of(vec![Some(0); 4])), [0.0; 4]);
        let one_apart = Features::new(vec![1], vec![0.0, 0.0, 0.0, 6.0]).unwrap();
        let clustering = Clustering::of(vec![Some(0), Some(0), Some(0), Some(1)]);
        assert_eq!(distance_to_bulk(&one_apart, &clustering), [0.0, 0.0, 0.0, 4.0]);
    }

    proptest! {
        #[test]
        fn scale_and_place_of_the_features_do_not_matter(
            values in proptest::collection::vec(-1.0..1.0_f32, 4..40), scale in 0.5..100.0_f32, offset in -5.0..5.0_f32
        ) {
            let labels = (0..values.len()).map(|row| Some(u32::from(row % 3 == 0))).collect();
            let clustering = Clustering::of(labels);
            let moved = values.iter().map(|value| value * scale + offset).collect();
            let before = distance_to_bulk(&Features::new(vec![1], values).unwrap(), &clustering);
            let after = distance_to_bulk(&Features::new(vec![1], moved).unwrap(), &clustering);
            for (x, y) in before.iter().zip(&after) {
                prop_assert!((x - y).abs() <= 1e-3 * (1.0 + x), "{x} and {y}");
            }
        }
    }
}
