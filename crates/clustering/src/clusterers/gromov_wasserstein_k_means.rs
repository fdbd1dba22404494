use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Error, Features, Plugin, Preset, Result, register};
use bezoar_transport::gromov::{self, Barycentre, Clusters, Embedding, KMeans, excess, k_means};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::canonical::{Found, cluster_canonically};
use crate::distances::announce_table;
use crate::metrics::{RANK, default_mass, spaces};

/// K-means under the Gromov-Wasserstein distance: `k` groups of heatmaps of like shape, wherever they lie, around barycentres.
///
/// What the published Heatmap Clustering does, with k-means++ as it is meant. At its epsilon of 0.1 barycentres collapse to one number, the mean
/// distance between two pixels, and on noisy heatmaps still do at 0.02; at 0.005 they have shape. `docs/gromov-wasserstein.md` has more.
///
/// A cost holds what any barycentre of so few points would cost, which is more the more widely relevance is spread. So the distance to the bulk
/// is how much more a heatmap costs with the bulk's barycentre than with its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GromovWassersteinKMeans {
    /// Number of groups.
    #[serde(default = "default_k")]
    #[schemars(range(min = 1))]
    pub k: usize,
    /// Weight of the entropy, in units of squared distances when a heatmap's largest is 1.
    #[serde(default = "default_epsilon")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Points of a barycentre.
    #[serde(default = "default_points")]
    #[schemars(range(min = 2))]
    pub points: usize,
    /// Share of each heatmap's mass that is compared, its strongest pixels.
    #[serde(default = "default_mass")]
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub mass: f64,
    /// Most assignments a start.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1))]
    pub iterations: usize,
    /// Number of starts; the one whose groups cost least is kept.
    #[serde(default = "default_restarts")]
    #[schemars(range(min = 1))]
    pub restarts: usize,
    /// How the first groups are made.
    #[serde(default)]
    pub seeding: Seeding,
    /// Whether every update of a barycentre begins at random, as in the published code, and not where the last one ended.
    #[serde(default)]
    pub restart_barycentres: bool,
}

/// How the first groups are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seeding {
    /// By k-means++, around the barycentres of single heatmaps.
    #[default]
    PlusPlus,
    /// As in the published code: around single heatmaps, drawn by the squares of costs that are squares already; the costs to the first are divided
    /// by their sum before they are compared, so that nearly all heatmaps begin with it.
    Published,
}

fn default_k() -> usize {
    2
}

fn default_epsilon() -> f64 {
    0.005
}

fn default_points() -> usize {
    10
}

fn default_iterations() -> usize {
    20
}

fn default_restarts() -> usize {
    3
}

impl Plugin for GromovWassersteinKMeans {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "gromov-wasserstein-k-means";
    const PAPER: Option<&'static str> = Some("arXiv 2204.12848");

    fn presets() -> Vec<Preset> {
        vec![Preset {
            name: "as-published",
            summary: "One start at the published epsilon, seeded as in the published code, with barycentres that begin at random each time.",
            fields: json!({ "epsilon": 0.1, "restarts": 1, "seeding": "published", "restart-barycentres": true }),
        }]
    }

    fn example() -> Self {
        Self {
            k: default_k(),
            epsilon: default_epsilon(),
            points: default_points(),
            mass: default_mass(),
            iterations: default_iterations(),
            restarts: default_restarts(),
            seeding: Seeding::default(),
            restart_barycentres: false,
        }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        Ok(Arc::new(self))
    }
}

register!(GromovWassersteinKMeans);

impl Clusterer for GromovWassersteinKMeans {
    fn min_rows(&self) -> usize {
        self.k
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let pixels: usize = features.shape().iter().rev().take(2).product();
            announce_table(cx, "shapes of", features.len(), features.len() * pixels * (RANK + 1) * size_of::<f32>());
            let embeddings = spaces(cx, features, self.mass, |space| Embedding::of(space, RANK))?;
            // Where nothing is kept from one update to the next, each has to come to its end.
            let centre = if self.restart_barycentres { Barycentre::new } else { Barycentre::between_assignments };
            let centre = Barycentre { points: self.points, ..centre(self.epsilon) };
            let seeding = match self.seeding {
                Seeding::PlusPlus => gromov::Seeding::PlusPlus,
                Seeding::Published => gromov::Seeding::Published,
            };
            let settings = KMeans { clusters: self.k, centre, iterations: self.iterations, seeding, restart: self.restart_barycentres };
            let mut rng = cx.rng("gromov-wasserstein-k-means");
            let mut best: Option<(f64, Clusters)> = None;
            let task = cx.task("group shapes", (self.restarts * self.iterations) as u64);
            for _ in 0..self.restarts {
                let going_on = |_| {
                    task.advance(1);
                    cx.check().is_ok()
                };
                let found = k_means(&embeddings, &settings, &mut rng, &going_on).map_err(Error::request)?;
                cx.check()?;
                let cost: f64 = found.costs.iter().zip(&found.labels).map(|(costs, label)| costs[*label]).sum();
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, found));
                }
            }
            let Some((_, found)) = best else { return Ok(Vec::new().into()) };
            let Clusters { labels, centres, .. } = found;
            let to_middle = move |cluster: usize| {
                let task = cx.task("weigh shapes", embeddings.len() as u64);
                let far = embeddings.par_iter().map(|space| {
                    cx.check()?;
                    let far = excess(&centres[cluster], space, &centre).map_err(Error::request)?;
                    task.advance(1);
                    Ok(far)
                });
                far.collect()
            };
            let labels: Vec<Option<usize>> = labels.into_iter().map(Some).collect();
            Ok(Found { to_middle: Some(Box::new(to_middle)), ..labels.into() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars and blobs at several places.
    fn shapes() -> Features {
        let shape = |i: usize| {
            let mut heat = vec![0.0; 144];
            for step in 0..9 {
                let (down, across) = if i.is_multiple_of(3) { (step, 0) } else { (step / 3, step % 3) };
                heat[(i % 4 + down) * 12 + i % 7 + across] = 1.0 + 0.01 * (i * step % 5) as f32;
            }
            heat
        };
        Features::new(vec![12, 12], (0..18).flat_map(shape).collect()).unwrap()
    }

    #[test]
    fn shapes_are_told_apart_wherever_they_lie() {
        let published = GromovWassersteinKMeans {
            epsilon: 0.1,
            restarts: 1,
            seeding: Seeding::Published,
            restart_barycentres: true,
            ..GromovWassersteinKMeans::example()
        };
        for clusterer in [GromovWassersteinKMeans::example(), published] {
            let found = clusterer.cluster(&Context::quiet(2), &shapes()).unwrap();
            assert_eq!(found.labels, (0..18).map(|i| Some(u32::from(i % 3 == 0))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_of_the_bulk_are_nearest_to_its_middle() {
        let found = GromovWassersteinKMeans::example().cluster(&Context::quiet(2), &shapes()).unwrap();
        let far = found.to_bulk.unwrap();
        let (bulk, others): (Vec<usize>, Vec<usize>) = (0..18).partition(|&row| found.labels[row] == Some(0));
        assert!(bulk.iter().all(|&row| others.iter().all(|&other| far[row] < far[other])), "{far:?}");
    }

    #[test]
    fn too_few_rows_and_blank_ones_are_refused() {
        let one = Features::new(vec![2, 2], vec![0.0, 1.0, 0.0, 0.0]).unwrap();
        let refused =
            |features: &Features| GromovWassersteinKMeans::example().cluster(&Context::quiet(0), features).unwrap_err().to_string();
        assert_eq!(refused(&one), "1 rows are too few to cluster: at least 2 are needed");
        let blank = Features::new(vec![2, 2], vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
        assert_eq!(refused(&blank), "row 1 of the features: the heatmap is the same everywhere: no pixel stands out");
    }
}
