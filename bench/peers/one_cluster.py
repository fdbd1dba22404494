# /// script
# requires-python = ">=3.11"
# dependencies = ["diptest==0.12.0", "numpy==2.4.6", "pyarrow==26.0.1", "scikit-learn==1.9.1"]
# ///
"""Whether tests for more than one cluster tell poisoned classes from clean ones: RUN, a finished run of pipelines/one-cluster.yaml.

A line for each of the run's arrays: how many clean and poisoned classes SigClust (Liu et al., JASA 2008) and the dip test of the first
principal component (Hartigan and Hartigan 1985) find to be more than one cluster, corrected over all classes (Holm).
"""

import sys
from pathlib import Path
from statistics import NormalDist

import diptest
import numpy as np
from pyarrow import parquet
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

DIMENSIONS = 10
SIMULATIONS = 200
LEVEL = 0.05


def cluster_index(rows):
    """The part of the variance that is left within two means."""
    return KMeans(2, n_init=3, random_state=0).fit(rows).inertia_ / ((rows - rows.mean(0)) ** 2).sum()


def sigclust(components, rng):
    """The p-value against one Gaussian with the rows' own variances, from a normal distribution with the simulations' mean and deviation."""
    null = [cluster_index(rng.normal(0, components.std(0), components.shape)) for _ in range(SIMULATIONS)]
    return NormalDist(np.mean(null), np.std(null)).cdf(cluster_index(components))


def dip(components, _):
    return diptest.diptest(components[:, 0])[1]


def rejected(values):
    """Which p-values stay below the level after Holm's correction."""
    order = np.argsort(values)
    kept = [values[index] * (len(values) - place) >= LEVEL for place, index in enumerate(order)]
    rejects = np.zeros(len(values), bool)
    rejects[order[: kept.index(True) if True in kept else len(values)]] = True
    return rejects


run = Path(sys.argv[1])
table = parquet.read_table(run / "scores.parquet").to_pydict()
samples = [row for row, detector in enumerate(table["detector"]) if detector == table["detector"][0]]
classes = np.array([table["class"][row] for row in samples])
poisoned = np.array([table["truth"][row] == "poison" for row in samples])
names = sorted(set(classes))
attacked = np.array([poisoned[classes == name].any() for name in names])
for path in sorted((run / "features").glob("*.npy")):
    rows = np.load(path).reshape(len(classes), -1)
    components = [PCA(DIMENSIONS, random_state=0).fit_transform(rows[classes == name]) for name in names]
    for test in (sigclust, dip):
        rng = np.random.default_rng(0)
        rejects = rejected(np.array([test(of_class, rng) for of_class in components]))
        print(f"{path.stem}, {test.__name__}: {rejects[~attacked].sum()} of {(~attacked).sum()} clean, {rejects[attacked].sum()} of {attacked.sum()} poisoned", flush=True)
