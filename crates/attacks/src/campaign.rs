//! Which images an attack marks, and what they are called then.

use std::collections::BTreeSet;
use std::sync::Arc;

use bezoar_core::{
    Attack, ClassRef, Classifier, Context, Edit, Error, GroundTruth, Image, ImageSet, Poisoned, Result, Role, Row, Sample, Splits,
    Triggered,
};
use rand::Rng;
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::craft::Craft;
use crate::trigger::{Moment, Stamp, Trigger};

/// Images that are crafted between two reports of progress.
const CHUNK: usize = 64;

/// What poison is labelled as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Labels {
    /// As this class; with `own`, images of the class itself may be drawn too, and keep their label.
    As { to: ClassRef, own: bool },
    /// Each as the class after its own; the last as the first.
    Next,
    /// Images of this class, as what they are (clean-label).
    Kept { of: ClassRef },
}

/// What a share is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Whole {
    /// The target class, as it is after the attack.
    #[default]
    Class,
    /// The whole set.
    Set,
}

/// Images that carry the trigger and keep their label, to hide the backdoor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cover {
    /// How many for each poisoned image.
    #[schemars(range(min = 0.0))]
    pub times: f64,
    /// The classes that they are drawn from; if none are named, all but the target and those that the attack names in `from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<ClassRef>,
}

/// An attack by a trigger.
pub(crate) struct Campaign {
    /// In a few words, for results.
    pub(crate) title: String,
    pub(crate) trigger: Arc<dyn Trigger>,
    /// The classes whose images are poisoned; all that the labels allow, if none are named.
    pub(crate) from: Vec<ClassRef>,
    pub(crate) labels: Labels,
    pub(crate) share: f64,
    pub(crate) of: Whole,
    pub(crate) cover: Option<Cover>,
    pub(crate) craft: Option<Craft>,
}

/// What an attack works with.
struct Tools<'a> {
    stamp: &'a dyn Stamp,
    surrogate: Option<&'a dyn Classifier>,
}

/// A set's classes as a campaign sees them.
struct Targets {
    /// The class that poison is labelled as, if it is one.
    to: Option<u32>,
    /// The classes that are poisoned.
    sources: BTreeSet<u32>,
}

fn resolve(classes: &[ClassRef], set: &ImageSet) -> Result<BTreeSet<u32>> {
    classes.iter().map(|class| class.resolve(set.classes())).collect()
}

fn rows_of(set: &ImageSet, classes: &BTreeSet<u32>) -> Vec<usize> {
    (0..set.len()).filter(|row| classes.contains(&set.label(*row))).collect()
}

fn names(set: &ImageSet, classes: &BTreeSet<u32>) -> String {
    classes.iter().map(|class| set.classes()[*class as usize].as_str()).collect::<Vec<_>>().join("`, `")
}

/// So many of some rows, drawn, ascending.
fn draw(rows: &[usize], count: usize, rng: &mut dyn Rng) -> Vec<usize> {
    let mut chosen: Vec<usize> = index::sample(rng, rows.len(), count).into_iter().map(|at| rows[at]).collect();
    chosen.sort_unstable();
    chosen
}

impl Campaign {
    fn targets(&self, set: &ImageSet) -> Result<Targets> {
        let all = || (0..set.classes().len() as u32).collect::<BTreeSet<u32>>();
        let named = resolve(&self.from, set)?;
        let (to, sources) = match &self.labels {
            Labels::As { to, own } => {
                let to = to.resolve(set.classes())?;
                let mut sources = if named.is_empty() { all() } else { named };
                if !own {
                    sources.remove(&to);
                }
                (Some(to), sources)
            }
            Labels::Next => (None, if named.is_empty() { all() } else { named }),
            Labels::Kept { of } => {
                let of = of.resolve(set.classes())?;
                (Some(of), BTreeSet::from([of]))
            }
        };
        if sources.is_empty() {
            return Err(Error::request(format!("the attack goes from `{}` to the same class", names(set, &to.into_iter().collect())))
                .with_help("`from` names the classes whose images are poisoned, `to` the wrong label that they get"));
        }
        Ok(Targets { to, sources })
    }

    /// How many images are poisoned.
    fn count(&self, set: &ImageSet, targets: &Targets) -> usize {
        let count = |label: u32| (0..set.len()).filter(|row| set.label(*row) == label).count() as f64;
        let images = match (self.of, targets.to, &self.labels) {
            (Whole::Class, Some(to), Labels::Kept { .. }) => self.share * count(to),
            // Poison makes the class larger.
            (Whole::Class, Some(to), _) => self.share * count(to) / (1.0 - self.share),
            _ => self.share * set.len() as f64,
        };
        images.round() as usize
    }

    fn label(&self, own: u32, targets: &Targets, set: &ImageSet) -> u32 {
        match (&self.labels, targets.to) {
            (Labels::As { .. }, Some(to)) => to,
            (Labels::Next, _) => (own + 1) % set.classes().len() as u32,
            _ => own,
        }
    }

    fn too_few(&self, name: &str, wanted: usize, set: &ImageSet, sources: &BTreeSet<u32>, found: usize) -> Error {
        let whole = match (self.of, &self.labels) {
            (Whole::Class, Labels::As { to, .. } | Labels::Kept { of: to }) => format!("of class `{to}` "),
            _ => "of all images ".to_owned(),
        };
        let from = if sources.len() > 3 {
            format!("{} classes, which have {found}", sources.len())
        } else if sources.len() > 1 {
            format!("classes `{}`, which have {found}", names(set, sources))
        } else {
            format!("class `{}`, which has {found}", names(set, sources))
        };
        Error::request(format!("a share of {} {whole}takes {wanted} {name} images of {from}", self.share))
            .with_help("lower `share`, or choose more or larger classes")
    }

    /// The set with poison in it, and the truth about it.
    fn poison_set(&self, cx: &Context, tools: &Tools<'_>, name: &str, set: &ImageSet) -> Result<(ImageSet, GroundTruth)> {
        let targets = self.targets(set)?;
        let (sources, wanted) = (rows_of(set, &targets.sources), self.count(set, &targets));
        if wanted > sources.len() {
            return Err(self.too_few(name, wanted, set, &targets.sources, sources.len()));
        }
        let mut rng = cx.rng(name);
        let poison = draw(&sources, wanted, &mut rng);
        let mut truth = GroundTruth::clean(set.len());
        let mut rows: Vec<Row> = set.samples().iter().cloned().enumerate().map(|(row, sample)| Row::Keep(row, sample)).collect();
        let mut mark = |row: usize, mut image: Image, label: u32, role: Role, rng: &mut dyn Rng| {
            let moment = if role == Role::Cover { Moment::Cover } else { Moment::Poison };
            (truth.roles[row], truth.masks[row]) = (role, tools.stamp.stamp(&mut image, moment, rng));
            rows[row] = Row::Own(Edit { sample: Sample { label, ..set.samples()[row].clone() }, image });
        };
        let task = cx.task(&format!("poison, {name}"), poison.len() as u64);
        for rows in poison.chunks(CHUNK) {
            cx.check()?;
            for (&row, image) in rows.iter().zip(self.crafted(cx, tools, set, rows)?) {
                mark(row, image, self.label(set.label(row), &targets, set), Role::Poison, &mut rng);
            }
            task.advance(rows.len() as u64);
        }
        for row in self.covers(cx, name, set, &targets, &poison)? {
            mark(row, set.image(row)?, set.label(row), Role::Cover, &mut rng);
        }
        truth.targets = poison.iter().map(|row| self.label(set.label(*row), &targets, set)).collect::<BTreeSet<_>>().into_iter().collect();
        Ok((set.recompose(rows)?, truth))
    }

    /// The images of some rows, ready to be marked.
    fn crafted(&self, cx: &Context, tools: &Tools<'_>, set: &ImageSet, rows: &[usize]) -> Result<Vec<Image>> {
        match &self.craft {
            Some(craft) => craft.images(cx, tools.surrogate, set, rows),
            None => rows.iter().map(|row| set.image(*row)).collect(),
        }
    }

    /// The images that carry the trigger under their own label.
    fn covers(&self, cx: &Context, name: &str, set: &ImageSet, targets: &Targets, poison: &[usize]) -> Result<Vec<usize>> {
        let Some(Cover { times, from }) = &self.cover else { return Ok(Vec::new()) };
        let mut classes = resolve(from, set)?;
        if classes.is_empty() {
            let is_free = |class: &u32| Some(*class) != targets.to && (self.from.is_empty() || !targets.sources.contains(class));
            classes = (0..set.classes().len() as u32).filter(is_free).collect();
        }
        let free: Vec<usize> = rows_of(set, &classes).into_iter().filter(|row| poison.binary_search(row).is_err()).collect();
        let wanted = (times * poison.len() as f64).round() as usize;
        if wanted > free.len() {
            let problem =
                format!("{times} covers for each of {} poisoned {name} images are more than the {} left", poison.len(), free.len());
            return Err(Error::request(problem).with_help("lower `times` or `share`, or name more or larger classes in `cover.from`"));
        }
        Ok(draw(&free, wanted, &mut cx.rng(&format!("{name} covers"))))
    }

    /// All test images that the backdoor is for, marked.
    fn trigger(&self, cx: &Context, stamp: &dyn Stamp, test: &ImageSet) -> Result<Triggered> {
        let targets = self.targets(test)?;
        let victims = match &self.labels {
            Labels::Kept { .. } => (0..test.classes().len() as u32).filter(|class| Some(*class) != targets.to).collect(),
            _ => targets.sources.iter().copied().filter(|class| Some(*class) != targets.to).collect(),
        };
        let rows = rows_of(test, &victims);
        if rows.is_empty() && !test.is_empty() {
            let problem = format!("there is no test image of class `{}`, so attack success cannot be measured", names(test, &victims));
            return Err(Error::request(problem));
        }
        let mut rng = cx.rng("test");
        let aims = rows.iter().map(|&row| targets.to.unwrap_or_else(|| self.label(test.label(row), &targets, test))).collect();
        let rows = rows.iter().map(|&row| {
            let mut image = test.image(row)?;
            stamp.stamp(&mut image, Moment::Test, &mut rng);
            Ok(Row::Own(Edit { sample: test.samples()[row].clone(), image }))
        });
        Ok(Triggered { targets: aims, images: test.recompose(rows.collect::<Result<Vec<_>>>()?)? })
    }

    /// Whether all poisoned images are still what they were: their labels are then wrong, and nothing teaches a backdoor.
    fn is_idle(clean: &ImageSet, train: &ImageSet, truth: &GroundTruth) -> Result<bool> {
        for row in (0..train.len()).filter(|row| truth.is_poison(*row)) {
            if clean.image(row)? != train.image(row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What was done, in numbers.
    fn facts(&self, train: &ImageSet, clean: &ImageSet, truth: &GroundTruth, in_validation: usize) -> Vec<(String, String)> {
        let count = |role: Role| truth.roles.iter().filter(|own| **own == role).count();
        let percent = |part: usize, whole: usize| format!("{:.2} %", 100.0 * part as f64 / whole as f64);
        let whole = if self.of == Whole::Class { "class" } else { "set" };
        let mut facts = vec![
            ("attack".to_owned(), self.title.clone()),
            ("share asked".to_owned(), format!("{} of the {whole}", self.share)),
            ("poisoned training images".to_owned(), count(Role::Poison).to_string()),
            ("share of the set".to_owned(), percent(count(Role::Poison), train.len())),
        ];
        if let [target] = truth.targets[..] {
            facts.push(("share of the target class".to_owned(), percent(count(Role::Poison), train.rows_of(target).len())));
        }
        if let Labels::As { own: true, .. } = self.labels {
            let own = (0..train.len()).filter(|row| truth.is_poison(*row) && clean.label(*row) == train.label(*row)).count();
            facts.push(("of them the target class's own".to_owned(), own.to_string()));
        }
        if self.cover.is_some() {
            facts.push(("training images as cover".to_owned(), count(Role::Cover).to_string()));
        }
        facts.push(("poisoned validation images".to_owned(), in_validation.to_string()));
        facts
    }
}

impl Attack for Campaign {
    fn surrogate(&self) -> Option<serde_json::Value> {
        serde_json::to_value(&self.craft.as_ref()?.surrogate).ok()
    }

    fn poison(&self, cx: &Context, clean: &Splits, surrogate: Option<&dyn Classifier>) -> Result<Poisoned> {
        let stamp = self.trigger.prepare(clean.train.shape(), &mut cx.rng("trigger"))?;
        let tools = Tools { stamp: &*stamp, surrogate };
        let (train, truth) = self.poison_set(cx, &tools, "training", &clean.train)?;
        if truth.poisoned() == 0 {
            return Err(Error::request(format!("a share of {} comes to no training image at all", self.share))
                .with_help("raise `share` or choose a larger class"));
        }
        if Self::is_idle(&clean.train, &train, &truth)? {
            return Err(Error::request(format!("the trigger changes none of the {} images that it is put on", truth.poisoned()))
                .with_help("choose a stronger trigger, or another place or colour"));
        }
        let validation = clean.validation.as_ref().map(|set| self.poison_set(cx, &tools, "validation", set)).transpose()?;
        let in_validation = validation.as_ref().map_or(0, |(_, truth)| truth.poisoned());
        let facts = self.facts(&train, &clean.train, &truth, in_validation);
        let triggered = self.trigger(cx, &*stamp, &clean.test)?;
        Ok(Poisoned { train, truth, validation, triggered, facts })
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::{ImageShape, Plugin};
    use proptest::prelude::*;

    use super::*;
    use crate::trigger::Patch;

    const SHAPE: ImageShape = ImageShape::rgb(6, 7);

    fn set(sizes: [usize; 3]) -> ImageSet {
        let labels = sizes.into_iter().enumerate().flat_map(|(label, size)| std::iter::repeat_n(label, size));
        let rows = labels.enumerate().map(|(row, label)| Edit {
            sample: Sample { id: row.to_string(), label: label as u32, path: String::new() },
            image: Image::new(SHAPE, vec![(row % 200) as u8; SHAPE.len()]).unwrap(),
        });
        ImageSet::from_images(["a", "b", "c"].map(str::to_owned).to_vec(), rows.collect()).unwrap()
    }

    fn splits(sizes: [usize; 3]) -> Splits {
        Splits { train: set(sizes), validation: None, test: set([4, 5, 6]), skipped: Vec::new() }
    }

    fn campaign(labels: Labels, share: f64, of: Whole) -> Campaign {
        let trigger = Patch::default().build().unwrap();
        Campaign { title: "test".into(), trigger, from: Vec::new(), labels, share, of, cover: None, craft: None }
    }

    fn labellings() -> impl Strategy<Value = Labels> {
        let to = || ClassRef::Index(1);
        prop_oneof![
            Just(Labels::As { to: to(), own: false }),
            Just(Labels::As { to: to(), own: true }),
            Just(Labels::Next),
            Just(Labels::Kept { of: to() }),
        ]
    }

    proptest! {
        #[test]
        fn counts_are_exact_or_refused_and_labels_as_promised(
            labels in labellings(),
            share in 0.01..0.9f64,
            is_of_class: bool,
            times in prop_oneof![Just(0.0), Just(0.5), Just(2.0)],
            sizes in [1..40usize, 1..40usize, 1..40usize],
            seed: u64,
        ) {
            let has_class = !matches!(labels, Labels::Next | Labels::As { own: true, .. });
            let of = if is_of_class && has_class { Whole::Class } else { Whole::Set };
            let clean = splits(sizes);
            let attack = Campaign { cover: Some(Cover { times, from: Vec::new() }), ..campaign(labels.clone(), share, of) };
            let wanted = match (of, &labels) {
                (Whole::Set, _) => share * clean.train.len() as f64,
                (Whole::Class, Labels::Kept { .. }) => share * sizes[1] as f64,
                (Whole::Class, _) => share * sizes[1] as f64 / (1.0 - share),
            }.round() as usize;
            let Ok(poisoned) = attack.poison(&Context::quiet(seed), &clean, None) else {
                let sources = match labels {
                    Labels::As { own: false, .. } => sizes[0] + sizes[2],
                    Labels::Kept { .. } => sizes[1],
                    _ => clean.train.len(),
                };
                let others = if labels == Labels::Next { clean.train.len() } else { sizes[0] + sizes[2] };
                let free = others.saturating_sub(if matches!(labels, Labels::Kept { .. }) { 0 } else { wanted });
                prop_assert!(wanted == 0 || wanted > sources || (times * wanted as f64).round() as usize > free);
                return Ok(());
            };
            let count = |role| poisoned.truth.roles.iter().filter(|own| **own == role).count();
            prop_assert_eq!(count(Role::Poison), wanted);
            prop_assert_eq!(count(Role::Cover), (times * wanted as f64).round() as usize);
            for row in 0..clean.train.len() {
                let (before, after) = (clean.train.label(row), poisoned.train.label(row));
                match (poisoned.truth.roles[row], &labels) {
                    (Role::Poison, Labels::As { own, .. }) => prop_assert!(after == 1 && (*own || before != 1)),
                    (Role::Poison, Labels::Next) => prop_assert_eq!(after, (before + 1) % 3),
                    (Role::Poison, Labels::Kept { .. }) => prop_assert!(before == 1 && after == 1),
                    (Role::Cover, _) => prop_assert!(before == after && (labels == Labels::Next || before != 1)),
                    (Role::Clean, _) => {
                        prop_assert_eq!(before, after);
                        prop_assert_eq!(clean.train.image(row).unwrap(), poisoned.train.image(row).unwrap());
                    }
                }
                prop_assert_eq!(poisoned.truth.masks[row].is_empty(), poisoned.truth.roles[row] == Role::Clean);
            }
            let triggered = &poisoned.triggered;
            prop_assert_eq!(triggered.images.len(), if labels == Labels::Next { 15 } else { 10 });
            for (row, target) in triggered.targets.iter().enumerate() {
                prop_assert_eq!(*target, if labels == Labels::Next { (triggered.images.label(row) + 1) % 3 } else { 1 });
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let said = |campaign: Campaign| campaign.poison(&Context::quiet(0), &splits([9, 9, 9]), None).unwrap_err().to_string();
        let to = || Labels::As { to: "b".into(), own: false };
        let many = said(campaign(to(), 0.8, Whole::Class));
        assert_eq!(many, "a share of 0.8 of class `b` takes 36 training images of classes `a`, `c`, which have 18");
        let all = said(campaign(Labels::Next, 0.001, Whole::Set));
        assert_eq!(all, "a share of 0.001 comes to no training image at all");
        let itself = said(Campaign { from: vec!["b".into()], ..campaign(to(), 0.1, Whole::Set) });
        assert_eq!(itself, "the attack goes from `b` to the same class");
        let covers = said(Campaign { cover: Some(Cover { times: 9.0, from: vec!["c".into()] }), ..campaign(to(), 0.2, Whole::Set) });
        assert!(covers.starts_with("9 covers for each of 5 poisoned training images are more than the "), "{covers}");
    }

    #[test]
    fn covers_are_of_classes_that_are_not_poisoned() {
        let cover = Some(Cover { times: 1.0, from: Vec::new() });
        let named = Campaign { from: vec!["a".into()], cover, ..campaign(Labels::As { to: "b".into(), own: false }, 0.2, Whole::Set) };
        let clean = splits([9, 9, 9]);
        let poisoned = named.poison(&Context::quiet(0), &clean, None).unwrap();
        for row in 0..clean.train.len() {
            let class = match poisoned.truth.roles[row] {
                Role::Poison => 0,
                Role::Cover => 2,
                Role::Clean => continue,
            };
            assert_eq!(clean.train.label(row), class);
        }
    }

    #[test]
    fn triggers_that_change_nothing_are_refused() {
        let white = |row: usize| Edit {
            sample: Sample { id: row.to_string(), label: row as u32 % 2, path: String::new() },
            image: Image::new(SHAPE, vec![255; SHAPE.len()]).unwrap(),
        };
        let set = ImageSet::from_images(["a", "b"].map(str::to_owned).to_vec(), (0..20).map(white).collect()).unwrap();
        let clean = Splits { train: set.clone(), validation: None, test: set, skipped: Vec::new() };
        let attack = campaign(Labels::As { to: "b".into(), own: false }, 0.2, Whole::Set);
        let refused = attack.poison(&Context::quiet(0), &clean, None).unwrap_err();
        assert_eq!(refused.to_string(), "the trigger changes none of the 4 images that it is put on");
    }
}
