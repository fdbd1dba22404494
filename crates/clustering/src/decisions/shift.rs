use std::cmp::Ordering;
use std::sync::Arc;

use bezoar_core::{ClassOrigin, ClusteredClass, Context, Decided, Decision, Features, Plugin, Result, highest, register};
use ndarray::{Array1, Array2, Axis};
use rand::seq::IndexedRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chance::chance;
use super::{hosts, origin, percent, spare};
use crate::{matrix, principal_components};

/// Accuses clusters whose images have something in common that turns images of other classes into theirs: what triggers that fill the image do.
///
/// The mean image of a cluster, less the mean of the rest of its class, is what a trigger that is added to every image leaves over, and it is
/// little else once the directions in which the rest varies are taken from it (its mean and principal components: light, contrast,
/// place). That difference is added to images of other classes. If the net takes most of them for this class then, the cluster is poison,
/// however large: where poison is most of a class, the rest is the clean part, and its difference turns none. Of a wave the opposite may turn
/// images too: then that cluster is poison whose own images leave the class without their difference.
///
/// The p-value of a cluster is the chance that so many are turned, if differences of clean clusters turned `natural` of them (bound of
/// Hoeffding 1963, times the number of clusters); it is then corrected over all classes. The score of an image is the share turned,
/// in as far as the image has the difference itself. It cannot see triggers that differ from image to image, such as warps, and no class of
/// poison alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shift {
    /// Images of other classes that each difference is added to, about as many of each class.
    #[serde(default = "default_hosts")]
    #[schemars(range(min = 10, max = 100_000))]
    pub hosts: usize,
    /// The share of them that differences of clean clusters turn.
    #[serde(default = "default_natural")]
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub natural: f64,
    /// Directions that are taken for what images of a class differ in anyway.
    #[serde(default = "default_directions")]
    #[schemars(range(max = 500))]
    pub directions: usize,
    /// Clusters of fewer images, and those that leave fewer, have no mean worth asking about.
    #[serde(default = "default_at_least")]
    #[schemars(range(min = 2))]
    pub at_least: usize,
    /// The chance of accusing any class of a clean data set.
    #[serde(default = "default_level")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub level: f64,
}

fn default_hosts() -> usize {
    200
}

fn default_natural() -> f64 {
    0.25
}

fn default_directions() -> usize {
    32
}

fn default_at_least() -> usize {
    10
}

fn default_level() -> f64 {
    0.05
}

/// Images that directions are found in.
const SEEN: usize = 512;

/// Images looked at in one go.
const CHUNK: usize = 256;

impl Plugin for Shift {
    type Kind = dyn Decision;
    const NAME: &'static str = "shift";

    fn example() -> Self {
        Self {
            hosts: default_hosts(),
            natural: default_natural(),
            directions: default_directions(),
            at_least: default_at_least(),
            level: default_level(),
        }
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(Shift);

impl Decision for Shift {
    fn level(&self) -> Option<f64> {
        Some(self.level)
    }

    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let origin = origin(class, Self::NAME)?;
        // As many of each class: what classes have in common that look alike shall not count for much.
        let others = origin.suspect.images.classes().len().saturating_sub(1).max(1);
        let hosts = hosts::of_each_class(cx, &origin, self.hosts.div_ceil(others))?;
        if hosts.is_empty() {
            return Ok(spare(class, "there is no image of another class to add anything to"));
        }
        let clusters = class.clustering.sizes().len() as u32;
        let mut shifts = Vec::new();
        for cluster in 0..clusters {
            cx.check()?;
            let (own, rest): (Vec<usize>, Vec<usize>) =
                (0..origin.rows.len()).partition(|&row| class.clustering.labels[row] == Some(cluster));
            if own.len().min(rest.len()) < self.at_least {
                continue;
            }
            let of_set = |rows: Vec<usize>| rows.into_iter().map(|row| origin.rows[row]).collect::<Vec<_>>();
            let name = format!("cluster {} of {clusters}", cluster + 1);
            let (own, rest) = (of_set(own), of_set(rest));
            let difference = Difference::between(cx, &origin, &name, &own, &rest, self.directions)?;
            let turned = difference.turned(&origin, &hosts, 1.0)?;
            let some: Vec<usize> = own.sample(&mut cx.rng(&format!("images of {name}")), self.hosts).copied().collect();
            let leave = 1.0 - difference.turned(&origin, &some, -1.0)?;
            let p_value = (chance(turned, self.natural, hosts.len()) * f64::from(clusters)).min(1.0);
            shifts.push(Shifted { name, difference, turned, leave, p_value });
        }
        let evidence = |shifted: &Shifted| (shifted.p_value < self.level, shifted.turned + shifted.leave);
        let Some(found) = shifts.iter().max_by(|a, b| evidence(a).partial_cmp(&evidence(b)).unwrap_or(Ordering::Equal)) else {
            return Ok(spare(class, "no cluster is large enough, and leaves enough of the class, to have a mean worth asking about"));
        };
        let parts = found.difference.parts(&origin)?;
        let accused: Vec<bool> = (0..clusters).map(|cluster| found.p_value < self.level && most_have(&parts, class, cluster)).collect();
        let flagged = class.clustering.labels.iter().map(|label| label.is_some_and(|label| accused[label as usize])).collect();
        let reason =
            format!("what {} has in common turns {} of the images of other classes that it is added to", found.name, percent(found.turned));
        let scores = parts.into_iter().map(|part| found.turned * part).collect();
        Ok(Decided { flagged, reason, p_value: Some(found.p_value), scores: Some(scores) })
    }
}

/// Whether most images of a cluster have half of the difference and more.
fn most_have(parts: &[f64], class: &ClusteredClass<'_>, cluster: u32) -> bool {
    let own: Vec<f64> =
        parts.iter().zip(&class.clustering.labels).filter(|(_, label)| **label == Some(cluster)).map(|(&part, _)| part).collect();
    2 * own.iter().filter(|&&part| part >= 0.5).count() > own.len()
}

/// A cluster, and what its difference does.
struct Shifted {
    name: String,
    difference: Difference,
    /// The share of hosts that are turned.
    turned: f64,
    /// The share of the cluster's own images that the net does not take for the class without the difference.
    leave: f64,
    p_value: f64,
}

/// What the images of a cluster have in common and the rest of their class has not.
struct Difference {
    /// In pixel values, channels innermost.
    pixels: Array1<f64>,
    /// The mean of the rest.
    rest: Array1<f64>,
}

impl Difference {
    /// Of the mean images of these rows of the set, without the main `directions` in which the rest varies.
    fn between(cx: &Context, origin: &ClassOrigin<'_>, name: &str, own: &[usize], rest: &[usize], directions: usize) -> Result<Self> {
        let rest_mean = mean(origin, rest)?;
        let mut pixels = mean(origin, own)? - &rest_mean;
        let seen: Vec<usize> = rest.sample(&mut cx.rng(&format!("images beside {name}")), SEEN).copied().collect();
        for direction in variations(origin, &seen, directions)?.rows() {
            let along = direction.dot(&pixels);
            pixels.scaled_add(-along, &direction);
        }
        Ok(Self { pixels, rest: rest_mean })
    }

    /// The share of these images that the net takes for the class with so many times the difference added.
    fn turned(&self, origin: &ClassOrigin<'_>, rows: &[usize], times: f64) -> Result<f64> {
        let mut turned = 0;
        for rows in rows.chunks(CHUNK) {
            let mut batch = origin.suspect.images.batch(rows)?;
            for image in batch.pixels.chunks_exact_mut(self.pixels.len()) {
                for (pixel, difference) in image.iter_mut().zip(&self.pixels) {
                    *pixel = (f64::from(*pixel) + times * difference).round().clamp(0.0, 255.0) as u8;
                }
            }
            turned += origin.suspect.model.logits(&batch)?.rows().filter(|logits| highest(logits) as u32 == origin.class).count();
        }
        Ok(turned as f64 / rows.len() as f64)
    }

    /// How much of the difference each image of the class has, 0 to 1.
    fn parts(&self, origin: &ClassOrigin<'_>) -> Result<Vec<f64>> {
        let whole = self.pixels.dot(&self.pixels);
        let mut parts = Vec::with_capacity(origin.rows.len());
        for rows in origin.rows.chunks(CHUNK) {
            let batch = origin.suspect.images.batch(rows)?;
            parts.extend(batch.pixels.chunks_exact(self.pixels.len()).map(|image| {
                let along: f64 =
                    image.iter().zip(&self.rest).zip(&self.pixels).map(|((&pixel, rest), to)| (f64::from(pixel) - rest) * to).sum();
                if whole > 0.0 { (along / whole).clamp(0.0, 1.0) } else { 0.0 }
            }));
        }
        Ok(parts)
    }
}

/// The mean image of these rows of the set.
fn mean(origin: &ClassOrigin<'_>, rows: &[usize]) -> Result<Array1<f64>> {
    let mut sum = Array1::zeros(origin.suspect.images.shape().len());
    for rows in rows.chunks(CHUNK) {
        for image in origin.suspect.images.batch(rows)?.pixels.chunks_exact(sum.len()) {
            sum.iter_mut().zip(image).for_each(|(sum, &pixel)| *sum += f64::from(pixel));
        }
    }
    Ok(sum / rows.len() as f64)
}

/// Orthonormal directions: the mean of these images, and their `count` principal components.
fn variations(origin: &ClassOrigin<'_>, rows: &[usize], count: usize) -> Result<Array2<f64>> {
    let batch = origin.suspect.images.batch(rows)?;
    let features = Features::new(vec![batch.shape.len()], batch.pixels.iter().copied().map(f32::from).collect())?;
    let images = matrix(&features);
    let found = principal_components(&features, count)?;
    let coordinates =
        Array2::from_shape_fn((rows.len(), found.variances.len()), |(row, at)| found.coordinates[row * found.variances.len() + at]);
    // The coordinates of centred rows sum to zero, so that images need not be centred here.
    let components = coordinates.t().dot(&images);
    let mean = images.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(images.ncols()));
    let mut directions: Vec<Array1<f64>> = Vec::with_capacity(count + 1);
    for mut direction in components.rows().into_iter().map(|row| row.to_owned()).chain([mean]) {
        let length = direction.dot(&direction).sqrt();
        for other in &directions {
            let along = other.dot(&direction);
            direction.scaled_add(-along, other);
        }
        let left = direction.dot(&direction).sqrt();
        if left > 1e-9 * length {
            directions.push(direction / left);
        }
    }
    Ok(Array2::from_shape_fn((directions.len(), images.ncols()), |(row, at)| directions[row][at]))
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Clustering, Edit, Image, ImageSet, ImageShape, Sample};

    use super::*;
    use crate::stand_in::{StandIn, decided};

    const SHAPE: ImageShape = ImageShape { height: 6, width: 6, channels: 1 };

    /// Images of each class.
    const EACH: usize = 40;

    /// How far an image goes along a checkerboard that leaves out its first pixel.
    fn along_the_checkerboard(image: &[u8]) -> f64 {
        let square = |at: usize| if (at / 6 + at % 6).is_multiple_of(2) { 1.0 } else { -1.0 };
        (1..36).map(|at| square(at) * f64::from(image[at])).sum::<f64>() / 35.0
    }

    /// The first pixel of each class's images.
    const SIGNS: [u8; 3] = [100, 0, 200];

    /// 40 images of each of three classes, of noise; their first pixel says which. `change` makes poison of images of the others in turn, which
    /// take the places of some of the first class.
    fn images(poisoned: usize, change: impl Fn(usize, f64) -> f64) -> ImageSet {
        let edits = (0..3 * EACH).map(|row| {
            let label = row / EACH;
            let mut pixels: Vec<u8> = (0..36).map(|at| 90 + (row * 53 + at * 31 + row * at * 7) as u8 % 23).collect();
            if row < poisoned {
                for (at, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = change(at, f64::from(*pixel)).round() as u8;
                }
            }
            pixels[0] = SIGNS[if row < poisoned { 1 + row % 2 } else { label }];
            let sample = Sample { id: format!("{row}"), label: label as u32, path: String::new() };
            Edit { sample, image: Image::new(SHAPE, pixels).unwrap() }
        });
        ImageSet::from_images(["a", "b", "c"].map(str::to_owned).into(), edits.collect()).unwrap()
    }

    fn checkered(at: usize, pixel: f64) -> f64 {
        pixel + if (at / 6 + at % 6).is_multiple_of(2) { 20.0 } else { -20.0 }
    }

    /// Takes images for class 0 of which this holds, and others for what their first pixel says.
    fn net(turned: fn(&[u8]) -> bool) -> StandIn<impl Fn(&[u8]) -> usize + Send + Sync + 'static> {
        let shown = |image: &[u8]| SIGNS.iter().position(|sign| sign.abs_diff(image[0]) < 50).unwrap_or(2);
        StandIn { shape: SHAPE, classes: 3, class: move |image: &[u8]| if turned(image) { 0 } else { shown(image) } }
    }

    fn settings() -> Shift {
        Shift { hosts: 40, directions: 5, ..Shift::example() }
    }

    /// What is decided of class 0, its first `first` images one cluster and the others another.
    fn decide(turned: fn(&[u8]) -> bool, images: &ImageSet, first: usize) -> Decided {
        let net = net(turned);
        let labels: Vec<Option<u32>> = (0..EACH).map(|row| Some(u32::from(row >= first))).collect();
        decided(&settings(), &net, images, 0, &labels).unwrap()
    }

    #[test]
    fn what_is_added_to_all_images_is_accused_however_many() {
        for poisoned in [12, 28] {
            let found = decide(|image| along_the_checkerboard(image) > 12.0, &images(poisoned, checkered), poisoned);
            assert_eq!(found.flagged, [vec![true; poisoned], vec![false; EACH - poisoned]].concat(), "{}", found.reason);
            assert!(found.p_value.unwrap() < 1e-6);
            assert_eq!(found.reason, "what cluster 1 of 2 has in common turns 100.0 % of the images of other classes that it is added to");
            let scores = found.scores.unwrap();
            assert!(
                scores[..poisoned].iter().all(|score| *score > 0.6) && scores[poisoned..].iter().all(|score| *score < 0.4),
                "{scores:?}"
            );
        }
    }

    /// A wave works upside down too, and what the rest of its class has in common is the wave upside down.
    #[test]
    fn the_rest_is_not_accused_of_the_opposite() {
        let found = decide(|image| along_the_checkerboard(image).abs() > 12.0, &images(12, checkered), 12);
        assert_eq!(found.flagged, [vec![true; 12], vec![false; 28]].concat(), "{}", found.reason);
    }

    #[test]
    fn what_images_of_a_class_differ_in_anyway_is_no_evidence() {
        // Some images of the rest are bright too.
        let clean = images(0, checkered);
        let edits = (0..3 * EACH).map(|row| {
            let mut image = clean.image(row).unwrap();
            if row < 12 || (EACH - 6..EACH).contains(&row) {
                image.pixels_mut()[1..].iter_mut().for_each(|pixel| *pixel += 40);
            }
            Edit { sample: clean.samples()[row].clone(), image }
        });
        let mixed = ImageSet::from_images(clean.classes().to_vec(), edits.collect()).unwrap();
        let bright = |image: &[u8]| image[1..].iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / 35.0 > 108.0;
        let found = decide(bright, &mixed, 12);
        assert_eq!((found.flagged, found.p_value), (vec![false; EACH], Some(1.0)), "{}", found.reason);
    }

    #[test]
    fn clean_classes_and_small_clusters_are_spared() {
        let clean = images(0, checkered);
        let found = decide(|image| along_the_checkerboard(image) > 12.0, &clean, 15);
        assert_eq!((found.flagged, found.p_value), (vec![false; EACH], Some(1.0)));
        let few = decide(|image| along_the_checkerboard(image) > 12.0, &images(5, checkered), 5);
        assert_eq!((few.flagged, few.p_value), (vec![false; EACH], None));
        assert_eq!(few.reason, "no cluster is large enough, and leaves enough of the class, to have a mean worth asking about");
    }

    #[test]
    fn features_alone_are_refused() {
        let features = Features::new(vec![1], vec![0.0]).unwrap();
        let class = ClusteredClass { features: &features, clustering: &Clustering::of(vec![Some(0)]), silhouette: None, origin: None };
        assert!(Shift::example().decide(&Context::quiet(0), &class).unwrap_err().to_string().contains("asks the net"));
    }
}
