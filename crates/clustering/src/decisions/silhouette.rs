use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::relative_size::default_at_most;
use super::{accuse_small_clusters, spare};

/// Accuses small clusters of classes that fall apart clearly.
///
/// Of Activation Clustering (arXiv 1811.03728), with the defaults of the Adversarial Robustness Toolbox: a class is poisoned if the mean
/// silhouette coefficient of its clusters is high; then clusters that hold a small share of it are accused. The largest cluster is
/// never accused; nor is noise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Silhouette {
    /// The least silhouette coefficient of a poisoned class.
    #[serde(default = "default_at_least")]
    #[schemars(range(min = -1.0, max = 1.0))]
    pub at_least: f64,
    /// The greatest share of the class that counts as small.
    #[serde(default = "default_at_most")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub at_most: f64,
}

fn default_at_least() -> f64 {
    0.1
}

impl Plugin for Silhouette {
    type Kind = dyn Decision;
    const NAME: &'static str = "silhouette";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn example() -> Self {
        Self { at_least: default_at_least(), at_most: default_at_most() }
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(Silhouette);

impl Decision for Silhouette {
    fn decide(&self, _: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        Ok(match class.silhouette {
            Some(value) if value < self.at_least => spare(class, format!("silhouette {value:.3}, less than {}", self.at_least)),
            None if class.clustering.sizes().len() > 1 => {
                spare(class, "no silhouette: the clusterer does not compare all images with each other")
            }
            _ => accuse_small_clusters(class, self.at_most),
        })
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Clustering, Features};

    use super::*;

    fn decide(silhouette: f64, large: usize, small: usize) -> Decided {
        let labels = [vec![Some(0); large], vec![Some(1); small]].concat();
        let features = Features::new(vec![1], vec![0.0; labels.len()]).unwrap();
        let clustering = Clustering::of(labels);
        let class = ClusteredClass { features: &features, clustering: &clustering, origin: None, silhouette: Some(silhouette) };
        Silhouette::example().decide(&Context::quiet(0), &class).unwrap()
    }

    #[test]
    fn of_180_and_20_images_the_20_are_accused_and_the_180_kept() {
        assert_eq!(decide(0.5, 180, 20).flagged, [vec![false; 180], vec![true; 20]].concat());
    }

    #[test]
    fn clusters_without_a_silhouette_are_spared() {
        let clustering = Clustering::of([vec![Some(0); 9], vec![Some(1)]].concat());
        let features = Features::new(vec![1], vec![0.0; 10]).unwrap();
        let class = ClusteredClass { features: &features, clustering: &clustering, origin: None, silhouette: None };
        let spared = Silhouette::example().decide(&Context::quiet(0), &class).unwrap();
        assert_eq!(spared.reason, "no silhouette: the clusterer does not compare all images with each other");
    }

    #[test]
    fn both_conditions_must_hold() {
        let spared = decide(0.05, 180, 20);
        assert!(!spared.flagged.contains(&true));
        assert_eq!(spared.reason, "silhouette 0.050, less than 0.1");
        assert!(!decide(0.5, 110, 90).flagged.contains(&true));
        assert!(decide(0.1, 130, 70).flagged.contains(&true), "limits belong to what they limit");
    }
}
