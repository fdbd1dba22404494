//! What tests of detectors share: images that nobody looks at, a net that nobody asks, features made by hand.

use std::any::Any;
use std::sync::Arc;

use bezoar_core::{
    Batch, Classifier, Context, Detector, Edit, Error, FeatureSource, Features, Image, ImageSet, ImageShape, Result, Sample, Suspect,
    Trainer, Verdict,
};

const SHAPE: ImageShape = ImageShape::rgb(1, 1);

/// A net without answers.
struct Silent;

impl Trainer for Silent {
    fn train(&self, _: &ImageSet) -> Result<Arc<dyn Classifier>> {
        Err(Error::request("nobody asks"))
    }
}

impl Classifier for Silent {
    fn input(&self) -> ImageShape {
        SHAPE
    }

    fn classes(&self) -> usize {
        0
    }

    fn layers(&self) -> Vec<String> {
        Vec::new()
    }

    fn penultimate(&self) -> String {
        String::new()
    }

    fn logits(&self, _: &Batch) -> Result<Features> {
        Err(Error::request("nobody asks"))
    }

    fn activations(&self, _: &Batch, _: &str) -> Result<Features> {
        Err(Error::request("nobody asks"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Black images with these labels, of classes `class-0`, `class-1` and so on, and the ids `image-0`, `image-1` and so on.
pub(crate) fn images(classes: usize, labels: &[u32]) -> ImageSet {
    let rows = labels.iter().enumerate().map(|(row, &label)| Edit {
        sample: Sample { id: format!("image-{row}"), label, path: String::new() },
        image: Image::new(SHAPE, vec![0; 3]).unwrap(),
    });
    ImageSet::from_images((0..classes).map(|class| format!("class-{class}")).collect(), rows.collect()).unwrap()
}

/// What `detector` says when it sees `features` of `images`.
pub(crate) fn detect(cx: &Context, detector: &dyn Detector, images: &ImageSet, features: Features) -> Result<Verdict> {
    let features: [Arc<dyn FeatureSource>; 1] = [Arc::new(features)];
    detector.detect(cx, &Suspect { images, model: &Silent, features: &features, trainer: &Silent })
}
