use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, Op, Window};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::blocks::{conv_norm_relu, global_mean, halve};
use crate::depth::{self, Family};

/// A plain deep net for small images: VGG-11, 13, 16 or 19 with batch norm and one linear layer.
///
/// Five stages of 3x3 convolutions with batch norm, each stage ended by a max-pool, as in configurations A, B, D and E of the
/// paper; in the place of its three linear layers the mean over all positions and one linear layer, as usual for CIFAR. The
/// convolutions have biases: VGG-11 has 9,231,114 parameters for 10 classes of RGB images. Images must be square, or nearly so,
/// with sides of 32 pixels or more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Vgg {
    /// The paper's count of layers with weights: this net's convolutions and three.
    #[schemars(schema_with = "depths")]
    pub depth: usize,
    /// Channels of the first stage; the others have 2, 4, 8 and 8 times as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
}

const FAMILY: &Family<5> = &[(11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4])];

fn depths(_: &mut SchemaGenerator) -> Schema {
    depth::schema(FAMILY)
}

impl Default for Vgg {
    fn default() -> Self {
        Self { depth: 11, width: 64 }
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
        for (stage, layers) in depth::stages(FAMILY, self.depth)?.into_iter().enumerate() {
            for layer in 0..layers {
                let name = format!("stage{}.{}", stage + 1, layer + 1);
                at = conv_norm_relu(&mut b, &name, at, self.width << stage.min(3), Window::new(3).padding(1), true)?;
            }
            at = halve(&mut b, &format!("stage{}.pool", stage + 1), at)?;
        }
        at = global_mean(&mut b, at)?;
        b.add("scores", Op::linear(classes), &[at])?;
        b.build()
    }
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
        let shape = |name: &str| net.shape(net.find(name).unwrap()).to_vec();
        let stages = [[64, 16, 16], [128, 8, 8], [256, 4, 4], [512, 2, 2], [512, 1, 1]];
        assert_eq!([1, 2, 3, 4, 5].map(|stage| shape(&format!("stage{stage}.pool"))), stages);
        assert_eq!(net.shape(net.penultimate()), [512]);
        for depth in [11, 13, 16, 19] {
            let convolutions = graph(depth).nodes().iter().filter(|node| matches!(node.op, Op::Conv2d { .. })).count();
            assert_eq!(convolutions + 3, depth);
        }
    }

    #[test]
    fn sizes_are_averaged_away_or_refused_by_layer() {
        let graph = |height, width| Vgg { width: 2, ..Vgg::default() }.graph([1, height, width], 10);
        for side in [32, 50, 64, 224] {
            let graph = graph(side, side).unwrap();
            assert_eq!(graph.shape(graph.penultimate()), [16], "{side}");
        }
        let refusal = graph(31, 32).unwrap_err().to_string();
        assert!(refusal.contains("`stage5.pool`"), "{refusal}");
        assert!(graph(32, 64).unwrap_err().to_string().contains("`mean`"));
        assert!(Vgg { depth: 12, ..Vgg::default() }.graph([3, 32, 32], 10).is_err());
    }
}
