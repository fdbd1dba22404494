# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "scikit-learn==1.9.1", "scipy==1.17.1"]
# ///
"""Writes metrics.json: what scikit-learn makes of some scores and flags, and SciPy of some differences. crates/evaluation/tests/parity.rs compares."""

import json
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_score, recall_score, roc_auc_score, roc_curve

SAMPLES = {"rare poison": (120, 0.05), "many ties": (60, 0.3), "half": (41, 0.5), "nearly all poison": (30, 0.9)}


def case(name, random):
    count, share = SAMPLES[name]
    truth = random.random(count) < share
    truth[:2] = [True, False]
    scores = random.normal(size=count) + truth
    scores = np.round(scores) if name == "many ties" else np.round(scores, 6)
    flagged = scores > 0.7
    rates, hits, _ = roc_curve(truth, scores, drop_intermediate=False)
    differences = np.round(random.normal(size=12) + 0.4, 6)
    return {
        "name": name,
        "truth": truth.tolist(),
        "scores": scores.tolist(),
        "flagged": flagged.tolist(),
        "auroc": roc_auc_score(truth, scores),
        "auprc": average_precision_score(truth, scores),
        "acc": accuracy_score(truth, flagged),
        "tpr": recall_score(truth, flagged),
        "tnr": recall_score(~truth, ~flagged),
        "precision": precision_score(truth, flagged),
        "f1": f1_score(truth, flagged),
        "tpr_at": [hits[rates <= fpr].max() for fpr in (0.01, 0.05, 0.1)],
        "differences": differences.tolist(),
        "wilcoxon": wilcoxon(differences, method="exact").pvalue,
    }


if __name__ == "__main__":
    warnings.simplefilter("error")
    generator = np.random.default_rng(0)
    cases = [case(name, generator) for name in SAMPLES]
    lines = ",\n".join(json.dumps(one) for one in cases)
    Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
