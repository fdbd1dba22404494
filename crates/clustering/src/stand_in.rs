//! A net for tests.

use std::any::Any;
use std::sync::Arc;

use bezoar_core::{Batch, Classifier, Error, Features, ImageSet, ImageShape, Result, Trainer};

/// Classifies images by a function of their pixels, and has no layers.
pub(crate) struct StandIn<F> {
    pub(crate) shape: ImageShape,
    pub(crate) classes: usize,
    /// The class of an image.
    pub(crate) class: F,
}

impl<F: Fn(&[u8]) -> usize + Send + Sync + 'static> Classifier for StandIn<F> {
    fn input(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn layers(&self) -> Vec<String> {
        Vec::new()
    }

    fn penultimate(&self) -> String {
        String::new()
    }

    fn logits(&self, batch: &Batch) -> Result<Features> {
        let scores = batch.pixels.chunks_exact(self.shape.len()).flat_map(|image| {
            let class = (self.class)(image);
            (0..self.classes).map(move |other| f32::from(u8::from(other == class)))
        });
        Features::new(vec![self.classes], scores.collect())
    }

    fn activations(&self, _: &Batch, layer: &str) -> Result<Features> {
        Err(Error::request(format!("no layer {layer}")))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Trains nothing.
impl<F: Sync> Trainer for StandIn<F> {
    fn train(&self, _: &ImageSet) -> Result<Arc<dyn Classifier>> {
        Err(Error::request("never asked"))
    }
}
