use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accuse_small_clusters;

/// Accuses clusters that hold a small share of their class.
///
/// Of Activation Clustering (arXiv 1811.03728): a clean class splits into halves, a poisoned one into unequal parts. The largest
/// cluster is never accused, however many there are; nor is noise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RelativeSize {
    /// The greatest share of the class that counts as small.
    #[serde(default = "default_at_most")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub at_most: f64,
}

pub(super) fn default_at_most() -> f64 {
    0.35
}

impl Plugin for RelativeSize {
    type Kind = dyn Decision;
    const NAME: &'static str = "relative-size";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn example() -> Self {
        Self { at_most: default_at_most() }
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(RelativeSize);

impl Decision for RelativeSize {
    fn decide(&self, _: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        Ok(accuse_small_clusters(class, self.at_most))
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Clustering, Features};

    use super::*;

    fn decide(at_most: f64, sizes: &[usize]) -> Decided {
        let labels: Vec<_> = sizes.iter().zip(0..).flat_map(|(&size, label)| std::iter::repeat_n(Some(label), size)).collect();
        let features = Features::new(vec![1], vec![0.0; labels.len()]).unwrap();
        let clustering = Clustering::of(labels);
        RelativeSize { at_most }
            .decide(&Context::quiet(0), &ClusteredClass { features: &features, clustering: &clustering, origin: None, silhouette: None })
            .unwrap()
    }

    #[test]
    fn shares_are_of_the_class_and_the_limit_belongs_to_them() {
        let decided = decide(0.35, &[65, 35]);
        assert_eq!(decided.flagged.iter().filter(|&&flag| flag).count(), 35);
        assert_eq!(decided.reason, "1 of 2 clusters accused: 35 of 100 images, 35.0 %");
        let spared = decide(0.35, &[64, 36]);
        assert!(!spared.flagged.contains(&true));
        assert_eq!(spared.reason, "the smallest of 2 clusters holds 36.0 %, more than 35.0 %");
    }

    #[test]
    fn the_largest_of_many_small_clusters_is_trusted() {
        let decided = decide(0.35, &[30, 30, 25, 15]);
        assert_eq!(decided.flagged.iter().filter(|&&flag| flag).count(), 70);
    }
}
