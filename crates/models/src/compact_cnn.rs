use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, Op, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::{Conv, halve, linear_relu_dropout, unit};

/// A small convolutional net with batch norm that trains in minutes on a processor.
///
/// Five 3x3 convolutions in three stages, each stage ended by a max-pool; the maps are averaged down to about 4x4 where images
/// are larger than 32x32; then a hidden linear layer with dropout, and the scores. Images must have sides of 8 pixels or more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CompactCnn {
    /// Channels of the first convolution; the others have 2, 3, 4 and 4 times as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
    /// Units of the hidden linear layer: the penultimate features.
    #[schemars(range(min = 1, max = 65536))]
    pub hidden: usize,
    /// Probability of dropping a hidden unit in training, below 1.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

impl Default for CompactCnn {
    fn default() -> Self {
        Self { width: 16, hidden: 128, dropout: 0.3 }
    }
}

register!(CompactCnn);

impl Plugin for CompactCnn {
    type Kind = dyn Architecture;
    const NAME: &'static str = "compact-cnn";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Architecture for CompactCnn {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let mut at = b.input();
        for (stage, factors) in [&[1][..], &[2, 3], &[4, 4]].into_iter().enumerate() {
            for (layer, factor) in factors.iter().enumerate() {
                let name = format!("stage{}.{}", stage + 1, layer + 1);
                at = unit(&mut b, &name, at, Conv::new(factor * self.width, Window::new(3).padding(1)))?;
            }
            at = halve(&mut b, &format!("stage{}.pool", stage + 1), at)?;
        }
        let side = b.shape(at)[1..].iter().copied().min().unwrap_or_default();
        if side >= 8 {
            at = b.add("mean", Op::avg_pool(Window::tiling(side / 4)), &[at])?;
        }
        at = b.add("flatten", Op::Flatten, &[at])?;
        at = linear_relu_dropout(&mut b, "hidden", at, self.hidden, self.dropout)?;
        b.add("scores", Op::linear(classes), &[at])?;
        b.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_compact() {
        let graph = CompactCnn::default().graph([3, 32, 32], 43).unwrap();
        assert!(graph.multiply_adds() <= 15_000_000, "{}", graph.multiply_adds());
        assert_eq!(graph.shape(graph.penultimate()), [128]);
        assert_eq!(graph.classes(), 43);
    }

    #[test]
    fn it_takes_images_of_many_sizes() {
        let features = |input| {
            let graph = CompactCnn::default().graph(input, 10)?;
            Ok::<_, bezoar_core::Error>(graph.shape(graph.find("flatten").unwrap())[0])
        };
        assert_eq!(features([1, 28, 28]).unwrap(), 64 * 3 * 3);
        assert_eq!(features([3, 64, 48]).unwrap(), 64 * 8 * 6);
        assert_eq!(features([3, 224, 224]).unwrap(), 64 * 4 * 4);
        assert_eq!(features([3, 8, 8]).unwrap(), 64);
        assert!(features([3, 7, 7]).is_err());
    }
}
