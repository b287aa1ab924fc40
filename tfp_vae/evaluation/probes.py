"""Probes: how well classifiers read labels from embeddings.

A probe learns from embeddings of one split and is tested on those of another. So it measures the information about
labels in z, and not how well a classifier memorizes examples. The classifiers come from scikit-learn.
"""

from __future__ import annotations

import math

import numpy as np

from tfp_vae.core.registry import check_keywords

__all__ = ["has_classes", "probe"]

NEIGHBOURS = 5
MOST_EXAMPLES = 10_000
MOST_CLASSES = 1_000


EXAMPLES_PER_CLASS = 3
"""Numbers with gaps between them are measurements, not classes, if a value has fewer examples than this on average."""


def has_classes(labels: np.ndarray) -> bool:
    """Return whether labels [N] name classes: whole numbers or texts with 2 to 1,000 distinct values.

    Whole numbers may also be measurements, such as ages or prices. They count as classes if they have no gaps, as the
    numbers of classes do, or if each value has three examples or more on average.

    ```python
    from tfp_vae.evaluation.probes import has_classes

    has_classes(np.array([0, 1, 2, 1])), has_classes(np.array([151.0, 75.0, 141.0, 206.0]))  # True, False
    ```
    """
    if labels.ndim != 1:
        return False
    values = np.unique(labels)
    if not 2 <= len(values) <= MOST_CLASSES:
        return False
    if labels.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
        return False
    gaps = labels.dtype.kind in "iuf" and float(values[-1]) - float(values[0]) >= len(values)
    return not gaps or len(labels) >= EXAMPLES_PER_CLASS * len(values)


@check_keywords
def probe(z: np.ndarray, labels: np.ndarray, held_out_z: np.ndarray, held_out_labels: np.ndarray) -> dict[str, float]:
    """Return the accuracy of classifiers that learn from some embeddings and are tested on others.

    `linear_probe_accuracy` belongs to multinomial logistic regression on standardized embeddings, and `knn_accuracy` to
    a vote of the five nearest embeddings. Keys that end in `_se` hold their binomial standard errors, which are a few
    hundredths for some hundred held-out examples.

    You can compare accuracies between models of one data set. Chance is 1 / classes. All values are NaN if the labels
    are measurements and not classes, see `has_classes`.

    ```python
    from tfp_vae.evaluation.probes import probe

    draw = np.random.default_rng(0)
    labels = draw.integers(2, size=200)
    z = draw.normal(size=(200, 2)) + 3 * labels[:, np.newaxis]
    probe(z[:100], labels[:100], z[100:], labels[100:])  # accuracies near 1
    ```

    Args:
      z: embeddings to learn from, [N, D]. Only the first 10,000 are used.
      labels: their classes, [N].
      held_out_z: embeddings to classify, [M, D].
      held_out_labels: their classes, [M].

    References:
      Alain and Bengio (2017), Understanding intermediate layers using linear classifier probes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    z, labels = z[:MOST_EXAMPLES], labels[:MOST_EXAMPLES]
    if not has_classes(labels):
        names = ("linear_probe_accuracy", "knn_accuracy")
        return dict.fromkeys([*names, *(f"{name}_se" for name in names)], math.nan)
    classifiers = {
        "linear_probe_accuracy": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)),
        "knn_accuracy": KNeighborsClassifier(min(NEIGHBOURS, len(z))),
    }
    accuracies = {
        name: float(np.mean(classifier.fit(z, labels).predict(held_out_z) == held_out_labels))
        for name, classifier in classifiers.items()
    }
    errors = {f"{name}_se": math.sqrt(share * (1 - share) / len(held_out_z)) for name, share in accuracies.items()}
    return {**accuracies, **errors}
