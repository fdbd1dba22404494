use bezoar_core::{Kind, Result};

use crate::Graph;

/// The shape of a net, for any image size and number of classes that make sense for it.
pub trait Architecture: Send + Sync {
    /// The layers for images `[channels, height, width]`.
    ///
    /// # Errors
    /// When the images are too small for the layers, and names the layer.
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph>;
}

impl Kind for dyn Architecture {
    const NAME: &'static str = "model";
    const SUMMARY: &'static str = "lays out the layers of a net";
}
