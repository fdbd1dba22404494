use std::sync::Arc;

use bezoar_core::{Error, Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::blocks::{Conv, conv_norm, conv_norm_relu, global_mean};

/// A narrow residual net for small images: ResNet-20, 32, 44, 56 or 110.
///
/// The paper's nets for CIFAR (section 4.2): a 3x3 convolution, three stages of blocks of two 3x3 convolutions with 16, 32 and 64
/// channels, the later two at half the size of the one before, the mean over all positions, and a linear layer. Where a block changes the
/// shape, every other pixel takes the identity's place, and new channels are zero, without any weights. ResNet-20 has
/// 269,722 parameters for 10 classes of RGB images. Layers and parameters are called as in torchvision's nets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResnetCifar {
    /// Layers with weights.
    #[schemars(schema_with = "depths")]
    pub depth: usize,
    /// Channels of the first stage; the others have 2 and 4 times as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
}

const DEPTHS: [usize; 5] = [20, 32, 44, 56, 110];

const STAGES: usize = 3;

fn depths(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "enum": DEPTHS })
}

impl Default for ResnetCifar {
    fn default() -> Self {
        Self { depth: 20, width: 16 }
    }
}

register!(ResnetCifar);

impl Plugin for ResnetCifar {
    type Kind = dyn Architecture;
    const NAME: &'static str = "resnet-cifar";
    const PAPER: Option<&'static str> = Some("arXiv 1512.03385");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Architecture for ResnetCifar {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        if !DEPTHS.contains(&self.depth) {
            return Err(Error::request(format!("depth is {} where it may be one of {DEPTHS:?}", self.depth)));
        }
        let mut b = GraphBuilder::new(input)?;
        let image = b.input();
        let window = Window::new(3).padding(1);
        let mut at = conv_norm_relu(&mut b, ["conv1", "bn1", "relu"], image, Conv::new(self.width, window))?;
        for stage in 0..STAGES {
            for block in 0..(self.depth - 2) / (2 * STAGES) {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                at = residual(&mut b, &format!("layer{}.{block}", stage + 1), at, self.width << stage, stride)?;
            }
        }
        at = global_mean(&mut b, at)?;
        b.add("fc", Op::linear(classes), &[at])?;
        b.build()
    }

    /// The usual net for CIFAR calls its last layer `linear`.
    fn own_name(&self, foreign: &str) -> Option<String> {
        Some(foreign.strip_prefix("linear.").map_or_else(|| foreign.to_owned(), |what| format!("fc.{what}")))
    }
}

/// Two 3x3 convolutions beside the identity, or beside what the image shrinks to.
fn residual(b: &mut GraphBuilder, name: &str, from: NodeId, channels: usize, stride: usize) -> Result<NodeId> {
    let window = Window::new(3).padding(1);
    let [conv1, bn1, relu1, conv2, bn2, every_other, zeros, add, relu] =
        ["conv1", "bn1", "relu1", "conv2", "bn2", "every-other", "zeros", "add", "relu"].map(|part| format!("{name}.{part}"));
    let inner = conv_norm_relu(b, [&conv1, &bn1, &relu1], from, Conv::new(channels, window.stride(stride)))?;
    let inner = conv_norm(b, [&conv2, &bn2], inner, Conv::new(channels, window))?;
    let shortcut = if stride == 1 {
        from
    } else {
        let kept = b.add(&every_other, Op::MaxPool { window: Window::new(1).stride(stride) }, &[from])?;
        let new = channels - b.shape(kept)[0];
        b.add(&zeros, Op::Pad { before: vec![new / 2, 0, 0], after: vec![new - new / 2, 0, 0], value: 0.0 }, &[kept])?
    };
    let sum = b.add(&add, Op::Add, &[inner, shortcut])?;
    b.add(&relu, Op::RELU, &[sum])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_published_size() {
        let graph = |depth| ResnetCifar { depth, ..ResnetCifar::default() }.graph([3, 32, 32], 10).unwrap();
        assert_eq!(DEPTHS.map(|depth| graph(depth).parameter_count()), [269_722, 464_154, 658_586, 853_018, 1_727_962]);
        for depth in DEPTHS {
            assert_eq!(graph(depth).nodes().iter().filter(|node| node.op.is_weighted()).count(), depth);
        }
        let net = graph(20);
        assert_eq!(net.shape(net.find("layer3.2.relu").unwrap()), [64, 8, 8]);
    }

    #[test]
    fn other_depths_are_refused() {
        let refusal = ResnetCifar { depth: 18, ..ResnetCifar::default() }.graph([3, 32, 32], 10).unwrap_err().to_string();
        assert!(refusal.contains("18") && refusal.contains("110"), "{refusal}");
    }
}
