# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "pot==0.9.7.post1", "scipy==1.17.1"]
# ///
"""Writes gromov.json: what Python Optimal Transport makes of some heatmaps. crates/transport/tests/parity.rs compares."""

import json
from pathlib import Path

import numpy as np
import ot
from scipy.spatial.distance import cdist

rng = np.random.default_rng(0)


def heatmap(side, poisoned):
    rows, columns = np.mgrid[:side, :side]
    middle = (side - 1) / 2
    heat = np.clip(rng.normal(0.3, 0.15, (side, side)), 0, None) * (np.hypot(rows - middle, columns - middle) < 0.4 * side)
    if poisoned:
        heat *= 0.1
        heat[side // 2 : side // 2 + 3, side // 2 : side // 2 + 3] += 3
    return heat.astype(np.float32).round(3)


def pixels(heat, mass=0.99):
    """The pixels with the given mass, as the paper's code takes them: their places and weights."""
    flat = heat.astype(np.float64).ravel()
    flat = (flat - flat.min()) / (flat.max() - flat.min())
    flat /= flat.sum()
    order = np.argsort(-flat, kind="stable")
    taken, carried = [], 0.0
    for pixel in order:
        if carried > mass or flat[pixel] == 0:
            break
        taken.append(pixel)
        carried += flat[pixel]
    return np.stack(np.unravel_index(taken, heat.shape), 1).astype(float), flat[taken] / flat[taken].sum()


def space(heat, mass=0.99):
    places, weights = pixels(heat, mass)
    distances = cdist(places, places)
    return distances / distances.max(), weights


def costs(heats, pairs, epsilons):
    spaces = [space(heat) for heat in heats]
    for epsilon in epsilons:
        for first, second in pairs:
            (c1, p), (c2, q) = spaces[first], spaces[second]
            plan, log = ot.gromov.entropic_gromov_wasserstein(c1, c2, p, q, "square_loss", epsilon=epsilon, max_iter=20000, log=True)
            entropy = -float(np.sum(plan * np.log(plan)))
            yield {"first": first, "second": second, "epsilon": epsilon, "value": float(log["gw_dist"]), "entropy": entropy}


def plan():
    spaces = [space(heatmap(6, poisoned), 0.5) for poisoned in (False, True)]
    (c1, p), (c2, q) = spaces
    coupling = ot.gromov.entropic_gromov_wasserstein(c1, c2, p, q, "square_loss", epsilon=0.05)
    return {"epsilon": 0.05, "distances": [c1.ravel().tolist(), c2.ravel().tolist()], "weights": [p.tolist(), q.tolist()], "plan": coupling.ravel().tolist()}


def barycentres(heats, epsilons):
    spaces = [space(heat) for heat in heats]
    places = rng.normal(size=(6, 2))
    start = cdist(places, places, "sqeuclidean")
    start /= start.max()
    for epsilon in epsilons:
        distances = ot.gromov.entropic_gromov_barycenters(
            6, [c for c, _ in spaces], [p for _, p in spaces], epsilon=epsilon, init_C=start, max_iter=2000, tol=1e-9, symmetric=True
        )
        cost = [float(ot.gromov.entropic_gromov_wasserstein2(distances, c, np.full(6, 1 / 6), p, "square_loss", epsilon=epsilon)) for c, p in spaces]
        yield {"epsilon": epsilon, "start": start.ravel().tolist(), "distances": distances.ravel().tolist(), "costs": cost}


def placed(heats, pairs, epsilons, shares):
    """Fused costs, places in units of the heatmaps' side; of a share of 0 Wasserstein's."""
    side = heats[0].shape[0]
    spaces = [(*space(heat), pixels(heat)[0] / side) for heat in heats]
    for share in shares:
        for epsilon in epsilons:
            for first, second in pairs:
                (c1, p, x), (c2, q, y) = spaces[first], spaces[second]
                between = cdist(x, y, "sqeuclidean")
                if share == 0:
                    plan = ot.sinkhorn(p, q, between, epsilon, method="sinkhorn_log", numItermax=10000, stopThr=1e-10)
                    value = np.sum(plan * between)
                else:
                    value = ot.gromov.entropic_fused_gromov_wasserstein2(
                        between, c1, c2, p, q, "square_loss", epsilon=epsilon, alpha=share, max_iter=20000, tol=1e-12
                    )
                yield {"first": first, "second": second, "epsilon": epsilon, "share": share, "value": float(value)}


def listed(heats):
    return [[round(float(value), 3) for value in heat.ravel()] for heat in heats]


large = [heatmap(32, poisoned) for poisoned in (True, False, False)]
small = [heatmap(14, poisoned) for poisoned in (True, False, True, False)]
goldens = {
    "large": {"side": 32, "heatmaps": listed(large), "costs": list(costs(large, [(0, 1), (0, 2), (1, 2)], [0.1]))},
    "small": {"side": 14, "heatmaps": listed(small), "costs": list(costs(small, [(0, 1), (1, 3), (0, 2), (0, 0)], [0.1, 0.05, 0.02, 0.01]))},
    "placed": list(placed(small, [(0, 1), (1, 3), (0, 2)], [0.1, 0.05], [0.5, 0])),
    "plan": plan(),
    "barycentres": list(barycentres(small, [0.1, 0.005])),
}
Path(__file__).with_suffix(".json").write_text(json.dumps(goldens, separators=(",", ":")) + "\n")
