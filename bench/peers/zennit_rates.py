"""LRP heatmaps a second of zennit, batch norm folded, with the rules of Bezoar's composites."""

from importlib.metadata import version

import torch
from measure import CLASSES, arguments, report, work
from nets import BasicBlock
from torchvision.models.mobilenetv2 import InvertedResidual
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import COMPOSITES, LayerMapComposite, layer_map_base
from zennit.layer import Sum
from zennit.rules import Epsilon
from zennit.types import Convolution, Linear


class RuledAdd(torch.nn.Module):
    """A sum that zennit has a rule for, as its own canonizers for ResNet make it."""

    def __init__(self):
        super().__init__()
        self.sum = Sum()

    def forward(self, a, b):
        return self.sum(torch.stack([a, b], -1))


def residual(block):
    """An inverted residual that adds by a module."""
    add = RuledAdd()
    block.add_module("add", add)
    block.forward = lambda x: add(x, block.conv(x))


NAMES = {f"lrp-{name.replace('_', '-')}": name for name in COMPOSITES}

options = arguments("lrp-epsilon", *NAMES)
net, images, labels = work(options)
for module in list(net.modules()):
    if isinstance(module, BasicBlock):
        module.add = RuledAdd()
    if isinstance(module, InvertedResidual) and module.use_res_connect:
        residual(module)
fold = [SequentialMergeBatchNorm()]
if options.what == "lrp-epsilon":
    composite = LayerMapComposite([((Convolution, Linear), Epsilon()), *layer_map_base()], canonizers=fold)
else:
    bounds = {"low": torch.zeros(1, 3, 1, 1), "high": torch.ones(1, 3, 1, 1)} if "box" in options.what else {}
    composite = COMPOSITES[NAMES[options.what]](canonizers=fold, **bounds)
target = torch.eye(CLASSES, device=options.device)[labels]
with Gradient(model=net.eval(), composite=composite) as attribute:
    report(options, f"zennit {version('zennit')}", lambda: attribute(images, target))
