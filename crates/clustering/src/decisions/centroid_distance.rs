use std::sync::Arc;

use bezoar_core::{ClassOrigin, ClusteredClass, Context, Decided, Decision, Error, Features, Plugin, Result, register};
use rand::seq::IndexedRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spare;
use crate::mean::{mean, squared_distance};

/// Accuses clusters that lie nearer to another class than to their own.
///
/// Of Activation Clustering (arXiv 1811.03728), as the Adversarial Robustness Toolbox has it: the mean of each cluster is compared with
/// the means of all classes, in the representation as it was before it was processed and reduced; poison that is moved from another class
/// may lie nearer to that one. Any cluster can be accused, the largest too, and noise cannot.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CentroidDistance {
    /// Most images of which the mean of another class is taken.
    #[serde(default = "default_images")]
    #[schemars(range(min = 1))]
    pub images: usize,
}

fn default_images() -> usize {
    500
}

impl Plugin for CentroidDistance {
    type Kind = dyn Decision;
    const NAME: &'static str = "centroid-distance";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn example() -> Self {
        Self { images: default_images() }
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(CentroidDistance);

impl Decision for CentroidDistance {
    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let origin = class.origin.ok_or_else(|| {
            Error::request("the decision `centroid-distance` compares with other classes, and was given one alone")
                .with_help("decide by what looks at one class, such as `relative-size`")
        })?;
        let own = origin.suspect.features[0].select(origin.rows)?;
        let others = self.other_means(cx, &origin)?;
        if others.is_empty() {
            return Ok(spare(class, "there is no other class with images"));
        }
        let own_mean = mean(own.rows());
        let sizes = class.clustering.sizes();
        let mut reasons = Vec::new();
        let accused: Vec<bool> = (0..sizes.len() as u32)
            .map(|cluster| {
                let members = own.rows().zip(&class.clustering.labels).filter(|(_, label)| **label == Some(cluster)).map(|(row, _)| row);
                let centroid = mean(members);
                let (nearest, distance) = others
                    .iter()
                    .map(|(label, mean)| (*label, squared_distance(&centroid, mean)))
                    .min_by(|a, b| a.1.total_cmp(&b.1))
                    .unwrap_or((origin.class, f64::INFINITY));
                let nearer = distance < squared_distance(&centroid, &own_mean);
                if nearer {
                    let name = &origin.suspect.images.classes()[nearest as usize];
                    reasons.push(format!(
                        "cluster {} of {} ({} images) is nearer to `{name}`",
                        cluster + 1,
                        sizes.len(),
                        sizes[cluster as usize]
                    ));
                }
                nearer
            })
            .collect();
        if reasons.is_empty() {
            return Ok(spare(class, format!("all {} clusters are nearest to their own class", sizes.len())));
        }
        let flagged = class.clustering.labels.iter().map(|label| label.is_some_and(|label| accused[label as usize])).collect();
        Ok(Decided { flagged, reason: reasons.join("; "), p_value: None, scores: None })
    }
}

impl CentroidDistance {
    /// The mean of each other class that has images.
    fn other_means(&self, cx: &Context, origin: &ClassOrigin<'_>) -> Result<Vec<(u32, Vec<f64>)>> {
        let images = origin.suspect.images;
        let mut means = Vec::new();
        for label in (0..images.classes().len() as u32).filter(|&label| label != origin.class) {
            cx.check()?;
            let rows = images.rows_of(label);
            if !rows.is_empty() {
                let drawn: Vec<usize> = rows.sample(&mut cx.rng(&format!("images of {label}")), self.images).copied().collect();
                let features: Features = origin.suspect.features[0].select(&drawn)?;
                means.push((label, mean(features.rows())));
            }
        }
        Ok(means)
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Clustering, FeatureSource, ImageSet, ImageShape, Suspect};

    use super::*;
    use crate::stand_in::StandIn;

    /// What is decided of class 0, whose rows come first, when class 1 lies around 10.
    fn decide(own: &[f32], clusters: &[u32]) -> Decided {
        let shape = ImageShape { height: 1, width: 1, channels: 1 };
        let net = StandIn { shape, classes: 2, class: |_: &[u8]| unreachable!("the decision asks no net") };
        let edits = (0..own.len() + 3).map(|row| bezoar_core::Edit {
            sample: bezoar_core::Sample { id: row.to_string(), label: u32::from(row >= own.len()), path: String::new() },
            image: bezoar_core::Image::new(shape, vec![0]).unwrap(),
        });
        let images = ImageSet::from_images(vec!["80".into(), "50".into()], edits.collect()).unwrap();
        let features = Features::new(vec![1], [own, &[9.0, 10.0, 11.0]].concat()).unwrap();
        let sources: Vec<Arc<dyn FeatureSource>> = vec![Arc::new(features.clone())];
        let suspect = Suspect { images: &images, model: &net, features: &sources, trainer: &net };
        let rows: Vec<usize> = (0..own.len()).collect();
        let clustering = Clustering::of(clusters.iter().copied().map(Some).collect());
        let origin = Some(ClassOrigin { suspect: &suspect, class: 0, rows: &rows });
        let class = ClusteredClass { features: &features.select(&rows), clustering: &clustering, silhouette: None, origin };
        CentroidDistance::example().decide(&Context::quiet(0), &class).unwrap()
    }

    #[test]
    fn what_lies_nearer_to_another_class_is_accused() {
        let found = decide(&[0.0, 0.2, 0.1, 8.0], &[0, 0, 0, 1]);
        assert_eq!(found.flagged, [false, false, false, true]);
        assert_eq!(found.reason, "cluster 2 of 2 (1 images) is nearer to `50`");
        let spared = decide(&[0.0, 0.2, 0.1, 4.0], &[0, 0, 0, 1]);
        assert_eq!((spared.flagged, spared.reason.as_str()), (vec![false; 4], "all 2 clusters are nearest to their own class"));
    }

    #[test]
    fn features_alone_are_refused() {
        let features = Features::new(vec![1], vec![0.0]).unwrap();
        let class = ClusteredClass { features: &features, clustering: &Clustering::of(vec![Some(0)]), silhouette: None, origin: None };
        assert!(CentroidDistance::example().decide(&Context::quiet(0), &class).is_err());
    }
}
