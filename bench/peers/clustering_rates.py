# /// script
# requires-python = ">=3.11"
# dependencies = ["hdbscan==0.8.44", "numpy==2.4.6", "scikit-learn==1.9.1"]
# ///
"""What crates/clustering/benches/rates.rs measures, by scikit-learn and hdbscan: WORK ROWS WIDTH; one line of JSON."""

import json
import resource
import sys
import time

import hdbscan
import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

CLUSTERS = 20


def normal(counter):
    bits = (counter.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    total = sum((bits >> np.uint64(16 * quarter)) & np.uint64(0xFFFF) for quarter in range(4))
    return (total.astype(np.float64) - 131070.0) / 37837.0


def made(count, width):
    cluster = np.arange(count) % CLUSTERS
    centres = normal((count + np.arange(CLUSTERS))[:, None] * width + np.arange(width)) * 1.5
    rows = np.empty((count, width), np.float32)
    for start in range(0, count, 5000):
        part = np.arange(start, min(start + 5000, count))
        noise = normal(part[:, None] * width + np.arange(width))
        rows[part] = centres[cluster[part]] + noise * (0.5 + 0.05 * cluster[part])[:, None]
    return rows


if __name__ == "__main__":
    work, count, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    x = made(count, width)
    start = time.perf_counter()
    if work == "k-means":
        quality, by = float(KMeans(CLUSTERS, n_init=1, random_state=0).fit(x).inertia_), f"scikit-learn {sklearn.__version__}"
    elif work == "pca":
        reduced = PCA(10, random_state=0).fit_transform(x)
        quality, by = float((reduced.astype(np.float64) ** 2).sum() / (count - 1)), f"scikit-learn {sklearn.__version__}"
    elif work == "hdbscan":
        # This package does not count the row itself among its samples.
        labels = hdbscan.HDBSCAN(min_cluster_size=50, min_samples=4).fit_predict(x)
        quality, by = float((labels >= 0).sum()), "hdbscan 0.8.44"
    else:
        raise SystemExit(f"{work} is not measured here")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"by": by, "seconds": seconds, "quality": quality, "peak_bytes": peak}))
