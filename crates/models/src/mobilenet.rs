use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Activation, Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::{Conv, Stem, conv_norm, global_mean};

/// A net of few multiplications: MobileNetV2, for small images or as published for ImageNet.
///
/// Blocks that widen the channels by a 1x1 convolution, look around in each on its own, and narrow them again, beside the identity where
/// the shape stays; activations are `ReLU6`. For small images the first convolution and the second stage keep the size. 3,504,872
/// parameters for 1,000 classes of RGB images. Layers and parameters are called as in torchvision; timm's names are known.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MobilenetV2 {
    /// Where the image is first made smaller.
    pub stem: Stem,
}

register!(MobilenetV2);

impl Plugin for MobilenetV2 {
    type Kind = dyn Architecture;
    const NAME: &'static str = "mobilenet-v2";
    const PAPER: Option<&'static str> = Some("arXiv 1801.04381");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

/// A stage of blocks (table 2 of the paper).
struct Stage {
    /// How many times as many channels a block has inside.
    expansion: usize,
    channels: usize,
    blocks: usize,
    /// Of the first block.
    stride: usize,
}

const fn stage(expansion: usize, channels: usize, blocks: usize, stride: usize) -> Stage {
    Stage { expansion, channels, blocks, stride }
}

const STAGES: [Stage; 7] = [
    stage(1, 16, 1, 1),
    stage(6, 24, 2, 2),
    stage(6, 32, 3, 2),
    stage(6, 64, 4, 2),
    stage(6, 96, 3, 1),
    stage(6, 160, 3, 2),
    stage(6, 320, 1, 1),
];

/// Channels before the first stage and after the last.
const ENDS: [usize; 2] = [32, 1280];

/// The number of the last convolution among `features`.
const LAST: usize = 18;

impl Architecture for MobilenetV2 {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let image = b.input();
        let small = self.stem == Stem::Cifar;
        let first = Conv::new(ENDS[0], Window::new(3).padding(1).stride(if small { 1 } else { 2 }));
        let mut at = rectified(&mut b, "features.0", image, first)?;
        let mut number = 0;
        for (index, Stage { expansion, channels, blocks, stride }) in STAGES.into_iter().enumerate() {
            for block in 0..blocks {
                number += 1;
                let stride = if block > 0 || (small && index == 1) { 1 } else { stride };
                at = inverted_residual(&mut b, &format!("features.{number}"), at, channels, expansion, stride)?;
            }
        }
        at = rectified(&mut b, &format!("features.{LAST}"), at, Conv::new(ENDS[1], Window::new(1)))?;
        at = global_mean(&mut b, at)?;
        at = b.add("classifier.0", Op::Dropout { p: 0.2 }, &[at])?;
        b.add("classifier.1", Op::linear(classes), &[at])?;
        b.build()
    }

    fn own_name(&self, foreign: &str) -> Option<String> {
        Some(from_timm(foreign).unwrap_or_else(|| foreign.to_owned()))
    }
}

/// A convolution, batch norm and `ReLU6`: `name.0`, `name.1`, `name.2`.
fn rectified(b: &mut GraphBuilder, name: &str, from: NodeId, layer: Conv) -> Result<NodeId> {
    let norm = conv_norm(b, [&format!("{name}.0"), &format!("{name}.1")], from, layer)?;
    b.add(&format!("{name}.2"), Op::Activation { function: Activation::Clip { low: 0.0, high: 6.0 } }, &[norm])
}

fn inverted_residual(b: &mut GraphBuilder, name: &str, from: NodeId, channels: usize, expansion: usize, stride: usize) -> Result<NodeId> {
    let inside = b.shape(from)[0] * expansion;
    let mut at = from;
    let mut number = 0;
    let pixel = Window::new(1);
    if expansion > 1 {
        at = rectified(b, &format!("{name}.conv.0"), at, Conv::new(inside, pixel))?;
        number = 1;
    }
    let around = Conv::new(inside, Window::new(3).padding(1).stride(stride)).groups(inside);
    at = rectified(b, &format!("{name}.conv.{number}"), at, around)?;
    let [conv, norm] = [1, 2].map(|after| format!("{name}.conv.{}", number + after));
    at = conv_norm(b, [&conv, &norm], at, Conv::new(channels, pixel))?;
    if b.shape(at) == b.shape(from) { b.add(&format!("{name}.add"), Op::Add, &[at, from]) } else { Ok(at) }
}

/// The layers of a block in timm and here.
type Parts = &'static [(&'static str, &'static str)];

const WIDENED: Parts = &[("conv_pw", "0.0"), ("bn1", "0.1"), ("conv_dw", "1.0"), ("bn2", "1.1"), ("conv_pwl", "2"), ("bn3", "3")];

/// In the first block, which does not widen.
const PLAIN: Parts = &[("conv_dw", "0.0"), ("bn1", "0.1"), ("conv_pw", "1"), ("bn2", "2")];

/// The name in torchvision of a parameter of timm's net.
fn from_timm(foreign: &str) -> Option<String> {
    let (layer, what) = foreign.rsplit_once('.')?;
    let own = match layer.split('.').collect::<Vec<_>>()[..] {
        ["conv_stem"] => "features.0.0".to_owned(),
        ["bn1"] => "features.0.1".to_owned(),
        ["conv_head"] => format!("features.{LAST}.0"),
        ["bn2"] => format!("features.{LAST}.1"),
        ["classifier"] => "classifier.1".to_owned(),
        ["blocks", stage, block, part] => {
            let (stage, block): (usize, usize) = (stage.parse().ok()?, block.parse().ok()?);
            let number = 1 + STAGES.get(..stage)?.iter().map(|stage| stage.blocks).sum::<usize>() + block;
            let parts = if stage == 0 { PLAIN } else { WIDENED };
            let (_, place) = parts.iter().find(|(known, _)| *known == part)?;
            format!("features.{number}.conv.{place}")
        }
        _ => return None,
    };
    Some(format!("{own}.{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_published_size() {
        let graph = |stem, side, classes| MobilenetV2 { stem }.graph([3, side, side], classes).unwrap();
        let published = graph(Stem::Imagenet, 224, 1000);
        assert_eq!(published.parameter_count(), 3_504_872);
        assert_eq!(published.shape(published.find("features.18.2").unwrap()), [1280, 7, 7]);
        let small = graph(Stem::Cifar, 32, 43);
        assert_eq!(small.parameter_count(), 2_278_955);
        assert_eq!(small.shape(small.find("features.18.2").unwrap()), [1280, 4, 4]);
        assert_eq!(small.nodes().iter().filter(|node| node.op == Op::Add).count(), 10);
    }

    #[test]
    fn timms_names_are_known() {
        let own = |name: &str| MobilenetV2::default().own_name(name).unwrap();
        assert_eq!(own("blocks.0.0.bn1.weight"), "features.1.conv.0.1.weight");
        assert_eq!(own("blocks.0.0.conv_pw.weight"), "features.1.conv.1.weight");
        assert_eq!(own("blocks.2.1.conv_pwl.weight"), "features.5.conv.2.weight");
        assert_eq!(own("blocks.6.0.bn3.running_var"), "features.17.conv.3.running_var");
        assert_eq!(own("bn2.bias"), "features.18.1.bias");
        assert_eq!(own("features.3.conv.1.0.weight"), "features.3.conv.1.0.weight");
    }
}
