# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "safetensors==0.8.0", "timm==1.0.31", "torch==2.15.0", "torchvision==0.29.2"]
# ///
"""Saves nets of torchvision and timm with random weights, and has `bezoar infer --architecture` compute their scores from the files.

    cargo build --release && python tests/parity/state_dicts.py [--bezoar target/release/bezoar]

Prints a table of how far the scores are apart, relative to the largest; fails above 1e-4. Writes crates/models/tests/data, a small vision
transformer and its scores, which crates/models/tests/state_dicts.rs compares without Python.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy
import timm
import torch
import torchvision
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2]
CLASSES = 10


def small_transformer(side, patch, width, depth, heads, hidden):
    return torchvision.models.VisionTransformer(side, patch, depth, heads, width, hidden, num_classes=CLASSES)


NETS = [
    ("torchvision resnet18", lambda: torchvision.models.resnet18(num_classes=CLASSES), "{ use: resnet, stem: imagenet }", 64),
    ("torchvision resnet34", lambda: torchvision.models.resnet34(num_classes=CLASSES), "{ use: resnet, depth: 34, stem: imagenet }", 64),
    ("torchvision resnet50", lambda: torchvision.models.resnet50(num_classes=CLASSES), "{ use: resnet, depth: 50, stem: imagenet }", 64),
    ("torchvision vgg11_bn", lambda: torchvision.models.vgg11_bn(num_classes=CLASSES), "{ use: vgg, head: imagenet }", 224),
    ("torchvision vgg16_bn", lambda: torchvision.models.vgg16_bn(num_classes=CLASSES), "{ use: vgg, depth: 16, head: imagenet }", 224),
    ("torchvision squeezenet1_1", lambda: torchvision.models.squeezenet1_1(num_classes=CLASSES), "squeezenet", 64),
    ("torchvision mobilenet_v2", lambda: torchvision.models.mobilenet_v2(num_classes=CLASSES), "{ use: mobilenet-v2, stem: imagenet }", 64),
    (
        "torchvision inception_v3",
        lambda: torchvision.models.inception_v3(num_classes=CLASSES, transform_input=False, init_weights=False),
        "inception-v3",
        96,
    ),
    (
        "torchvision VisionTransformer",
        lambda: small_transformer(32, 8, 64, 3, 4, 128),
        "{ use: vit, patch: 8, width: 64, depth: 3, heads: 4, mlp-ratio: 2 }",
        32,
    ),
    ("timm resnet18", lambda: timm.create_model("resnet18", num_classes=CLASSES), "{ use: resnet, stem: imagenet }", 64),
    ("timm resnet50", lambda: timm.create_model("resnet50", num_classes=CLASSES), "{ use: resnet, depth: 50, stem: imagenet }", 64),
    ("timm mobilenetv2_100", lambda: timm.create_model("mobilenetv2_100", num_classes=CLASSES), "{ use: mobilenet-v2, stem: imagenet }", 64),
    ("timm inception_v3", lambda: timm.create_model("inception_v3", num_classes=CLASSES), "inception-v3", 160),
    (
        "timm vit_tiny_patch16_224",
        lambda: timm.create_model("vit_tiny_patch16_224", num_classes=CLASSES, img_size=64),
        "{ use: vit, patch: 16, width: 192, depth: 12, heads: 3, mlp-ratio: 4 }",
        64,
    ),
]


def lively(net, images):
    """The net in use, with statistics of these images in its batch norms and no parameter left at 0 or 1."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() == 1:
                parameter += 0.1 * torch.randn_like(parameter)
            elif parameter.abs().max() == 0:
                parameter += 0.1 * torch.randn_like(parameter)
        for module in net.eval().modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train().momentum = None
        net(images.repeat(4, 1, 1, 1) + 0.1 * torch.randn(4 * len(images), *images.shape[1:]))
    return net.eval()


def scores(net, images):
    with torch.inference_mode():
        return net(images)


def golden():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 16)
    net = lively(small_transformer(16, 8, 8, 2, 2, 16), images)
    folder = ROOT / "crates/models/tests/data"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), folder / "vit.pth")
    save_file({"images": images, "scores": scores(net, images)}, folder / "vit.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bezoar", default=ROOT / "target/release/bezoar")
    bezoar = parser.parse_args().bezoar
    golden()
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (torch, torchvision, timm))
    print(f"{versions}\n\n| net | architecture | apart |\n|---|---|---|")
    worst = 0.0
    for name, make, architecture, side in NETS:
        torch.manual_seed(0)
        images = torch.rand(2, 3, side, side)
        net = lively(make(), images)
        expected = scores(net, images).numpy()
        with tempfile.TemporaryDirectory() as folder:
            model, inputs, output = (Path(folder) / file for file in ("net.pth", "x.npy", "scores.npy"))
            torch.save(net.state_dict(), model)
            numpy.save(inputs, images.numpy())
            arguments = ["--model", model, "--architecture", architecture, "--inputs", inputs, "--output", output]
            subprocess.run([bezoar, "infer", *arguments], check=True)
            found = numpy.load(output)
        apart = numpy.abs(found - expected).max() / numpy.abs(expected).max()
        spread = numpy.abs(expected[0] - expected[1]).max() / numpy.abs(expected).max()
        assert spread > 1e-3, f"{name}: the scores hardly depend on the image ({spread})"
        print(f"| {name} | `{architecture}` | {apart:.1e} |")
        worst = max(worst, apart)
    assert worst < 1e-4, worst


if __name__ == "__main__":
    main()
