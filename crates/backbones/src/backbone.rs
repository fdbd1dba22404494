use std::path::PathBuf;
use std::sync::Arc;

use bezoar_core::{Classifier, Context, Error, Features, Image, ImageSet, Plugin, Representation, Result, digest_file, register};
use bezoar_nn::{AtPlace, device};
use candle_core::{Device, Tensor};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgb, RgbImage};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::tower::{Architecture, Normalisation, SIDE, Tower};
use crate::weights::Weights;

/// What a net that was trained elsewhere, on other data, says of each image.
///
/// It needs no training on the suspect data, and knows nothing of their labels. The whole image is resized to 224x224 pixels, grey ones are
/// given three equal colours; the net that the pipeline trains is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backbone {
    /// The net.
    pub architecture: Architecture,
    /// Its weights: a local `.safetensors`, `.pt` or `.pth` file.
    pub weights: PathBuf,
}

register!(Backbone);

impl Plugin for Backbone {
    type Kind = dyn Representation;
    const NAME: &'static str = "backbone";

    fn example() -> Self {
        Self { architecture: Architecture::Dinov2Small, weights: "dinov2_vits14.safetensors".into() }
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

/// Images that are read and handed on together.
const BATCH: usize = 16;

impl Representation for Backbone {
    fn is_relevance(&self) -> bool {
        false
    }

    fn represent(
        &self,
        cx: &Context,
        _model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let device = device(cx.device())?;
        let weights = Weights::read(&self.weights, &device)?;
        let place = |error| Error::data(self.weights.display(), error);
        let tower = self.architecture.build(&weights, &device).map_err(place)?;
        let progress = cx.task("embeddings", images.len() as u64);
        let rows: Vec<usize> = (0..images.len()).collect();
        for rows in rows.chunks(BATCH) {
            cx.check()?;
            let embedded: Vec<Vec<f32>> = rows
                .par_iter()
                .map(|&row| embed(&tower, &images.image(row)?, self.architecture.normalisation(), &device))
                .collect::<Result<_>>()?;
            if let Some(row) = embedded.iter().position(|values| values.iter().any(|value| !value.is_finite())) {
                let place = format!("sample {:?}", images.samples()[rows[row]].id);
                return Err(
                    Error::data(place, "the embedding is not finite").with_help("the weights are broken, or not of this architecture")
                );
            }
            let width = embedded.first().map_or(0, Vec::len);
            sink(Features::new(vec![width], embedded.concat())?)?;
            progress.advance(rows.len() as u64);
        }
        Ok(())
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        digest_file::<Sha256>(&self.weights).map(Some)
    }
}

/// The embedding of an image, which goes through the net alone: in a batch its last bits would depend on the others.
fn embed(tower: &Tower, image: &Image, normalisation: Normalisation, device: &Device) -> Result<Vec<f32>> {
    let tensor = Tensor::from_vec(normalised(image, normalisation), (1, 3, SIDE, SIDE), device).at("image")?;
    tower.embed(&tensor).and_then(|row| row.to_vec1()).at("backbone")
}

/// An image's pixels `[3, SIDE, SIDE]`, resized and normalised.
fn normalised(image: &Image, [mean, deviation]: Normalisation) -> Vec<f32> {
    let shape = image.shape();
    let pixel = |x: u32, y: u32| {
        let start = (y as usize * shape.width + x as usize) * shape.channels;
        let values = &image.pixels()[start..start + shape.channels];
        Rgb([0, 1, 2].map(|colour| values[colour.min(values.len() - 1)]))
    };
    let small: RgbImage = ImageBuffer::from_fn(shape.width as u32, shape.height as u32, pixel);
    let large = resize(&small, SIDE as u32, SIDE as u32, FilterType::CatmullRom);
    let planes = (0..3).flat_map(|colour| large.pixels().map(move |pixel| (colour, pixel.0[colour])));
    planes.map(|(colour, value)| (f32::from(value) / 255.0 - mean[colour]) / deviation[colour]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bezoar_core::{Edit, ImageShape, Sample};
    use candle_core::DType;
    use candle_nn::{VarBuilder, VarMap};
    use candle_transformers::models::clip::vision_model::{ClipVisionConfig, ClipVisionTransformer};
    use candle_transformers::models::dinov2::DinoVisionTransformer;
    use candle_transformers::models::{convnext, vit};
    use rand::RngExt;

    use super::*;
    use crate::tower::{Dino, clip, complete, convolutional, dino, transformer};

    fn image(channels: usize, seed: usize) -> Image {
        let shape = ImageShape { height: 20, width: 24, channels };
        Image::new(shape, (0..shape.len()).map(|place| (place * 7 + seed * 31 + place / 9) as u8).collect()).unwrap()
    }

    /// Weights under the names that `build` asks for, without a pattern that a net could cancel.
    fn weights<T>(build: impl FnOnce(VarBuilder<'static>) -> candle_core::Result<T>) -> BTreeMap<String, Tensor> {
        let made = VarMap::new();
        build(VarBuilder::from_varmap(&made, DType::F32, &Device::Cpu)).unwrap();
        let asked = made.data().lock().unwrap();
        let mut rng = Context::quiet(0).rng("weights");
        let filled = asked.iter().collect::<BTreeMap<_, _>>().into_iter().map(|(name, var)| {
            let values: Vec<f32> = (0..var.elem_count()).map(|_| rng.random_range(-0.2..0.2)).collect();
            (name.clone(), Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap())
        });
        filled.collect()
    }

    fn small_vit() -> vit::Config {
        vit::Config {
            hidden_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 3,
            intermediate_size: 16,
            ..vit::Config::vit_base_patch16_224()
        }
    }

    fn small_clip() -> ClipVisionConfig {
        ClipVisionConfig {
            embed_dim: 12,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 3,
            ..ClipVisionConfig::vit_base_patch32()
        }
    }

    #[test]
    fn each_net_gives_an_embedding_of_its_width() {
        let cpu = &Device::Cpu;
        let of_vit = weights(|b| vit::Model::new(&small_vit(), 5, b));
        let of_clip = weights(|b| {
            b.get(12, "vision_model.embeddings.class_embedding")?;
            ClipVisionTransformer::new(b.pp("vision_model"), &small_clip())
        });
        let of_dino = weights(|b| DinoVisionTransformer::new(b, 1, 12, 3));
        let of_convnext = weights(|b| convnext::convnext(&convnext::Config::atto(), 5, b));
        let towers = [
            (transformer(&Weights::of(of_vit), cpu, &small_vit()), 12),
            (clip(&Weights::of(of_clip), cpu, &small_clip()), 12),
            (dino(&Weights::of(of_dino), cpu, Dino { depth: 1, width: 12, heads: 3 }), 12),
            (convolutional(&Weights::of(of_convnext), cpu, &convnext::Config::atto(), 320), 320),
        ];
        for (tower, width) in towers {
            let tower = tower.unwrap();
            let rows =
                [(3, 0), (3, 0), (3, 1), (1, 0)].map(|(channels, seed)| embed(&tower, &image(channels, seed), [[0.5; 3]; 2], cpu).unwrap());
            assert!(rows.iter().all(|row| row.len() == width && row.iter().all(|value| value.is_finite())));
            assert_eq!(rows[0], rows[1]);
            assert_ne!(rows[0], rows[2]);
        }
    }

    #[test]
    fn what_is_missing_is_named_even_where_the_net_would_do_without() {
        let refused = |tensors: BTreeMap<String, Tensor>| {
            let weights = Weights::of(tensors);
            complete(&weights, clip(&weights, &Device::Cpu, &small_clip())).err().unwrap().to_string()
        };
        let mut tensors = weights(|b| ClipVisionTransformer::new(b.pp("vision_model"), &small_clip()));
        let said = refused(tensors.clone());
        assert!(said.contains("`vision_model.embeddings.class_embedding` is missing"), "{said}");
        let name = "vision_model.embeddings.class_embedding";
        tensors.insert(name.into(), Tensor::zeros(7, DType::F32, &Device::Cpu).unwrap());
        let said = refused(tensors);
        assert!(said.contains(&format!("`{name}` is [7], and the net takes [12]")), "{said}");
    }

    #[test]
    fn files_are_read_and_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let backbone = Backbone { architecture: Architecture::VitBase, weights: path.clone() };
        assert!(backbone.fingerprint().unwrap_err().to_string().contains("weights.safetensors"));
        let save = |value: f32| {
            let tensor = Tensor::full(value, 3, &Device::Cpu).unwrap();
            candle_core::safetensors::save(&[("odd".to_owned(), tensor)].into(), &path).unwrap();
        };
        save(1.0);
        let first = backbone.fingerprint().unwrap();
        save(2.0);
        assert_ne!(backbone.fingerprint().unwrap(), first);
        let sample = Sample { id: "one".into(), label: 0, path: String::new() };
        let images = ImageSet::from_images(vec!["class".into()], vec![Edit { sample, image: image(3, 0) }]).unwrap();
        let graph = |b: &mut bezoar_nn::GraphBuilder| {
            let flat = b.add("flat", bezoar_nn::Op::Flatten, &[b.input()])?;
            b.add("head", bezoar_nn::Op::linear(2), &[flat])
        };
        let mut builder = bezoar_nn::GraphBuilder::new([3, 20, 24]).unwrap();
        graph(&mut builder).unwrap();
        let cx = Context::quiet(0);
        let net = bezoar_nn::Network::init(builder.build().unwrap(), &mut cx.rng("net"), &Device::Cpu).unwrap();
        let refused = backbone.represent(&cx, &net, &images, &mut |_| Ok(())).unwrap_err().to_string();
        assert!(refused.contains("weights.safetensors") && refused.contains("`embeddings.cls_token` [1, 1, 768] is missing"), "{refused}");
    }
}
