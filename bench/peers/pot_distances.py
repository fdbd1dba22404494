"""Seconds of Python Optimal Transport for each entropic Gromov-Wasserstein cost between heatmaps, and the heatmaps for Bezoar."""

import argparse
import json
import time
from importlib.metadata import version

import numpy as np
import ot
from scipy.spatial.distance import cdist

parser = argparse.ArgumentParser()
parser.add_argument("epsilon", type=float)
parser.add_argument("heatmaps", help="where the heatmaps are written, one a line")
parser.add_argument("--pairs", type=int, default=4)
options = parser.parse_args()
rng = np.random.default_rng(0)


def heatmap(poisoned):
    rows, columns = np.mgrid[:32, :32]
    heat = np.clip(rng.normal(0.3, 0.15, (32, 32)), 0, None) * (np.hypot(columns - 16, rows - 16) < 13)
    if poisoned:
        heat *= 0.1
        heat[16:19, 16:19] += 3
    return heat.astype(np.float32)


def space(heat, mass=0.99):
    """The pixels with the given mass, as the paper's code takes them."""
    flat = heat.astype(np.float64).ravel()
    flat = (flat - flat.min()) / (flat.max() - flat.min())
    flat /= flat.sum()
    order = np.argsort(-flat, kind="stable")
    carried = np.cumsum(flat[order])
    taken = order[: np.searchsorted(carried, mass, side="right") + 1]
    taken = taken[flat[taken] > 0]
    places = np.stack(np.unravel_index(taken, heat.shape), 1).astype(float)
    distances = cdist(places, places)
    return distances / distances.max(), flat[taken] / flat[taken].sum()


heats = [heatmap(index % 4 == 0) for index in range(options.pairs + 1)]
with open(options.heatmaps, "w") as file:
    for heat in heats:
        file.write(",".join(repr(float(value)) for value in heat.ravel()) + "\n")

spaces = [space(heat) for heat in heats]
(c1, p), others = spaces[0], spaces[1:]
start = time.perf_counter()
values = [
    float(ot.gromov.entropic_gromov_wasserstein2(c1, c2, p, q, "square_loss", epsilon=options.epsilon, max_iter=20000)) for c2, q in others
]
seconds = (time.perf_counter() - start) / len(others)
support = [len(weights) for _, weights in spaces]
print(json.dumps({"by": f"POT {version('pot')}", "epsilon": options.epsilon, "s_per_pair": seconds, "values": values, "support": support}))
