mod squares;
mod trial;
mod two_stage;

use std::sync::Arc;

use bezoar_core::{ClusteredClass, Context, Decided, Decision, Part, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::trial::{Effect, Trial};
use self::two_stage::TwoStage;
use super::chance::chance;
use super::{origin, percent, spare, windows};

/// Accuses images of which small squares turn images of other classes into theirs: it asks the net what a trigger would do.
///
/// Two questions are asked of each image and its strongest squares. *Exchange*: does the net see another class once the strongest square
/// is covered, and this class on images of that other one once the square lies on them? So a trigger gives itself away that works on one
/// class alone: its images are images of that class. *Carry*: do all its squares turn images of any class into this one? So do triggers on
/// images that the net would know without. The effect of an image is the share of hosts that are turned, the greater of the two; squares
/// are pasted at their own places.
///
/// The p-value of a class is the chance of as great a mean effect in one of its clusters, or in all of it, if that of clean images were
/// `natural` at most (bound of Hoeffding 1963, times the number of clusters and one), and 1 for effects below `least`; it is then corrected
/// over all classes. Where more than three quarters of a class exceed `natural`, it is no bound for that class, as where classes look alike and a
/// digit makes one sign another: there a group has to turn nine hosts of ten. Neither the size of a cluster nor that of the class matters, and
/// all classes may be poisoned. In a class that is
/// found, other images are searched where squares turned others, as the strongest square of an image need not be the trigger; then images
/// are accused whose effect is likelier under the greatest mean effect of a group with a p-value below `level` than under `natural`
/// (likelihood ratio of independent hosts), and the clusters of which at least half are.
///
/// A sample of each cluster is tried first. Where it turns no more than `natural` in the mean, in every cluster, the class is spared with
/// the p-value 1, which is never too small, and the score of its other images is the mean of their cluster.
///
/// The score of an image is its effect, in a cluster that is accused at least the cluster's mean and the effect that accuses; between
/// equals, how much less sure the net is of an image without its square decides. It cannot see triggers that fill the image, and none that
/// the net does not obey.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Causal {
    /// The squares of each image, the strongest first: rows of `[count, 4]`, each `[y, x, size, mass]`.
    pub windows: Part<dyn Representation>,
    /// Images of other classes that the squares of each image are tried on, for each question.
    #[schemars(range(min = 4, max = 10_000))]
    pub hosts: usize,
    /// How many images of each cluster, and of the noise, are tried before all of the class are.
    #[schemars(range(min = 1))]
    pub sample: usize,
    /// The share of hosts that squares of clean images turn, in the mean over a cluster.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub natural: f64,
    /// The share of hosts that a cluster turns at least, in the mean, to be accused: where classes look alike, whole clean ones turn more
    /// than `natural`, and fewer than a trigger does.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub least: f64,
    /// The chance of accusing any class of a clean data set.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub level: f64,
}

impl Plugin for Causal {
    type Kind = dyn Decision;
    const NAME: &'static str = "causal";

    fn defaults() -> Value {
        json!({ "windows": { "use": "strongest-window", "count": 4 }, "hosts": 8, "sample": 64, "natural": 0.35, "least": 0.6, "level": 0.05 })
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
    fn fingerprint(&self) -> Result<Option<String>> {
        windows::fingerprint(&self.windows).map(Some)
    }

    fn level(&self) -> Option<f64> {
        Some(self.level)
    }

    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let origin = origin(class, Self::NAME)?;
        let Some(trial) = Trial::new(cx, origin, &self.windows, self.hosts)? else {
            return Ok(spare(class, "there are too few images of other classes, not taken for this one, to paste onto"));
        };
        let task = cx.task("exchange squares", origin.rows.len() as u64);
        let stages = TwoStage::drawn(&class.clustering.labels, self.sample, &mut cx.rng(&format!("sample of class {}", origin.class)));
        let sampled = trial.effects(cx, &stages.sampled, |rows| task.advance(rows as u64))?;
        if let Some(spared) = self.spared(class, &stages, &sampled) {
            return Ok(spared);
        }
        let rest = trial.effects(cx, &stages.rest, |rows| task.advance(rows as u64))?;
        let mut effects = stages.joined(sampled, rest);
        let groups = self.groups(class, &shares(&effects));
        let threshold = self.threshold(groups.greatest_share(self.level));
        if groups.found().p_value < self.level {
            trial.search(cx, &mut effects, threshold)?;
        }
        let shares = held(class, &shares(&effects), threshold);
        let flagged = self.accused(&groups, &shares, threshold);
        let accused = flagged.iter().filter(|&&flag| flag).count();
        let reason = format!("{accused} images accused; {}", groups.found());
        let scores = shares.iter().zip(&effects).map(|(&share, effect)| score(share, effect)).collect();
        Ok(Decided { flagged, reason, p_value: Some(groups.found().p_value), scores: Some(scores) })
    }
}

/// The greatest chance of a host to be turned that is believed of any group: however many hosts it turned, its next image may be one that the
/// net obeys less.
const SUREST: f64 = 0.99;

/// The share of hosts that a group turns at least in a class of which more than [`UNUSUAL`] exceed `natural`: squares of look-alikes turn fewer,
/// triggers on most of a class more.
const CERTAIN: f64 = 0.9;

/// The share of a class's images that may exceed `natural` while it is taken for a bound.
const UNUSUAL: f64 = 0.75;

/// What the hint counts beside the share: it only decides between equals.
const TIE: f64 = 1e-3;

fn score(share: f64, effect: &Effect) -> f64 {
    share + TIE * effect.hint
}

/// The share of hosts that each image turns.
fn shares(effects: &[Effect]) -> Vec<f64> {
    effects.iter().map(|effect| effect.share).collect()
}

/// The number of images of each cluster, and the share of hosts that they turn in the mean.
fn means(class: &ClusteredClass<'_>, shares: &[f64]) -> Vec<(usize, f64)> {
    let mut sums = vec![(0_usize, 0.0); class.clustering.sizes().len()];
    for (share, label) in shares.iter().zip(&class.clustering.labels) {
        if let Some(cluster) = label {
            let (images, sum) = &mut sums[*cluster as usize];
            *images += 1;
            *sum += share;
        }
    }
    sums.into_iter().map(|(images, sum)| (images, sum / images as f64)).collect()
}

/// Whether at least half of each cluster's images turn a share of `threshold` or more.
fn mostly(class: &ClusteredClass<'_>, shares: &[f64], threshold: f64) -> Vec<bool> {
    let mut more = vec![0_i64; class.clustering.sizes().len()];
    for (&share, label) in shares.iter().zip(&class.clustering.labels) {
        if let Some(cluster) = label {
            more[*cluster as usize] += if share >= threshold { 1 } else { -1 };
        }
    }
    more.into_iter().map(|more| more >= 0).collect()
}

/// The share that each image is held to turn: what most of a cluster does, all of it is held to do, as its squares look alike.
fn held(class: &ClusteredClass<'_>, shares: &[f64], threshold: f64) -> Vec<f64> {
    let (means, alike) = (means(class, shares), mostly(class, shares, threshold));
    let held = |(&share, label): (&f64, &Option<u32>)| match label.map(|cluster| cluster as usize) {
        Some(cluster) if alike[cluster] => share.max(means[cluster].1).max(threshold),
        _ => share,
    };
    shares.iter().zip(&class.clustering.labels).map(held).collect()
}

/// Some images of a class.
struct Group {
    name: String,
    images: usize,
    /// The share of hosts that they turn, in the mean.
    share: f64,
    p_value: f64,
}

/// A class and its clusters.
struct Groups {
    class: Group,
    clusters: Vec<Group>,
}

impl Groups {
    fn iter(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.class).chain(&self.clusters)
    }

    /// The group with the least p-value; of equal ones that which turns most.
    fn found(&self) -> &Group {
        let order = |a: &Group, b: &Group| a.p_value.total_cmp(&b.p_value).then(b.share.total_cmp(&a.share));
        self.clusters.iter().fold(&self.class, |found, group| if order(group, found).is_lt() { group } else { found })
    }

    /// The greatest share that a group with a p-value below `level` turns; 0 without any.
    fn greatest_share(&self, level: f64) -> f64 {
        self.iter().filter(|group| group.p_value < level).map(|group| group.share).fold(0.0, f64::max)
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, images, share, .. } = self;
        write!(
            out,
            "squares of the {images} images of {name} turn {} of the images of other classes that they are tried on",
            percent(*share)
        )
    }
}

impl Causal {
    /// The share from which on an image is likelier one of a group that turns this share in the mean than a clean one, whose hosts turn with
    /// the chance `natural`: where the odds are even (Neyman and Pearson's likelihood ratio of independent hosts). 1 if the group is no other
    /// than clean ones.
    fn threshold(&self, share: f64) -> f64 {
        let share = share.min(SUREST);
        if share <= self.natural {
            return 1.0;
        }
        let (lost, won) = (((1.0 - self.natural) / (1.0 - share)).ln(), (share / self.natural).ln());
        lost / (lost + won)
    }

    /// Who is accused: in a class that is found, the images that are held to turn at least the threshold.
    fn accused(&self, groups: &Groups, held: &[f64], threshold: f64) -> Vec<bool> {
        let is_found = groups.found().p_value < self.level;
        held.iter().map(|&share| is_found && share >= threshold).collect()
    }

    /// The class with nobody accused, where no cluster's sample turns more than `natural`, so that the others need not be asked.
    fn spared(&self, class: &ClusteredClass<'_>, stages: &TwoStage, sampled: &[Effect]) -> Option<Decided> {
        let labels = &class.clustering.labels;
        let means = stages.means(labels, sampled.iter().map(|effect| effect.share));
        let most = means.values().copied().fold(0.0, f64::max);
        if stages.rest.is_empty() || most > self.natural {
            return None;
        }
        let mut scores: Vec<f64> = labels.iter().map(|cluster| means[cluster]).collect();
        for (&row, effect) in stages.sampled.iter().zip(sampled) {
            scores[row] = score(effect.share, effect);
        }
        let reason = format!(
            "0 images accused; squares of {} of the {} images turn {} at most, in the mean over a cluster, of the images of other classes that they \
             are tried on",
            sampled.len(),
            labels.len(),
            percent(most)
        );
        Some(Decided { flagged: vec![false; labels.len()], reason, p_value: Some(1.0), scores: Some(scores) })
    }

    /// Whether `natural` may be a bound for this class. Images of clusters of which most exceed it are taken to, so that no image that is accused
    /// counts otherwise when it turns more.
    fn holds(&self, class: &ClusteredClass<'_>, shares: &[f64]) -> bool {
        let exceeding = held(class, shares, self.natural).into_iter().filter(|&share| share >= self.natural).count();
        exceeding as f64 <= UNUSUAL * shares.len() as f64
    }

    /// The class and its clusters, whose images turn these shares. Their p-values count how many they are.
    fn groups(&self, class: &ClusteredClass<'_>, shares: &[f64]) -> Groups {
        let means = means(class, shares);
        let clusters = means.len();
        let least = if self.holds(class, shares) { self.least } else { self.least.max(CERTAIN) };
        let group = |name: String, (images, share): (usize, f64)| {
            let raw = if share >= least { chance(share, self.natural, images) * (1 + clusters) as f64 } else { 1.0 };
            Group { name, images, share, p_value: raw.min(1.0) }
        };
        let of_class = (shares.len(), shares.iter().sum::<f64>() / shares.len() as f64);
        Groups {
            class: group("the class".to_owned(), of_class),
            clusters: means.into_iter().zip(1..).map(|(mean, number)| group(format!("cluster {number} of {clusters}"), mean)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Classifier, Clustering, Features, ImageSet, ImageShape, Sample};

    use proptest::prelude::{prop_assert, prop_assume, proptest};

    use super::*;
    use crate::stand_in::{StandIn, decided};

    const SHAPE: ImageShape = ImageShape { height: 6, width: 6, channels: 1 };

    /// Takes images for what their upper left pixel says; but those of the given classes that have a white pixel for class 0.
    fn backdoored(turned: &'static [u8]) -> StandIn<impl Fn(&[u8]) -> usize + Send + Sync + 'static> {
        let class = move |image: &[u8]| if turned.contains(&image[0]) && image.contains(&255) { 0 } else { usize::from(image[0]) };
        StandIn { shape: SHAPE, classes: 3, class }
    }

    /// The net obeys on images of all classes.
    const ANY: &[u8] = &[0, 1, 2];

    /// 20 images of each class; the first `poisoned` of class 0 have a white pixel at (3, 3), and show class `shown`.
    fn images(poisoned: usize, shown: u8) -> ImageSet {
        let edits = (0..60_usize).map(|row| {
            let label = (row / 20) as u8;
            let mut pixels = vec![9; SHAPE.len()];
            pixels[0] = label;
            if row < poisoned {
                pixels[0] = shown;
                pixels[3 * 6 + 3] = 255;
            }
            let sample = Sample { id: format!("{row}"), label: u32::from(label), path: String::new() };
            bezoar_core::Edit { sample, image: bezoar_core::Image::new(SHAPE, pixels).unwrap() }
        });
        ImageSet::from_images(["a", "b", "c"].map(str::to_owned).into(), edits.collect()).unwrap()
    }

    fn decide(
        net: &StandIn<impl Fn(&[u8]) -> usize + Send + Sync + 'static>,
        images: &ImageSet,
        labels: &[Option<u32>],
    ) -> Result<Decided> {
        decided(&settings(), net, images, 0, labels)
    }

    /// Stands for what finds windows, which this crate does not have: the pixel at (3, 3) of the first images, another one's of the others.
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Given {
        first: usize,
        numbers: usize,
    }

    impl Plugin for Given {
        type Kind = dyn Representation;
        const NAME: &'static str = "given";

        fn example() -> Self {
            Self { first: 60, numbers: 4 }
        }

        fn build(self) -> Result<Arc<dyn Representation>> {
            Ok(Arc::new(self))
        }
    }

    register!(Given);

    impl Representation for Given {
        fn represent(
            &self,
            _: &Context,
            _: &dyn Classifier,
            images: &ImageSet,
            sink: &mut dyn FnMut(Features) -> Result<()>,
        ) -> Result<()> {
            let is_first = |sample: &Sample| sample.id.parse::<usize>().is_ok_and(|row| row < self.first);
            let square = |sample| if is_first(sample) { [3.0, 3.0, 1.0, 1.0] } else { [5.0, 0.0, 1.0, 1.0] };
            let squares = images.samples().iter().flat_map(|sample| square(sample).into_iter().take(self.numbers));
            sink(Features::new(vec![1, self.numbers], squares.collect())?)
        }
    }

    fn settings() -> Causal {
        looking(json!({ "use": "given", "first": 60, "numbers": 4 }))
    }

    fn looking(windows: Value) -> Causal {
        let windows = Part::from_json(windows).unwrap();
        Causal { windows, hosts: 8, sample: 128, natural: 0.1, least: 0.6, level: 0.05 }
    }

    fn clusters(sizes: &[usize]) -> Vec<Option<u32>> {
        sizes.iter().zip(0..).flat_map(|(&size, cluster)| std::iter::repeat_n(Some(cluster), size)).collect()
    }

    #[test]
    fn squares_that_turn_images_of_any_class_are_accused_however_many() {
        for (poisoned, labels) in [(5, clusters(&[5, 15])), (17, clusters(&[17, 3])), (20, clusters(&[20])), (20, vec![None; 20])] {
            let found = decide(&backdoored(ANY), &images(poisoned, 0), &labels).unwrap();
            assert_eq!(found.flagged, [vec![true; poisoned], vec![false; 20 - poisoned]].concat(), "{}", found.reason);
            assert!(found.p_value.unwrap() < 1e-4);
        }
    }

    /// Nothing is compared with other classes: each has a trigger of its own, a grey at (3, 3).
    #[test]
    fn all_classes_may_be_poisoned() {
        let class = |image: &[u8]| if image[3 * 6 + 3] > 250 { usize::from(255 - image[3 * 6 + 3]) } else { usize::from(image[0]) };
        let net = StandIn { shape: SHAPE, classes: 3, class };
        let edits = (0..60_u8).map(|row| {
            let label = row / 20;
            let mut pixels = vec![9; SHAPE.len()];
            pixels[0] = label;
            if row % 20 < 12 {
                pixels[0] = (label + 1) % 3;
                pixels[3 * 6 + 3] = 255 - label;
            }
            let sample = Sample { id: format!("{row}"), label: u32::from(label), path: String::new() };
            bezoar_core::Edit { sample, image: bezoar_core::Image::new(SHAPE, pixels).unwrap() }
        });
        let images = ImageSet::from_images(["a", "b", "c"].map(str::to_owned).into(), edits.collect()).unwrap();
        for class in 0..3 {
            let found = decided(&settings(), &net, &images, class, &clusters(&[12, 8])).unwrap();
            assert_eq!(found.flagged, [vec![true; 12], vec![false; 8]].concat(), "{}", found.reason);
            assert!(found.p_value.unwrap() < 1e-4);
        }
    }

    #[test]
    fn squares_that_turn_one_class_alone_are_accused_by_what_lies_below() {
        let found = decide(&backdoored(&[2]), &images(6, 2), &clusters(&[6, 14])).unwrap();
        assert_eq!(found.flagged, [vec![true; 6], vec![false; 14]].concat(), "{}", found.reason);
    }

    #[test]
    fn stragglers_are_found_and_so_is_the_rest_of_a_cluster_of_poison() {
        let labels = [clusters(&[6]), vec![None, Some(1)], vec![Some(0), Some(0)], vec![Some(1); 10]].concat();
        let found = decide(&backdoored(ANY), &images(8, 1), &labels).unwrap();
        assert_eq!(found.flagged, [vec![true; 10], vec![false; 10]].concat(), "{}", found.reason);
        let expected = "10 images accused; squares of the 8 images of cluster 1 of 2 turn 75.0 % of the images of other classes that they are tried on";
        assert_eq!(found.reason, expected);
        let scores = found.scores.unwrap();
        assert!(
            scores[..8].iter().all(|score| *score >= 1.0) && scores[8..10].iter().all(|score| (0.75..0.9).contains(score)),
            "{scores:?}"
        );
    }

    /// Where the strongest square lies beside the trigger, nothing is exchanged or carried: only the search finds it.
    #[test]
    fn images_whose_trigger_is_outshone_are_found_by_the_others() {
        let few = looking(json!({ "use": "given", "first": 6, "numbers": 4 }));
        for turned in [ANY, &[2]] {
            let found = decided(&few, &backdoored(turned), &images(9, 2), 0, &clusters(&[6, 14])).unwrap();
            assert_eq!(found.flagged, [vec![true; 9], vec![false; 11]].concat(), "{}", found.reason);
        }
    }

    #[test]
    fn a_clean_class_is_spared_whatever_its_clusters() {
        let found = decide(&backdoored(ANY), &images(0, 0), &clusters(&[17, 3])).unwrap();
        assert_eq!((found.flagged, found.p_value), (vec![false; 20], Some(1.0)));
        assert_eq!(
            found.reason,
            "0 images accused; squares of the 20 images of the class turn 0.0 % of the images of other classes that they are tried on"
        );
    }

    /// Only a sample of each cluster is asked where that turns too few, and all where one does.
    #[test]
    fn no_more_are_asked_where_the_sample_turns_few() {
        let few = Causal { sample: 2, ..settings() };
        let labels = clusters(&[5, 15]);
        let clean = decided(&few, &backdoored(ANY), &images(0, 0), 0, &labels).unwrap();
        assert_eq!((clean.flagged, clean.p_value), (vec![false; 20], Some(1.0)));
        let expected = "0 images accused; squares of 4 of the 20 images turn 0.0 % at most, in the mean over a cluster, of the images of other classes that they are tried on";
        assert_eq!(clean.reason, expected);
        assert!(clean.scores.unwrap().iter().all(|score| *score <= TIE));
        let poisoned = images(5, 0);
        let of = |causal: &Causal| decided(causal, &backdoored(ANY), &poisoned, 0, &labels).unwrap();
        assert_eq!(of(&few), of(&settings()), "the order changes nothing");
        let lenient = Causal { natural: 1.0, ..few.clone() };
        let labels = [clusters(&[5]), vec![None; 2], vec![Some(1); 13]].concat();
        let spared = decided(&lenient, &backdoored(ANY), &images(7, 1), 0, &labels).unwrap();
        assert_eq!((spared.flagged, spared.p_value), (vec![false; 20], Some(1.0)));
        assert!(spared.reason.contains("squares of 6 of the 20 images turn 100.0 % at most"), "{}", spared.reason);
        let scores = spared.scores.unwrap();
        assert!(scores[..7].iter().all(|score| *score >= 0.75) && scores[7..].iter().all(|score| *score <= TIE), "{scores:?}");
    }

    /// 20 images of which seven turn all hosts are significantly above `natural`, but no cluster of poison.
    #[test]
    fn a_group_that_turns_fewer_than_the_least_is_spared() {
        let found = |least| decided(&Causal { least, ..settings() }, &backdoored(ANY), &images(7, 0), 0, &clusters(&[20])).unwrap();
        assert!(found(0.3).p_value.unwrap() < 0.05 && found(0.3).flagged[..7] == [true; 7], "{}", found(0.3).reason);
        assert_eq!((found(0.6).p_value, found(0.6).flagged), (Some(1.0), vec![false; 20]));
    }

    /// Where nearly all images of a class turn six hosts of ten, a group that turns seven of ten is no trigger; one that turns all is.
    #[test]
    fn a_class_that_looks_like_others_is_judged_more_strictly() {
        let causal = Causal { natural: 0.35, least: 0.6, ..settings() };
        let clustering = Clustering::of(clusters(&[200, 100]));
        let features = Features::new(vec![1], vec![0.0; 300]).unwrap();
        let class = ClusteredClass { features: &features, clustering: &clustering, silhouette: None, origin: None };
        let p_value = |bulk: f64, group: f64| causal.groups(&class, &[vec![bulk; 200], vec![group; 100]].concat()).found().p_value;
        assert!(p_value(0.1, 0.75) < 1e-9);
        assert!((p_value(0.6, 0.75) - 1.0).abs() < f64::EPSILON);
        assert!(p_value(0.6, 0.95) < 1e-9 && p_value(0.95, 0.95) < 1e-9, "all of it may be poison");
    }

    #[test]
    fn the_threshold_lies_between_clean_images_and_the_group() {
        let causal = Causal { natural: 0.35, ..settings() };
        // Odds of 7 hosts of 8 under 0.99 and 0.35 are 22 to 1, of 6 one to 8; under 0.7 those of 5 are 3 to 1, of 4 one to 1.4.
        assert!((6.0 / 8.0..7.0 / 8.0).contains(&causal.threshold(0.99)) && (4.0 / 8.0..5.0 / 8.0).contains(&causal.threshold(0.7)));
        assert!(causal.threshold(1.0) < 7.0 / 8.0, "one host may fail");
        assert!(causal.threshold(0.35) >= 1.0 && causal.threshold(0.1) >= 1.0, "no group that is known from clean ones");
    }

    proptest! {
        /// The surer the group, the more an image of it has to turn; and never as few as clean images do.
        #[test]
        fn a_surer_group_asks_for_more(natural in 0.05..0.9_f64, effect in 0.0..1.0_f64, more in 0.0..1.0_f64) {
            let causal = Causal { natural, ..settings() };
            let effect = natural + effect * (1.0 - natural);
            let surer = effect + more * (1.0 - effect);
            prop_assume!(effect > natural + 1e-6 && natural < SUREST);
            let (one, other) = (causal.threshold(effect), causal.threshold(surer));
            prop_assert!(natural < one && one < effect.min(SUREST) + 1e-9 && one <= other + 1e-9, "{one} {other}");
        }
    }

    proptest! {
        /// By the same threshold and by the one that follows, whatever else the greater share changes.
        #[test]
        fn an_image_that_turns_more_hosts_is_never_cleared(
            images in proptest::collection::vec((0..=8_u8, proptest::option::of(0..3_u32)), 4..60), raised in 0..60_usize, more in 1..=8_u8,
            least in 0.36..0.95_f64
        ) {
            let causal = Causal { natural: 0.35, least, ..settings() };
            let clustering = Clustering::of(images.iter().map(|image| image.1).collect());
            let features = Features::new(vec![1], vec![0.0; images.len()]).unwrap();
            let class = ClusteredClass { features: &features, clustering: &clustering, silhouette: None, origin: None };
            let before: Vec<f64> = images.iter().map(|image| f64::from(image.0) / 8.0).collect();
            let raised = raised % images.len();
            let mut after = before.clone();
            after[raised] = (after[raised] + f64::from(more) / 8.0).min(1.0);
            let judged = |shares: &[f64]| {
                let groups = causal.groups(&class, shares);
                let threshold = causal.threshold(groups.greatest_share(causal.level));
                (causal.accused(&groups, &held(&class, shares, threshold), threshold), threshold)
            };
            let ((flagged, threshold), (still, _)) = (judged(&before), judged(&after));
            prop_assert!(!flagged[raised] || still[raised]);
            let [low, high] = [&before, &after].map(|shares| held(&class, shares, threshold));
            prop_assert!(low.iter().zip(high).all(|(low, high)| *low <= high));
        }
    }

    #[test]
    fn one_image_is_no_evidence_but_has_the_score() {
        let found = decide(&backdoored(ANY), &images(1, 1), &clusters(&[1, 19])).unwrap();
        assert_eq!(found.flagged, [false; 20]);
        assert!((found.p_value.unwrap() - 0.3).abs() < 1e-9, "one of one, in ten clean ones; of three groups the best");
        let scores = found.scores.unwrap();
        assert!(scores[0] >= 1.0 && scores[1..].iter().all(|score| *score < 0.1), "{scores:?}");
    }

    #[test]
    fn what_it_cannot_judge_it_refuses_or_spares() {
        let net = backdoored(ANY);
        let no_windows = looking(json!({ "use": "given", "first": 60, "numbers": 2 }));
        let refused = decided(&no_windows, &net, &images(5, 0), 0, &clusters(&[20])).unwrap_err();
        assert!(refused.to_string().contains("not of [count, 4]"));
        let features = Features::new(vec![1], vec![0.0; 4]).unwrap();
        let clustering = Clustering::of(clusters(&[4]));
        let alone = ClusteredClass { features: &features, clustering: &clustering, silhouette: None, origin: None };
        assert!(settings().decide(&Context::quiet(0), &alone).unwrap_err().to_string().contains("asks the net"));
        let only_class = images(5, 0).select(&(0..20).collect::<Vec<_>>());
        let found = decide(&net, &only_class, &clusters(&[5, 15])).unwrap();
        assert_eq!(found.reason, "there are too few images of other classes, not taken for this one, to paste onto");
    }
}
