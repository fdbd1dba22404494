use std::sync::Arc;

use bezoar_core::{Error, Image, ImageShape, Mask, Part, Plugin, Result, register};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Patch, Stamp, Trigger};

/// Several triggers on each image, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct All {
    /// The triggers.
    pub triggers: Vec<Part<dyn Trigger>>,
}

/// One of several triggers on each training image, drawn; all of them when the backdoor is used (Adaptive k-way, Adaptive-Patch).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OneOf {
    /// The triggers.
    pub triggers: Vec<Part<dyn Trigger>>,
    /// Which of them are put on an image when the backdoor is used.
    #[serde(default)]
    pub test: Shown,
}

/// Some of a group's triggers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// All, one after the other.
    #[default]
    All,
    /// One, drawn for each image.
    One,
    /// Those of these numbers, from 0.
    These(Vec<usize>),
}

/// Triggers that stand for one.
struct Group {
    triggers: Vec<Arc<dyn Trigger>>,
    train: Shown,
    test: Shown,
}

impl Plugin for All {
    type Kind = dyn Trigger;
    const NAME: &'static str = "all";

    fn example() -> Self {
        Self { triggers: patches() }
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        Group::of(&self.triggers, Shown::All, Shown::All)
    }
}

register!(All);

impl Plugin for OneOf {
    type Kind = dyn Trigger;
    const NAME: &'static str = "one-of";
    const PAPER: Option<&'static str> = Some("OpenReview _wSHsgrVali");

    fn example() -> Self {
        Self { triggers: patches(), test: Shown::All }
    }

    fn build(self) -> Result<Arc<dyn Trigger>> {
        Group::of(&self.triggers, Shown::One, self.test)
    }
}

register!(OneOf);

#[expect(clippy::expect_used, reason = "the plugin is in this crate")]
fn patches() -> Vec<Part<dyn Trigger>> {
    let patch = |corner: &str| serde_json::json!({ "use": Patch::NAME, "place": { "corner": { "at": corner } } });
    ["top-left", "bottom-right"].map(|corner| Part::from_json(patch(corner)).expect("a plugin of this crate is linked")).into()
}

impl Group {
    fn of(parts: &[Part<dyn Trigger>], train: Shown, test: Shown) -> Result<Arc<dyn Trigger>> {
        if parts.is_empty() {
            return Err(Error::request("the group has no trigger"));
        }
        if let Shown::These(numbers) = &test {
            if let Some(number) = numbers.iter().find(|number| **number >= parts.len()) {
                return Err(Error::request(format!("there is no trigger {number} among {}, numbered from 0", parts.len())));
            }
            if numbers.is_empty() {
                return Err(Error::request("no trigger is put on images when the backdoor is used"));
            }
        }
        Ok(Arc::new(Self { triggers: parts.iter().map(|part| part.object().clone()).collect(), train, test }))
    }
}

impl Trigger for Group {
    fn prepare(&self, shape: ImageShape, rng: &mut dyn Rng) -> Result<Box<dyn Stamp>> {
        let ready = self.triggers.iter().map(|trigger| trigger.prepare(shape, rng)).collect::<Result<_>>()?;
        Ok(Box::new(Stamps { ready, train: self.train.clone(), test: self.test.clone() }))
    }
}

/// Triggers that are ready.
struct Stamps {
    ready: Vec<Box<dyn Stamp>>,
    train: Shown,
    test: Shown,
}

impl Stamp for Stamps {
    fn stamp(&self, image: &mut Image, moment: Moment, rng: &mut dyn Rng) -> Vec<Mask> {
        let chosen = match if moment == Moment::Test { &self.test } else { &self.train } {
            Shown::All => (0..self.ready.len()).collect(),
            Shown::One => vec![rng.random_range(0..self.ready.len())],
            Shown::These(numbers) => numbers.clone(),
        };
        let masks: Vec<Vec<Mask>> = chosen.into_iter().map(|number| self.ready[number].stamp(image, moment, rng)).collect();
        // Where one changes the whole image, no place is the trigger's.
        if masks.iter().any(Vec::is_empty) { Vec::new() } else { masks.concat() }
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;

    use super::*;

    const SHAPE: ImageShape = ImageShape::rgb(8, 8);

    fn masks(trigger: &dyn Trigger, moment: Moment, seed: u64) -> Vec<Mask> {
        let mut image = Image::new(SHAPE, vec![0; SHAPE.len()]).unwrap();
        let mut rng = Context::quiet(seed).rng("image");
        trigger.prepare(SHAPE, &mut rng).unwrap().stamp(&mut image, moment, &mut rng)
    }

    #[test]
    fn one_trigger_teaches_what_several_use() {
        let [first, second] = [0, 5].map(|at| Mask { top: at, left: at, height: 3, width: 3 });
        let group = |test| OneOf { triggers: patches(), test }.build().unwrap();
        let learnt: Vec<Vec<Mask>> = (0..20).map(|seed| masks(&*group(Shown::All), Moment::Poison, seed)).collect();
        assert!(learnt.iter().all(|masks| *masks == [first] || *masks == [second]));
        assert!(learnt.contains(&vec![first]) && learnt.contains(&vec![second]));
        assert_eq!(masks(&*group(Shown::All), Moment::Test, 0), [first, second]);
        assert_eq!(masks(&*group(Shown::These(vec![1])), Moment::Test, 0), [second]);
        assert_eq!(masks(&*group(Shown::One), Moment::Test, 0).len(), 1);
        assert_eq!(masks(&*All { triggers: patches() }.build().unwrap(), Moment::Poison, 0), [first, second]);
    }

    #[test]
    fn groups_of_nothing_are_refused() {
        let refused = |test| OneOf { triggers: patches(), test }.build().err().unwrap().to_string();
        assert_eq!(refused(Shown::These(vec![0, 2])), "there is no trigger 2 among 2, numbered from 0");
        assert_eq!(refused(Shown::These(Vec::new())), "no trigger is put on images when the backdoor is used");
        assert!(All { triggers: Vec::new() }.build().is_err());
    }
}
