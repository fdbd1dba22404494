# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "timm==1.0.31", "torch==2.15.0", "transformers==4.57.3"]
# ///
"""Writes backbones.json: the parameters of timm's and Hugging Face's nets by name and shape, and the embedding of one image under weights
that both sides draw by the same formula. In DINOv2 candle-transformers takes positions by nearest neighbour, norms with 1e-5 and GELU by tanh;
so do we here, and print how far that is from timm's own.

    python tests/parity/backbones.py
"""

import json
import math
from pathlib import Path

import numpy
import timm
import torch
import transformers

FILE = Path(__file__).with_suffix(".json")


def noise(count, start):
    """Numbers in -1 to 1 by a hash of `start`, `start + 1` and so on."""
    x = numpy.arange(start, start + count, dtype=numpy.uint64)
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    return torch.from_numpy((((x >> 16) ^ x) / 2.0**31 - 1).astype(numpy.float32))


def drawn(shapes):
    """Vectors about 0.6; all else with the variance that keeps a layer's outputs as large as its inputs."""
    tensors = {}
    for place, (name, shape) in enumerate(sorted(shapes.items())):
        values = noise(math.prod(shape), 1_000_003 * place).reshape(shape)
        tensors[name] = 0.6 + 0.4 * values if len(shape) == 1 else values * math.sqrt(3 / math.prod(shape[1:]))
    return tensors


def nearest(positions, side):
    """Positions of a square of patches for a smaller one as candle-transformers takes them."""
    width = positions.shape[-1]
    old = math.isqrt(positions.shape[1] - 1)
    grid = positions[:, 1:].reshape(1, old, old, width).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, size=side, mode="nearest").permute(0, 2, 3, 1)
    return torch.cat([positions[:, :1], grid.reshape(1, side * side, width)], dim=1)


def dinov2(image):
    shapes = {name: tuple(value.shape) for name, value in timm.create_model("vit_small_patch14_dinov2", num_classes=0).state_dict().items()}
    tensors = drawn(shapes)
    net = timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=224).eval()
    net.load_state_dict(tensors | {"pos_embed": nearest(tensors["pos_embed"], 16)})
    exact = net(image)
    for layer in net.modules():
        if isinstance(layer, torch.nn.LayerNorm):
            layer.eps = 1e-5
        if isinstance(layer, timm.layers.Mlp):
            layer.act = torch.nn.GELU("tanh")
    candles = net(image)
    print("dinov2-small: norms and GELU shift values by up to", float((candles - exact).abs().max()))
    return shapes, candles


def hugging_face(net, shapes, prefix, image):
    tensors = drawn(shapes)
    net.load_state_dict({name.removeprefix(prefix): value for name, value in tensors.items()})
    return shapes, net.eval()(image)


def vit(image):
    net = transformers.ViTModel(transformers.ViTConfig(), add_pooling_layer=False)
    shapes = {f"vit.{name}": tuple(value.shape) for name, value in net.state_dict().items()}
    shapes, output = hugging_face(net, shapes, "vit.", image)
    return shapes, output.last_hidden_state[:, 0]


def clip(image):
    net = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(patch_size=32))
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    shapes, output = hugging_face(net, shapes, "", image)
    return shapes, output.pooler_output


def convnext(image):
    net = timm.create_model("convnext_tiny", num_classes=0)
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    net.load_state_dict(drawn(shapes))
    return shapes, net.eval()(image)


@torch.no_grad()
def main():
    image = noise(3 * 224 * 224, 7).reshape(1, 3, 224, 224)
    nets = {}
    for name, net in {"dinov2-small": dinov2, "vit-base": vit, "clip-vit-base": clip, "convnext-tiny": convnext}.items():
        shapes, embedding = net(image)
        nets[name] = {"shapes": shapes, "embedding": [float(f"{value:.7g}") for value in embedding.flatten().tolist()]}
        print(name, len(shapes), "tensors,", embedding.numel(), "values, standard deviation", float(embedding.std()))
    FILE.write_text(json.dumps(nets, separators=(",", ":")) + "\n")


main()
