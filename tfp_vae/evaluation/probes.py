"""Probes: how well labels can be read from embeddings.

A probe is taught with embeddings of one split and asked about another's, so that it tells what z holds of the labels,
and not how well a classifier can learn by heart. scikit-learn does the classifying.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["has_classes", "probe"]

NEIGHBOURS = 5
MOST_EXAMPLES = 10_000
MOST_CLASSES = 1_000


def has_classes(labels: np.ndarray) -> bool:
    """Return whether labels [N] name classes: whole numbers or texts, between 2 and 1,000 of them."""
    if labels.ndim != 1 or (labels.dtype.kind == "f" and not _whole(labels)):
        return False
    return 2 <= len(np.unique(labels)) <= MOST_CLASSES


def _whole(labels: np.ndarray) -> bool:
    return bool(np.isfinite(labels).all() and (labels == np.round(labels)).all())


def probe(z: np.ndarray, labels: np.ndarray, held_out_z: np.ndarray, held_out_labels: np.ndarray) -> dict[str, float]:
    """Return the share of labels that classifiers get right, taught with some embeddings and asked about others.

    `linear_probe_accuracy` is that of multinomial logistic regression on standardized embeddings, `knn_accuracy` that
    of the vote of the five nearest; each with its binomial standard error under its name and `_se`.

    Accuracies compare between models of one data set; against chance, 1 / classes, they say how much of the labels z
    keeps. With a few hundred held-out examples the standard error is some hundredths.

    ```python
    from tfp_vae.evaluation.probes import probe

    draw = np.random.default_rng(0)
    labels = draw.integers(2, size=200)
    z = draw.normal(size=(200, 2)) + 3 * labels[:, np.newaxis]
    probe(z[:100], labels[:100], z[100:], labels[100:])  # accuracies near 1
    ```

    Args:
      z: embeddings to learn from, [N, D]; the first 10,000 are taken.
      labels: their classes, [N].
      held_out_z: embeddings to be asked about, [M, D].
      held_out_labels: their classes, [M].

    Returns:
      Four numbers, two accuracies and their standard errors.

    References:
      Alain and Bengio (2017), Understanding intermediate layers using linear classifier probes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    z, labels = z[:MOST_EXAMPLES], labels[:MOST_EXAMPLES]
    classifiers = {
        "linear_probe_accuracy": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)),
        "knn_accuracy": KNeighborsClassifier(min(NEIGHBOURS, len(z))),
    }
    shares = {
        name: float(np.mean(classifier.fit(z, labels).predict(held_out_z) == held_out_labels))
        for name, classifier in classifiers.items()
    }
    errors = {f"{name}_se": math.sqrt(share * (1 - share) / len(held_out_z)) for name, share in shares.items()}
    return {**shares, **errors}
