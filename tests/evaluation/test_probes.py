"""Probes: classifiers that read labels from embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.evaluation.probes import MOST_CLASSES, MOST_EXAMPLES, has_classes, probe


class TestProbes:
    """Accuracies for embeddings with known structure."""

    def test_separate_classes_are_classified_perfectly(self, rng: np.random.Generator) -> None:
        labels = np.arange(300) % 3
        z = rng.normal(size=(300, 2)) + 20 * labels[:, np.newaxis]
        found = probe(z[:200], labels[:200], z[200:], labels[200:])
        assert found == {
            "linear_probe_accuracy": 1.0,
            "knn_accuracy": 1.0,
            "linear_probe_accuracy_se": 0.0,
            "knn_accuracy_se": 0.0,
        }

    def test_noise_gives_chance(self, rng: np.random.Generator) -> None:
        z, labels = rng.normal(size=(4_000, 2)), rng.integers(4, size=4_000)
        found = probe(z[:2_000], labels[:2_000], z[2_000:], labels[2_000:])
        for name in ("linear_probe_accuracy", "knn_accuracy"):
            assert abs(found[name] - 0.25) < 4 * found[f"{name}_se"]

    def test_only_neighbours_separate_rings(self, rng: np.random.Generator) -> None:
        labels = np.arange(600) % 2
        angle = rng.uniform(0, 2 * np.pi, 600)
        z = (1 + 2 * labels[:, np.newaxis]) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        found = probe(z[:400], labels[:400], z[400:], labels[400:])
        assert found["knn_accuracy"] == 1
        assert found["linear_probe_accuracy"] < 0.7

    @pytest.mark.parametrize(
        ("labels", "named"),
        [
            (np.array([0, 1, 1]), True),
            (np.array([0.0, 1.0, 2.0]), True),
            (np.array(["a", "b"]), True),
            (np.array([0.5, 1.0]), False),
            (np.array([0.0, np.nan]), False),
            (np.array([1, 1, 1]), False),
            (np.arange(2_000), False),
            (np.zeros([3, 2]), False),
            (np.array([3, 1, 2]), True),
            (np.array([7, 30] * 3), True),
            (np.array([151.0, 75.0, 141.0, 206.0, 151.0]), False),
            (np.array([2**63, 5], np.uint64), False),
            (np.array([True, False]), True),
        ],
    )
    def test_classes_are_whole_numbers_or_texts_with_some_repeats(self, labels: np.ndarray, named: bool) -> None:
        assert has_classes(labels) is named


@pytest.mark.parametrize("dtype", [float, int])
def test_accuracy_is_not_defined_for_measurements(dtype: type, rng: np.random.Generator) -> None:
    z, labels = rng.normal(size=(200, 2)), rng.integers(25, 346, size=200).astype(dtype)
    found = probe(z[:100], labels[:100], z[100:], labels[100:])
    assert len(found) == 4
    assert all(np.isnan(value) for value in found.values())
    continuous = probe(z[:100], z[:100, 0], z[100:], z[100:, 0])
    assert found.keys() == continuous.keys()
    assert all(np.isnan(value) for value in continuous.values())


def test_errors_are_binomial(rng: np.random.Generator) -> None:
    z, labels = rng.normal(size=(300, 2)), rng.integers(3, size=300)
    found = probe(z[:200], labels[:200], z[200:], labels[200:])
    for name in ("linear_probe_accuracy", "knn_accuracy"):
        share = found[name]
        assert found[f"{name}_se"] == pytest.approx(np.sqrt(share * (1 - share) / 100))


def test_nearest_neighbours_vote_as_computed_by_hand(rng: np.random.Generator) -> None:
    z, labels = rng.normal(size=(60, 3)), rng.integers(2, size=60)
    nearest = np.linalg.norm(z[40:, np.newaxis] - z[:40], axis=-1).argsort(axis=1)[:, :5]
    votes = (labels[nearest].mean(axis=1) > 0.5).astype(int)
    found = probe(z[:40], labels[:40], z[40:], labels[40:])
    assert found["knn_accuracy"] == np.mean(votes == labels[40:])


def test_fewer_examples_than_neighbours_are_enough() -> None:
    z, labels = np.array([[0.0], [0.1], [9.0]]), np.array([0, 0, 1])
    assert probe(z, labels, z[:2], labels[:2])["knn_accuracy"] == 1


def test_scale_of_an_embedding_does_not_change_the_linear_probe(rng: np.random.Generator) -> None:
    labels = np.arange(200) % 2
    z = rng.normal(size=(200, 2)) + labels[:, np.newaxis]
    plain, wide = (probe(each[:100], labels[:100], each[100:], labels[100:]) for each in (z, z * [1.0, 1e6]))
    assert plain["linear_probe_accuracy"] == wide["linear_probe_accuracy"]


def test_ignores_examples_beyond_the_limit(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    assert MOST_EXAMPLES == 10_000
    monkeypatch.setattr("tfp_vae.evaluation.probes.MOST_EXAMPLES", 50)
    labels = np.arange(100) % 2
    z = rng.normal(size=(100, 1)) + 20 * labels[:, np.newaxis]
    wrong = np.where(np.arange(100) < 50, labels, 1 - labels)
    assert probe(z, wrong, z, labels)["linear_probe_accuracy"] == 1


def test_largest_number_of_classes() -> None:
    assert has_classes(np.arange(MOST_CLASSES))
    assert not has_classes(np.arange(MOST_CLASSES + 1))
