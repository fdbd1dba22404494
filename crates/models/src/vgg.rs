use std::sync::Arc;

use bezoar_core::{Error, Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::blocks::{Conv, conv_norm_relu, global_mean, halve};
use crate::depth::{self, Family};

/// A plain deep net: VGG-11, 13, 16 or 19 with batch norm, for small images or as published for ImageNet.
///
/// Five stages of 3x3 convolutions with batch norm, each stage ended by a max-pool, as in configurations A, B, D and E of the
/// paper. For small images the mean over all positions and one linear layer take the place of its three linear layers, as usual for CIFAR.
/// The convolutions have biases: VGG-11 has 9,231,114 parameters for 10 classes of small RGB images, and 132,868,840 for ImageNet. Images
/// must have sides of 32 pixels or more, with the published head multiples of 224. Layers and parameters are called as in torchvision.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Vgg {
    /// The paper's count of layers with weights: this net's convolutions and three.
    #[schemars(schema_with = "depths")]
    pub depth: usize,
    /// Channels of the first stage; the others have 2, 4, 8 and 8 times as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
    /// What comes after the stages.
    pub head: Head,
}

/// What makes scores of maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// The mean over all positions and one linear layer.
    #[default]
    Cifar,
    /// Maps of 7x7 and three linear layers, two of them with 4096 units and dropout of one half.
    Imagenet,
}

const FAMILY: &Family<5> = &[(11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4])];

fn depths(_: &mut SchemaGenerator) -> Schema {
    depth::schema(FAMILY)
}

impl Default for Vgg {
    fn default() -> Self {
        Self { depth: 11, width: 64, head: Head::Cifar }
    }
}

register!(Vgg);

impl Plugin for Vgg {
    type Kind = dyn Architecture;
    const NAME: &'static str = "vgg";
    const PAPER: Option<&'static str> = Some("arXiv 1409.1556");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Architecture for Vgg {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let mut at = b.input();
        let mut layers = (0..).map(|number| format!("features.{number}"));
        let mut next = || layers.next().unwrap_or_default();
        for (stage, units) in depth::stages(FAMILY, self.depth)?.into_iter().enumerate() {
            for _ in 0..units {
                let [conv, norm, relu] = [next(), next(), next()];
                let layer = Conv::new(self.width << stage.min(3), Window::new(3).padding(1)).biased();
                at = conv_norm_relu(&mut b, [&conv, &norm, &relu], at, layer)?;
            }
            at = halve(&mut b, &next(), at)?;
        }
        match self.head {
            Head::Cifar => {
                at = global_mean(&mut b, at)?;
                b.add("classifier", Op::linear(classes), &[at])?;
            }
            Head::Imagenet => published_head(&mut b, at, classes)?,
        }
        b.build()
    }
}

/// Three linear layers behind maps of 7x7, averaged if they are larger.
fn published_head(b: &mut GraphBuilder, from: NodeId, classes: usize) -> Result<()> {
    const SIDE: usize = 7;
    const UNITS: usize = 4096;
    let [_, height, width] = *b.shape(from) else { return Err(Error::request("the stages give no maps")) };
    if height % SIDE != 0 || width % SIDE != 0 {
        let problem =
            format!("the published head takes maps of 7x7 pixels or multiples of them, and these images come to {height}x{width}");
        return Err(Error::request(problem).with_help("choose `head: cifar`, or images of 224x224 pixels"));
    }
    let (rows, columns) = (height / SIDE, width / SIDE);
    let mut at = from;
    if rows * columns > 1 {
        let window = Window { stride: [rows, columns], ..Window::rectangle([rows, columns]) };
        at = b.add("avgpool", Op::avg_pool(window), &[at])?;
    }
    at = b.add("flatten", Op::Flatten, &[at])?;
    for first in [0, 3] {
        at = b.add(&format!("classifier.{first}"), Op::linear(UNITS), &[at])?;
        at = b.add(&format!("classifier.{}", first + 1), Op::RELU, &[at])?;
        at = b.add(&format!("classifier.{}", first + 2), Op::Dropout { p: 0.5 }, &[at])?;
    }
    b.add("classifier.6", Op::linear(classes), &[at])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_usual_size() {
        let graph = |depth| Vgg { depth, ..Vgg::default() }.graph([3, 32, 32], 10).unwrap();
        let counts = [11, 13, 16, 19].map(|depth| graph(depth).parameter_count());
        assert_eq!(counts, [9_231_114, 9_416_010, 14_728_266, 20_040_522]);
        let net = graph(11);
        let pools = net.ids().filter(|id| matches!(net.node(*id).op, Op::MaxPool { .. })).map(|id| net.shape(id).to_vec());
        assert_eq!(pools.collect::<Vec<_>>(), [[64, 16, 16], [128, 8, 8], [256, 4, 4], [512, 2, 2], [512, 1, 1]]);
        assert_eq!(net.shape(net.penultimate()), [512]);
        for depth in [11, 13, 16, 19] {
            let convolutions = graph(depth).nodes().iter().filter(|node| matches!(node.op, Op::Conv2d { .. })).count();
            assert_eq!(convolutions + 3, depth);
        }
    }

    #[test]
    fn for_imagenet_it_has_the_published_size() {
        let graph = |depth, side| Vgg { depth, head: Head::Imagenet, ..Vgg::default() }.graph([3, side, side], 1000);
        assert_eq!([11, 16].map(|depth| graph(depth, 224).unwrap().parameter_count()), [132_868_840, 138_365_992]);
        assert_eq!(graph(11, 448).unwrap().parameter_count(), 132_868_840);
        let refusal = graph(11, 32).unwrap_err().to_string();
        assert!(refusal.contains("1x1"), "{refusal}");
    }

    #[test]
    fn images_of_any_size_from_32_on_are_averaged() {
        let graph = |height, width| Vgg { width: 2, ..Vgg::default() }.graph([1, height, width], 10);
        for (height, width) in [(32, 32), (50, 50), (32, 64), (224, 224)] {
            let graph = graph(height, width).unwrap();
            assert_eq!(graph.shape(graph.penultimate()), [16], "{height}x{width}");
        }
        let refusal = graph(31, 32).unwrap_err().to_string();
        assert!(refusal.contains("`features.28`"), "{refusal}");
        assert!(Vgg { depth: 12, ..Vgg::default() }.graph([3, 32, 32], 10).is_err());
    }
}
