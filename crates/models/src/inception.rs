use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::global_mean;

/// A wide net of parallel branches: Inception v3, without its auxiliary head.
///
/// Five convolutions and two max-pools, then eleven blocks whose branches, with kernels of 1x1 to 7x7, the large ones split into rows and
/// columns, see the same maps and are joined. 23,834,568 parameters for 1,000 classes of RGB images. Made for images of 299x299 pixels; sides must have
/// 75 or more. Layers and parameters are called as in torchvision and timm.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InceptionV3 {}

register!(InceptionV3);

impl Plugin for InceptionV3 {
    type Kind = dyn Architecture;
    const NAME: &'static str = "inception-v3";
    const PAPER: Option<&'static str> = Some("arXiv 1512.00567");

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

const PIXEL: Window = Window::new(1);
const AROUND: Window = Window::new(3).padding(1);
const HALVING: Window = Window::new(3).stride(2);
const ROW: Window = Window::rectangle([1, 7]).border([0, 3], [0, 3]);
const COLUMN: Window = Window::rectangle([7, 1]).border([3, 0], [3, 0]);
const SHORT_ROW: Window = Window::rectangle([1, 3]).border([0, 1], [0, 1]);
const SHORT_COLUMN: Window = Window::rectangle([3, 1]).border([1, 0], [1, 0]);

impl Architecture for InceptionV3 {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let mut at = b.input();
        let mut stem = Block { b: &mut b, name: "" };
        for (name, channels, window) in
            [("Conv2d_1a_3x3", 32, HALVING), ("Conv2d_2a_3x3", 32, Window::new(3)), ("Conv2d_2b_3x3", 64, AROUND)]
        {
            at = stem.conv(name, at, channels, window)?;
        }
        at = stem.b.add("maxpool1", Op::MaxPool { window: HALVING }, &[at])?;
        at = stem.conv("Conv2d_3b_1x1", at, 80, PIXEL)?;
        at = stem.conv("Conv2d_4a_3x3", at, 192, Window::new(3))?;
        at = stem.b.add("maxpool2", Op::MaxPool { window: HALVING }, &[at])?;
        for (name, pooled) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
            at = Block { b: &mut b, name }.fives(at, pooled)?;
        }
        at = Block { b: &mut b, name: "Mixed_6a" }.first_halving(at)?;
        for (name, channels) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
            at = Block { b: &mut b, name }.sevens(at, channels)?;
        }
        at = Block { b: &mut b, name: "Mixed_7a" }.second_halving(at)?;
        for name in ["Mixed_7b", "Mixed_7c"] {
            at = Block { b: &mut b, name }.forks(at)?;
        }
        at = global_mean(&mut b, at)?;
        at = b.add("dropout", Op::Dropout { p: 0.5 }, &[at])?;
        b.add("fc", Op::linear(classes), &[at])?;
        b.build()
    }

    fn own_name(&self, foreign: &str) -> Option<String> {
        (!foreign.starts_with("AuxLogits.")).then(|| foreign.to_owned())
    }
}

/// A block under way.
struct Block<'a> {
    b: &'a mut GraphBuilder,
    name: &'a str,
}

impl Block<'_> {
    fn add(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        let name = if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) };
        self.b.add(&name, op, inputs)
    }

    /// A convolution, batch norm and `ReLU`: `name.conv`, `name.bn`, `name.relu`.
    fn conv(&mut self, name: &str, from: NodeId, channels: usize, window: Window) -> Result<NodeId> {
        let conv = self.add(&format!("{name}.conv"), Op::Conv2d { channels, window, groups: 1, bias: false }, &[from])?;
        let norm = self.add(&format!("{name}.bn"), Op::BatchNorm { eps: 1e-3, momentum: 0.1 }, &[conv])?;
        self.add(&format!("{name}.relu"), Op::RELU, &[norm])
    }

    /// Convolutions `name_1`, `name_2` and so on, one after the other.
    fn chain(&mut self, name: &str, from: NodeId, layers: &[(usize, Window)]) -> Result<NodeId> {
        let mut numbered = layers.iter().zip(1..);
        numbered.try_fold(from, |at, (&(channels, window), number)| self.conv(&format!("{name}_{number}"), at, channels, window))
    }

    /// The mean around each pixel, then a 1x1 convolution.
    fn pooled(&mut self, from: NodeId, channels: usize) -> Result<NodeId> {
        let pool = self.add("branch_pool.avgpool", Op::avg_pool(AROUND), &[from])?;
        self.conv("branch_pool", pool, channels, PIXEL)
    }

    fn join(&mut self, branches: &[NodeId]) -> Result<NodeId> {
        self.add("concat", Op::Concat { axis: 0 }, branches)
    }

    /// Kernels of up to 5x5 (figure 5 of the paper).
    fn fives(&mut self, from: NodeId, pooled: usize) -> Result<NodeId> {
        let pixels = self.conv("branch1x1", from, 64, PIXEL)?;
        let fives = self.chain("branch5x5", from, &[(48, PIXEL), (64, Window::new(5).padding(2))])?;
        let double = self.chain("branch3x3dbl", from, &[(64, PIXEL), (96, AROUND), (96, AROUND)])?;
        let pooled = self.pooled(from, pooled)?;
        self.join(&[pixels, fives, double, pooled])
    }

    fn first_halving(&mut self, from: NodeId) -> Result<NodeId> {
        let single = self.conv("branch3x3", from, 384, HALVING)?;
        let double = self.chain("branch3x3dbl", from, &[(64, PIXEL), (96, AROUND), (96, HALVING)])?;
        let pooled = self.add("branch_pool", Op::MaxPool { window: HALVING }, &[from])?;
        self.join(&[single, double, pooled])
    }

    /// Kernels of 7x7, split into rows and columns (figure 6).
    fn sevens(&mut self, from: NodeId, channels: usize) -> Result<NodeId> {
        let pixels = self.conv("branch1x1", from, 192, PIXEL)?;
        let single = self.chain("branch7x7", from, &[(channels, PIXEL), (channels, ROW), (192, COLUMN)])?;
        let double = [(channels, PIXEL), (channels, COLUMN), (channels, ROW), (channels, COLUMN), (192, ROW)];
        let double = self.chain("branch7x7dbl", from, &double)?;
        let pooled = self.pooled(from, 192)?;
        self.join(&[pixels, single, double, pooled])
    }

    fn second_halving(&mut self, from: NodeId) -> Result<NodeId> {
        let threes = self.chain("branch3x3", from, &[(192, PIXEL), (320, HALVING)])?;
        let sevens = self.chain("branch7x7x3", from, &[(192, PIXEL), (192, ROW), (192, COLUMN), (192, HALVING)])?;
        let pooled = self.add("branch_pool", Op::MaxPool { window: HALVING }, &[from])?;
        self.join(&[threes, sevens, pooled])
    }

    /// Rows and columns side by side (figure 7).
    fn forks(&mut self, from: NodeId) -> Result<NodeId> {
        let pixels = self.conv("branch1x1", from, 320, PIXEL)?;
        let single = self.conv("branch3x3_1", from, 384, PIXEL)?;
        let single =
            [("branch3x3_2a", SHORT_ROW), ("branch3x3_2b", SHORT_COLUMN)].map(|(name, window)| self.conv(name, single, 384, window));
        let double = self.chain("branch3x3dbl", from, &[(448, PIXEL), (384, AROUND)])?;
        let double =
            [("branch3x3dbl_3a", SHORT_ROW), ("branch3x3dbl_3b", SHORT_COLUMN)].map(|(name, window)| self.conv(name, double, 384, window));
        let pooled = self.pooled(from, 192)?;
        let [row, column] = single;
        let [later_row, later_column] = double;
        self.join(&[pixels, row?, column?, later_row?, later_column?, pooled])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_published_size() {
        let graph = InceptionV3 {}.graph([3, 299, 299], 1000).unwrap();
        assert_eq!(graph.parameter_count(), 23_834_568);
        let shape = |name: &str| graph.shape(graph.find(name).unwrap()).to_vec();
        let blocks = ["Mixed_5d.concat", "Mixed_6e.concat", "Mixed_7c.concat"].map(shape);
        assert_eq!(blocks, [[288, 35, 35], [768, 17, 17], [2048, 8, 8]]);
        assert_eq!(InceptionV3 {}.graph([3, 96, 96], 43).unwrap().parameter_count(), 21_873_675);
    }

    #[test]
    fn small_images_are_refused_by_layer() {
        assert_eq!((60..80).find(|side| InceptionV3 {}.graph([3, *side, *side], 10).is_ok()), Some(75));
        let refusal = InceptionV3 {}.graph([3, 32, 32], 10).unwrap_err().to_string();
        assert!(refusal.contains("`Mixed_6a"), "{refusal}");
    }
}
