"""log p(x) to a given accuracy: closed forms, coverage, and who gets how much effort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.helpers.blocks import MemoryBlocks
from tests.helpers.oracles import Bananas, CurvedBernoulli, LinearGaussian, without_second_derivatives
from tfp_vae import VAE
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.effort import settling
from tfp_vae.evaluation.effort.settling import RUNGS, Effort, Rung, samples_for, settle
from tfp_vae.evaluation.importance import Estimates, estimate
from tfp_vae.evaluation.proposals import REFINEMENTS

ENCODER = [Rung("none", 5_000)]
SETTINGS: dict[str, Any] = {"seed": (1, 2), "execution": "graph", "batch_size": 4}


@pytest.mark.slow
def test_exact_posterior_settles_every_example_with_the_least_effort(linear: LinearGaussian) -> None:
    x = linear.data(5)
    found = settle(linear.vae(), x, accuracy=0.01, **SETTINGS)
    np.testing.assert_allclose(found.values, linear.log_evidence(x), rtol=0, atol=1e-9)
    assert found.counts[Effort("none", 200)] == (5, 5)
    assert found.settled.all()
    assert (found.iw_samples == 200).all()
    assert str(found) == (
        "log p(x) is known to 0.01 nats for 5 of 5 examples: 5 with 200 samples from the encoder's q(z|x)."
    )


@pytest.fixture(scope="module")
def mixed() -> tuple[VAE, np.ndarray, np.ndarray]:
    """A model whose encoder is good for most examples only, 12 examples, and their log p(x)."""
    model = CurvedBernoulli(1)
    x = model.data(12)
    return model.vae(), x, model.log_evidence(x)


def test_harder_examples_get_more_samples(mixed: tuple[VAE, np.ndarray, np.ndarray]) -> None:
    vae, x, _ = mixed
    found = settle(vae, x, accuracy=0.15, rungs=ENCODER, **SETTINGS)
    pilot = estimate(vae, x, iw_samples=1_000, **SETTINGS)
    assert len(set(found.iw_samples)) > 1
    most, least = found.iw_samples == found.iw_samples.max(), found.iw_samples == found.iw_samples.min()
    assert pilot.ess[most].mean() < pilot.ess[least].mean()
    assert (found.estimates.reach[found.settled] <= 0.15).all()


@pytest.mark.slow
def test_nine_of_ten_settled_examples_lie_within_the_accuracy() -> None:
    model = CurvedBernoulli(2)
    x = model.data(300)
    found = settle(model.vae(), x, accuracy=0.1, rungs=[Rung("none", 20_000)], **SETTINGS)
    error = np.abs(found.values - model.log_evidence(x))[found.settled]
    assert len(error) > 250
    assert np.mean(error <= 0.1) > 0.9
    assert abs(np.mean(found.values - model.log_evidence(x))) < 0.02


@pytest.mark.slow
def test_poor_encoder_is_settled_by_refined_proposals(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.6, widen=2.0), linear.data(6)
    found = settle(vae, x, accuracy=0.02, **SETTINGS)
    np.testing.assert_allclose(found.values, linear.log_evidence(x), rtol=0, atol=0.02)
    assert found.settled.all()
    assert all(effort.refine != "none" for effort, (count, _) in found.counts.items() if count)


@pytest.mark.slow
def test_annealing_settles_what_the_other_proposals_leave_open() -> None:
    model = Bananas(5)
    vae, x = model.vae(), model.data(6)
    rungs = [Rung("laplace", 500), Rung("annealed:steps=30", 2_000, 3)]
    found = settle(vae, x, accuracy=0.2, rungs=rungs, **SETTINGS)
    annealed, truth = found.refinements == "annealed:steps=30", model.log_evidence(x)
    assert annealed.sum() > 3
    assert found.settled[annealed].all()
    covered = (found.estimates.low <= truth) & (truth <= found.estimates.high)
    assert covered[annealed].mean() > 0.6
    np.testing.assert_allclose(found.values[annealed], truth[annealed], rtol=0, atol=0.3)
    assert "samples from proposals refined by annealed" in str(found)


@pytest.mark.slow
def test_result_depends_on_neither_other_examples_nor_sizes(mixed: tuple[VAE, np.ndarray, np.ndarray]) -> None:
    vae, x, _ = mixed
    settings = {**SETTINGS, "accuracy": 0.15, "rungs": ENCODER}
    whole = settle(vae, x, **settings)
    rows = np.array([7, 2, 4])
    part = settle(vae, x[rows], places=rows, **{**settings, "batch_size": 2, "chunk_size": 30})
    np.testing.assert_array_equal(part.iw_samples, whole.iw_samples[rows])
    np.testing.assert_allclose(part.values, whole.values[rows], rtol=0, atol=1e-9)


def test_impossible_accuracy_leaves_examples_with_their_last_estimate(
    mixed: tuple[VAE, np.ndarray, np.ndarray],
) -> None:
    vae, x, truth = mixed
    found = settle(vae, x[:3], accuracy=1e-4, rungs=[Rung("none", 300)], **SETTINGS)
    assert found.unsettled.tolist() == [0, 1, 2]
    assert (found.iw_samples == 300).all()
    np.testing.assert_allclose(found.values, truth[:3], rtol=0, atol=1)
    assert str(found) == "log p(x) is known to 0.0001 nats for 0 of 3 examples. 3 could not be settled."


@pytest.mark.slow
def test_estimate_of_p_is_unbiased_although_samples_depend_on_a_pilot() -> None:
    model = CurvedBernoulli(1)
    x = model.data(20)
    many = np.tile(x, [20, 1])
    found = settle(model.vae(), many, accuracy=0.3, rungs=ENCODER, **{**SETTINGS, "batch_size": 400})
    ratio = np.exp(found.values - np.tile(model.log_evidence(x), 20))
    assert len(set(found.iw_samples)) > 1
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))


def test_interrupted_search_goes_on_with_the_same_result(mixed: tuple[VAE, np.ndarray, np.ndarray]) -> None:
    vae, x, _ = mixed
    settings = {**SETTINGS, "accuracy": 0.15, "rungs": ENCODER}
    expected, blocks = settle(vae, x, **settings), MemoryBlocks(most=5)
    with pytest.raises(InterruptedError):
        settle(vae, x, blocks=blocks, **settings)
    kept, blocks.most = sum(map(len, blocks.stages.values())), 100
    found = settle(vae, x, blocks=blocks, **settings)
    assert kept == 5
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.iw_samples, expected.iw_samples)


def estimator_with(intervals: dict[str, tuple[float, float]]) -> Callable[..., Callable[..., Estimates]]:
    """Return what makes estimators that give the same value and reach for every example and K, by refinement.

    Other refinements fail when they run.
    """

    def estimator(_: VAE, *, refine: str, **settings: object) -> Callable[..., Estimates]:
        def estimate(x: np.ndarray, *, rows: np.ndarray, **settings: object) -> Estimates:
            if refine not in intervals:
                raise UsageError(f"a mistake of {refine}")
            (value, reach), ones = intervals[refine], np.ones(len(rows))
            same = dict.fromkeys(Estimates._fields, ones)
            ends = {"low": (value - reach) * ones, "high": (value + reach) * ones}
            return Estimates(**same | {"log_likelihood": value * ones, **ends})

        return estimate

    return estimator


@pytest.mark.parametrize("gap", [0.0, 0.7])
def test_example_goes_on_if_its_proposal_misses_a_mode_that_an_earlier_one_covers(
    linear: LinearGaussian, monkeypatch: pytest.MonkeyPatch, gap: float
) -> None:
    """The intervals of `local` are short but lie below those of the encoder's q(z|x) by the gap."""
    intervals = {"none": (-1.0, 0.2), "local": (-1.0 - gap, 0.03), "mixture": (-1.0, 0.03)}
    monkeypatch.setattr(settling, "Estimator", estimator_with(intervals))
    rungs = [Rung(refine, 500) for refine in intervals]
    found = settle(linear.vae(), linear.data(2), accuracy=0.05, rungs=rungs, **SETTINGS)
    assert found.settled.all()
    assert set(found.refinements) == {"mixture" if gap else "local"}
    without_last = settle(linear.vae(), linear.data(2), accuracy=0.05, rungs=rungs[:2], **SETTINGS)
    assert without_last.settled.all() == (not gap)
    np.testing.assert_allclose(without_last.estimates.high, -1.2 if gap else -0.97)


def test_proposal_that_the_model_does_not_support_is_left_out() -> None:
    model = LinearGaussian("float32")
    vae, x = without_second_derivatives(model), model.data(2)
    laplace, encoder = Rung("laplace", 500), Rung("none", 500)
    found = settle(vae, x, accuracy=0.05, rungs=[laplace, encoder], **SETTINGS)
    assert set(found.refinements) == {"none"}
    with pytest.raises(UsageError, match="second derivatives"):
        settle(vae, x, accuracy=0.05, rungs=[laplace], **SETTINGS)


@pytest.mark.parametrize("last", [0, 1])
def test_error_of_a_proposal_is_raised_whatever_follows(
    linear: LinearGaussian, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    monkeypatch.setattr(settling, "Estimator", estimator_with({"none": (-1.0, 0.3)}))
    rungs = [Rung("none", 500), Rung("local", 500), Rung("none", 500)][: 2 + last]
    with pytest.raises(UsageError, match="a mistake of local"):
        settle(linear.vae(), linear.data(2), accuracy=0.05, rungs=rungs, **SETTINGS)


def test_samples_needed_grow_with_the_square_of_the_reach() -> None:
    needed = samples_for(np.array([0.05, 0.1, 0.2, np.nan]), 200, accuracy=0.1)
    np.testing.assert_allclose(needed, [75, 300, 1_200, np.inf])


def test_proposals_become_more_expensive() -> None:
    assert [rung.refine.partition(":")[0] for rung in RUNGS] == ["none", "local", "laplace", "mixture", "annealed"]
    cost = [rung.most_samples * REFINEMENTS.resolve(rung.refine).passes for rung in RUNGS]
    assert cost == sorted(cost)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accuracy": 0.0}, "`accuracy` must be a positive number of nats, found 0.0."),
        ({"accuracy": float("nan")}, "`accuracy` must be a positive number of nats, found nan."),
        ({"rungs": []}, "`rungs`: expected at least one, found none."),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], message: str, linear: LinearGaussian) -> None:
    with pytest.raises(UsageError, match=message):
        settle(linear.vae(), linear.data(2), **{**SETTINGS, **settings})


def test_no_example_is_refused(linear: LinearGaussian) -> None:
    with pytest.raises(UsageError, match="expected at least one example"):
        settle(linear.vae(), linear.data(2)[:0], **SETTINGS)
