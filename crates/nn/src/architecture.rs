use std::collections::BTreeMap;

use bezoar_core::{Kind, Result};
use candle_core::Tensor;

use crate::Graph;

/// The shape of a net, for any image size and number of classes that make sense for it.
pub trait Architecture: Send + Sync {
    /// The layers for images `[channels, height, width]`.
    ///
    /// # Errors
    /// When the images are too small for the layers, and names the layer.
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph>;

    /// What fresh weights are multiplied with. As they are, values shrink from layer to layer; a norm makes up for that, and where there is
    /// none, √6 does (arXiv 1502.01852, equation 10).
    fn gain(&self) -> f64 {
        1.0
    }

    /// What a parameter is called here that other libraries call `foreign`; the same, if nothing else is known. None for what this net has not:
    /// heads that serve training alone.
    fn own_name(&self, foreign: &str) -> Option<String> {
        Some(foreign.to_owned())
    }

    /// The parameters of its graph that training begins with, if they are given. Otherwise they are random.
    ///
    /// # Errors
    /// When they do not suit the graph.
    fn parameters(&self, _graph: &Graph) -> Result<Option<BTreeMap<String, Tensor>>> {
        Ok(None)
    }

    /// A digest of the files that graph or parameters come from; none where there are no files.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn fingerprint(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl Kind for dyn Architecture {
    const NAME: &'static str = "model";
    const SUMMARY: &'static str = "lays out the layers of a net";
}
