# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0", "onnxscript==0.7.2", "timm==1.0.31", "torch==2.15.0", "torchvision==0.29.2",
# ]
# ///
"""Compares scores of Bezoar and onnxruntime: well-known architectures with random weights, as PyTorch's exporters write them.

    cargo build --release -p bezoar-cli
    python tests/parity/onnx_architectures.py [--only NAME ..] [--folder DIR] [--markdown]

Prints for each model the exporter, the opset and how far the scores are apart: the largest difference, divided by the largest score.
Fails when one is 1e-4 or more apart, or cannot be imported.
"""

import argparse
import contextlib
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy
import onnx
import onnxruntime
import timm
import torch
import torchvision
from torch import nn

ROOT = pathlib.Path(__file__).parents[2]
LIMIT = 1e-4


def vision(name, **options):
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=10, **options)


def small_vit():
    return torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=10)


def timm_model(name, **options):
    return lambda: timm.create_model(name, pretrained=False, num_classes=10, **options)


# How to make each net, the side of its images, and its exports: the exporter, the opset, and a batch of unknown size or of 2.
SCRIPT, DYNAMO = ("script", 17, "any"), ("dynamo", 18, "any")
NETS = {
    "alexnet": (vision("alexnet"), 224, [SCRIPT, ("script", 11, 2)]),
    "vgg11_bn": (vision("vgg11_bn"), 224, [SCRIPT]),
    "resnet18": (vision("resnet18"), 64, [SCRIPT, ("script", 11, "any"), DYNAMO, ("dynamo", 21, 2)]),
    "resnet50": (vision("resnet50"), 64, [SCRIPT, DYNAMO]),
    "squeezenet1_1": (vision("squeezenet1_1"), 64, [SCRIPT, ("script", 11, "any")]),
    "mobilenet_v2": (vision("mobilenet_v2"), 64, [SCRIPT, DYNAMO]),
    "mobilenet_v3_small": (vision("mobilenet_v3_small"), 64, [SCRIPT, ("script", 11, "any"), ("dynamo", 21, "any")]),
    "densenet121": (vision("densenet121"), 64, [SCRIPT, DYNAMO]),
    "googlenet": (vision("googlenet", aux_logits=False, init_weights=False, transform_input=True), 64, [SCRIPT, DYNAMO]),
    "inception_v3": (vision("inception_v3", aux_logits=False, init_weights=False, transform_input=True), 96, [SCRIPT, DYNAMO]),
    "efficientnet_b0": (vision("efficientnet_b0"), 64, [SCRIPT, DYNAMO]),
    "shufflenet_v2_x0_5": (vision("shufflenet_v2_x0_5"), 64, [SCRIPT, ("script", 11, 2), DYNAMO]),
    "mnasnet0_5": (vision("mnasnet0_5"), 64, [SCRIPT]),
    "regnet_y_400mf": (vision("regnet_y_400mf"), 64, [SCRIPT, DYNAMO]),
    "convnext_tiny": (vision("convnext_tiny"), 64, [SCRIPT, ("script", 11, "any"), ("dynamo", 21, "any")]),
    "vit": (small_vit, 32, [SCRIPT, ("script", 17, 2), DYNAMO, ("dynamo", 21, 2), ("dynamo", 23, "any")]),
    "swin_t": (vision("swin_t"), 64, [SCRIPT, ("dynamo", 18, 2)]),
    "timm vit_tiny_patch16_224": (timm_model("vit_tiny_patch16_224", img_size=64), 64, [SCRIPT, DYNAMO]),
    "timm resnet26t": (timm_model("resnet26t"), 64, [SCRIPT, DYNAMO]),
    "timm mobilenetv3_small_050": (timm_model("mobilenetv3_small_050"), 64, [SCRIPT]),
    "timm mixer_s32_224": (timm_model("mixer_s32_224", img_size=64), 64, [SCRIPT]),
}


def randomise(net, side):
    """Makes all that fresh layers leave at 0 or 1 differ, so that a value in the wrong place shows.

    Batch norm's statistics are those of random images, disturbed: with others, deep nets give the same scores for all images.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    all_norms = [*norms, *(module for module in net.modules() if isinstance(module, nn.LayerNorm))]
    for module in all_norms:
        if module.weight is not None:
            nn.init.uniform_(module.weight, 0.7, 1.4)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -0.1, 0.1)
        if name.endswith(("class_token", "cls_token", "head.weight", "heads.head.weight")):
            nn.init.normal_(parameter, std=0.1)
    if not all_norms:
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
    if norms:
        for norm in norms:
            norm.momentum = 1.0
        net.train()(torch.rand(8, 3, side, side) * 2 - 1)
        for norm in norms:
            norm.running_mean += norm.running_var.sqrt() * (torch.rand_like(norm.running_mean) - 0.5) / 5
            norm.running_var *= torch.rand_like(norm.running_var) / 2 + 0.75
    net.eval()


def export(net, images, path, exporter, opset, batch):
    names = {"input_names": ["input"], "output_names": ["scores"], "opset_version": opset}
    with contextlib.redirect_stdout(sys.stderr):
        if exporter == "script":
            axes = {"input": {0: "batch"}, "scores": {0: "batch"}} if batch == "any" else None
            torch.onnx.export(net, images, path, dynamo=False, dynamic_axes=axes, **names)
        else:
            shapes = ({0: torch.export.Dim("batch")},) if batch == "any" else None
            torch.onnx.export(net, (images,), path, dynamo=True, external_data=False, dynamic_shapes=shapes, verbose=False, **names)


def expected(path, images):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": images})[0]


def found(bezoar, path, images, precision):
    inputs, output = path.with_suffix(".in.npy"), path.with_suffix(".out.npy")
    numpy.save(inputs, images)
    command = [bezoar, "infer", "--model", path, "--inputs", inputs, "--output", output, "--precision", precision]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip())
    return numpy.load(output)


def compare(bezoar, folder, name, make, side, exporter, opset, batch):
    path = folder / f"{name}-{exporter}{opset}-{batch}.onnx".replace(" ", "-")
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, side, side, generator=generator) * 2 - 1
    if not path.exists():
        torch.manual_seed(zlib.crc32(name.encode()))
        net = make().eval()
        with torch.no_grad():
            randomise(net, side)
            export(net, images, path, exporter, opset, batch)
    wanted = expected(path, images.numpy())
    assert numpy.abs(wanted[0] - wanted[1]).max() > 0.01 * numpy.abs(wanted).max(), "the images do not matter"
    apart = []
    for precision in ["f32", "f64"]:
        apart.append(numpy.abs(found(bezoar, path, images.numpy(), precision) - wanted).max() / numpy.abs(wanted).max())
    return onnx.load(path, load_external_data=False).opset_import[0].version, *apart


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bezoar", type=pathlib.Path, default=ROOT / "target/release/bezoar")
    options.add_argument("--only", nargs="*")
    options.add_argument("--folder", type=pathlib.Path, help="keeps the models, and takes those that are there")
    options = options.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    # The exporter by scripts does not know the fused operator that this would put in the place of attention.
    torch.backends.mha.set_fastpath_enabled(False)
    failed = 0
    versions = {module.__name__: module.__version__ for module in [torch, torchvision, timm, onnx, onnxruntime]}
    print(", ".join(f"{name} {version}" for name, version in versions.items()), flush=True)
    print("\n| net | exporter | opset | batch | apart, f32 | apart, f64 |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        for name, (make, side, exports) in NETS.items():
            if options.only and name not in options.only:
                continue
            for exporter, opset, batch in exports:
                try:
                    opset, f32, f64 = compare(options.bezoar, folder, name, make, side, exporter, opset, batch)
                    outcome, good = f"{f32:.1e} | {f64:.1e}", max(f32, f64) < LIMIT
                except Exception as error:
                    outcome, good = f"{' '.join(str(error).split())[:300]} |", False
                failed += not good
                print(f"| {name} | {exporter} | {opset} | {batch} | {outcome} |", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
