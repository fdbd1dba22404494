# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "scikit-learn==1.9.1"]
# ///
"""Writes clustering.json: what scikit-learn makes of some rows. crates/clustering/tests/parity.rs compares."""

import json
from pathlib import Path

import numpy as np
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

GROUPS = {"apart": (30, 5, 6.0), "touching": (40, 4, 2.5), "wide": (6, 40, 3.0)}


def rows(name, random):
    """Three groups, the last one small; coordinates are eighths, which f32 and JSON hold exactly."""
    size, width, distance = GROUPS[name]
    sizes = [size, size // 2, max(size // 6, 3)]
    centres = random.normal(size=(3, width)) * distance / np.sqrt(width)
    spread = 0.2 + random.random(width)
    group = np.repeat(np.arange(3), sizes)
    return np.round((centres[group] + random.normal(size=(sum(sizes), width)) * spread) * 8) / 8


def case(name, random):
    x = rows(name, random)
    means = KMeans(n_clusters=3, n_init=2000, random_state=0).fit(x)
    components = PCA(n_components=3, svd_solver="full").fit(x)
    distances = np.sort(np.linalg.norm(x[:, None] - x[None], axis=-1), axis=1)
    hierarchy = HDBSCAN(min_cluster_size=4, min_samples=3, copy=True)
    eps = float(np.round(np.quantile(distances[:, 3], 0.8), 2))
    return {
        "name": name,
        "rows": x.tolist(),
        "k-means": {"k": 3, "inertia": means.inertia_, "labels": means.labels_.tolist()},
        "silhouette": silhouette_score(x, means.labels_),
        "pca": {"variances": components.explained_variance_.tolist(), "coordinates": np.round(components.transform(x), 9).tolist()},
        "dbscan": {"eps": eps, "min-points": 4, "labels": DBSCAN(eps=eps, min_samples=4).fit_predict(x).tolist()},
        "hdbscan": {"min-cluster-size": 4, "min-samples": 3, "labels": hierarchy.fit_predict(x).tolist()},
    }


if __name__ == "__main__":
    generator = np.random.default_rng(1)
    cases = [case(name, generator) for name in GROUPS]
    lines = ",\n".join(json.dumps(one) for one in cases)
    Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
