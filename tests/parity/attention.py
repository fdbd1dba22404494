# /// script
# requires-python = ">=3.11"
# dependencies = ["lxt==2.1", "numpy==2.4.6", "safetensors==0.8.0", "torch==2.15.0", "zennit==0.5.1"]
# ///
"""Writes attention.safetensors: what LXT's rules make of the net in attention.json. crates/attribution/tests/suite/parity.rs compares.

The net is Bezoar's layer graph of a small vision transformer, written by that test (`BEZOAR_BLESS=1 cargo test -p bezoar-attribution`).
LXT's stabiliser is added whatever the sign; it is set so small here that this does not matter. Everything is float64. LXT asks for
much that its rules do not use: `pip install --no-deps lxt==2.1` is enough.
"""

import json
from pathlib import Path

import lxt.explicit.functional as lf
import torch
from lrp import IMAGES, numbers
from safetensors.torch import save_file

EPSILON = 1e-14
FILE = Path(__file__).with_suffix("")


class Net:
    def __init__(self, graph):
        self.nodes, self.seed = graph["nodes"], 0

    def parameter(self, shape, scale, shift):
        self.seed += 1
        return numbers(self.seed, shape) * scale + shift

    def around(self, shape):
        return self.parameter(shape, 0.6, -0.3)

    def weight(self, shape):
        bound = (3 / torch.tensor(shape[1:]).prod().item()) ** 0.5
        return self.parameter(shape, 2 * bound, -bound)

    def layer(self, op, inputs):
        first = inputs[0] if inputs else None
        axis = op.get("axis", 0) + 1
        match op["op"]:
            case "constant":
                return self.around(op["shape"]).expand(IMAGES, *op["shape"]).clone()
            case "conv2d":
                kernel, stride = op["window"]["kernel"], op["window"]["stride"]
                channels = op["channels"]
                weight, bias = self.weight([channels, first.shape[1], *kernel]), self.around([channels])
                rows = (first.shape[2] - kernel[0]) // stride[0] + 1
                patches = torch.nn.functional.unfold(first, kernel, stride=stride).transpose(1, 2)
                out = lf.linear_epsilon(patches, weight.flatten(1), bias, EPSILON)
                return out.transpose(1, 2).unflatten(2, (rows, -1))
            case "linear":
                weight, bias = self.weight([op["features"], first.shape[-1]]), self.around([op["features"]])
                return lf.linear_epsilon(first, weight, bias, EPSILON)
            case "layer-norm":
                assert op["axes"] == 1
                weight, bias = self.parameter(first.shape[-1:], 1.5, 0.5), self.around(first.shape[-1:])
                return lf.layer_norm_grad_fn.apply(first, weight, bias, op["eps"], EPSILON)
            case "activation":
                assert op["function"] == "gelu"
                return Identity.apply(first)
            case "softmax":
                assert axis == first.dim() - 1
                return lf.softmax(first, -1)
            case "mat-mul":
                return lf.matmul(*inputs, False, EPSILON)
            case "add":
                a, b = inputs
                return lf.add2(a, b.expand_as(a), False, EPSILON)
            case "mul":
                a, b = inputs
                return lf.mul2(a, b.expand_as(a).detach())
            case "concat":
                return torch.cat(inputs, axis)
            case "slice":
                return first.narrow(axis, op["start"], op["len"])
            case "reshape":
                return first.reshape(IMAGES, *op["shape"])
            case "transpose":
                return first.permute(0, *[i + 1 for i in op["order"]])
            case "flatten":
                return first.flatten(1)
        raise ValueError(op)

    def forward(self, images):
        values = [images]
        for node in self.nodes[1:]:
            values.append(self.layer(node["op"], [values[i] for i in node["inputs"]]))
        return values[-1]


class Identity(torch.autograd.Function):
    """GELU with LXT's identity rule for functions of single values."""

    @staticmethod
    def forward(ctx, x):
        return torch.nn.functional.gelu(x)

    @staticmethod
    def backward(ctx, relevance):
        return relevance


def main():
    torch.set_default_dtype(torch.float64)
    graph = json.loads(FILE.with_suffix(".json").read_text())
    images = numbers(1000, [IMAGES, *graph["input"]]).requires_grad_()
    scores = Net(graph).forward(images)
    classes = scores.shape[1]
    start = torch.eye(classes)[torch.arange(IMAGES) * 7 % classes]
    (relevance,) = torch.autograd.grad(scores, images, start)
    save_file({"scores": scores.detach().contiguous(), "relevance": relevance.contiguous()}, FILE.with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
