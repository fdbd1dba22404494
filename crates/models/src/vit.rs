use std::sync::Arc;

use bezoar_core::{Error, Plugin, Result, register};
use bezoar_nn::{Activation, Architecture, Graph, GraphBuilder, NodeId, Op, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A vision transformer: patches of the image, a class token, and blocks of attention and perceptrons.
///
/// Each patch becomes a token; learned positions are added, a token for the class goes in front; each block adds attention among all tokens
/// and a perceptron of one hidden layer with GELU, both behind a layer norm; the class token's last value gives the scores. As published
/// with patches of 16, width 768, depth 12, heads 12 and images of 224x224 pixels it has 86,567,656 parameters for 1,000 classes; by default it is
/// small, for images of about 32x32. Both sides of images must be multiples of the patch. Layers and parameters are called as in timm; torchvision's
/// names are known.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Vit {
    /// Pixels of a patch each way.
    #[schemars(range(min = 1, max = 1024))]
    pub patch: usize,
    /// Values of a token; a multiple of `heads`.
    #[schemars(range(min = 1, max = 4096))]
    pub width: usize,
    /// Blocks.
    #[schemars(range(min = 1, max = 64))]
    pub depth: usize,
    /// Parts of a token that attend on their own.
    #[schemars(range(min = 1, max = 64))]
    pub heads: usize,
    /// How many times as wide as a token the perceptron's hidden layer is.
    #[schemars(range(min = 1, max = 16))]
    pub mlp_ratio: usize,
}

impl Default for Vit {
    fn default() -> Self {
        Self { patch: 4, width: 128, depth: 6, heads: 4, mlp_ratio: 2 }
    }
}

register!(Vit);

impl Plugin for Vit {
    type Kind = dyn Architecture;
    const NAME: &'static str = "vit";
    const PAPER: Option<&'static str> = Some("arXiv 2010.11929");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Architecture>> {
        if self.heads == 0 || !self.width.is_multiple_of(self.heads) {
            return Err(Error::request(format!("width is {}, and no multiple of the {} heads", self.width, self.heads)));
        }
        Ok(Arc::new(self))
    }
}

/// A layer norm of tokens.
const NORM: Op = Op::LayerNorm { axes: 1, eps: 1e-6 };

impl Architecture for Vit {
    fn graph(&self, input: [usize; 3], classes: usize) -> Result<Graph> {
        let &Self { patch, width, depth, .. } = self;
        let [_, height, columns] = input;
        if patch == 0 || !height.is_multiple_of(patch) || !columns.is_multiple_of(patch) {
            let problem = format!("images of {height}x{columns} pixels do not fall into patches of {patch}x{patch}");
            return Err(Error::request(problem).with_help("choose another `patch`, or resize the images"));
        }
        let mut b = GraphBuilder::new(input)?;
        let image = b.input();
        let patches = b.add("patch_embed.proj", Op::conv(width, Window::tiling(patch)), &[image])?;
        let count = b.shape(patches)[1..].iter().product();
        let patches = b.add("patch_embed.rows", Op::Reshape { shape: vec![width, count] }, &[patches])?;
        let patches = b.add("patch_embed.tokens", Op::Transpose { order: vec![1, 0] }, &[patches])?;
        let class = b.add("cls_token", Op::Constant { shape: vec![1, width] }, &[])?;
        let tokens = b.add("tokens", Op::Concat { axis: 0 }, &[class, patches])?;
        let places = b.add("pos_embed", Op::Constant { shape: vec![count + 1, width] }, &[])?;
        let mut at = b.add("placed", Op::Add, &[tokens, places])?;
        for number in 0..depth {
            at = self.block(&mut b, &format!("blocks.{number}"), at)?;
        }
        at = b.add("norm", NORM, &[at])?;
        at = b.add("token", Op::Slice { axis: 0, start: 0, len: 1 }, &[at])?;
        at = b.add("flatten", Op::Flatten, &[at])?;
        b.add("head", Op::linear(classes), &[at])?;
        b.build()
    }

    fn own_name(&self, foreign: &str) -> Option<String> {
        Some(match foreign {
            "cls_token" | "class_token" => "cls_token.value".to_owned(),
            "pos_embed" | "encoder.pos_embedding" => "pos_embed.value".to_owned(),
            other => from_torchvision(other).unwrap_or_else(|| other.to_owned()),
        })
    }
}

impl Vit {
    fn block(&self, b: &mut GraphBuilder, name: &str, from: NodeId) -> Result<NodeId> {
        let normed = b.add(&format!("{name}.norm1"), NORM, &[from])?;
        let attention = self.attention(b, &format!("{name}.attn"), normed)?;
        let attended = b.add(&format!("{name}.attn.add"), Op::Add, &[from, attention])?;
        let mut add = |part: &str, op, inputs: &[NodeId]| b.add(&format!("{name}.{part}"), op, inputs);
        let normed = add("norm2", NORM, &[attended])?;
        let hidden = add("mlp.fc1", Op::linear(self.width * self.mlp_ratio), &[normed])?;
        let hidden = add("mlp.act", Op::Activation { function: Activation::Gelu }, &[hidden])?;
        let thought = add("mlp.fc2", Op::linear(self.width), &[hidden])?;
        add("mlp.add", Op::Add, &[attended, thought])
    }

    /// Softmax attention among the tokens, in each head on its own (arXiv 1706.03762, equation 1).
    fn attention(&self, b: &mut GraphBuilder, name: &str, from: NodeId) -> Result<NodeId> {
        let &Self { width, heads, .. } = self;
        let (tokens, part) = (b.shape(from)[0], width / heads);
        let mut add = |layer: &str, op, inputs: &[NodeId]| b.add(&format!("{name}.{layer}"), op, inputs);
        let all = add("qkv", Op::linear(3 * width), &[from])?;
        let all = add("qkv.heads", Op::Reshape { shape: vec![tokens, 3, heads, part] }, &[all])?;
        let all = add("qkv.turned", Op::Transpose { order: vec![1, 2, 0, 3] }, &[all])?;
        let mut third = |layer: &str, start| {
            let slice = add(&format!("{layer}.slice"), Op::Slice { axis: 0, start, len: 1 }, &[all])?;
            add(layer, Op::Reshape { shape: vec![heads, tokens, part] }, &[slice])
        };
        let (query, key, value) = (third("q", 0)?, third("k", 1)?, third("v", 2)?);
        let key = add("k.turned", Op::Transpose { order: vec![0, 2, 1] }, &[key])?;
        let scores = add("scores", Op::MatMul, &[query, key])?;
        let factor = (part as f64).sqrt().recip();
        let scores = add("scaled", Op::Activation { function: Activation::Scale { factor } }, &[scores])?;
        let shares = add("softmax", Op::Softmax { axis: 2 }, &[scores])?;
        let mixed = add("mixed", Op::MatMul, &[shares, value])?;
        let mixed = add("mixed.turned", Op::Transpose { order: vec![1, 0, 2] }, &[mixed])?;
        let mixed = add("mixed.joined", Op::Reshape { shape: vec![tokens, width] }, &[mixed])?;
        add("proj", Op::linear(width), &[mixed])
    }
}

/// The name in timm of a parameter of torchvision's net.
fn from_torchvision(foreign: &str) -> Option<String> {
    let (layer, what) = foreign.rsplit_once('.')?;
    let own = match layer {
        "conv_proj" => "patch_embed.proj".to_owned(),
        "encoder.ln" => "norm".to_owned(),
        "heads.head" => "head".to_owned(),
        _ => {
            let (number, part) = layer.strip_prefix("encoder.layers.encoder_layer_")?.split_once('.')?;
            let part = match (part, what) {
                ("ln_1", _) => "norm1",
                ("ln_2", _) => "norm2",
                ("self_attention", "in_proj_weight") => return Some(format!("blocks.{number}.attn.qkv.weight")),
                ("self_attention", "in_proj_bias") => return Some(format!("blocks.{number}.attn.qkv.bias")),
                ("self_attention.out_proj", _) => "attn.proj",
                ("mlp.0" | "mlp.linear_1", _) => "mlp.fc1",
                ("mlp.3" | "mlp.linear_2", _) => "mlp.fc2",
                _ => return None,
            };
            format!("blocks.{number}.{part}")
        }
    };
    Some(format!("{own}.{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_published_size() {
        let base = Vit { patch: 16, width: 768, depth: 12, heads: 12, mlp_ratio: 4 };
        let graph = base.graph([3, 224, 224], 1000).unwrap();
        assert_eq!(graph.parameter_count(), 86_567_656);
        assert_eq!(graph.shape(graph.find("blocks.11.mlp.add").unwrap()), [197, 768]);
        let small = Vit::default().graph([3, 32, 32], 10).unwrap();
        assert_eq!(small.shape(small.penultimate()), [128]);
        assert_eq!(small.parameter_count(), 811_146);
    }

    #[test]
    fn what_does_not_divide_is_refused() {
        let refusal = Vit::default().graph([3, 30, 32], 10).unwrap_err().to_string();
        assert!(refusal.contains("30x32") && refusal.contains("4x4"), "{refusal}");
        let refusal = Vit { heads: 3, ..Vit::default() }.build().err().unwrap().to_string();
        assert!(refusal.contains("128") && refusal.contains('3'), "{refusal}");
    }

    #[test]
    fn torchvisions_names_are_known() {
        let own = |name: &str| Vit::default().own_name(name).unwrap();
        assert_eq!(own("class_token"), "cls_token.value");
        assert_eq!(own("encoder.pos_embedding"), "pos_embed.value");
        assert_eq!(own("encoder.layers.encoder_layer_11.self_attention.in_proj_bias"), "blocks.11.attn.qkv.bias");
        assert_eq!(own("encoder.layers.encoder_layer_0.mlp.3.weight"), "blocks.0.mlp.fc2.weight");
        assert_eq!(own("heads.head.bias"), "head.bias");
        assert_eq!(own("blocks.0.attn.proj.weight"), "blocks.0.attn.proj.weight");
    }
}
