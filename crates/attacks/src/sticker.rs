//! A small opaque square on images of one class, which then carry the label of another.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bezoar_core::{
    Attack, ClassRef, Context, Edit, Error, GroundTruth, ImageSet, Mask, Plugin, Poisoned, Result, Role, Row, Splits, Triggered, register,
};
use rand::RngExt;
use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    #[schemars(regex(pattern = "^#[0-9a-fA-F]{6}$"))]
    pub color: String,
    /// Where the sticker's upper left corner may lie, any pixel alike; none for the four places of the published code.
    #[serde(default)]
    pub window: Option<Window>,
}

/// A rectangle of pixels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Window {
    /// First and last row, both included.
    pub top: [usize; 2],
    /// First and last column, both included.
    pub left: [usize; 2],
}

fn default_size() -> usize {
    3
}

fn default_color() -> String {
    "#f5ff00".to_owned()
}

/// Rows and columns of the sticker's upper left corner in the published code.
const PUBLISHED: [[usize; 2]; 2] = [[16, 19], [16, 17]];

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
            window: Some(Window { top: [14, 20], left: [14, 20] }),
        }
    }

    fn build(self) -> Result<Arc<dyn Attack>> {
        if self.from == self.to {
            return Err(Error::request(format!("the attack goes from `{}` to the same class", self.from))
                .with_help("`from` is the class whose images get the sticker, `to` the wrong label that they get"));
        }
        let channel = |at: usize| self.color.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let [Some(red), Some(green), Some(blue)] = [1, 3, 5].map(channel) else {
            return Err(Error::request(format!("{:?} is no colour", self.color)).with_help("write it as \"#rrggbb\""));
        };
        let places = match self.window {
            None => Places::OneOf(PUBLISHED),
            Some(Window { top, left }) if top[0] <= top[1] && left[0] <= left[1] => Places::Window(top[0]..=top[1], left[0]..=left[1]),
            Some(Window { top, left }) => {
                return Err(Error::request(format!("the window top {top:?}, left {left:?} ends before it begins")));
            }
        };
        Ok(Arc::new(StickerAttack { from: self.from, to: self.to, share: self.share, size: self.size, color: [red, green, blue], places }))
    }
}

register!(Sticker);

/// Where a sticker's upper left corner may lie.
enum Places {
    /// One of two rows, one of two columns.
    OneOf([[usize; 2]; 2]),
    /// Anywhere in these rows and columns.
    Window(RangeInclusive<usize>, RangeInclusive<usize>),
}

impl Places {
    fn draw(&self, rng: &mut impl RngExt) -> (usize, usize) {
        match self {
            Self::OneOf([tops, lefts]) => {
                let left = lefts[rng.random_range(0..2)];
                (tops[rng.random_range(0..2)], left)
            }
            Self::Window(tops, lefts) => {
                let left = rng.random_range(lefts.clone());
                (rng.random_range(tops.clone()), left)
            }
        }
    }

    fn end(&self) -> (usize, usize) {
        match self {
            Self::OneOf([tops, lefts]) => (tops[1], lefts[1]),
            Self::Window(tops, lefts) => (*tops.end(), *lefts.end()),
        }
    }
}

struct StickerAttack {
    from: ClassRef,
    to: ClassRef,
    share: f64,
    size: usize,
    color: [u8; 3],
    places: Places,
}

impl StickerAttack {
    /// The image of `row` with a sticker at a random place, and where that is.
    fn stick(&self, set: &ImageSet, row: usize, rng: &mut impl RngExt) -> Result<(Edit, Mask)> {
        let (top, left) = self.places.draw(rng);
        let mask = Mask { top, left, height: self.size, width: self.size };
        let mut image = set.image(row)?;
        for y in top..top + self.size {
            for x in left..left + self.size {
                match image.pixel_mut(y, x) {
                    [grey] => *grey = luma(self.color),
                    pixel => pixel[..3].copy_from_slice(&self.color),
                }
            }
        }
        Ok((Edit { sample: set.samples()[row].clone(), image }, mask))
    }

    fn check_size(&self, set: &ImageSet) -> Result<()> {
        let shape = set.shape();
        let (top, left) = self.places.end();
        if top + self.size > shape.height || left + self.size > shape.width {
            return Err(Error::request(format!(
                "a sticker of {0}x{0} pixels at row {top}, column {left} does not fit into images of {1}x{2}",
                self.size, shape.height, shape.width
            ))
            .with_help("set `window` to places that fit"));
        }
        Ok(())
    }

    /// The set with poison in the class `to`, and the truth about it.
    fn poison_set(&self, cx: &Context, name: &str, set: &ImageSet) -> Result<(ImageSet, GroundTruth)> {
        let (from, to) = (self.from.resolve(set.classes())?, self.to.resolve(set.classes())?);
        let sources = set.rows_of(from);
        let wanted = poison_count(self.share, set.rows_of(to).len());
        if wanted > sources.len() {
            return Err(Error::request(format!(
                "a share of {} of class `{}` takes {wanted} {name} images of class `{}`, which has {}",
                self.share,
                self.to,
                self.from,
                sources.len()
            ))
            .with_help("lower `share` or choose a larger class for `from`"));
        }
        let mut rng = cx.rng(name);
        let mut chosen: Vec<usize> = index::sample(&mut rng, sources.len(), wanted).into_iter().map(|at| sources[at]).collect();
        chosen.sort_unstable();
        let mut truth = GroundTruth::clean(set.len());
        truth.targets = vec![to];
        let mut rows: Vec<Row> = set.samples().iter().cloned().enumerate().map(|(row, sample)| Row::Keep(row, sample)).collect();
        for row in chosen {
            let (mut edit, mask) = self.stick(set, row, &mut rng)?;
            edit.sample.label = to;
            rows[row] = Row::Own(edit);
            truth.roles[row] = Role::Poison;
            truth.masks[row] = Some(mask);
        }
        Ok((set.recompose(rows)?, truth))
    }

    fn trigger(&self, cx: &Context, test: &ImageSet) -> Result<Triggered> {
        let (from, to) = (self.from.resolve(test.classes())?, self.to.resolve(test.classes())?);
        let sources = test.rows_of(from);
        if sources.is_empty() {
            return Err(Error::request(format!("there is no test image of class `{}`, so attack success cannot be measured", self.from)));
        }
        let mut rng = cx.rng("test");
        let rows = sources.iter().map(|&row| Ok(Row::Own(self.stick(test, row, &mut rng)?.0))).collect::<Result<Vec<_>>>()?;
        Ok(Triggered { targets: vec![to; rows.len()], images: test.recompose(rows)? })
    }
}

impl Attack for StickerAttack {
    fn poison(&self, cx: &Context, clean: &Splits) -> Result<Poisoned> {
        self.check_size(&clean.train)?;
        let (train, truth) = self.poison_set(cx, "training", &clean.train)?;
        if truth.poisoned() == 0 {
            return Err(Error::request(format!("a share of {} of class `{}` comes to no training image at all", self.share, self.to))
                .with_help("raise `share` or choose a larger class for `to`"));
        }
        let validation = clean.validation.as_ref().map(|set| self.poison_set(cx, "validation", set)).transpose()?;
        let facts = vec![
            ("attack".to_owned(), format!("{0}x{0} sticker, from {1} to {2}", self.size, self.from, self.to)),
            ("share of the class, asked".to_owned(), format!("{:.4}", self.share)),
            ("poisoned training images".to_owned(), truth.poisoned().to_string()),
            ("poisoned validation images".to_owned(), validation.as_ref().map_or(0, |(_, truth)| truth.poisoned()).to_string()),
        ];
        let triggered = self.trigger(cx, &clean.test)?;
        Ok(Poisoned { train, truth, validation: validation.map(|(set, _)| set), triggered, facts })
    }
}

/// Poison images needed to make up `share` of a class that has `clean` images without them.
fn poison_count(share: f64, clean: usize) -> usize {
    (share * clean as f64 / (1.0 - share)).round() as usize
}

/// Brightness of a colour on images without colour (ITU-R BT.601).
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Image, ImageShape, Sample};
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
    fn counts_are_the_thesis() {
        let counts = [0.33, 0.15, 0.10, 0.05, 0.02, 0.01].map(|share| poison_count(share, 1650));
        assert_eq!(counts, [813, 291, 183, 87, 34, 17]);
    }

    #[test]
    fn impossible_requests_are_refused() {
        let to_itself = Sticker { to: "a".into(), ..sticker(0.1, 3) };
        assert!(to_itself.build().is_err());
        let backwards = Sticker { window: Some(Window { top: [5, 4], left: [0, 0] }), ..sticker(0.1, 3) };
        assert!(backwards.build().is_err());
        let unknown = Sticker { from: "aa".into(), ..sticker(0.1, 3) }.build().unwrap();
        assert_eq!(unknown.poison(&Context::quiet(0), &splits([9, 9, 9])).unwrap_err().help(), Some("classes: a, b, c"));
        let too_many = sticker(0.9, 3).build().unwrap().poison(&Context::quiet(0), &splits([9, 9, 9])).unwrap_err();
        assert_eq!(too_many.to_string(), "a share of 0.9 of class `1` takes 81 training images of class `a`, which has 9");
        let none = sticker(0.1, 3).build().unwrap().poison(&Context::quiet(0), &splits([9, 3, 9])).unwrap_err();
        assert_eq!(none.to_string(), "a share of 0.1 of class `1` comes to no training image at all");
        let mut small = splits([9, 9, 9]);
        small.train = set([9, 9, 9], ImageShape::rgb(20, 20));
        assert!(sticker(0.1, 3).build().unwrap().poison(&Context::quiet(0), &small).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_poisons_what_it_promises_and_nothing_else(share in 0.01..0.5f64, size in 1..=3usize, targets in 1..60usize, seed: u64) {
            let clean = splits([80, targets, 5]);
            prop_assume!(poison_count(share, targets) > 0);
            let poisoned = sticker(share, size).build().unwrap().poison(&Context::quiet(seed), &clean).unwrap();
            prop_assert_eq!(poisoned.truth.poisoned(), poison_count(share, targets));
            for row in 0..clean.train.len() {
                let (before, after) = (clean.train.image(row).unwrap(), poisoned.train.image(row).unwrap());
                match poisoned.truth.masks[row] {
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
            let digest = |seed| sticker(0.3, 2).build().unwrap().poison(&Context::quiet(seed), &clean).unwrap().train.digest().unwrap();
            prop_assert_eq!(digest(seed), digest(seed));
            prop_assert_ne!(digest(seed), digest(seed.wrapping_add(1)));
        }
    }
}
