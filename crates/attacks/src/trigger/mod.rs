//! What attacks put on images, so that a net takes them for another class; each is a plugin.

mod affine;
mod blend;
mod frequency;
mod group;
mod patch;
mod pattern;
mod physical_patch;
mod quantise;
mod sinusoid;
mod tint;
mod warp;

use bezoar_core::{Image, ImageShape, Kind, Mask, Result};
use rand::Rng;

pub use self::affine::Affine;
pub use self::blend::{Blend, Picture, Pieces};
pub use self::frequency::Frequency;
pub use self::group::{All, OneOf, Shown};
pub use self::patch::Patch;
pub use self::pattern::Pattern;
pub use self::physical_patch::PhysicalPatch;
pub use self::quantise::Quantise;
pub use self::sinusoid::Sinusoid;
pub use self::tint::Tint;
pub use self::warp::Warp;

/// Something that marks images.
pub trait Trigger: Send + Sync {
    /// The trigger made ready for images of a shape. `rng` draws what is the same on all of them.
    ///
    /// # Errors
    /// When images are too small for it.
    fn prepare(&self, shape: ImageShape, rng: &mut dyn Rng) -> Result<Box<dyn Stamp>>;
}

impl Kind for dyn Trigger {
    const NAME: &'static str = "trigger";
    const SUMMARY: &'static str = "marks the images of an attack";
}

/// A trigger for images of one shape.
pub trait Stamp: Send + Sync {
    /// Marks an image, and says which rectangles changed; none where all of it may have. `rng` draws what is each image's own.
    fn stamp(&self, image: &mut Image, moment: Moment, rng: &mut dyn Rng) -> Vec<Mask>;
}

/// What an image is marked for: some triggers are weaker in training than when the backdoor is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// To teach the backdoor.
    Poison,
    /// To hide it: the image keeps its true label.
    Cover,
    /// To use it.
    Test,
}

/// The nearest value that a pixel can have.
fn pixel(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Context, Plugin};
    use serde_json::Value;

    use super::*;

    /// What `tests/parity/triggers.py` wrote.
    pub(super) struct Golden(Value);

    impl Golden {
        pub(super) fn read() -> Self {
            Self(serde_json::from_str(include_str!("../../../../tests/parity/triggers.json")).unwrap())
        }

        pub(super) fn image(&self) -> Image {
            let [height, width, channels] = serde_json::from_value(self.0["shape"].clone()).unwrap();
            Image::new(ImageShape { height, width, channels }, serde_json::from_value(self.0["image"].clone()).unwrap()).unwrap()
        }

        /// A trigger with the script's settings.
        pub(super) fn trigger<T: Plugin>(&self, name: &str) -> T {
            let mut settings = self.0[name].as_object().unwrap().clone();
            settings.retain(|key, _| key != "pixels" && key != "points");
            serde_json::from_value(settings.into()).unwrap()
        }

        pub(super) fn points(&self) -> Vec<f64> {
            serde_json::from_value(self.0["warp"]["points"].clone()).unwrap()
        }

        /// Compares with the script's pixels, which may have been rounded the other way.
        pub(super) fn compare(&self, name: &str, found: &Image) {
            let expected: Vec<u8> = serde_json::from_value(self.0[name]["pixels"].clone()).unwrap();
            let apart = found.pixels().iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
            assert!(apart.clone().all(|apart| apart <= 1), "{name}");
            assert!(apart.filter(|apart| *apart > 0).count() * 100 <= expected.len(), "{name}");
        }
    }

    fn compare<T: Plugin<Kind = dyn Trigger>>(name: &str) {
        let (golden, mut rng) = (Golden::read(), Context::quiet(0).rng("trigger"));
        let mut image = golden.image();
        let trigger = golden.trigger::<T>(name).build().unwrap();
        trigger.prepare(image.shape(), &mut rng).unwrap().stamp(&mut image, Moment::Poison, &mut rng);
        golden.compare(name, &image);
    }

    #[test]
    fn triggers_are_the_published_formulas() {
        compare::<Sinusoid>("sinusoid");
        compare::<Quantise>("quantise");
        compare::<Frequency>("frequency");
        compare::<Affine>("affine");
    }
}
