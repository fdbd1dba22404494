use std::sync::Arc;

use bezoar_core::{Attack, ClassRef, Error, Part, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::campaign::{Campaign, Cover, Labels, Whole};
use crate::craft::Craft;
use crate::trigger::{Patch, Trigger};

/// Any trigger on any images: what the other attacks are presets of.
///
/// Marks images that it draws, and labels them as `labels` says. A share of the class is one of the target class as it is after the
/// attack: for a class of `n` images, `round(share n / (1 - share))` images are added, or with labels kept, `round(share n)` of its own are
/// marked. A share of the set is `round(share n)` of its `n` images. Training and validation images are poisoned alike; every test image of
/// a class that the backdoor is for gets the trigger for the attack success rate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub struct Backdoor {
    /// What marks the images.
    pub trigger: Part<dyn Trigger>,
    /// The classes whose images are poisoned; all but the target, if none are named.
    #[serde(default)]
    pub from: Vec<ClassRef>,
    /// The target class. None where each class has its own, the next.
    #[serde(default)]
    pub to: Option<ClassRef>,
    /// What poison is labelled as.
    #[serde(default)]
    pub labels: Labelling,
    /// Poison's share, between 0 and 1, both excluded.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub share: f64,
    /// What the share is a share of.
    #[serde(default)]
    pub of: Whole,
    /// Images that carry the trigger and keep their label.
    #[serde(default)]
    pub cover: Option<Cover>,
    /// How poisoned images are made hard to recognise before they are marked; none leaves them as they are.
    #[serde(default)]
    pub craft: Option<Craft>,
}

/// What poison is labelled as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Labelling {
    /// As the class `to`.
    #[default]
    Target,
    /// As the class `to`, whose own images may be drawn too. The share must be one of the set.
    TargetOrOwn,
    /// Each as the class after its own; the last as the first (all-to-all).
    Next,
    /// As what it is: images of the class `to` are marked, and no label is wrong (clean-label).
    Kept,
}

impl Plugin for Backdoor {
    type Kind = dyn Attack;
    const NAME: &'static str = "backdoor";

    #[expect(clippy::expect_used, reason = "the plugin is in this crate")]
    fn example() -> Self {
        let trigger = Part::from_json(serde_json::json!({ "use": Patch::NAME })).expect("a plugin of this crate is linked");
        let from = vec!["speed-limit-50".into()];
        let to = Some("speed-limit-80".into());
        Self { trigger, from, to, labels: Labelling::Target, share: 0.15, of: Whole::Class, cover: None, craft: None }
    }

    fn build(self) -> Result<Arc<dyn Attack>> {
        let name = self.trigger.name();
        Ok(Arc::new(self.campaign(name)?))
    }
}

register!(Backdoor);

impl Backdoor {
    /// These settings over those.
    #[expect(clippy::expect_used, reason = "a preset that is no configuration breaks the contract test of its plugin")]
    pub(crate) fn preset(mut defaults: serde_json::Value, given: serde_json::Value) -> Self {
        if let (Some(fields), serde_json::Value::Object(given)) = (defaults.as_object_mut(), given) {
            fields.extend(given);
        }
        serde_json::from_value(defaults).expect("a preset is a backdoor's configuration")
    }

    /// The attack, called `name` in results.
    pub(crate) fn campaign(self, name: &str) -> Result<Campaign> {
        let labels = match (self.labels, self.to) {
            (Labelling::Next, None) if self.of == Whole::Set => Labels::Next,
            (Labelling::Next, None) => return Err(Error::request("where each class has its own target, say `of: set`")),
            (Labelling::Next, Some(to)) => return Err(Error::request(format!("there is no one target `{to}` where labels are the next"))),
            (_, None) => return Err(Error::request("the target class is missing").with_help("name it as `to`")),
            (Labelling::TargetOrOwn, Some(_)) if self.of == Whole::Class => {
                return Err(Error::request("images of the target class itself do not make it larger, so no share of it can be promised")
                    .with_help("say `of: set`, or `labels: target`"));
            }
            (Labelling::Target, Some(to)) => Labels::As { to, own: false },
            (Labelling::TargetOrOwn, Some(to)) => Labels::As { to, own: true },
            (Labelling::Kept, Some(_)) if !self.from.is_empty() => {
                return Err(Error::request("with labels kept, only images of the class `to` are poisoned").with_help("leave out `from`"));
            }
            (Labelling::Kept, Some(of)) => Labels::Kept { of },
        };
        let title = format!("{name} on {}", described(&self.from, &labels));
        let Self { trigger, from, share, of, cover, craft, .. } = self;
        Ok(Campaign { title, trigger: trigger.object().clone(), from, labels, share, of, cover, craft })
    }
}

/// Whose images are taken for what.
pub(crate) fn described(from: &[ClassRef], labels: &Labels) -> String {
    let sources =
        if from.is_empty() { "all classes".to_owned() } else { from.iter().map(ClassRef::to_string).collect::<Vec<_>>().join(", ") };
    match labels {
        Labels::As { to, .. } => format!("{sources}, labelled {to}"),
        Labels::Next => format!("{sources}, labelled as the next class"),
        Labels::Kept { of } => format!("{of}, labels kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_exclude_each_other_are_refused() {
        let said = |labels: Labelling, of: Whole, from: &[&str], to: Option<&str>| {
            let from = from.iter().map(|class| (*class).into()).collect();
            let backdoor = Backdoor { labels, of, from, to: to.map(Into::into), ..Backdoor::example() };
            backdoor.build().err().map(|error| error.to_string())
        };
        let refused = |labels, of, from: &[&str], to| said(labels, of, from, to).unwrap();
        assert!(refused(Labelling::Target, Whole::Set, &[], None).starts_with("the target class is missing"));
        assert!(refused(Labelling::Next, Whole::Class, &[], None).ends_with("say `of: set`"));
        assert!(refused(Labelling::Next, Whole::Set, &[], Some("stop")).starts_with("there is no one target `stop`"));
        assert!(refused(Labelling::Kept, Whole::Class, &["yield"], Some("stop")).starts_with("with labels kept"));
        assert!(refused(Labelling::TargetOrOwn, Whole::Class, &[], Some("stop")).ends_with("no share of it can be promised"));
        assert_eq!(said(Labelling::TargetOrOwn, Whole::Set, &[], Some("stop")), None);
    }
}
