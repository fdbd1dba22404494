use std::sync::Arc;

use bezoar_core::{Attack, ClassRef, Error, Plugin, Preset, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::campaign::{Campaign, Labels, Whole};
use crate::trigger::Patch;
use crate::{Color, Place, Window};

/// A small opaque square on images of one class, relabelled as another: the standard backdoor.
///
/// Draws images of the class `from`, puts a sticker on each and gives them the label `to`. Their number is such that they
/// make up `share` of the class `to` afterwards: `round(share * n / (1 - share))` for a class of `n` images. Training and
/// validation images are poisoned alike; every test image of the class `from` gets a sticker for the attack success rate.
///
/// As in the code of the Heatmap Clustering thesis (arXiv 2204.12848), the sticker's upper left corner is drawn from four
/// places, left 16 or 17 and top 16 or 19, unless `window` says otherwise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sticker {
    /// The class whose images are poisoned, by name or index.
    pub from: ClassRef,
    /// The class that they are labelled as.
    pub to: ClassRef,
    /// Poison's share of the class `to` after the attack, between 0 and 1, both excluded.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub share: f64,
    /// Side of the square in pixels.
    #[serde(default = "default_size")]
    #[schemars(range(min = 1, max = 3))]
    pub size: usize,
    /// The sticker's colour, as "#rrggbb".
    #[serde(default = "default_color")]
    pub color: Color,
    /// Where the sticker's upper left corner may lie, any pixel alike; none for the four places of the published code.
    #[serde(default)]
    pub window: Option<Window>,
}

fn default_size() -> usize {
    3
}

fn default_color() -> Color {
    Color([0xf5, 0xff, 0x00])
}

/// The places of the sticker's upper left corner in the published code.
fn published() -> Place {
    Place::OneOf { top: vec![16, 19], left: vec![16, 17] }
}

impl Plugin for Sticker {
    type Kind = dyn Attack;
    const NAME: &'static str = "sticker";
    const PAPER: Option<&'static str> = Some("arXiv 2204.12848");

    fn example() -> Self {
        Self {
            from: "speed-limit-50".into(),
            to: "speed-limit-80".into(),
            share: 0.15,
            size: default_size(),
            color: default_color(),
            window: None,
        }
    }

    fn presets() -> Vec<Preset> {
        let window = serde_json::json!({ "window": { "top": [16, 19], "left": [16, 17] } });
        vec![
            Preset { name: "as-published", summary: "The four places of the published code.", fields: serde_json::json!({}) },
            Preset { name: "as-described", summary: "Any place in the window that these places span, as the thesis says.", fields: window },
        ]
    }

    fn build(self) -> Result<Arc<dyn Attack>> {
        if self.from == self.to {
            return Err(Error::request(format!("the attack goes from `{}` to the same class", self.from))
                .with_help("`from` is the class whose images get the sticker, `to` the wrong label that they get"));
        }
        let place = self.window.map_or_else(published, Place::Window);
        let trigger = Patch { height: self.size, width: self.size, color: self.color, place, ..Patch::default() }.build()?;
        let title = format!("{0}x{0} sticker, from {1} to {2}", self.size, self.from, self.to);
        let labels = Labels::As { to: self.to, own: false };
        Ok(Arc::new(Campaign {
            title,
            trigger,
            from: vec![self.from],
            labels,
            share: self.share,
            of: Whole::Class,
            cover: None,
            craft: None,
        }))
    }
}

register!(Sticker);

#[cfg(test)]
mod tests {
    use bezoar_core::{Context, Edit, Image, ImageSet, ImageShape, Sample, Splits};
    use proptest::prelude::*;

    use super::*;

    fn set(sizes: [usize; 3], shape: ImageShape) -> ImageSet {
        let rows = sizes
            .iter()
            .enumerate()
            .flat_map(|(label, &size)| (0..size).map(move |i| (label, i)))
            .map(|(label, i)| Edit {
                sample: Sample { id: format!("{label}-{i}"), label: label as u32, path: String::new() },
                image: Image::new(shape, vec![(label * 50 + i % 50) as u8; shape.len()]).unwrap(),
            })
            .collect();
        ImageSet::from_images(["a", "b", "c"].map(str::to_owned).to_vec(), rows).unwrap()
    }

    fn splits(sizes: [usize; 3]) -> Splits {
        let shape = ImageShape::rgb(32, 32);
        Splits { train: set(sizes, shape), validation: Some(set([9, 9, 9], shape)), test: set([4, 5, 6], shape), skipped: Vec::new() }
    }

    fn sticker(share: f64, size: usize) -> Sticker {
        Sticker { from: "a".into(), to: ClassRef::Index(1), share, size, ..Sticker::example() }
    }

    #[test]
    fn impossible_requests_are_refused() {
        let to_itself = Sticker { to: "a".into(), ..sticker(0.1, 3) };
        assert!(to_itself.build().is_err());
        let backwards = Sticker { window: Some(Window { top: [5, 4], left: [0, 0] }), ..sticker(0.1, 3) };
        assert!(backwards.build().is_err());
        let unknown = Sticker { from: "aa".into(), ..sticker(0.1, 3) }.build().unwrap();
        assert_eq!(unknown.poison(&Context::quiet(0), &splits([9, 9, 9]), None).unwrap_err().help(), Some("classes: a, b, c"));
        let too_many = sticker(0.9, 3).build().unwrap().poison(&Context::quiet(0), &splits([9, 9, 9]), None).unwrap_err();
        assert_eq!(too_many.to_string(), "a share of 0.9 of class `1` takes 81 training images of class `a`, which has 9");
        let none = sticker(0.1, 3).build().unwrap().poison(&Context::quiet(0), &splits([9, 3, 9]), None).unwrap_err();
        assert_eq!(none.to_string(), "a share of 0.1 comes to no training image at all");
        let mut small = splits([9, 9, 9]);
        small.train = set([9, 9, 9], ImageShape::rgb(20, 20));
        assert!(sticker(0.1, 3).build().unwrap().poison(&Context::quiet(0), &small, None).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_poisons_what_it_promises_and_nothing_else(share in 0.01..0.5f64, size in 1..=3usize, targets in 1..60usize, seed: u64) {
            let clean = splits([80, targets, 5]);
            let wanted = (share * targets as f64 / (1.0 - share)).round() as usize;
            prop_assume!(wanted > 0);
            let poisoned = sticker(share, size).build().unwrap().poison(&Context::quiet(seed), &clean, None).unwrap();
            prop_assert_eq!(poisoned.truth.poisoned(), wanted);
            for row in 0..clean.train.len() {
                let (before, after) = (clean.train.image(row).unwrap(), poisoned.train.image(row).unwrap());
                match poisoned.truth.masks[row].first() {
                    None => {
                        prop_assert_eq!(before, after);
                        prop_assert_eq!(&clean.train.samples()[row], &poisoned.train.samples()[row]);
                    }
                    Some(mask) => {
                        prop_assert_eq!((clean.train.label(row), poisoned.train.label(row)), (0, 1));
                        for (at, pixel) in after.pixels().chunks(3).enumerate() {
                            let inside = mask.contains(at / 32, at % 32);
                            let expected = if inside { &[0xf5, 0xff, 0x00] } else { &before.pixels()[at * 3..at * 3 + 3] };
                            prop_assert_eq!(pixel, expected);
                        }
                    }
                }
            }
            prop_assert_eq!(poisoned.triggered.images.len(), 4);
            prop_assert!(poisoned.triggered.targets.iter().all(|&target| target == 1));
        }

        #[test]
        fn the_seed_alone_decides(seed: u64) {
            let clean = splits([80, 40, 5]);
            let digest = |seed| sticker(0.3, 2).build().unwrap().poison(&Context::quiet(seed), &clean, None).unwrap().train.digest().unwrap();
            prop_assert_eq!(digest(seed), digest(seed));
            prop_assert_ne!(digest(seed), digest(seed.wrapping_add(1)));
        }
    }
}
