use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Error, Features, Plugin, Result, register};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::{Array1, ArrayView1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{percent, spare};
use crate::canonical::canonical_order;
use crate::matrix;

/// Accuses clusters that a straight cut tells from the rest of their class better than chance makes one.
///
/// Fisher's linear discriminant of a cluster against the rest, as *Finding and Removing Clever Hans* (arXiv 1912.11425) ranks what spectral
/// analysis of heatmaps finds: along the best direction, the share of the variance that lies between the two (the squared canonical correlation, 0 to 1).
/// The direction is fitted to half of the images and judged on the other half, and the other way round, so that chance separates nothing
/// where there are many columns. Cutting one normal bulk in half gives 2/π = 0.64 at most, a cluster of its own more. The largest cluster is
/// never accused; nor is noise, which belongs to the rest, nor an image alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fisher {
    /// The least share of the variance between an accused cluster and the rest.
    #[serde(default = "default_at_least")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub at_least: f64,
}

fn default_at_least() -> f64 {
    0.8
}

/// Added to the variance along each direction, as a part of the mean variance, so that directions without any divide nothing by zero.
const RIDGE: f64 = 1e-3;

impl Plugin for Fisher {
    type Kind = dyn Decision;
    const NAME: &'static str = "fisher";
    const PAPER: Option<&'static str> = Some("arXiv 1912.11425");

    fn example() -> Self {
        Self { at_least: default_at_least() }
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(Fisher);

impl Decision for Fisher {
    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let (sizes, largest) = (class.clustering.sizes(), class.clustering.largest());
        let mut separations = Vec::new();
        for cluster in (0..sizes.len() as u32).filter(|&cluster| Some(cluster) != largest) {
            cx.check()?;
            separations.push((cluster, separation(class.features, &class.clustering.labels, cluster)?));
        }
        let Some(&(_, best)) = separations.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return Ok(spare(class, "there is no cluster beside the largest"));
        };
        if best < self.at_least {
            return Ok(spare(
                class,
                format!("no cluster is separated by {} of the variance; the best by {}", percent(self.at_least), percent(best)),
            ));
        }
        let apart: Vec<u32> = separations.iter().filter(|(_, share)| *share >= self.at_least).map(|&(cluster, _)| cluster).collect();
        let flagged: Vec<bool> = class.clustering.labels.iter().map(|label| label.is_some_and(|label| apart.contains(&label))).collect();
        let accused = flagged.iter().filter(|&&flag| flag).count();
        let reason = format!(
            "{accused} images in {} of {} clusters, the best separated by {} of the variance",
            apart.len(),
            sizes.len(),
            percent(best)
        );
        Ok(Decided { flagged, reason, p_value: None, scores: None })
    }
}

/// The share of the variance along Fisher's direction that lies between a cluster and the rest, 0 to 1: the mean over both ways of fitting the
/// direction to one half of the rows and judging it on the other. 0 where a half lacks one of the two.
fn separation(features: &Features, labels: &[Option<u32>], cluster: u32) -> Result<f64> {
    let rows = matrix(features);
    // Every other row of the cluster and of the rest, in an order that the rows alone give.
    let mut seen = [0_usize; 2];
    let mut halves = [Vec::new(), Vec::new()];
    for row in canonical_order(features) {
        let inside = usize::from(labels[row] == Some(cluster));
        halves[seen[inside] % 2].push((rows.row(row), inside));
        seen[inside] += 1;
    }
    if seen.contains(&0) || seen.contains(&1) {
        return Ok(0.0);
    }
    let [one, other] = &halves;
    Ok(f64::midpoint(between(&direction(one)?, other), between(&direction(other)?, one)))
}

/// Rows, each of the rest (0) or of the cluster (1).
type Half<'a> = [(ArrayView1<'a, f64>, usize)];

/// Fisher's direction, from the rest to the cluster.
fn direction(half: &Half<'_>) -> Result<Vec<f64>> {
    let (count, width) = (half.len(), half[0].0.len());
    let means = [0, 1].map(|side| {
        let members = half.iter().filter(|(_, inside)| *inside == side).map(|(row, _)| row);
        let sum = members.clone().fold(Array1::zeros(width), |sum, row| sum + row);
        sum / members.count() as f64
    });
    let centred = Mat::from_fn(count, width, |row, column| half[row].0[column] - means[half[row].1][column]);
    let apart = &means[1] - &means[0];
    let mut within = centred.transpose() * &centred;
    let mean_variance = (0..width).map(|column| within[(column, column)]).sum::<f64>() / width as f64;
    if mean_variance <= 0.0 {
        return Ok(apart.to_vec());
    }
    for column in 0..width {
        within[(column, column)] += RIDGE * mean_variance;
    }
    let factors = within.llt(Side::Lower).map_err(|error| Error::request(format!("fisher: {error:?}")))?;
    let direction = factors.solve(&Mat::from_fn(width, 1, |column, _| apart[column]));
    Ok((0..width).map(|column| direction[(column, 0)]).collect())
}

/// The share of the variance along a direction that lies between the two; 0 where the cluster lies the other way.
fn between(direction: &[f64], half: &Half<'_>) -> f64 {
    let along = |row: &ArrayView1<'_, f64>| row.iter().zip(direction).map(|(value, part)| value * part).sum::<f64>();
    let places: Vec<(f64, usize)> = half.iter().map(|(row, inside)| (along(row), *inside)).collect();
    let sizes = [0, 1].map(|side| places.iter().filter(|(_, inside)| *inside == side).count() as f64);
    let means = [0, 1].map(|side| places.iter().filter(|(_, inside)| *inside == side).map(|(place, _)| place).sum::<f64>() / sizes[side]);
    let within = places.iter().map(|&(place, inside)| (place - means[inside]).powi(2)).sum::<f64>() / places.len() as f64;
    let share = sizes[1] / places.len() as f64;
    let between = share * (1.0 - share) * (means[1] - means[0]).max(0.0).powi(2);
    if between > 0.0 { between / (between + within) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Clustering;
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;

    fn decide(values: &[f32], width: usize, labels: &[u32]) -> Decided {
        let features = Features::new(vec![width], values.to_vec()).unwrap();
        let clustering = Clustering::of(labels.iter().copied().map(Some).collect());
        let class = ClusteredClass { features: &features, clustering: &clustering, silhouette: None, origin: None };
        Fisher::example().decide(&Context::quiet(0), &class).unwrap()
    }

    #[test]
    fn a_bulk_cut_in_half_is_spared_and_a_cluster_of_its_own_is_not() {
        // Quantiles of a normal distribution, cut at their middle, and the same with a clump far out.
        let bulk: Vec<f32> = (1..400).map(|i| f64::from(i) / 400.0).map(|p| (p.ln() - (1.0 - p).ln()) as f32).collect();
        let halves: Vec<u32> = bulk.iter().map(|&value| u32::from(value > 0.0)).collect();
        let spared = decide(&bulk, 1, &halves);
        assert!(!spared.flagged.contains(&true), "{}", spared.reason);
        let with_clump: Vec<f32> = bulk.iter().copied().chain((0..60).map(|i| 15.0 + i as f32 * 0.01)).collect();
        let labels: Vec<u32> = with_clump.iter().map(|&value| u32::from(value > 14.0)).collect();
        let found = decide(&with_clump, 1, &labels);
        assert_eq!(found.flagged.iter().filter(|&&flag| flag).count(), 60, "{}", found.reason);
    }

    #[test]
    fn clusters_without_spread_are_apart_unless_they_are_equal() {
        assert_eq!(decide(&[0.0, 0.0, 0.0, 1.0, 1.0], 1, &[0, 0, 0, 1, 1]).flagged, [false, false, false, true, true]);
        assert_eq!(decide(&[2.0; 5], 1, &[0, 0, 0, 1, 1]).flagged, [false; 5]);
        assert_eq!(decide(&[0.0, 0.0, 0.0, 1.0], 1, &[0, 0, 0, 1]).flagged, [false; 4], "one image has no other half");
    }

    /// Fitted and judged on the same rows, labels by chance separate 60 normal rows of 90 columns by 0.998.
    #[test]
    fn chance_separates_nothing_however_many_columns_there_are() {
        let mut rng = Context::quiet(0).rng("noise");
        // The sum of twelve draws is as good as normal.
        let rows: Vec<f32> = (0..60 * 90).map(|_| (0..12).map(|_| rng.random::<f32>() - 0.5).sum()).collect();
        let by_chance: Vec<u32> = (0..60).map(|row| u32::from(row % 3 == 0)).collect();
        let features = Features::new(vec![90], rows.clone()).unwrap();
        let share = separation(&features, &by_chance.iter().copied().map(Some).collect::<Vec<_>>(), 1).unwrap();
        assert!(share < 0.2, "{share}");
        let apart: Vec<f32> =
            rows.chunks(90).zip(&by_chance).flat_map(|(row, &label)| row.iter().map(move |x| x + 3.0 * label as f32)).collect();
        assert_eq!(decide(&apart, 90, &by_chance).flagged.iter().filter(|&&flag| flag).count(), 20);
    }

    proptest! {
        /// Fisher's direction does not care for units.
        #[test]
        fn scales_of_columns_hardly_matter(values in proptest::collection::vec(-1.0..1.0_f32, 60), scale in 0.5..2.0_f32) {
            let labels = [vec![0; 12], vec![1; 8]].concat();
            let of = |values: &[f32]| {
                let features = Features::new(vec![3], values.to_vec()).unwrap();
                separation(&features, &labels.iter().copied().map(Some).collect::<Vec<_>>(), 1).unwrap()
            };
            let scaled: Vec<f32> = values.chunks(3).flat_map(|row| [row[0] * scale, row[1], row[2]]).collect();
            let (before, after) = (of(&values), of(&scaled));
            prop_assert!((0.0..=1.0).contains(&before));
            prop_assert!((before - after).abs() < 0.01, "{before} and {after}");
        }
    }
}
