//! The nets, from image to embedding.

use bezoar_core::{Error, Result};
use candle_core::{D, Device, IndexOp, Module, Tensor};
use candle_nn::{LayerNorm, VarBuilder, layer_norm};
use candle_transformers::models::clip::vision_model::{ClipVisionConfig, ClipVisionTransformer};
use candle_transformers::models::dinov2::DinoVisionTransformer;
use candle_transformers::models::{convnext, vit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::weights::Weights;

/// A net that was trained elsewhere, and which file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// DINOv2's ViT-S/14 (arXiv 2304.07193), under Meta's names, which timm's `vit_small_patch14_dinov2` has too. 384 values: the class token.
    /// As candle-transformers has it: positions are those of 518 pixels, each taken from the nearest; norms add 1e-5 (Meta: 1e-6) and GELU is
    /// taken by tanh, which on random weights moves values by up to
    /// 3e-4.
    Dinov2Small,
    /// DINOv2's ViT-B/14. 768 values.
    Dinov2Base,
    /// ViT-B/16 for ImageNet (arXiv 2010.11929), under the names of Hugging Face's `google/vit-base-patch16-224`. 768 values: the class token.
    VitBase,
    /// The image tower of CLIP's ViT-B/32 (arXiv 2103.00020), under the names of Hugging Face's `openai/clip-vit-base-patch32`. 768
    /// values: the class token before it is projected.
    ClipVitBase,
    /// ConvNeXt-T (arXiv 2201.03545), under timm's names. 768 values: the mean over all positions, normalised.
    ConvnextTiny,
    /// ConvNeXt-B. 1024 values.
    ConvnextBase,
}

/// What candle-transformers asks for although these nets have none: ConvNeXt v2's response norms.
const OPTIONAL: &str = ".mlp.grn.";

/// Values that DINOv2's classifier gives in candle-transformers.
const DINO_SCORES: usize = 1000;

/// A net with its weights.
pub(crate) enum Tower {
    Dino { net: DinoVisionTransformer, width: usize },
    Vit { embeddings: vit::Embeddings, encoder: vit::Encoder, norm: LayerNorm },
    Clip(ClipVisionTransformer),
    Convnext { net: candle_nn::Func<'static>, norm: LayerNorm },
}

/// Mean and standard deviation of each colour of the images that a net was trained on.
pub(crate) type Normalisation = [[f32; 3]; 2];

const IMAGENET: Normalisation = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const HALVES: Normalisation = [[0.5; 3]; 2];
const CLIP: Normalisation = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

/// Rows and columns that all of them take.
pub(crate) const SIDE: usize = 224;

impl Architecture {
    pub(crate) fn normalisation(self) -> Normalisation {
        match self {
            Self::Dinov2Small | Self::Dinov2Base | Self::ConvnextTiny | Self::ConvnextBase => IMAGENET,
            Self::VitBase => HALVES,
            Self::ClipVitBase => CLIP,
        }
    }

    /// The net with these weights.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape: names all that were asked for in vain.
    pub(crate) fn build(self, weights: &Weights, device: &Device) -> Result<Tower> {
        let built = match self {
            Self::Dinov2Small => dino(weights, device, Dino { depth: 12, width: 384, heads: 6 }),
            Self::Dinov2Base => dino(weights, device, Dino { depth: 12, width: 768, heads: 12 }),
            Self::VitBase => transformer(weights, device, &vit::Config::vit_base_patch16_224()),
            Self::ClipVitBase => clip(weights, device, &ClipVisionConfig::vit_base_patch32()),
            Self::ConvnextTiny => convolutional(weights, device, &convnext::Config::tiny(), 768),
            Self::ConvnextBase => convolutional(weights, device, &convnext::Config::base(), 1024),
        };
        complete(weights, built)
    }
}

/// What was built, if nothing was missing.
pub(crate) fn complete(weights: &Weights, built: candle_core::Result<Tower>) -> Result<Tower> {
    let problems: Vec<String> = weights.problems().into_iter().filter(|problem| !problem.contains(OPTIONAL)).collect();
    match built {
        Ok(tower) if problems.is_empty() => Ok(tower),
        Err(error) if problems.is_empty() => Err(Error::request(error)),
        _ => Err(Error::request(format!("the weights do not suit the net: {}", problems.join("; ")))
            .with_help("check that the file is of this architecture, under the names that it is documented with")),
    }
}

/// The sizes of a DINOv2.
pub(crate) struct Dino {
    pub(crate) depth: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
}

pub(crate) fn dino(weights: &Weights, device: &Device, Dino { depth, width, heads }: Dino) -> candle_core::Result<Tower> {
    // The net gives scores alone, of the class token and the mean of the others. A classifier that copies the class token shows it.
    let places = Tensor::arange(0u32, DINO_SCORES as u32, device)?.reshape((DINO_SCORES, 1))?;
    let columns = Tensor::arange(0u32, 2 * width as u32, device)?.reshape((1, 2 * width))?;
    let copy = places.broadcast_eq(&columns)?.to_dtype(candle_core::DType::F32)?;
    let weights = weights.with("head.weight", copy).with("head.bias", Tensor::zeros(DINO_SCORES, candle_core::DType::F32, device)?);
    Ok(Tower::Dino { net: DinoVisionTransformer::new(weights.builder(device), depth, width, heads)?, width })
}

pub(crate) fn transformer(weights: &Weights, device: &Device, config: &vit::Config) -> candle_core::Result<Tower> {
    let bare = weights.renamed(|name| Some(name.strip_prefix("vit.").unwrap_or(name).to_owned()));
    let builder: VarBuilder<'_> = bare.builder(device);
    Ok(Tower::Vit {
        embeddings: vit::Embeddings::new(config, false, builder.pp("embeddings"))?,
        encoder: vit::Encoder::new(config, builder.pp("encoder"))?,
        norm: layer_norm(config.hidden_size, config.layer_norm_eps, builder.pp("layernorm"))?,
    })
}

pub(crate) fn clip(weights: &Weights, device: &Device, config: &ClipVisionConfig) -> candle_core::Result<Tower> {
    Ok(Tower::Clip(ClipVisionTransformer::new(weights.builder(device).pp("vision_model"), config)?))
}

pub(crate) fn convolutional(weights: &Weights, device: &Device, config: &convnext::Config, width: usize) -> candle_core::Result<Tower> {
    let builder = weights.builder(device);
    let norm = layer_norm(width, 1e-6, builder.pp("head.norm"))?;
    Ok(Tower::Convnext { net: convnext::convnext_no_final_layer(config, builder)?, norm })
}

impl Tower {
    /// The embedding `[D]` of one image `[1, 3, SIDE, SIDE]`, normalised as the net wants it.
    pub(crate) fn embed(&self, image: &Tensor) -> candle_core::Result<Tensor> {
        let rows = match self {
            Self::Dino { net, width } => net.forward(image)?.narrow(D::Minus1, 0, *width)?,
            Self::Vit { embeddings, encoder, norm } => {
                let tokens = encoder.forward(&embeddings.forward(image, None, false)?)?;
                norm.forward(&tokens.i((.., 0, ..))?.contiguous()?)?
            }
            Self::Clip(net) => net.forward(image)?,
            Self::Convnext { net, norm } => norm.forward(&net.forward(image)?)?,
        };
        rows.flatten_all()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Device;

    use super::*;

    /// What `tests/parity/backbones.py` wrote of a net.
    #[derive(Deserialize)]
    struct Golden {
        shapes: BTreeMap<String, Vec<usize>>,
        embedding: Vec<f32>,
    }

    /// Numbers in -1 to 1 by a hash of `start`, `start + 1` and so on; the script draws the same.
    fn noise(count: usize, start: u32) -> impl Iterator<Item = f32> {
        let mixed = |x: u32| ((x >> 16) ^ x).wrapping_mul(0x045d_9f3b);
        (start..).take(count).map(move |x| {
            let x = mixed(mixed(x));
            (f64::from((x >> 16) ^ x) / 2f64.powi(31) - 1.0) as f32
        })
    }

    fn drawn(shapes: BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Tensor> {
        let tensor = |place: usize, shape: &[usize]| {
            let values = noise(shape.iter().product(), 1_000_003 * place as u32);
            let spread = (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt() as f32;
            let values: Vec<f32> = match shape {
                [_] => values.map(|value| 0.6 + 0.4 * value).collect(),
                _ => values.map(|value| value * spread).collect(),
            };
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        shapes.into_iter().enumerate().map(|(place, (name, shape))| (name, tensor(place, &shape))).collect()
    }

    #[test]
    fn nets_are_those_of_timm_and_hugging_face() {
        let nets: BTreeMap<Architecture, Golden> = serde_json::from_str(include_str!("../../../tests/parity/backbones.json")).unwrap();
        let image = Tensor::from_iter(noise(3 * SIDE * SIDE, 7), &Device::Cpu).unwrap().reshape((1, 3, SIDE, SIDE)).unwrap();
        assert_eq!(nets.len(), 4);
        for (architecture, golden) in nets {
            let tower = architecture.build(&Weights::of(drawn(golden.shapes)), &Device::Cpu).unwrap();
            let embedding: Vec<f32> = tower.embed(&image).unwrap().to_vec1().unwrap();
            assert_eq!(embedding.len(), golden.embedding.len());
            let apart = embedding.iter().zip(&golden.embedding).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-4, "{architecture:?}: {apart}");
        }
    }
}
