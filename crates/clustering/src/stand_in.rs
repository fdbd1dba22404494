//! A net and a listener for tests.

use std::any::Any;
use std::sync::{Arc, Mutex};

use bezoar_core::{
    Batch, Cancel, ClassOrigin, Classifier, ClusteredClass, Clustering, Context, Decided, Decision, Device, Error, FeatureSource, Features,
    ImageSet, ImageShape, Progress, Result, Suspect, Task, Trainer,
};

/// Hears what is noted.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// A context whose notes are heard.
    pub(crate) fn context(&self) -> Context {
        Context::new(0, Device::Cpu, Arc::new(self.clone()), Cancel::default())
    }

    /// All that were heard since this was last asked.
    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Progress for Notes {
    fn task(&self, _: &str, _: u64) -> Box<dyn Task> {
        Box::new(Self::default())
    }

    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Task for Notes {
    fn advance(&self, _: u64) {}

    fn remark(&self, _: &str) {}
}

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

/// What a decision says of a class of these images, clustered so, by features that are all the same.
pub(crate) fn decided<F: Fn(&[u8]) -> usize + Send + Sync + 'static>(
    decision: &dyn Decision,
    net: &StandIn<F>,
    images: &ImageSet,
    class: u32,
    labels: &[Option<u32>],
) -> Result<Decided> {
    let clustered = Features::new(vec![1], vec![0.0; images.len()])?;
    let features: Vec<Arc<dyn FeatureSource>> = vec![Arc::new(clustered.clone())];
    let suspect = Suspect { images, model: net, features: &features, trainer: net };
    let rows = images.rows_of(class);
    let origin = Some(ClassOrigin { suspect: &suspect, class, rows: &rows });
    let clustering = Clustering::of(labels.to_vec());
    let class = ClusteredClass { features: &clustered.select(&rows), clustering: &clustering, silhouette: None, origin };
    decision.decide(&Context::quiet(0), &class)
}

/// Trains nothing.
impl<F: Sync> Trainer for StandIn<F> {
    fn train(&self, _: &ImageSet) -> Result<Arc<dyn Classifier>> {
        Err(Error::request("never asked"))
    }
}
