# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0", "onnxscript==0.7.2", "torch==2.15.0"]
# ///
"""Writes crates/onnx/tests/data: small nets as exporters write them, images, and onnxruntime's scores. crates/onnx/tests compares.

Each net holds what one family of architectures is made of.
"""

import pathlib

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

DATA = pathlib.Path(__file__).parents[2] / "crates/onnx/tests/data"
CLASSES = 4


class Transformer(nn.Module):
    """A ViT: patches, a class token, places, attention, GELU and layer norm; it gives what follows from the class token."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.token = nn.Parameter(torch.rand(1, 1, 8))
        self.places = nn.Parameter(torch.rand(1, 5, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 12, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.block(x)[:, 0])


class Windows(nn.Module):
    """A Swin: windows of all images counted on, a roll, patches merged by steps of 2, layer norm over the last axis."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.LayerNorm(6)
        self.mix = nn.Linear(6, 6)
        self.merge = nn.Linear(24, 8, bias=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = torch.roll(self.patches(x).permute(0, 2, 3, 1), (-1, -1), (1, 2))
        n, h, w, c = x.shape
        windows = self.norm(x).view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        shares = torch.softmax(windows @ windows.transpose(1, 2) * 0.5, -1)
        windows = functional.gelu(self.mix(shares @ windows), approximate="tanh")
        x = x + windows.view(n, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.head(self.merge(x).mean((1, 2)))


class Inception(nn.Module):
    """Channels picked and shifted one by one, branches, and average pools with and without their border."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 3, 1)
        self.three = nn.Conv2d(3, 4, (1, 3), padding=(0, 1))
        self.head = nn.Linear(7, CLASSES)

    def forward(self, x):
        x = torch.cat([x[:, place].unsqueeze(1) * (0.4 + place / 10) + 0.1 * (place - 1) for place in range(3)], 1)
        pooled = functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True)
        x = torch.cat([self.one(pooled), functional.relu(self.three(functional.max_pool2d(x, 3, 2, 1, ceil_mode=True)))], 1)
        return self.head(functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False).mean((2, 3)))


class Mobile(nn.Module):
    """A MobileNet and a ShuffleNet: depthwise convolutions, hard swish, gates of channels, swish, shuffled channels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.SiLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU6(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.deep(self.stem(x))
        x = x * self.gate(x)
        n, c, h, w = x.shape
        left, right = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w).chunk(2, 1)
        x = torch.cat([left - 0.5 * right, right], 1)
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Dense(nn.Module):
    """Norms that cannot be folded into what is before them, joins, enlarged maps, and probabilities at the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.grow = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.late = nn.BatchNorm2d(8)
        self.hidden = nn.Linear(8, 6)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        grown = functional.leaky_relu(self.grow(functional.relu(self.norm(x))), 0.1)
        x = functional.relu(self.late(torch.cat([x, grown], 1)))
        small = functional.avg_pool2d(x, 2)
        x = x + functional.interpolate(small, scale_factor=2, mode="bilinear") + functional.interpolate(small, scale_factor=2)
        x = functional.pad(x, (1, 0, 2, 1), value=0.25)
        return torch.softmax(self.head(functional.elu(self.hidden(functional.adaptive_max_pool2d(x, 1).flatten(1)))), 1)


def channels_last():
    """As TensorFlow's nets are: images with their channels as the last axis, turned before and after each convolution."""
    generator = numpy.random.default_rng(0)
    weights = {
        "conv/kernel": generator.normal(size=(5, 3, 3, 3)) / 4, "conv/bias": generator.normal(size=5), "scale": generator.uniform(size=(1, 1, 1, 5)),
        "dense/kernel": generator.normal(size=(5, CLASSES)), "dense/bias": generator.normal(size=CLASSES),
    }
    axes = numpy.array([1, 2])
    nodes = [
        helper.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "conv/kernel", "conv/bias"], ["mapped"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Transpose", ["mapped"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["last", "scale"], ["scaled"]),
        helper.make_node("Relu", ["scaled"], ["positive"]),
        helper.make_node("ReduceMean", ["positive", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "dense/kernel"], ["product"]),
        helper.make_node("Add", ["product", "dense/bias"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["scores"]),
    ]
    initializers = [numpy_helper.from_array(value.astype("float32"), name) for name, value in weights.items()]
    initializers.append(numpy_helper.from_array(axes, "axes"))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [None, 16, 16, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, CLASSES])
    graph = helper.make_graph(nodes, "keras", [images], [scores], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def export(net, images, exporter, opset, batch):
    path = DATA / f"{type(net).__name__.lower()}-{exporter}{opset}-{batch}.onnx"
    names = {"input_names": ["images"], "output_names": ["scores"], "opset_version": opset}
    if exporter == "script":
        axes = {"images": {0: "batch"}} if batch == "any" else None
        torch.onnx.export(net, images, path, dynamo=False, dynamic_axes=axes, **names)
    else:
        shapes = ({0: torch.export.Dim("batch")},) if batch == "any" else None
        torch.onnx.export(net, (images,), path, dynamo=True, external_data=False, dynamic_shapes=shapes, **names)
    model = onnx.load(path)
    # Notes on where each node comes from are three quarters of the file.
    for part in [model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output]:
        part.ClearField("metadata_props")
    for part in [model.graph, *model.graph.node]:
        part.ClearField("doc_string")
    del model.graph.value_info[:]
    onnx.save(model, path)
    return path


def before_softmax(path):
    """A session for the scores: probabilities are what others make of them."""
    model = onnx.load(path)
    if model.graph.node[-1].op_type == "Softmax":
        model.graph.output[0].name = model.graph.node[-1].input[0]
        del model.graph.node[-1]
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.backends.mha.set_fastpath_enabled(False)
    DATA.mkdir(parents=True, exist_ok=True)
    images = torch.rand(2, 3, 16, 16)
    numpy.save(DATA / "images.npy", images.numpy())
    exports = {
        Transformer: [("script", 17, "any"), ("dynamo", 18, 2), ("dynamo", 23, "any")],
        Windows: [("script", 11, "any"), ("dynamo", 18, 2)],
        Inception: [("script", 11, "any"), ("dynamo", 21, "any")],
        Mobile: [("script", 11, 2), ("script", 17, "any"), ("dynamo", 18, "any")],
        Dense: [("script", 17, "any")],
    }
    with torch.no_grad():
        for make, ways in exports.items():
            net = make().eval()
            for module in net.modules():
                if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
                    for tensor in [module.weight, module.bias, *module.buffers()]:
                        if tensor.dtype == torch.float32:
                            nn.init.uniform_(tensor, 0.5, 1.5)
            for name, parameter in net.named_parameters():
                if name.endswith("bias"):
                    nn.init.uniform_(parameter, -0.5, 0.5)
            for way in ways:
                path = export(net, images, *way)
                numpy.save(path.with_suffix(".npy"), before_softmax(path).run(None, {"images": images.numpy()})[0])
    onnx.save(channels_last(), DATA / "keras.onnx")
    last = images.numpy().transpose(0, 2, 3, 1)
    numpy.save(DATA / "keras.npy", before_softmax(DATA / "keras.onnx").run(None, {"images": last})[0])
