use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Error, Plugin, Result, register};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{percent, spare};
use crate::matrix;

/// Accuses clusters that a straight cut tells from the rest of their class better than chance makes one.
///
/// Fisher's linear discriminant of a cluster against the rest, as *Finding and Removing Clever Hans* (arXiv 1912.11425) ranks what spectral
/// analysis of heatmaps finds: along the best direction, the share of the variance that lies between the two (the squared canonical correlation, 0 to 1).
/// Cutting one normal bulk in half gives 2/π = 0.64, a cluster of its own more. The largest cluster is never accused; nor is noise, which
/// belongs to the rest.
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
            separations.push((cluster, separation(class, cluster)?));
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

/// The share of the variance along Fisher's direction that lies between a cluster and the rest, 0 to 1.
fn separation(class: &ClusteredClass<'_>, cluster: u32) -> Result<f64> {
    let rows = matrix(class.features);
    let (count, width) = rows.dim();
    let inside: Vec<bool> = class.clustering.labels.iter().map(|&label| label == Some(cluster)).collect();
    let members = inside.iter().filter(|&&inside| inside).count();
    if members == count {
        return Ok(0.0);
    }
    let mut means = [vec![0.0; width], vec![0.0; width]];
    for (row, &inside) in rows.rows().into_iter().zip(&inside) {
        for (sum, value) in means[usize::from(inside)].iter_mut().zip(row) {
            *sum += value;
        }
    }
    for (mean, size) in means.iter_mut().zip([count - members, members]) {
        for sum in mean {
            *sum /= size as f64;
        }
    }
    let centred = Mat::from_fn(count, width, |row, column| rows[[row, column]] - means[usize::from(inside[row])][column]);
    let mut within = centred.transpose() * &centred;
    let mean_variance = (0..width).map(|column| within[(column, column)]).sum::<f64>() / width as f64;
    let between = Mat::from_fn(width, 1, |column, _| means[1][column] - means[0][column]);
    if mean_variance <= 0.0 {
        return Ok(f64::from(u8::from(between.norm_max() > 0.0)));
    }
    for column in 0..width {
        within[(column, column)] += RIDGE * mean_variance;
    }
    let factors = within.llt(Side::Lower).map_err(|error| Error::request(format!("fisher: {error:?}")))?;
    let direction = factors.solve(&between);
    // With weights p and 1 - p of the two, the variance between them is p (1 - p) d², the one within 1 in these units.
    let squared = (between.transpose() * direction)[(0, 0)] * count as f64;
    let share = members as f64 / count as f64;
    let between = share * (1.0 - share) * squared;
    Ok(between / (1.0 + between))
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Clustering, Features};
    use proptest::prelude::*;

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
        assert_eq!(decide(&[0.0, 0.0, 0.0, 1.0], 1, &[0, 0, 0, 1]).flagged, [false, false, false, true]);
        assert_eq!(decide(&[2.0; 4], 1, &[0, 0, 0, 1]).flagged, [false; 4]);
    }

    proptest! {
        /// Fisher's direction does not care for units.
        #[test]
        fn scales_of_columns_hardly_matter(values in proptest::collection::vec(-1.0..1.0_f32, 60), scale in 0.5..2.0_f32) {
            let labels = [vec![0; 12], vec![1; 8]].concat();
            let of = |values: &[f32]| {
                let features = Features::new(vec![3], values.to_vec()).unwrap();
                let clustering = Clustering::of(labels.iter().copied().map(Some).collect());
                separation(&ClusteredClass { features: &features, clustering: &clustering, silhouette: None, origin: None }, 1).unwrap()
            };
            let scaled: Vec<f32> = values.chunks(3).flat_map(|row| [row[0] * scale, row[1], row[2]]).collect();
            let (before, after) = (of(&values), of(&scaled));
            prop_assert!((0.0..=1.0).contains(&before));
            prop_assert!((before - after).abs() < 0.01, "{before} and {after}");
        }
    }
}
