# /// script
# requires-python = ">=3.11"
# dependencies = ["hdbscan==0.8.44", "numpy==2.4.6", "scikit-learn==1.9.1"]
# ///
"""Writes clustering.json: what scikit-learn and hdbscan make of some rows. crates/clustering/tests/parity.rs compares."""

import json
from pathlib import Path

import hdbscan
import numpy as np
from sklearn.cluster import DBSCAN, HDBSCAN, OPTICS, AgglomerativeClustering, KMeans, SpectralClustering, cluster_optics_dbscan
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

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
    # Rows without equal distances: of equal ones any may be merged first, and strengths depend on it.
    moved = np.round((x + np.random.default_rng(2).random(x.shape) / 16) * 65536) / 65536
    # hdbscan does not count the row itself among its samples.
    package = hdbscan.HDBSCAN(min_cluster_size=4, min_samples=1, algorithm="generic").fit(moved)
    spectral = SpectralClustering(3, affinity="nearest_neighbors", n_neighbors=6, n_init=100, random_state=0, assign_labels="kmeans")
    links = {link: AgglomerativeClustering(3, linkage=link).fit(x) for link in ("ward", "average", "complete", "single")}
    mixture = GaussianMixture(2, covariance_type="diag", n_init=20, tol=1e-9, max_iter=1000, random_state=0).fit(x)
    order = OPTICS(min_samples=4).fit(x)
    eps = float(np.round(np.quantile(distances[:, 3], 0.8), 2))
    return {
        "name": name,
        "rows": x.tolist(),
        "k-means": {"k": 3, "inertia": means.inertia_, "labels": means.labels_.tolist()},
        "silhouette": silhouette_score(x, means.labels_),
        "pca": {"variances": components.explained_variance_.tolist(), "coordinates": np.round(components.transform(x), 9).tolist()},
        "dbscan": {"eps": eps, "min-points": 4, "labels": DBSCAN(eps=eps, min_samples=4).fit_predict(x).tolist()},
        "hdbscan": {
            "min-cluster-size": 4,
            "min-samples": 3,
            "labels": hierarchy.fit_predict(x).tolist(),
        },
        "strengths": {
            "rows": moved.tolist(),
            "min-cluster-size": 4,
            "min-samples": 2,
            "labels": package.labels_.tolist(),
            "probabilities": np.round(package.probabilities_, 12).tolist(),
            "outlier-scores": np.round(package.outlier_scores_, 12).tolist(),
        },
        "spectral": {"k": 3, "neighbours": 5, "labels": spectral.fit_predict(x).tolist()},
        "agglomerative": {link: found.labels_.tolist() for link, found in links.items()},
        # Of few rows in many dimensions a mixture says nothing.
        "mixture": None
        if len(x) < 4 * x.shape[1]
        else {"k": 2, "log-likelihood": mixture.score(x), "labels": mixture.predict(x).tolist()},
        "optics": {
            "min-points": 4,
            "eps": eps,
            "labels": cluster_optics_dbscan(
                reachability=order.reachability_, core_distances=order.core_distances_, ordering=order.ordering_, eps=eps
            ).tolist(),
            # Where groups end depends on the row that the order begins with.
            "dense": (order.core_distances_ <= eps).tolist(),
        },
    }


if __name__ == "__main__":
    generator = np.random.default_rng(1)
    cases = [case(name, generator) for name in GROUPS]
    lines = ",\n".join(json.dumps(one) for one in cases)
    Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
