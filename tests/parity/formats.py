# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "onnxscript==0.7.2", "safetensors==0.8.0", "torch==2.15.0"]
# ///
"""Writes crates/formats/tests/data: what NumPy, PyTorch and its ONNX exporters make of small known values. crates/formats/tests compares.

The same files are what the fuzzers begin with, in fuzz/seeds.
"""

import collections
import os
import pathlib
import shutil
import zipfile

import numpy
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "crates/formats/tests/data"


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Linear(4 * 2 * 2, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.nn.functional.max_pool2d(x, 2)
        return self.head(torch.flatten(torch.nn.functional.adaptive_avg_pool2d(x, 2), 1))


def net():
    """Every value is a small fraction that floats hold exactly; names in the order of the state dict."""
    model = Net().eval()
    for number, tensor in enumerate(model.state_dict().values()):
        tensor.copy_((torch.arange(tensor.numel()).reshape(tensor.shape) + number + 1) / 64)
    return model


def npy():
    grid = numpy.arange(6).reshape(2, 3)
    numpy.save(DATA / "c.npy", (grid / 4).astype("<f4"))
    numpy.save(DATA / "fortran.npy", numpy.asfortranarray((grid / 4).astype("<f8")))
    numpy.save(DATA / "big.npy", grid.astype(">i2"))
    numpy.save(DATA / "targets.npy", numpy.arange(5, dtype="<u4"))
    with open(DATA / "version3.npy", "wb") as file:
        numpy.lib.format.write_array(file, (grid / 4).astype("<f2"), version=(3, 0))


def state_dicts():
    grid = torch.arange(12.0).reshape(3, 4) / 4
    state = collections.OrderedDict(
        transposed=grid.t(),
        slice=grid[1:, ::2],
        repeated=torch.tensor([0.5]).expand(2, 3),
        scalar=torch.tensor(7),
        half=grid.half(),
        bfloat=grid.bfloat16(),
        double=grid.double(),
        parameter=torch.nn.Parameter(grid),
        flags=torch.tensor([True, False]),
        empty=torch.zeros(0, 3),
    )
    torch.save(state, DATA / "kinds.pt")
    torch.save(state, DATA / "protocol4.pt", pickle_protocol=4)
    torch.save(state, DATA / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in net().state_dict().items()}}, DATA / "checkpoint.pth")
    torch.save(net(), DATA / "whole.pt")
    save_file(net().state_dict(), DATA / "net.safetensors")

    class Evil:
        def __reduce__(self):
            return os.system, ("touch /tmp/bezoar-was-here",)

    torch.save({"weight": Evil()}, DATA / "evil.pt")


def onnx_models():
    for opset in [11, 17]:
        axes = {"input": {0: "batch"}, "scores": {0: "batch"}}
        torch.onnx.export(net(), torch.zeros(1, 3, 8, 8), DATA / f"script{opset}.onnx", dynamo=False, opset_version=opset,
                          input_names=["input"], output_names=["scores"], dynamic_axes=axes)
    batch = torch.export.Dim("batch")
    for opset, external in [(18, False), (21, True)]:
        torch.onnx.export(net(), (torch.zeros(2, 3, 8, 8),), DATA / f"dynamo{opset}.onnx", dynamo=True, opset_version=opset,
                          external_data=external, input_names=["input"], output_names=["scores"], dynamic_shapes=({0: batch},))


def seeds():
    kinds = {"npy": ["*.npy"], "onnx": ["*.onnx"], "pickle": ["kinds.pt", "legacy.pt", "evil.pt"], "safetensors": ["*.safetensors"]}
    for target, patterns in kinds.items():
        folder = ROOT / "fuzz/seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in patterns:
            for file in DATA.glob(pattern):
                shutil.copyfile(file, folder / file.name)
    # The fuzzer makes the archives itself.
    for file in ["kinds.pt", "protocol4.pt", "checkpoint.pth"]:
        with zipfile.ZipFile(DATA / file) as archive:
            pickle = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            (ROOT / "fuzz/seeds/pickle" / file).with_suffix(".pkl").write_bytes(archive.read(pickle))


if __name__ == "__main__":
    torch.manual_seed(0)
    DATA.mkdir(parents=True, exist_ok=True)
    npy()
    with torch.no_grad():
        state_dicts()
        onnx_models()
    seeds()
