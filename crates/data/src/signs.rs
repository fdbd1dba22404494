//! Traffic signs, rendered: a data set that needs no download and no disk.
//!
//! A sign is painted once from flat shapes ([`catalogue`], [`draw`]), then photographed once per image ([`scene`]) before a
//! background of its own ([`backdrop`]).

mod backdrop;
mod catalogue;
mod draw;
mod scene;

use std::sync::Arc;

use bezoar_core::{Context, Dataset, Error, ImageSet, ImageShape, Plugin, Result, Sample, Splits, register};
use rand::Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::draw::Plate;
use self::scene::{FINENESS, Scene};
use crate::card;
use crate::selection::{Kept, Selection};

/// Changes whenever the same seed gives other pixels.
const RENDERER: &str = "signs renderer 1";

/// Images between two looks at whether the user wants to stop.
const CHUNK: usize = 256;

/// Rendered traffic signs: 20 classes, nothing to download.
///
/// Each image shows one sign as a camera on the road might see it: turned, tilted and off-centre, in good or bad light,
/// blurred, grainy, weathered, before sky, leaves, walls or clutter. Colour alone tells few classes apart; the four speed
/// limits differ in their digits only, and curves and turns come in mirrored pairs.
///
/// Images are drawn from the seed, each from a random stream of its own: the same seed gives the same bytes on every
/// machine, and choosing fewer classes or images changes none of those that remain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signs {
    /// The classes to keep: names, indices, or a group (`speed-limits`, `prohibitions`, `warnings`, `mandatory`); all if not given. Kept classes are numbered anew from 0, in the data set's order.
    #[serde(default)]
    pub classes: Option<Selection>,
    /// Training images of each class.
    #[serde(default = "default_train")]
    #[schemars(range(min = 1, max = 100_000))]
    pub train: usize,
    /// Validation images of each class; with 0 there is no validation split.
    #[serde(default = "default_validation")]
    #[schemars(range(min = 0, max = 100_000))]
    pub validation: usize,
    /// Test images of each class.
    #[serde(default = "default_test")]
    #[schemars(range(min = 1, max = 100_000))]
    pub test: usize,
    /// Height and width of the images in pixels.
    #[serde(default = "crate::load::default_size")]
    #[schemars(range(min = 8, max = 1024))]
    pub size: usize,
}

fn default_train() -> usize {
    200
}

fn default_validation() -> usize {
    40
}

fn default_test() -> usize {
    60
}

impl Plugin for Signs {
    type Kind = dyn Dataset;
    const NAME: &'static str = "signs";

    fn example() -> Self {
        Self { classes: Some(Selection::Group("speed-limits".to_owned())), train: 100, validation: 20, test: 30, size: 32 }
    }

    fn build(self) -> Result<Arc<dyn Dataset>> {
        let card = card(Self::NAME)?;
        let kept = Kept::new(self.classes.as_ref(), &card.classes, &card.groups)?;
        Ok(Arc::new(Renderer { kept, images: [self.train, self.validation, self.test], size: self.size }))
    }
}

register!(Signs);

struct Renderer {
    kept: Kept,
    /// Training, validation and test images of each class.
    images: [usize; 3],
    size: usize,
}

impl Dataset for Renderer {
    fn fingerprint(&self) -> Result<String> {
        Ok(RENDERER.to_owned())
    }

    fn load(&self, cx: &Context) -> Result<Splits> {
        let paint = |class: &String| {
            let layers = catalogue::sign(class).ok_or_else(|| Error::request(format!("nothing is known of the sign `{class}`")))?;
            Ok(Plate::paint(self.size * FINENESS, &layers))
        };
        let plates = self.kept.classes().par_iter().map(paint).collect::<Result<Vec<_>>>()?;
        let [train, validation, test] = self.images;
        Ok(Splits {
            train: self.render(cx, "train", train, &plates)?,
            validation: if validation > 0 { Some(self.render(cx, "validation", validation, &plates)?) } else { None },
            test: self.render(cx, "test", test, &plates)?,
            skipped: Vec::new(),
        })
    }
}

impl Renderer {
    /// So many images of each class; those of a class follow each other.
    fn render(&self, cx: &Context, split: &str, images: usize, plates: &[Plate]) -> Result<ImageSet> {
        let shape = ImageShape::rgb(self.size, self.size);
        let samples: Vec<Sample> = (0..plates.len() * images)
            .map(|i| {
                let id = format!("{split}/{}/{:05}", self.kept.classes()[i / images], i % images);
                Sample { path: format!("signs/{id}"), id, label: (i / images) as u32 }
            })
            .collect();
        let mut pixels = vec![0; samples.len() * shape.len()];
        let task = cx.task(&format!("rendering {split} images"), samples.len() as u64);
        for (samples, pixels) in samples.chunks(CHUNK).zip(pixels.chunks_mut(CHUNK * shape.len())) {
            cx.check()?;
            samples.par_iter().zip(pixels.par_chunks_mut(shape.len())).for_each(|(sample, out)| {
                let mut rng = cx.rng(&sample.id);
                let scene = Scene::draw(&mut rng);
                out.copy_from_slice(&scene.photograph(&plates[sample.label as usize], self.size, &mut rng));
            });
            task.advance(samples.len() as u64);
        }
        ImageSet::new(shape, self.kept.classes().to_vec(), samples, Arc::new(pixels))
    }
}

/// A draw from `low` to `high`, by arithmetic that is the same on every machine.
fn between(rng: &mut impl Rng, low: f32, high: f32) -> f32 {
    const STEPS: f32 = (1 << 24) as f32;
    low + (high - low) * ((rng.next_u32() >> 8) as f32 / STEPS)
}

/// True with this probability.
fn chance(rng: &mut impl Rng, probability: f32) -> bool {
    between(rng, 0.0, 1.0) < probability
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    fn splits(config: Signs, seed: u64) -> Splits {
        config.build().unwrap().load(&Context::quiet(seed)).unwrap()
    }

    fn few() -> Signs {
        Signs { classes: None, train: 3, validation: 1, test: 2, size: 16 }
    }

    fn in_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn the_seed_alone_decides_the_pixels(seed: u64) {
            let digest = |threads, seed| in_threads(threads, || splits(few(), seed).train.digest().unwrap());
            prop_assert_eq!(digest(1, seed), digest(3, seed));
            prop_assert_ne!(digest(1, seed), digest(1, seed.wrapping_add(1)));
        }
    }

    #[test]
    fn the_renderer_has_not_changed_behind_its_version() {
        let config = Signs { train: 2, size: 32, ..few() };
        let mut hash = Sha256::new();
        for batch in splits(config, 7).train.batches(64) {
            hash.update(batch.unwrap().pixels);
        }
        // A new digest means other pixels: give `RENDERER` a new number with it, so that caches are filled anew.
        assert_eq!(
            (RENDERER, bezoar_core::hex(&hash.finalize()).as_str()),
            ("signs renderer 1", "c717024d54e63efc708d6cf73dfa50cc4eb14009d269f4be55a9d868d32d1af6")
        );
    }

    #[test]
    fn splits_have_the_images_asked_for() {
        let all = splits(few(), 0);
        let validation = all.validation.unwrap();
        assert_eq!([all.train.len(), validation.len(), all.test.len()], [60, 20, 40]);
        assert!((0..20).all(|label| all.train.rows_of(label).len() == 3));
        assert_eq!(all.train.samples()[4].id, "train/speed-limit-50/00001");
        assert_eq!(all.train.shape(), ImageShape::rgb(16, 16));
        assert!(splits(Signs { validation: 0, ..few() }, 0).validation.is_none());
    }

    #[test]
    fn fewer_classes_and_images_change_none_that_remain() {
        let all = splits(few(), 5).train;
        let classes = Some(Selection::Classes(vec!["stop".into(), "speed-limit-80".into()]));
        let some = splits(Signs { classes, train: 2, ..few() }, 5).train;
        assert_eq!(some.classes(), ["speed-limit-80", "stop"]);
        for (row, sample) in some.samples().iter().enumerate() {
            let twin = all.samples().iter().position(|other| other.id == sample.id).unwrap();
            assert_eq!(some.image(row).unwrap(), all.image(twin).unwrap());
            assert_eq!(some.classes()[sample.label as usize], all.classes()[all.label(twin) as usize]);
        }
    }

    #[test]
    fn a_class_is_no_constant_colour() {
        // The mean colour of an image must not give its class away: nearest class mean, by leave-one-out, stays far from right.
        let set = splits(Signs { train: 40, ..few() }, 1).train;
        let means: Vec<[f64; 3]> = (0..set.len())
            .map(|row| {
                let image = set.image(row).unwrap();
                std::array::from_fn(|c| image.pixels().iter().skip(c).step_by(3).map(|&v| f64::from(v)).sum::<f64>())
            })
            .collect();
        let squared = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let right = (0..set.len()).filter(|&row| {
            let others = (0..set.len()).filter(|&other| other != row);
            let nearest = others.min_by(|&a, &b| squared(&means[a], &means[row]).total_cmp(&squared(&means[b], &means[row]))).unwrap();
            set.label(nearest) == set.label(row)
        });
        assert!(right.count() < set.len() / 4);
    }

    #[test]
    fn an_unknown_class_is_refused_with_a_hint() {
        let classes = Some(Selection::Classes(vec!["speed-limit-55".into()]));
        let error = Signs { classes, ..few() }.build().err().unwrap();
        assert!(error.help().unwrap().contains("speed-limit-50"), "{error}");
    }
}
