use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::blocks::{Conv, Stem, conv_norm, conv_norm_relu, global_mean};
use crate::depth::{self, Family};

/// A residual net: ResNet-18, 34 or 50, for small images or as published for ImageNet.
///
/// A stem, four stages of blocks, each stage after the first at half the size and with twice the channels of the one before, the
/// mean over all positions, and a linear layer. A block is two 3x3 convolutions, or in ResNet-50 three of 1x1, 3x3 and 1x1, beside the
/// identity; where it changes the shape, a 1x1 convolution with batch norm takes the identity's place. The stem for small images is a
/// 3x3 convolution without a pool. ResNet-18 has 11,173,962 parameters for 10 classes of RGB images with that stem, and 11,689,512 for
/// ImageNet. Layers and parameters are called as in torchvision and timm.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Resnet {
    /// Layers with weights, the projections not counted.
    #[schemars(schema_with = "depths")]
    pub depth: usize,
    /// Channels of the first stage; the others have 2, 4 and 8 times as many, and in ResNet-50 all give 4 times as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
    /// What comes before the stages.
    pub stem: Stem,
}

const FAMILY: &Family<4> = &[(18, [2, 2, 2, 2]), (34, [3, 4, 6, 3]), (50, [3, 4, 6, 3])];

/// The depth from which on blocks narrow their channels before the 3x3 convolution.
const BOTTLENECKS: usize = 50;

fn depths(_: &mut SchemaGenerator) -> Schema {
    depth::schema(FAMILY)
}

impl Default for Resnet {
    fn default() -> Self {
        Self { depth: 18, width: 64, stem: Stem::Cifar }
    }
}

register!(Resnet);

impl Plugin for Resnet {
    type Kind = dyn Architecture;
    const NAME: &'static str = "resnet";
    const PAPER: Option<&'static str> = Some("arXiv 1512.03385");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Architecture for Resnet {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let image = b.input();
        let window = match self.stem {
            Stem::Cifar => Window::new(3).padding(1),
            Stem::Imagenet => Window::new(7).stride(2).padding(3),
        };
        let mut at = conv_norm_relu(&mut b, ["conv1", "bn1", "relu"], image, Conv::new(self.width, window))?;
        if self.stem == Stem::Imagenet {
            at = b.add("maxpool", Op::MaxPool { window: Window::new(3).stride(2).padding(1) }, &[at])?;
        }
        for (stage, blocks) in depth::stages(FAMILY, self.depth)?.into_iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let (name, width) = (format!("layer{}.{block}", stage + 1), self.width << stage);
                let (pixel, window) = (Window::new(1), Window::new(3).padding(1));
                let layers = if self.depth < BOTTLENECKS {
                    vec![Conv::new(width, window.stride(stride)), Conv::new(width, window)]
                } else {
                    vec![Conv::new(width, pixel), Conv::new(width, window.stride(stride)), Conv::new(4 * width, pixel)]
                };
                at = residual(&mut b, &name, at, &layers)?;
            }
        }
        at = global_mean(&mut b, at)?;
        b.add("fc", Op::linear(classes), &[at])?;
        b.build()
    }
}

/// Convolutions `name.conv1`, `name.conv2` and so on beside the identity, or beside `name.downsample` where shapes change.
fn residual(b: &mut GraphBuilder, name: &str, from: NodeId, layers: &[Conv]) -> Result<NodeId> {
    let mut inner = from;
    for (number, layer) in layers.iter().enumerate().map(|(number, layer)| (number + 1, *layer)) {
        let [conv, norm, relu] = ["conv", "bn", "relu"].map(|part| format!("{name}.{part}{number}"));
        inner = if number < layers.len() {
            conv_norm_relu(b, [&conv, &norm, &relu], inner, layer)?
        } else {
            conv_norm(b, [&conv, &norm], inner, layer)?
        };
    }
    let shortcut = if b.shape(from) == b.shape(inner) {
        from
    } else {
        let stride = layers.iter().map(|layer| layer.window.stride[0]).product();
        let layer = Conv::new(b.shape(inner)[0], Window::new(1).stride(stride));
        conv_norm(b, [&format!("{name}.downsample.0"), &format!("{name}.downsample.1")], from, layer)?
    };
    let sum = b.add(&format!("{name}.add"), Op::Add, &[inner, shortcut])?;
    b.add(&format!("{name}.relu"), Op::RELU, &[sum])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_usual_size() {
        let graph = |depth| Resnet { depth, ..Resnet::default() }.graph([3, 32, 32], 10).unwrap();
        assert_eq!([18, 34, 50].map(|depth| graph(depth).parameter_count()), [11_173_962, 21_282_122, 23_520_842]);
        let net = graph(18);
        assert_eq!(net.multiply_adds(), 555_422_720);
        let shape = |name: &str| net.shape(net.find(name).unwrap()).to_vec();
        let stages = [[64, 32, 32], [128, 16, 16], [256, 8, 8], [512, 4, 4]];
        assert_eq!([1, 2, 3, 4].map(|stage| shape(&format!("layer{stage}.1.relu"))), stages);
        assert_eq!(net.shape(net.penultimate()), [512]);
    }

    #[test]
    fn for_imagenet_it_has_the_published_size() {
        let graph = |depth| Resnet { depth, stem: Stem::Imagenet, ..Resnet::default() }.graph([3, 224, 224], 1000).unwrap();
        assert_eq!([18, 34, 50].map(|depth| graph(depth).parameter_count()), [11_689_512, 21_797_672, 25_557_032]);
        let net = graph(50);
        assert_eq!(net.shape(net.find("layer4.2.relu").unwrap()), [2048, 7, 7]);
        assert_eq!(net.multiply_adds(), 4_089_184_256);
    }

    #[test]
    fn shortcuts_are_where_shapes_change() {
        let shortcuts = |depth| {
            let graph = Resnet { depth, ..Resnet::default() }.graph([3, 32, 32], 10).unwrap();
            graph.nodes().iter().filter_map(|node| node.name.strip_suffix(".downsample.0").map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(shortcuts(18), ["layer2.0", "layer3.0", "layer4.0"]);
        assert_eq!(shortcuts(50), ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]);
    }

    #[test]
    fn images_of_any_size_are_averaged_as_a_whole() {
        let graph = |height, width| Resnet { width: 2, ..Resnet::default() }.graph([1, height, width], 10);
        for side in [1, 28, 32, 33, 64, 100] {
            for other in [side, 2 * side] {
                let graph = graph(side, other).unwrap();
                assert_eq!(graph.shape(graph.penultimate()), [16], "{side}");
            }
        }
    }

    #[test]
    fn other_depths_are_refused() {
        let refusal = Resnet { depth: 51, ..Resnet::default() }.graph([3, 32, 32], 10).unwrap_err().to_string();
        assert!(refusal.contains("51") && refusal.contains("[18, 34, 50]"), "{refusal}");
    }
}
