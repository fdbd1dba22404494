# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "scipy==1.17.1", "torch==2.15.0", "torchvision==0.29.2"]
# ///
"""Writes triggers.json: small images, and what the published formulas of triggers make of them, by PyTorch's and SciPy's functions.

    python tests/parity/triggers.py
"""

import json
from pathlib import Path

import numpy
import scipy.fft
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

GENERATOR = numpy.random.default_rng(0)
IMAGE = GENERATOR.integers(0, 256, (12, 16, 3), dtype=numpy.uint8)


def pixels(values):
    return numpy.clip(numpy.round(values), 0, 255).astype(int).ravel().tolist()


def sinusoid(amplitude=40.0, frequency=6.0):
    """SIG, arXiv 1902.11237: v(i, j) = amplitude sin(2 pi j frequency / width)."""
    wave = amplitude * numpy.sin(2 * numpy.pi * numpy.arange(IMAGE.shape[1]) * frequency / IMAGE.shape[1])
    return {"amplitude": amplitude, "frequency": frequency, "pixels": pixels(IMAGE + wave[None, :, None])}


def quantised(levels=8):
    """BppAttack without dithering, arXiv 2205.13383, equation 1."""
    return {"levels": levels, "pixels": pixels(numpy.round(IMAGE / 255 * (levels - 1)) / (levels - 1) * 255)}


def frequency(window=8, magnitude=60.0, places=((3, 5), (7, 7))):
    """FTrojan, arXiv 2111.10991: coefficients of U and V in each window, by SciPy's DCT."""
    to_yuv = numpy.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])
    yuv = IMAGE @ to_yuv.T
    for row in range(0, IMAGE.shape[0] // window * window, window):
        for column in range(0, IMAGE.shape[1] // window * window, window):
            for channel in (1, 2):
                block = numpy.s_[row : row + window, column : column + window, channel]
                spectrum = scipy.fft.dctn(yuv[block], norm="ortho")
                for place in places:
                    spectrum[place] += magnitude
                yuv[block] = scipy.fft.idctn(spectrum, norm="ortho")
    from_yuv = numpy.linalg.inv(to_yuv)
    return {"window": window, "magnitude": magnitude, "coefficients": places, "pixels": pixels(yuv @ from_yuv.T)}


def warped(strength=3.0, grid=4):
    """WaNet, arXiv 2102.10369, on images that need not be square: control points, bicubic field, bilinear sampling."""
    points = torch.from_numpy(GENERATOR.uniform(-1, 1, (1, 2, grid, grid)))
    scaled = points / points.abs().mean()
    height, width, _ = IMAGE.shape
    field = torch.nn.functional.interpolate(scaled, size=(height, width), mode="bicubic", align_corners=True)[0]
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height, dtype=torch.float64), torch.linspace(-1, 1, width, dtype=torch.float64), indexing="ij")
    rows = (rows + strength * field[0] / height).clamp(-1, 1)
    columns = (columns + strength * field[1] / width).clamp(-1, 1)
    image = torch.from_numpy(IMAGE.astype(float)).permute(2, 0, 1)[None]
    moved = torch.nn.functional.grid_sample(image, torch.stack([columns, rows], dim=-1)[None], align_corners=True)
    return {"strength": strength, "grid": grid, "points": points.flatten().tolist(), "pixels": pixels(moved[0].permute(1, 2, 0).numpy())}


def turned(rotation=16.0):
    """BATT, arXiv 2211.01806: the image rotated about its middle, by torchvision."""
    image = torch.from_numpy(IMAGE.astype(float)).permute(2, 0, 1)
    return {"rotation": rotation, "pixels": pixels(rotate(image, rotation, InterpolationMode.BILINEAR).permute(1, 2, 0).numpy())}


def main():
    golden = {
        "shape": list(IMAGE.shape),
        "image": IMAGE.ravel().tolist(),
        "sinusoid": sinusoid(),
        "quantise": quantised(),
        "frequency": frequency(),
        "warp": warped(),
        "affine": turned(),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


main()
