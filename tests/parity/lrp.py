# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "safetensors==0.8.0", "torch==2.15.0", "zennit==0.5.1"]
# ///
"""Writes lrp.safetensors: what zennit makes of the nets in tests/parity/lrp. crates/attribution/tests/suite/parity.rs compares.

The nets are Bezoar's layer graphs, written by that test (`BEZOAR_BLESS=1 cargo test -p bezoar-attribution`). Parameters and images
follow from a formula that the test has too, so that no weights lie here. Everything is float64.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from zennit.attribution import Gradient
from zennit.composites import COMPOSITES, LayerMapComposite, layer_map_base
from zennit.core import Composite, Stabilizer
from zennit.layer import Sum
from zennit.rules import AlphaBeta, Epsilon, Flat, Gamma, Norm, Pass, WSquare, ZBox, ZPlus
from zennit.types import Activation, Convolution, Linear

FOLDER = Path(__file__).with_suffix("")
IMAGES = 2
# Where values of images lie: all in 0..1, or of both signs. zennit's box has the same bounds.
RANGES = {"images": (0.0, 1.0), "signed": (-1.0, 1.0)}
EPSILON = 1e-6


def numbers(seed, shape):
    """Numbers in 0..1 that look random, by a hash of their places."""
    count = int(torch.tensor(shape).prod())
    mask = 0xFFFFFFFF
    x = ((torch.arange(count, dtype=torch.int64) + 1) * 2654435761 + seed * 40503) & mask
    for _ in range(2):
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & mask
    x = x ^ (x >> 16)
    return (x.to(torch.float64) / 4294967296.0).reshape(shape)


class Net(nn.Module):
    """A layer graph, batch norm folded into the convolution before it."""

    def __init__(self, graph):
        super().__init__()
        self.nodes = graph["nodes"]
        self.layers = nn.ModuleDict()
        self.channels = {0: graph["input"]}
        self.folded = set()
        seed = 0
        for number, node in enumerate(self.nodes[1:], 1):
            layer, parameters = self.layer(number, node["op"], node["inputs"])
            for parameter, (scale, shift) in parameters:
                seed += 1
                with torch.no_grad():
                    parameter.copy_(numbers(seed, parameter.shape) * scale + shift)
            self.layers[str(number)] = layer.eval()
            with torch.no_grad():
                self.channels[number] = list(self.run(number, [torch.zeros([1, *self.channels[i]]) for i in node["inputs"]]).shape[1:])
        self.consumers = [sum(number in node["inputs"] for node in self.nodes) for number in range(len(self.nodes))]
        for number, node in enumerate(self.nodes):
            before = node["inputs"][0] if node["inputs"] else 0
            if node["op"]["op"] == "batch-norm" and isinstance(self.layers[str(before)], nn.Conv2d) and self.consumers[before] == 1:
                self.layers[str(before)] = fuse_conv_bn_eval(self.layers[str(before)], self.layers[str(number)])
                self.layers[str(number)] = nn.Identity()

    def layer(self, number, op, inputs):
        """The module of a node, and how its parameters follow from numbers in 0..1: by a factor and a summand."""
        inside = self.channels[inputs[0]]
        window = op.get("window")
        if window:
            border = window["before"]
            assert border == window["after"]
            window = {"kernel_size": window["kernel"], "stride": window["stride"], "padding": border, "dilation": window["dilation"]}
        match op["op"]:
            case "conv2d":
                conv = nn.Conv2d(inside[0], op["channels"], groups=op["groups"], bias=op["bias"], **window)
                bound = (3 / conv.weight[0].numel()) ** 0.5
                return conv, [(conv.weight, (2 * bound, -bound))] + ([(conv.bias, (0.6, -0.3))] if op["bias"] else [])
            case "linear":
                linear = nn.Linear(inside[0], op["features"], bias=op["bias"])
                bound = (3 / inside[0]) ** 0.5
                return linear, [(linear.weight, (2 * bound, -bound))] + ([(linear.bias, (0.6, -0.3))] if op["bias"] else [])
            case "batch-norm":
                norm = nn.BatchNorm2d(inside[0], eps=op["eps"])
                positive, around = (1.5, 0.5), (0.6, -0.3)
                parameters = [norm.weight, norm.bias, norm.running_mean, norm.running_var]
                return norm, list(zip(parameters, [positive, around, around, positive]))
            case "activation":
                assert op["function"] == "relu"
                return nn.ReLU(), []
            case "max-pool":
                return nn.MaxPool2d(**window), []
            case "avg-pool":
                assert op["border"] == "counted"
                del window["dilation"]
                return nn.AvgPool2d(**window), []
            case "add":
                return Sum(), []
            case "concat":
                assert op["axis"] == 0
                return nn.Identity(), []
            case "flatten":
                return nn.Flatten(), []
            case "dropout":
                return nn.Dropout(op["p"]), []
        raise ValueError(op)

    def run(self, number, inputs):
        kind = self.nodes[number]["op"]["op"]
        if kind == "add":
            return self.layers[str(number)](torch.stack(inputs, dim=-1))
        if kind == "concat":
            return torch.cat(inputs, dim=1)
        return self.layers[str(number)](inputs[0])

    def forward(self, image):
        values = [image]
        for number, node in enumerate(self.nodes[1:], 1):
            values.append(self.run(number, [values[i] for i in node["inputs"]]))
        return values[-1]

    def first(self):
        """Names of the weighted modules that the image reaches through modules without weights alone."""
        behind, names = {0: False}, set()
        for number, node in enumerate(self.nodes[1:], 1):
            after = any(behind[i] for i in node["inputs"])
            weighted = node["op"]["op"] in ("conv2d", "linear")
            if weighted and not after:
                names.add(f"layers.{number}")
            behind[number] = after or weighted
        return names


class OnGraph(Composite):
    """A composite whose first layers are those of the graph; zennit's own takes the module that was registered first."""

    def __init__(self, layers, first_layers, first):
        super().__init__(module_map=self.choose)
        self.layers, self.first_layers, self.first = layers, first_layers, first

    def choose(self, _, name, module):
        table = (self.first_layers if name in self.first else []) + self.layers
        return next((rule for types, rule in table if isinstance(module, types)), None)


def composites(first, low, high):
    def weighted(convolution):
        return [(Convolution, convolution), (Linear, Epsilon(epsilon=EPSILON))] + layer_map_base()

    flat = [((Convolution, Linear), Flat())]
    return {
        "epsilon": OnGraph(weighted(Epsilon(epsilon=EPSILON)), [], first),
        "epsilon-plus": OnGraph(weighted(ZPlus()), [], first),
        "epsilon-plus-flat": OnGraph(weighted(ZPlus()), flat, first),
        "epsilon-gamma-box": OnGraph(weighted(Gamma(gamma=0.25)), [(Convolution, ZBox(low, high))], first),
        "epsilon-alpha2-beta1": OnGraph(weighted(AlphaBeta(2, 1)), [], first),
        "epsilon-alpha2-beta1-flat": OnGraph(weighted(AlphaBeta(2, 1)), flat, first),
        "excitation-backprop": COMPOSITES["excitation_backprop"](),
    }


def rules(low, high):
    relative = Stabilizer(epsilon=0.25, norm_scale=True)
    return {
        "epsilon": Epsilon(epsilon=EPSILON),
        "epsilon-clip": Epsilon(epsilon=Stabilizer(epsilon=0.1, clip=True)),
        "epsilon-relative": Epsilon(epsilon=relative),
        "gamma": Gamma(gamma=0.25),
        "z-plus": ZPlus(),
        "z-plus-relative": ZPlus(stabilizer=relative),
        "alpha-beta": AlphaBeta(3, 2),
        "z-box": ZBox(low, high),
        "w-square": WSquare(),
        "flat": Flat(),
    }


def ask(net, composite, images, start):
    with Gradient(model=net, composite=composite) as attributor:
        scores, relevance = attributor(images.clone(), start)
    return scores.detach(), relevance.detach()


def single_precision_error(graph, composite, images, start, expected):
    """How far zennit itself is off in float32, relative to the largest relevance: some composites amplify rounding."""
    net = Net(graph).eval().float()
    found = ask(net, composite, images.float(), start.float())[1].double()
    return (found - expected).abs().max() / expected.abs().max()


def main():
    torch.set_default_dtype(torch.float64)
    arrays = {}
    for file in sorted(FOLDER.glob("*.json")):
        graph = json.loads(file.read_text())
        net, name = Net(graph).eval(), file.stem
        classes = net.channels[len(net.nodes) - 1][0]
        for kind, (low, high) in RANGES.items():
            images = numbers(1000, [IMAGES, *graph["input"]]) * (high - low) + low
            if name.startswith("layer-"):
                # Outputs near 0 magnify rounding without bound.
                start = (numbers(1001, [IMAGES, classes]) * 2 - 1) * (net(images).detach().abs() > 0.1)
                table = {
                    rule: OnGraph([((Convolution, Linear), hook)], [], set()) for rule, hook in rules(low, high).items()
                }
            else:
                start = torch.eye(classes)[torch.arange(IMAGES) * 7 % classes]
                table = composites(net.first(), low, high)
            for key, composite in table.items():
                scores, relevance = ask(net, composite, images, start)
                assert torch.isfinite(relevance).all(), (name, key)
                arrays[f"{name}.{kind}.{key}"] = relevance.contiguous()
                arrays[f"{name}.{kind}.{key}.single"] = single_precision_error(graph, composite, images, start, relevance)
                if len(net.first()) == 1 and key.replace("-", "_") in COMPOSITES:
                    bounds = {"low": torch.full((1, 1, 1, 1), low), "high": torch.full((1, 1, 1, 1), high)} if "box" in key else {}
                    own = ask(net, COMPOSITES[key.replace("-", "_")](**bounds), images, start)[1]
                    assert torch.equal(own, relevance), (name, key)
            arrays[f"{name}.{kind}.scores"] = scores.contiguous()
    save_file(arrays, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
