# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "safetensors==0.8.0", "torch==2.15.0", "zennit==0.5.1"]
# ///
"""Writes zennit_lrp.safetensors: relevances of a small Inception-like net with batch norm. crates/attribution/tests/suite/parity.rs compares.

The net is `inception` of crates/attribution/tests/suite/support.rs; everything is float64.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from zennit.attribution import Gradient
from zennit.canonizers import NamedMergeBatchNorm
from zennit.composites import EpsilonPlus, LayerMapComposite, layer_map_base
from zennit.rules import Epsilon
from zennit.types import Convolution, Linear

# name: (input channels, output channels, kernel, padding)
CONVOLUTIONS = {
    "one": (3, 6, 1, 0),
    "five.reduce": (3, 4, 1, 0),
    "five": (4, 6, 5, 2),
    "three.reduce": (3, 4, 1, 0),
    "three": (4, 8, 3, 1),
    "pooled.project": (3, 4, 1, 0),
    "deep": (24, 12, 2, 0),
}
CLASSES = 5


def attribute(name):
    """PyTorch's module names have no dots."""
    return name.replace(".", "_")


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        for name, (channels, outputs, kernel, padding) in CONVOLUTIONS.items():
            setattr(self, attribute(name), nn.Conv2d(channels, outputs, kernel, padding=padding))
            setattr(self, attribute(f"{name}.norm"), nn.BatchNorm2d(outputs))
            setattr(self, attribute(f"{name}.relu"), nn.ReLU())
        self.pooled = nn.MaxPool2d(3, stride=1, padding=1)
        self.pool1 = nn.MaxPool2d(2)
        self.pool2 = nn.MaxPool2d(3, stride=2)
        self.hidden = nn.Linear(12 * 3 * 3, 16)
        self.hidden_relu = nn.ReLU()
        self.hidden_dropout = nn.Dropout(0.5)
        self.head = nn.Linear(16, CLASSES)

    def conv(self, name, x):
        for part in (name, f"{name}.norm", f"{name}.relu"):
            x = getattr(self, attribute(part))(x)
        return x

    def forward(self, image):
        joined = torch.cat(
            [
                self.conv("one", image),
                self.conv("five", self.conv("five.reduce", image)),
                self.conv("three", self.conv("three.reduce", image)),
                self.conv("pooled.project", self.pooled(image)),
            ],
            dim=1,
        )
        deep = self.pool2(self.conv("deep", self.pool1(joined)))
        return self.head(self.hidden_dropout(self.hidden_relu(self.hidden(deep.flatten(1)))))


class Merge(NamedMergeBatchNorm):
    """zennit 0.5.1 leaves eps in the norm that it has merged, which then still divides by sqrt(1 + eps). Here it does nothing."""

    def register(self, linears, batch_norm):
        super().register(linears, batch_norm)
        self.eps, batch_norm.eps = batch_norm.eps, 0.0

    def remove(self):
        self.batch_norm.eps = self.eps
        super().remove()


def parameters(net):
    """All parameters under the names that Bezoar gives them."""
    dotted = {attribute(name): name for conv in CONVOLUTIONS for name in (conv, f"{conv}.norm")}
    for key, value in net.state_dict().items():
        module, parameter = key.rsplit(".", 1)
        if parameter != "num_batches_tracked":
            yield f"net.{dotted.get(module, module)}.{parameter}", value.clone()


def main():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    net = Inception().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)

    arrays = dict(parameters(net))
    labels = torch.tensor([3, 1])
    fold = [Merge([([attribute(name)], attribute(f"{name}.norm")) for name in CONVOLUTIONS])]
    composites = {
        "epsilon": LayerMapComposite([((Convolution, Linear), Epsilon(epsilon=1e-6))] + layer_map_base(), canonizers=fold),
        "epsilon-plus": EpsilonPlus(epsilon=1e-6, canonizers=fold),
    }
    for kind, low in {"images": 0.0, "signed": -1.0}.items():
        images = torch.empty(2, 3, 16, 16).uniform_(low, 1.0)
        arrays[kind] = images
        for name, composite in composites.items():
            with Gradient(model=net, composite=composite) as attributor:
                scores, relevance = attributor(images.clone(), torch.eye(CLASSES)[labels])
            arrays[f"{kind}.scores"] = scores.detach().contiguous()
            arrays[f"{kind}.{name}"] = relevance.detach().contiguous()
    arrays["labels"] = labels.to(torch.uint32)
    save_file(arrays, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
