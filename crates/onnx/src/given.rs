use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bezoar_core::{Error, Plugin, Result, digest_file, register};
use bezoar_formats::onnx;
use bezoar_nn::{Architecture, Graph, Network};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The net of an ONNX model, layers and parameters.
///
/// Training begins with its parameters; with `train: { epochs: 0 }` the net is taken as it is. Its images must be of the data set's size, with
/// pixels in 0..=1, and its scores must stand for the data set's classes in their order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Given {
    /// The model.
    pub file: PathBuf,
}

register!(Given);

impl Plugin for Given {
    type Kind = dyn Architecture;
    const NAME: &'static str = "onnx";

    fn example() -> Self {
        Self { file: "net.onnx".into() }
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Given {
    fn network(&self) -> Result<Network> {
        crate::import(&onnx::read(&self.file)?).map_err(|error| Error::data(self.file.display(), error))
    }
}

impl Architecture for Given {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let graph = self.network()?.graph().clone();
        let refuse = |problem, help: &str| Err(Error::data(self.file.display(), problem).with_help(help));
        if graph.input() != input {
            let problem = format!("the net takes images {:?}, and the data set has {input:?}", graph.input());
            return refuse(problem, "channels, height and width must be the same; data sets have a `size`");
        }
        if graph.classes() != classes {
            let problem = format!("the net gives {} scores, and the data set has {classes} classes", graph.classes());
            return refuse(problem, "name the data set's `classes` in the order of the net's scores");
        }
        Ok(graph)
    }

    fn parameters(&self, _graph: &Graph) -> Result<Option<BTreeMap<String, Tensor>>> {
        Ok(Some(self.network()?.parameters().clone()))
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        digest_file::<Sha256>(&self.file).map(Some)
    }
}
