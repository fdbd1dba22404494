use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Part, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{origin, percent, spare, windows};

/// Accuses clusters whose relevance lies in one small square, where that of other images of the class is spread over the object.
///
/// The concentration of an image is the share of its positive relevance in its strongest square, 0 to 1, and its score. A cluster is accused
/// if one of its images is more concentrated than an image of the rest of the class with a chance of `at_least` (the area under the ROC curve;
/// Mann and Whitney 1947), whichever of the two is larger. Noise belongs to the rest and is not accused. It has no p-value, and triggers that
/// fill the image are spread as objects are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Concentration {
    /// The strongest square of each image: rows of `[count, 4]`, each `[y, x, size, mass]`; the first counts.
    pub windows: Part<dyn Representation>,
    /// The least chance that accuses.
    #[schemars(range(min = 0.5, max = 1.0))]
    pub at_least: f64,
}

/// The chance that says nothing.
const EVEN: f64 = 0.5;

impl Plugin for Concentration {
    type Kind = dyn Decision;
    const NAME: &'static str = "concentration";

    fn defaults() -> Value {
        json!({ "windows": { "use": "strongest-window" }, "at-least": 0.9 })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("a program with this decision links what finds windows")
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(Concentration);

impl Decision for Concentration {
    fn fingerprint(&self) -> Result<Option<String>> {
        windows::fingerprint(&self.windows).map(Some)
    }

    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let origin = origin(class, Self::NAME)?;
        let rows: Vec<usize> = (0..origin.rows.len()).collect();
        let windows = windows::of(cx, &origin, &self.windows, &rows, |window| f64::from(window[3]))?;
        let masses: Vec<f64> = windows.iter().map(|strongest| strongest[0]).collect();
        let labels = &class.clustering.labels;
        let clusters = class.clustering.sizes().len();
        let chance = |cluster: usize| {
            let (inside, outside): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&row| labels[row] == Some(cluster as u32));
            let [inside, mut outside] = [inside, outside].map(|rows| rows.into_iter().map(|row| masses[row]).collect::<Vec<_>>());
            chance_of_more(&inside, &mut outside)
        };
        let chances: Vec<f64> = (0..clusters).map(chance).collect();
        let accused = |label: &Option<u32>| {
            label.is_some_and(|cluster| chances[cluster as usize] > EVEN && chances[cluster as usize] >= self.at_least)
        };
        let flagged: Vec<bool> = labels.iter().map(accused).collect();
        let Some((most, chance)) = chances.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return Ok(Decided { scores: Some(masses), ..spare(class, "all images are noise") });
        };
        let accused = flagged.iter().filter(|&&flag| flag).count();
        let (cluster, chance) = (most + 1, percent(chance));
        let reason = format!(
            "{accused} images accused; relevance of cluster {cluster} of {clusters} is more concentrated than that of the others with a chance of {chance}"
        );
        Ok(Decided { flagged, reason, p_value: None, scores: Some(masses) })
    }
}

/// The chance that one of the first is greater than one of the others, which are half of a chance where they are equal; one half where either has none.
fn chance_of_more(first: &[f64], others: &mut [f64]) -> f64 {
    if first.is_empty() || others.is_empty() {
        return EVEN;
    }
    others.sort_by(f64::total_cmp);
    let below = |value: &f64| {
        let (less, up_to) = (others.partition_point(|other| other < value), others.partition_point(|other| other <= value));
        f64::midpoint(less as f64, up_to as f64)
    };
    first.iter().map(below).sum::<f64>() / (first.len() * others.len()) as f64
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Classifier, Edit, Features, Image, ImageSet, ImageShape, Sample};
    use proptest::prelude::*;

    use super::*;
    use crate::stand_in::{StandIn, decided};

    const SHAPE: ImageShape = ImageShape { height: 1, width: 1, channels: 1 };

    /// Stands for what finds windows, which this crate does not have: an image's only pixel is the mass of its window, in percent.
    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct PixelMass {}

    impl Plugin for PixelMass {
        type Kind = dyn Representation;
        const NAME: &'static str = "pixel-mass";

        fn example() -> Self {
            Self {}
        }

        fn build(self) -> Result<Arc<dyn Representation>> {
            Ok(Arc::new(self))
        }
    }

    register!(PixelMass);

    impl Representation for PixelMass {
        fn represent(
            &self,
            _: &Context,
            _: &dyn Classifier,
            images: &ImageSet,
            sink: &mut dyn FnMut(Features) -> Result<()>,
        ) -> Result<()> {
            let batch = images.batch(&(0..images.len()).collect::<Vec<_>>())?;
            let windows = batch.pixels.iter().flat_map(|&mass| [0.0, 0.0, 1.0, f32::from(mass) / 100.0]);
            sink(Features::new(vec![1, 4], windows.collect())?)
        }
    }

    fn decide(images: &[(u8, Option<u32>)]) -> Decided {
        let edits = images.iter().enumerate().map(|(row, &(mass, _))| Edit {
            sample: Sample { id: format!("{row}"), label: 0, path: String::new() },
            image: Image::new(SHAPE, vec![mass]).unwrap(),
        });
        let set = ImageSet::from_images(["a".to_owned()].into(), edits.collect()).unwrap();
        let net = StandIn { shape: SHAPE, classes: 1, class: |_: &[u8]| 0 };
        let labels: Vec<Option<u32>> = images.iter().map(|image| image.1).collect();
        let windows = Part::from_json(json!({ "use": "pixel-mass" })).unwrap();
        decided(&Concentration { windows, at_least: 0.9 }, &net, &set, 0, &labels).unwrap()
    }

    #[test]
    fn the_concentrated_cluster_is_accused_even_if_it_is_the_larger() {
        let poison = [(80, Some(0)); 12];
        let clean = [(5, Some(1)), (9, Some(1)), (20, None)];
        let found = decide(&[&poison[..], &clean[..]].concat());
        assert_eq!(found.flagged, [vec![true; 12], vec![false; 3]].concat());
        assert_eq!(
            found.reason,
            "12 images accused; relevance of cluster 1 of 2 is more concentrated than that of the others with a chance of 100.0 %"
        );
        assert!((found.scores.unwrap()[12] - 0.05).abs() < 1e-6);
    }

    #[test]
    fn clusters_alike_a_single_one_and_noise_are_spared() {
        let alike: Vec<(u8, Option<u32>)> = (0..20).map(|row| (row, Some(u32::from(row % 2)))).collect();
        let single = [(50, Some(0)); 6];
        let noise = [(90, None), (10, None), (20, None)];
        for images in [&alike[..], &single, &noise] {
            assert!(!decide(images).flagged.contains(&true), "{images:?}");
        }
    }

    proptest! {
        #[test]
        fn the_chance_counts_pairs(first in proptest::collection::vec(0..6_u8, 1..12), others in proptest::collection::vec(0..6_u8, 1..12)) {
            let pairs = first.iter().flat_map(|a| others.iter().map(move |b| f64::midpoint(f64::from(u8::from(a > b)), f64::from(u8::from(a >= b)))));
            let naive = pairs.sum::<f64>() / (first.len() * others.len()) as f64;
            let [first, mut others] = [&first, &others].map(|values| values.iter().copied().map(f64::from).collect::<Vec<_>>());
            prop_assert!((chance_of_more(&first, &mut others) - naive).abs() < 1e-12);
        }

        /// The image's own flag: others of its cluster may be accused with it.
        #[test]
        fn a_more_concentrated_image_is_never_cleared(
            images in proptest::collection::vec((0..100_u8, proptest::option::of(0..3_u32)), 3..24), raised in 0..24_usize, more in 1..100_u8
        ) {
            let raised = raised % images.len();
            let mut after = images.clone();
            after[raised].0 = after[raised].0.saturating_add(more);
            prop_assert!(decide(&images).flagged[raised] <= decide(&after).flagged[raised]);
        }
    }
}
