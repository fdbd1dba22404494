use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::blocks::{conv_norm, conv_norm_relu, global_mean};
use crate::depth::{self, Family};

/// A residual net for small images: ResNet-18 or ResNet-34 with a 3x3 stem that keeps the size.
///
/// The net for ImageNet behind a stem for CIFAR: a 3x3 convolution without a pool, four stages of blocks of two 3x3 convolutions,
/// each stage after the first at half the size and with twice the channels of the one before, the mean over all positions, and a
/// linear layer. Where a block changes the shape, a 1x1 convolution with batch norm takes the place of the identity. ResNet-18 has
/// 11,173,962 parameters for 10 classes of RGB images. Images must be square, or nearly so.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Resnet {
    /// Layers with weights, the projections not counted.
    #[schemars(schema_with = "depths")]
    pub depth: usize,
    /// Channels of the first stage; the others have 2, 4 and 8 times as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
}

const FAMILY: &Family<4> = &[(18, [2, 2, 2, 2]), (34, [3, 4, 6, 3])];

fn depths(_: &mut SchemaGenerator) -> Schema {
    depth::schema(FAMILY)
}

impl Default for Resnet {
    fn default() -> Self {
        Self { depth: 18, width: 64 }
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
        let mut at = conv_norm_relu(&mut b, "stem", image, self.width, Window::new(3).padding(1), false)?;
        for (stage, blocks) in depth::stages(FAMILY, self.depth)?.into_iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                at = basic_block(&mut b, &format!("stage{}.{}", stage + 1, block + 1), at, self.width << stage, stride)?;
            }
        }
        at = global_mean(&mut b, at)?;
        b.add("scores", Op::linear(classes), &[at])?;
        b.build()
    }
}

/// Two 3x3 convolutions, `name.1` and `name.2`, beside the identity, or beside `name.shortcut` where shapes change.
fn basic_block(b: &mut GraphBuilder, name: &str, from: NodeId, channels: usize, stride: usize) -> Result<NodeId> {
    let window = Window::new(3).padding(1);
    let inner = conv_norm_relu(b, &format!("{name}.1"), from, channels, window.stride(stride), false)?;
    let inner = conv_norm(b, &format!("{name}.2"), inner, channels, window, false)?;
    let shortcut = if b.shape(from) == b.shape(inner) {
        from
    } else {
        conv_norm(b, &format!("{name}.shortcut"), from, channels, Window::new(1).stride(stride), false)?
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
        assert_eq!(graph(18).parameter_count(), 11_173_962);
        assert_eq!(graph(34).parameter_count(), 21_282_122);
        let net = graph(18);
        assert_eq!(net.multiply_adds(), 555_422_720);
        let shape = |name: &str| net.shape(net.find(name).unwrap()).to_vec();
        let stages = [[64, 32, 32], [128, 16, 16], [256, 8, 8], [512, 4, 4]];
        assert_eq!([1, 2, 3, 4].map(|stage| shape(&format!("stage{stage}.2.relu"))), stages);
        assert_eq!(net.shape(net.penultimate()), [512]);
    }

    #[test]
    fn shortcuts_are_where_shapes_change() {
        let graph = Resnet::default().graph([3, 32, 32], 10).unwrap();
        let shortcuts: Vec<_> = graph.nodes().iter().filter_map(|node| node.name.strip_suffix(".shortcut.conv")).collect();
        assert_eq!(shortcuts, ["stage2.1", "stage3.1", "stage4.1"]);
    }

    #[test]
    fn square_images_of_any_size_are_averaged_as_a_whole() {
        let graph = |height, width| Resnet { width: 2, ..Resnet::default() }.graph([1, height, width], 10);
        for side in [1, 28, 32, 33, 64, 100] {
            let graph = graph(side, side).unwrap();
            assert_eq!(graph.shape(graph.penultimate()), [16], "{side}");
        }
        assert!(graph(32, 31).is_ok(), "both sides come to 4");
        let refusal = graph(32, 64).unwrap_err().to_string();
        assert!(refusal.contains("`mean`") && refusal.contains("4x8"), "{refusal}");
    }

    #[test]
    fn other_depths_are_refused() {
        let refusal = Resnet { depth: 50, ..Resnet::default() }.graph([3, 32, 32], 10).unwrap_err().to_string();
        assert!(refusal.contains("50") && refusal.contains("[18, 34]"), "{refusal}");
    }
}
