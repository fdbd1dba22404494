use std::sync::Arc;

use bezoar_core::{Plugin, Result, register};
use bezoar_nn::{Architecture, Graph, GraphBuilder, Op, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::{Conv, halve, linear_relu_dropout, unit};

/// The net of the heatmap clustering paper: one Inception block, three 2x2 convolutions, three linear layers.
///
/// As in the authors' code: four branches (1x1; 1x1 and 5x5; 1x1, 3x3 and 3x3; max-pool and 1x1) see the image and give 256
/// channels together; three times a max-pool and an unpadded 2x2 convolution, another max-pool, then 256, 128 and as many
/// units as classes, with dropout of one half between them. 1,110,027 parameters and 290 million multiply-adds for 43 classes
/// and 32x32 images. Images must have sides of 30 pixels or more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PaperInception {}

register!(PaperInception);

impl Plugin for PaperInception {
    type Kind = dyn Architecture;
    const NAME: &'static str = "paper-inception";
    const PAPER: Option<&'static str> = Some("arXiv 2204.12848");

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        Ok(Arc::new(self))
    }
}

impl Architecture for PaperInception {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let mut b = GraphBuilder::new(input)?;
        let image = b.input();
        let (one, three, five) = (Window::new(1), Window::new(3).padding(1), Window::new(5).padding(2));

        let branch1 = unit(&mut b, "branch1x1", image, Conv::new(64, one).biased())?;
        let branch5 = unit(&mut b, "branch5x5.1", image, Conv::new(48, one).biased())?;
        let branch5 = unit(&mut b, "branch5x5.2", branch5, Conv::new(64, five).biased())?;
        let branch3 = unit(&mut b, "branch3x3.1", image, Conv::new(64, one).biased())?;
        let branch3 = unit(&mut b, "branch3x3.2", branch3, Conv::new(96, three).biased())?;
        let branch3 = unit(&mut b, "branch3x3.3", branch3, Conv::new(96, three).biased())?;
        let pooled = b.add("branch-pool.pool", Op::MaxPool { window: three }, &[image])?;
        let pooled = unit(&mut b, "branch-pool", pooled, Conv::new(32, one).biased())?;
        let mut at = b.add("inception", Op::Concat { axis: 0 }, &[branch1, branch5, branch3, pooled])?;

        for block in 1..=3 {
            at = halve(&mut b, &format!("block{block}.pool"), at)?;
            at = unit(&mut b, &format!("block{block}"), at, Conv::new(256, Window::new(2)).biased())?;
        }
        at = halve(&mut b, "pool", at)?;
        at = b.add("flatten", Op::Flatten, &[at])?;
        at = linear_relu_dropout(&mut b, "fc1", at, 256, 0.5)?;
        at = linear_relu_dropout(&mut b, "fc2", at, 128, 0.5)?;
        b.add("fc3", Op::linear(classes), &[at])?;
        b.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_papers_size() {
        let graph = PaperInception {}.graph([3, 32, 32], 43).unwrap();
        assert_eq!(graph.parameter_count(), 1_110_027);
        assert_eq!(graph.multiply_adds(), 290_411_904);
        let last = |name: &str| graph.shape(graph.find(name).unwrap()).to_vec();
        assert_eq!(last("inception"), [256, 32, 32]);
        assert_eq!([1, 2, 3].map(|block| last(&format!("block{block}.relu"))[1]), [15, 6, 2]);
        assert_eq!(last("pool"), [256, 1, 1]);
        assert_eq!(graph.shape(graph.penultimate()), [128]);
    }

    #[test]
    fn small_images_are_refused_by_layer() {
        assert!(PaperInception {}.graph([1, 30, 30], 10).is_ok());
        let refusal = PaperInception {}.graph([3, 16, 16], 43).unwrap_err().to_string();
        assert!(refusal.contains("`block3.conv`") || refusal.contains("`pool`"), "{refusal}");
    }
}
