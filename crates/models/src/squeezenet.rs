use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::{global_mean, pool_rounding_up};

/// A net of few parameters without batch norm: SqueezeNet 1.1.
///
/// A 3x3 convolution of stride 2, eight *fire* modules, which squeeze the channels by a 1x1 convolution and give those of a 1x1 and
/// a 3x3 convolution together, three max-pools among them, and a 1x1 convolution whose mean over all positions is the score. 1,235,496
/// parameters for 1,000 classes of RGB images. Images must have sides of 17 pixels or more. Layers and parameters are called as in torchvision.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Squeezenet {}

register!(Squeezenet);

impl Plugin for Squeezenet {
    type Kind = dyn Architecture;
    const NAME: &'static str = "squeezenet";
    const PAPER: Option<&'static str> = Some("arXiv 1602.07360");

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

/// The layers after the first two: fire modules with their squeezed channels and those of each expansion, and pools.
const LAYERS: [Option<[usize; 2]>; 11] = [
    None,
    Some([16, 64]),
    Some([16, 64]),
    None,
    Some([32, 128]),
    Some([32, 128]),
    None,
    Some([48, 192]),
    Some([48, 192]),
    Some([64, 256]),
    Some([64, 256]),
];

impl Architecture for Squeezenet {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let image = b.input();
        let conv = b.add("features.0", Op::conv(64, Window::new(3).stride(2)), &[image])?;
        let mut at = b.add("features.1", Op::RELU, &[conv])?;
        for (number, layer) in LAYERS.iter().enumerate() {
            let name = format!("features.{}", number + 2);
            at = match layer {
                None => pool_rounding_up(&mut b, &name, at)?,
                Some(channels) => fire(&mut b, &name, at, *channels)?,
            };
        }
        at = b.add("classifier.0", Op::Dropout { p: 0.5 }, &[at])?;
        at = b.add("classifier.1", Op::conv(classes, Window::new(1)), &[at])?;
        at = b.add("classifier.2", Op::RELU, &[at])?;
        global_mean(&mut b, at)?;
        b.build()
    }

    fn gain(&self) -> f64 {
        6f64.sqrt()
    }
}

fn fire(b: &mut GraphBuilder, name: &str, from: NodeId, [squeezed, expanded]: [usize; 2]) -> Result<NodeId> {
    let mut conv = |part: &str, from, channels, window| {
        let conv = b.add(&format!("{name}.{part}"), Op::conv(channels, window), &[from])?;
        b.add(&format!("{name}.{part}_activation"), Op::RELU, &[conv])
    };
    let squeezed = conv("squeeze", from, squeezed, Window::new(1))?;
    let pixels = conv("expand1x1", squeezed, expanded, Window::new(1))?;
    let around = conv("expand3x3", squeezed, expanded, Window::new(3).padding(1))?;
    b.add(&format!("{name}.concat"), Op::Concat { axis: 0 }, &[pixels, around])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_published_size() {
        let graph = Squeezenet {}.graph([3, 224, 224], 1000).unwrap();
        assert_eq!(graph.parameter_count(), 1_235_496);
        assert_eq!(graph.shape(graph.find("features.12.concat").unwrap()), [512, 13, 13]);
        assert_eq!(graph.classes(), 1000);
        assert_eq!(Squeezenet {}.graph([3, 32, 32], 43).unwrap().parameter_count(), 744_555);
    }

    #[test]
    fn small_images_are_refused_by_layer() {
        let sides = (1..20).find(|side| Squeezenet {}.graph([3, *side, *side], 10).is_ok());
        assert_eq!(sides, Some(17));
        let refusal = Squeezenet {}.graph([3, 2, 2], 10).unwrap_err().to_string();
        assert!(refusal.contains("`features.0`"), "{refusal}");
    }
}
