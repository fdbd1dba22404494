use std::sync::Arc;

use bezoar_core::{
    Batch, ClassOrigin, ClusteredClass, Context, Decided, Decision, Error, Features, Part, Plugin, Representation, Result, register,
};
use rand::seq::IndexedRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{percent, spare};

/// Accuses images of which a small square turns images of other classes into theirs: it asks the net what a trigger would do.
///
/// The square that speaks most for an image's class is pasted, with a margin, at its own place onto images of other classes (hosts). Members
/// of each cluster do this in turn. A trigger turns many hosts, a piece of a clean image few, however large its cluster: neither the size of
/// a cluster nor that of the class matters, and all classes may be poisoned.
///
/// The p-value of a class is the chance that its most effective cluster turns as many hosts as it does if each of its squares turned no
/// more than the share `natural` of all images (bound of Hoeffding 1963, times the number of clusters); it is then corrected over all
/// classes. Images of an accused class are accused one by one: those whose squares turn at least half of the hosts that the cluster turns.
/// The score of an image is the share of these that it turns, times the share of all hosts that the cluster turns.
///
/// It cannot see triggers that fill the image, and none that the net does not obey.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Causal {
    /// Which square of each image is pasted: rows of `[y, x, size, mass]`.
    pub windows: Part<dyn Representation>,
    /// Pixels around the square that are pasted along.
    #[schemars(range(min = 0, max = 1024))]
    pub margin: usize,
    /// Images of other classes that squares are pasted onto.
    #[schemars(range(min = 8, max = 10_000))]
    pub hosts: usize,
    /// Members of each cluster whose squares are pasted.
    #[schemars(range(min = 1, max = 10_000))]
    pub probes: usize,
    /// The share of hosts that squares of clean images turn at most.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub natural: f64,
    /// The chance of accusing any class of a clean data set.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub level: f64,
}

/// Hosts that each image is tried on: those that the most effective cluster turns most.
const TRIED: usize = 8;

/// Members of a cluster that are tried first; where they turn less than half of what clean squares may, no others are.
const FIRST: usize = 4;

impl Plugin for Causal {
    type Kind = dyn Decision;
    const NAME: &'static str = "causal";

    fn defaults() -> Value {
        json!({ "windows": { "use": "strongest-window" }, "margin": 2, "hosts": 128, "probes": 16, "natural": 0.25, "level": 0.05 })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("a program with this decision links what finds windows")
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(Causal);

impl Decision for Causal {
    fn representations(&self) -> Vec<Part<dyn Representation>> {
        vec![self.windows.clone()]
    }

    fn level(&self) -> Option<f64> {
        Some(self.level)
    }

    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let origin = class.origin.ok_or_else(|| {
            Error::request("the decision `causal` asks the net, and was given features alone")
                .with_help("decide by what looks at features, such as `relative-size`")
        })?;
        let sizes = class.clustering.sizes();
        if sizes.is_empty() {
            return Ok(spare(class, "all images are noise"));
        }
        let Some(trial) = Trial::new(self, cx, origin)? else {
            return Ok(spare(class, "the other classes have too few images to paste onto"));
        };
        let task = cx.task("paste squares", (sizes.len() + origin.rows.len()) as u64);
        let mut effects = Vec::with_capacity(sizes.len());
        for cluster in 0..sizes.len() {
            cx.check()?;
            effects.push(self.effect(cx, &trial, class, cluster as u32)?);
            task.advance(1);
        }
        let best = (0..effects.len()).rev().max_by(|&a, &b| mean(&effects[a]).total_cmp(&mean(&effects[b]))).unwrap_or_default();
        let turned = mean(&effects[best]);
        let p_value = (chance(turned, self.natural, trial.hosts.len()) * sizes.len() as f64).min(1.0);
        let tried = trial.on_most_turned(&effects[best]);
        let mut shares = Vec::with_capacity(origin.rows.len());
        for row in 0..origin.rows.len() {
            cx.check()?;
            shares.push(mean(&tried.turned(row)?));
            task.advance(1);
        }
        let flagged: Vec<bool> = shares.iter().map(|&share| p_value < self.level && share >= 0.5).collect();
        let accused = flagged.iter().filter(|&&flag| flag).count();
        let reason = format!(
            "{accused} images accused; the squares of cluster {} of {} ({} images) turn {} of other images into this class",
            best + 1,
            sizes.len(),
            sizes[best],
            percent(turned)
        );
        let scores = shares.into_iter().map(|share| share * turned).collect();
        Ok(Decided { flagged, reason, p_value: Some(p_value), scores: Some(scores) })
    }
}

impl Causal {
    /// For each host, the share of a cluster's probes whose squares turn it. Where the first probes turn few, they speak for the cluster.
    fn effect(&self, cx: &Context, trial: &Trial<'_>, class: &ClusteredClass<'_>, cluster: u32) -> Result<Vec<f64>> {
        let labels = &class.clustering.labels;
        let members: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] == Some(cluster)).collect();
        let probes: Vec<usize> = members.sample(&mut cx.rng(&format!("probes of {cluster}")), self.probes).copied().collect();
        let first = trial.effect(&probes[..probes.len().min(FIRST)])?;
        if mean(&first) < self.natural / 2.0 { Ok(first) } else { trial.effect(&probes) }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Bound on the chance that the mean of `trials` independent values between 0 and 1 is at least `mean`, if each has the mean `expected`
/// (Hoeffding 1963, theorem 1).
fn chance(mean: f64, expected: f64, trials: usize) -> f64 {
    if mean <= expected {
        return 1.0;
    }
    let part = |of: f64, to: f64| if of > 0.0 { of * (of / to).ln() } else { 0.0 };
    (-(trials as f64) * (part(mean, expected) + part(1.0 - mean, 1.0 - expected))).exp()
}

/// Squares of a class's images, and images of other classes to paste them onto.
struct Trial<'a> {
    origin: ClassOrigin<'a>,
    windows: Features,
    margin: usize,
    hosts: Batch,
}

impl<'a> Trial<'a> {
    /// None if there are too few hosts: images of other classes that the net does not take for this class anyway.
    fn new(settings: &Causal, cx: &Context, origin: ClassOrigin<'a>) -> Result<Option<Self>> {
        let images = origin.suspect.images;
        let [_, windows] = origin.suspect.features else {
            return Err(Error::request("the decision `causal` was given no windows"));
        };
        let windows = windows.select(origin.rows)?;
        if windows.shape() != [4] {
            return Err(Error::request(format!("`windows` gives rows of {:?}, not of [y, x, size, mass]", windows.shape()))
                .with_help("name `{ use: strongest-window }` there"));
        }
        let others: Vec<usize> = (0..images.len()).filter(|&row| images.label(row) != origin.class).collect();
        let drawn: Vec<usize> = others.sample(&mut cx.rng("hosts"), 2 * settings.hosts).copied().collect();
        let mut hosts = images.batch(&drawn)?;
        let kept = predicted(&origin, &hosts)?.into_iter().zip(&drawn).filter(|(class, _)| *class != origin.class);
        let kept: Vec<usize> = kept.map(|(_, &row)| row).take(settings.hosts).collect();
        if kept.len() < TRIED {
            return Ok(None);
        }
        hosts = images.batch(&kept)?;
        Ok(Some(Self { origin, windows, margin: settings.margin, hosts }))
    }

    /// For each host, the share of these images whose squares turn it.
    fn effect(&self, rows: &[usize]) -> Result<Vec<f64>> {
        let mut sums = vec![0.0; self.hosts.len()];
        for &row in rows {
            sums.iter_mut().zip(self.turned(row)?).for_each(|(sum, turned)| *sum += turned);
        }
        Ok(sums.into_iter().map(|sum| sum / rows.len() as f64).collect())
    }

    /// The same trial on the hosts that are turned most.
    fn on_most_turned(&self, effect: &[f64]) -> Trial<'a> {
        let mut order: Vec<usize> = (0..effect.len()).collect();
        order.sort_by(|&a, &b| effect[b].total_cmp(&effect[a]));
        let size = self.hosts.shape.len();
        let kept = &order[..TRIED];
        let hosts = Batch {
            shape: self.hosts.shape,
            labels: kept.iter().map(|&host| self.hosts.labels[host]).collect(),
            pixels: kept.iter().flat_map(|&host| &self.hosts.pixels[host * size..(host + 1) * size]).copied().collect(),
        };
        Trial { origin: self.origin, windows: self.windows.clone(), margin: self.margin, hosts }
    }

    /// For each host, 1 if the net takes it for this class once the image's square lies on it, 0 if not.
    fn turned(&self, row: usize) -> Result<Vec<f64>> {
        let image = self.origin.suspect.images.image(self.origin.rows[row])?;
        let (shape, window) = (image.shape(), self.windows.row(row));
        let span = |from: f32, end: usize| {
            let (from, to) = (from as usize, (from + window[2]) as usize);
            from.saturating_sub(self.margin)..(to + self.margin).min(end)
        };
        let (rows, columns) = (span(window[0], shape.height), span(window[1], shape.width));
        let mut pasted = self.hosts.clone();
        for host in pasted.pixels.chunks_exact_mut(shape.len()) {
            for y in rows.clone() {
                let line = (y * shape.width + columns.start) * shape.channels..(y * shape.width + columns.end) * shape.channels;
                host[line.clone()].copy_from_slice(&image.pixels()[line]);
            }
        }
        Ok(predicted(&self.origin, &pasted)?.into_iter().map(|class| f64::from(u8::from(class == self.origin.class))).collect())
    }
}

/// What the net takes each image for.
fn predicted(origin: &ClassOrigin<'_>, batch: &Batch) -> Result<Vec<u32>> {
    let logits = origin.suspect.model.logits(batch)?;
    Ok(logits.rows().map(|row| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0) as u32).collect())
}

#[cfg(test)]
mod tests {
    use std::any::Any;

    use bezoar_core::{Classifier, Clustering, FeatureSource, ImageSet, ImageShape, Suspect};
    use proptest::prelude::*;

    use super::*;

    const SHAPE: ImageShape = ImageShape { height: 6, width: 6, channels: 1 };

    /// Takes images with a white pixel for class 0, and others for what their upper left pixel says.
    struct Backdoored;

    impl Classifier for Backdoored {
        fn input(&self) -> ImageShape {
            SHAPE
        }

        fn classes(&self) -> usize {
            3
        }

        fn layers(&self) -> Vec<String> {
            Vec::new()
        }

        fn penultimate(&self) -> String {
            String::new()
        }

        fn logits(&self, batch: &Batch) -> Result<Features> {
            let class = |image: &[u8]| if image.contains(&255) { 0 } else { usize::from(image[0]) };
            let scores = batch.pixels.chunks_exact(SHAPE.len()).flat_map(|image| {
                let class = class(image);
                (0..3).map(move |other| f32::from(u8::from(other == class)))
            });
            Features::new(vec![3], scores.collect())
        }

        fn activations(&self, _: &Batch, layer: &str) -> Result<Features> {
            Err(Error::request(format!("no layer {layer}")))
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    /// 20 images of each class; the first `poisoned` of class 0 have a white pixel at (3, 3).
    fn images(poisoned: usize) -> ImageSet {
        let edits = (0..60_usize).map(|row| {
            let label = (row / 20) as u8;
            let mut pixels = vec![9; SHAPE.len()];
            pixels[0] = label;
            if row < poisoned {
                pixels[3 * 6 + 3] = 255;
            }
            let sample = bezoar_core::Sample { id: format!("{row}"), label: u32::from(label), path: String::new() };
            bezoar_core::Edit { sample, image: bezoar_core::Image::new(SHAPE, pixels).unwrap() }
        });
        ImageSet::from_images(["a", "b", "c"].map(str::to_owned).into(), edits.collect()).unwrap()
    }

    fn decide(settings: &Causal, images: &ImageSet, windows: Features, labels: &[Option<u32>]) -> Result<Decided> {
        let clustered = Features::new(vec![1], vec![0.0; images.len()]).unwrap();
        let features: Vec<Arc<dyn FeatureSource>> = vec![Arc::new(clustered.clone()), Arc::new(windows)];
        let suspect = Suspect { images, model: &Backdoored, features: &features };
        let rows: Vec<usize> = (0..20).collect();
        let origin = Some(ClassOrigin { suspect: &suspect, class: 0, rows: &rows });
        let clustering = Clustering::of(labels.to_vec());
        settings.decide(
            &Context::quiet(0),
            &ClusteredClass { features: &clustered.select(&rows), clustering: &clustering, silhouette: None, origin },
        )
    }

    fn windows(rows: usize) -> Features {
        Features::new(vec![4], [3.0, 3.0, 1.0, 1.0].repeat(rows)).unwrap()
    }

    /// Stands for what finds windows, which this crate does not have; it is never asked.
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Given {}

    impl Plugin for Given {
        type Kind = dyn Representation;
        const NAME: &'static str = "given";

        fn example() -> Self {
            Self {}
        }

        fn build(self) -> Result<Arc<dyn Representation>> {
            Ok(Arc::new(self))
        }
    }

    register!(Given);

    impl Representation for Given {
        fn represent(&self, _: &Context, _: &dyn Classifier, _: &ImageSet, _: &mut dyn FnMut(Features) -> Result<()>) -> Result<()> {
            Err(Error::request("never asked"))
        }
    }

    fn settings() -> Causal {
        let windows = Part::from_json(json!({ "use": "given" })).unwrap();
        Causal { windows, margin: 0, hosts: 32, probes: 8, natural: 0.25, level: 0.05 }
    }

    fn clusters(sizes: &[usize]) -> Vec<Option<u32>> {
        sizes.iter().zip(0..).flat_map(|(&size, cluster)| std::iter::repeat_n(Some(cluster), size)).collect()
    }

    #[test]
    fn squares_that_turn_other_images_are_accused_however_many() {
        for (poisoned, labels) in [(4, clusters(&[4, 16])), (17, clusters(&[17, 3])), (20, clusters(&[20]))] {
            let found = decide(&settings(), &images(poisoned), windows(60), &labels).unwrap();
            assert_eq!(found.flagged, [vec![true; poisoned], vec![false; 20 - poisoned]].concat(), "{}", found.reason);
            assert!(found.p_value.unwrap() < 1e-6);
        }
    }

    #[test]
    fn stragglers_are_found_and_strangers_in_a_cluster_spared() {
        let labels = [clusters(&[6]), vec![None; 2], vec![Some(0), Some(0)], vec![Some(1); 10]].concat();
        let found = decide(&settings(), &images(8), windows(60), &labels).unwrap();
        assert_eq!(found.flagged, [vec![true; 8], vec![false; 12]].concat(), "{}", found.reason);
    }

    #[test]
    fn a_clean_class_is_spared_whatever_its_clusters() {
        let found = decide(&settings(), &images(0), windows(60), &clusters(&[17, 3])).unwrap();
        assert_eq!((found.flagged, found.p_value), (vec![false; 20], Some(1.0)));
        assert_eq!(found.reason, "0 images accused; the squares of cluster 1 of 2 (17 images) turn 0.0 % of other images into this class");
    }

    #[test]
    fn a_margin_reaches_what_lies_beside_the_square() {
        let beside = Features::new(vec![4], [4.0, 4.0, 2.0, 1.0].repeat(60)).unwrap();
        let accused = |margin| {
            let found = decide(&Causal { margin, ..settings() }, &images(5), beside.clone(), &clusters(&[5, 15])).unwrap();
            found.flagged.iter().filter(|&&flag| flag).count()
        };
        assert_eq!((accused(0), accused(1)), (0, 5));
    }

    #[test]
    fn what_it_cannot_judge_it_refuses_or_spares() {
        let all_noise = decide(&settings(), &images(5), windows(60), &[None; 20]).unwrap();
        assert_eq!((all_noise.reason.as_str(), all_noise.p_value), ("all images are noise", None));
        let no_windows = Features::new(vec![2], vec![0.0; 120]).unwrap();
        assert!(decide(&settings(), &images(5), no_windows, &clusters(&[20])).unwrap_err().to_string().contains("[y, x, size, mass]"));
        let features = Features::new(vec![1], vec![0.0; 4]).unwrap();
        let clustering = Clustering::of(clusters(&[4]));
        let alone = ClusteredClass { features: &features, clustering: &clustering, silhouette: None, origin: None };
        assert!(settings().decide(&Context::quiet(0), &alone).unwrap_err().to_string().contains("asks the net"));
        let only_class = images(5).select(&(0..20).collect::<Vec<_>>());
        let found = decide(&settings(), &only_class, windows(20), &clusters(&[5, 15])).unwrap();
        assert_eq!(found.reason, "the other classes have too few images to paste onto");
    }

    proptest! {
        /// The bound is one on the binomial distribution too, whose tail is known.
        #[test]
        fn the_bound_holds_for_coins(trials in 1..60_usize, expected in 0.02..0.98_f64, hits in 0..60_usize) {
            let hits = hits.min(trials);
            let probability = |k: usize| {
                let ways: f64 = (0..k).map(|i| (trials - i) as f64 / (i + 1) as f64).product();
                ways * expected.powi(k as i32) * (1.0 - expected).powi((trials - k) as i32)
            };
            let tail: f64 = (hits..=trials).map(probability).sum();
            let bound = chance(hits as f64 / trials as f64, expected, trials);
            prop_assert!(bound >= tail * (1.0 - 1e-9) && bound <= 1.0, "{bound} and {tail}");
        }
    }
}
