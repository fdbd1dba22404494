use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bezoar_core::{Error, Part, Plugin, Result, digest_file, register};
use bezoar_formats::{Array, Values, state_dict};
use bezoar_nn::{Architecture, AtPlace, Graph, Network};
use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A net whose training begins with given parameters instead of random ones.
///
/// They come from a file of `torch.save` or safetensors, under this project's, torchvision's or timm's names. With
/// `train: { epochs: 0 }` the net is taken as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pretrained {
    /// The net.
    pub architecture: Part<dyn Architecture>,
    /// The file: `.safetensors`, `.pt` or `.pth`.
    pub weights: PathBuf,
}

register!(Pretrained);

impl Plugin for Pretrained {
    type Kind = dyn Architecture;
    const NAME: &'static str = "pretrained";

    #[expect(clippy::expect_used, reason = "the plugin is in this crate")]
    fn example() -> Self {
        let architecture = Part::from_json(serde_json::json!({ "use": "resnet" })).expect("a plugin of this crate is linked");
        Self { architecture, weights: "resnet18.pth".into() }
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Architecture for Pretrained {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        self.architecture.graph(input, classes)
    }

    fn own_name(&self, foreign: &str) -> Option<String> {
        self.architecture.own_name(foreign)
    }

    fn parameters(&self, graph: &Graph) -> Result<Option<BTreeMap<String, Tensor>>> {
        let file = state_dict::read(&self.weights)?;
        fill(&*self.architecture, graph, file).map(Some).map_err(|error| Error::data(self.weights.display(), error))
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        digest_file::<Sha256>(&self.weights).map(Some)
    }
}

/// The net for images `[channels, height, width]` whose parameters a file holds, with as many classes as its last layer has.
///
/// # Errors
/// When the file cannot be read, or its parameters do not suit the architecture: lists all that do not.
pub fn load(architecture: &dyn Architecture, input: [usize; 3], path: &Path) -> Result<Network> {
    let place = |error| Error::data(path.display(), error);
    let file = state_dict::read(path)?;
    let any = architecture.graph(input, 1)?;
    let last = any.nodes().iter().rev().find(|node| node.op.is_weighted()).map(|node| format!("{}.weight", node.name));
    let head = file.iter().find(|(name, _)| last.is_some() && architecture.own_name(name) == last);
    let classes = head.and_then(|(_, array)| array.shape().first().copied()).unwrap_or(1);
    let graph = architecture.graph(input, classes)?;
    let parameters = fill(architecture, &graph, file).map_err(place)?;
    Network::new(graph, parameters).map_err(place)
}

/// The parameters of a graph from those of a file, as `f64` if all are, else as `f32`. Names are the architecture's own or those that it knows. A
/// shape may differ by axes of length 1.
///
/// # Errors
/// When a parameter is missing, of another shape or no float, or one is left over: lists them all.
fn fill(architecture: &dyn Architecture, graph: &Graph, file: BTreeMap<String, Array>) -> Result<BTreeMap<String, Tensor>> {
    let mut given: BTreeMap<String, (String, Array)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (foreign, array) in file.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        let Some(name) = architecture.own_name(&foreign) else { continue };
        if let Some((other, _)) = given.insert(name.clone(), (foreign.clone(), array)) {
            problems.push(format!("`{other}` and `{foreign}` are both `{name}`"));
        }
    }
    let exact = given.values().all(|(_, array)| matches!(array.values(), Values::F64(_)));
    let mut parameters = BTreeMap::new();
    for parameter in graph.parameters() {
        let Some((foreign, array)) = given.remove(&parameter.name) else {
            problems.push(format!("`{}` {:?} is missing", parameter.name, parameter.shape));
            continue;
        };
        let (shape, values) = array.into_parts();
        if long(&shape) != long(&parameter.shape) {
            problems.push(format!("`{foreign}` is {shape:?}, and the net takes {:?}", parameter.shape));
            continue;
        }
        let tensor = match values {
            Values::F64(values) if exact => Tensor::from_vec(values, parameter.shape, &Device::Cpu),
            Values::F64(values) => Tensor::from_vec(values.iter().map(|value| *value as f32).collect(), parameter.shape, &Device::Cpu),
            Values::F32(values) => Tensor::from_vec(values, parameter.shape, &Device::Cpu),
            other => {
                problems.push(format!("`{foreign}` holds {:?}, and parameters are floats", other.dtype()));
                continue;
            }
        };
        parameters.insert(parameter.name, tensor.at(&foreign)?);
    }
    problems.extend(given.into_values().map(|(foreign, array)| format!("`{foreign}` {:?} is left over", array.shape())));
    if problems.is_empty() { Ok(parameters) } else { Err(refusal(&problems)) }
}

/// All axes but those of length 1.
fn long(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|size| *size != 1).collect()
}

/// Names the first of many problems, and says how many more there are.
fn refusal(problems: &[String]) -> Error {
    const NAMED: usize = 12;
    let mut lines = problems.iter().take(NAMED).map(|problem| format!("\n  {problem}")).collect::<String>();
    if problems.len() > NAMED {
        lines += &format!("\n  and {} more", problems.len() - NAMED);
    }
    Error::request(format!("the parameters do not suit the net:{lines}"))
        .with_help("check the architecture, its `depth` and `stem`, and the classes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResnetCifar;

    fn file(graph: &Graph) -> BTreeMap<String, Array> {
        let array = |shape: Vec<usize>| Array::new(shape.clone(), Values::F32(vec![0.5; shape.iter().product()])).unwrap();
        graph.parameters().into_iter().map(|parameter| (parameter.name, array(parameter.shape))).collect()
    }

    #[test]
    fn parameters_come_by_any_of_their_names() {
        let net = ResnetCifar { width: 2, ..ResnetCifar::default() };
        let graph = net.graph([3, 8, 8], 5).unwrap();
        let mut file = file(&graph);
        let fc = file.remove("fc.weight").unwrap();
        file.insert("linear.weight".into(), fc);
        file.insert("bn1.num_batches_tracked".into(), Array::new(vec![], Values::I64(vec![7])).unwrap());
        let (shape, values) = file.remove("conv1.weight").unwrap().into_parts();
        file.insert("conv1.weight".into(), Array::new([vec![1], shape].concat(), values).unwrap());
        let parameters = fill(&net, &graph, file).unwrap();
        assert_eq!(parameters["fc.weight"].dims(), [5, 8]);
        assert_eq!(parameters["conv1.weight"].dims(), [2, 3, 3, 3]);
        assert_eq!(parameters.len(), graph.parameters().len());
    }

    #[test]
    fn all_that_does_not_fit_is_listed_at_once() {
        let net = ResnetCifar { width: 2, ..ResnetCifar::default() };
        let graph = net.graph([3, 8, 8], 5).unwrap();
        let mut file = file(&graph);
        file.remove("bn1.bias");
        file.insert("fc.weight".into(), Array::new(vec![7, 8], Values::F32(vec![0.0; 56])).unwrap());
        file.insert("fc.bias".into(), Array::new(vec![5], Values::I64(vec![0; 5])).unwrap());
        file.insert("odd.weight".into(), Array::new(vec![2], Values::F32(vec![0.0; 2])).unwrap());
        file.insert("linear.bias".into(), Array::new(vec![5], Values::F32(vec![0.0; 5])).unwrap());
        let refused = fill(&net, &graph, file).unwrap_err().to_string();
        for problem in [
            "`bn1.bias` [2] is missing",
            "`fc.weight` is [7, 8], and the net takes [5, 8]",
            "`odd.weight` [2] is left over",
            "`fc.bias` and `linear.bias` are both `fc.bias`",
        ] {
            assert!(refused.contains(problem), "{problem}: {refused}");
        }
    }
}
