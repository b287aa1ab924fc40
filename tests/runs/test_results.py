"""The assessment of a run: metrics agree with each other and with independent ones, and comparisons are paired."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.blocks import MemoryBlocks
from tests.helpers.runs import small_model, small_training, start_run
from tfp_vae.core.errors import UsageError
from tfp_vae.core.files import json_text
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation.annealing import Annealed, Sandwich
from tfp_vae.evaluation.effort import settling
from tfp_vae.evaluation.evidence import log_likelihood
from tfp_vae.evaluation.importance import Estimates, estimate, summarize
from tfp_vae.reports.pictures import EVALUATION_PICTURES
from tfp_vae.runs import results
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.folder import unfinished
from tfp_vae.runs.folder.records import Evaluation
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan, reload
from tfp_vae.runs.results import (
    AnnealingPlan,
    Assessment,
    Plan,
    advice,
    assess,
    compare,
    ladder,
    layer_remarks,
    most_anomalous,
    score,
    sign_of_difference,
    unfinished_scores,
    unknown_errors,
    verdict,
)
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """Another small run on the same data."""
    run, dataset = start_run(tmp_path_factory.mktemp("other") / "run", epochs=1, seed=1)
    assert train(run, dataset)
    return LoadedRun(run)


@pytest.mark.slow
def test_metrics_are_the_means_of_the_examples(assessment: Assessment) -> None:
    result, estimates = assessment.result, assessment.estimates
    for name in ("log_likelihood", "elbo", "distortion", "rate"):
        assert result[name] == pytest.approx(getattr(estimates, name).mean())
    assert result["log_likelihood_se"] == pytest.approx(estimates.log_likelihood.std(ddof=1) / np.sqrt(60))
    assert result["elbo"] == pytest.approx(-result["distortion"] - result["rate"])
    assert result["bits_per_dim"] == pytest.approx(-result["log_likelihood"] / 64 / np.log(2))
    assert result["ess_min"] <= result["ess_p5"] <= result["ess_median"] <= 200
    assert result["pareto_k_median"] == pytest.approx(np.median(estimates.pareto_k))
    assert result["pareto_k_share_above"] == pytest.approx(np.mean(estimates.pareto_k > 0.7))


@pytest.mark.slow
def test_rates_of_the_dimensions_sum_to_the_rate(assessment: Assessment) -> None:
    assert sum(assessment.result["rate_per_dim"]) == pytest.approx(assessment.result["rate"], rel=1e-5)


def test_the_rate_falls_into_its_two_parts(assessment: Assessment) -> None:
    result = assessment.result
    parts = result["mutual_information"] + result["aggregate_kl"]
    error = np.hypot(result["mutual_information_se"], result["aggregate_kl_se"])
    assert abs(parts - result["rate"]) < 5 * error
    assert result["mutual_information"] < result["mutual_information_ceiling"] == pytest.approx(np.log(60))


@pytest.mark.slow
def test_a_sweep_equals_separate_estimates_with_fewer_samples(assessment: Assessment, restored: LoadedRun) -> None:
    for line in assessment.result["sweep"]:
        alone = estimate(
            restored.vae,
            assessment.examples.x,
            iw_samples=line["iw_samples"],
            seed=seed_for(0, Purpose.EVALUATION),
            places=assessment.examples.rows,
            execution="graph",
        )
        assert alone.log_likelihood.mean() == pytest.approx(line["log_likelihood"], rel=1e-6)


def test_a_sample_of_the_examples_is_random_and_each_keeps_its_draws(
    assessment: Assessment, restored: LoadedRun, digits: Dataset
) -> None:
    rows = assessment.examples.rows
    assert rows is not None
    assert len(np.unique(rows)) == 60
    assert rows.max() > 120
    whole = assess(restored, digits, Plan(iw_samples=(200,), execution="graph"))
    np.testing.assert_allclose(whole.estimates.log_likelihood[rows], assessment.estimates.log_likelihood, rtol=1e-6)
    view = held_out_view(restored.config, digits, "test")
    np.testing.assert_array_equal(view.x[rows], assessment.examples.x)
    assert view.y is not None
    np.testing.assert_array_equal(view.y[rows], assessment.per_example()["label"])


def test_annealing_is_done_on_some_of_the_examples(assessment: Assessment) -> None:
    ais, sandwich = assessment.result["ais"], assessment.result["sandwich"]
    assert (ais["steps"], ais["chains"], ais["examples"]) == (4, 3, 20)
    assert ais["log_likelihood_mc_error"] > 0
    assert 0 < ais["accepted"] <= 1
    assert sandwich["gap"] == pytest.approx(sandwich["upper"] - sandwich["lower"])


def test_neighbours_come_from_the_training_means(assessment: Assessment, restored: LoadedRun, digits: Dataset) -> None:
    taught, y = held_out_view(restored.config, digits, "train"), digits.train.y
    means, asked = restored.vae.encoder.mean(taught.x).numpy(), assessment.estimates.posterior_mean
    assert y is not None
    distances = np.linalg.norm(asked[:, np.newaxis] - means, axis=-1)
    votes = y[np.argsort(distances, axis=1)[:, :5]].astype(int)
    winners = np.array([np.bincount(row).argmax() for row in votes])  # of several, the smallest class
    share = np.mean(winners == assessment.examples.y)
    assert assessment.result["knn_accuracy"] == pytest.approx(share)
    assert 0 <= assessment.result["linear_probe_accuracy"] <= 1


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_assesses_every_split(split: str, restored: LoadedRun, digits: Dataset) -> None:
    found = assess(restored, digits, Plan(split=split, iw_samples=(2,), max_examples=30, execution="eager"))
    assert found.result["split"] == split
    assert found.result["num_examples"] == 30
    assert np.isfinite(found.estimates.log_likelihood).all()
    assert found.result["pareto_k_median"] is None or np.isnan(found.result["pareto_k_median"])


@pytest.mark.slow
def test_the_seed_decides(restored: LoadedRun, digits: Dataset) -> None:
    first, again, another = (
        assess(restored, digits, Plan(iw_samples=(3,), max_examples=20, seed=seed, execution="eager")).result
        for seed in (0, 0, 1)
    )
    assert json_text(first | {"seconds": 0}) == json_text(again | {"seconds": 0})
    assert first["log_likelihood"] != another["log_likelihood"]


@pytest.mark.slow
def test_progress_names_every_stage(restored: LoadedRun, digits: Dataset) -> None:
    totals: dict[str, int] = {}
    done: dict[str, int] = {}

    def stage(name: str, total: int) -> nullcontext[object]:
        totals[name], done[name] = total, 0
        return nullcontext(lambda count: done.update({name: done[name] + count}))

    asked = Plan(iw_samples=(3,), max_examples=35, execution="eager", annealing=AnnealingPlan(1, 2, 2))
    assess(restored, digits, asked, stages=stage)
    assert totals == done
    assert list(totals) == ["importance sampling", "annealing", "annealing both ways"]


@pytest.mark.slow
def test_data_without_classes_have_no_probes(tmp_path: Path, rng: np.random.Generator) -> None:
    np.save(tmp_path / "x.npy", rng.normal(size=(60, 4)).astype(np.float32))
    model = small_model(likelihood="normal", prior="normal-mixture:components=2", latent_dim=2)
    config, dataset = plan(
        str(tmp_path / "x.npy"), None, None, model, small_training(epochs=1, objective="monte-carlo-elbo")
    )
    run = Run.create(tmp_path / "run", config)
    assert train(run, dataset)
    result = assess(LoadedRun(run), dataset, Plan(iw_samples=(2,), execution="eager")).result
    for name in ("linear_probe_accuracy", "knn_accuracy", "rate_per_dim", "bits_per_dim"):
        assert result[name] is None
        assert result[f"{name}_reason"]
    assert not list(unreasoned(result))


def unreasoned(found: Any, path: str = "") -> Iterator[str]:
    """Yield each null without a reason, and each reason without a null. Advice may be null."""
    if isinstance(found, list):
        found = {str(place): value for place, value in enumerate(found)}
    if not isinstance(found, dict):
        return
    for key, value in found.items():
        name = key.removesuffix("_reason")
        if value is None and key != "advice" and not found.get(f"{key}_reason"):
            yield f"{path}{key}: no reason"
        if name != key and found.get(name, value) is not None:
            yield f"{path}{key}: no null"
        yield from unreasoned(value, f"{path}{key}.")


def test_finds_missing_and_superfluous_reasons() -> None:
    found = {"a": None, "b": None, "b_reason": "b", "c": 1, "c_reason": "c", "d": [{"e": None}], "f_reason": "f"}
    told = ["a: no reason", "c_reason: no null", "d.0.e: no reason", "f_reason: no null"]
    assert sorted(unreasoned(found)) == told


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_every_null_has_a_reason_and_every_reason_a_null(count: int, copied: Run, digits: Dataset) -> None:
    """Printed and stored results: of one example and of several, with K too small for a k̂, and with annealing."""
    asked = Plan(iw_samples=(1, 3), max_examples=count, execution="graph", annealing=AnnealingPlan(2, 2, count))
    result = assess(LoadedRun(copied), digits, asked).result
    assert not list(unreasoned(json.loads(json_text(result))))
    copied.write_evaluation(result)
    kept = json.loads((copied.folder / "evaluation.json").read_text())
    assert not list(unreasoned(kept))
    assert {"ema_reason", "pareto_k_median_reason"} <= kept.keys()
    assert ("log_likelihood_se_reason" in kept) == ("linear_probe_accuracy_reason" in kept) == (count == 1)


SCALES = np.array([10.0, 0.1, 1_000.0, 1.0])


@pytest.fixture(scope="module")
def standardized(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A run on a table whose columns have very different scales, all of them standardized."""
    x = np.random.default_rng(0).normal(3.0, 1.0, size=(60, 4)) * SCALES
    data = tv.data.load(x)
    vae = tv.build(data, hidden=(4,))
    tv.fit(vae, data, epochs=1, execution="eager")
    return LoadedRun(tv.save(vae, tmp_path_factory.mktemp("units") / "run"))


class TestUnits:
    """Densities are in the units of the data, and results name the likelihood, the scaling and the binarization."""

    @pytest.mark.slow
    def test_density_is_that_of_the_data(self, standardized: LoadedRun) -> None:
        data = reload(standardized.config)
        found = assess(standardized, data, Plan(iw_samples=(5,), execution="eager"))
        log_scale = np.sum(np.log(standardized.config.data.standard["scale"]))
        assert log_scale == pytest.approx(np.log(SCALES).sum(), abs=1)
        scaled = tv.log_likelihood(standardized.vae, data.test.x, iw_samples=5, execution="eager")
        np.testing.assert_allclose(found.estimates.log_likelihood, scaled.values - log_scale, rtol=1e-6)
        result = found.result
        assert result["log_likelihood"] == pytest.approx(scaled.mean() - log_scale)
        assert result["log_likelihood_scaled"] == pytest.approx(scaled.mean())
        assert result["elbo_scaled"] == pytest.approx(-result["distortion_scaled"] - result["rate"])
        assert result["elbo"] == pytest.approx(-result["distortion"] - result["rate"])
        assert result["sweep"][0]["log_likelihood"] == pytest.approx(result["log_likelihood"])
        assert (result["likelihood"], result["scaling"], result["binarization"]) == ("student-t", "standard", "none")
        assert result["measure"] == "a density in the units of the data"

    def test_python_and_scores_give_the_same_units(self, standardized: LoadedRun) -> None:
        data = reload(standardized.config)
        settings = {"iw_samples": 5, "execution": "eager"}
        summary, estimates = score(standardized, data.test.x, places=np.arange(len(data.test)), **settings)
        found = tv.log_likelihood(standardized.vae, data.test, **settings)
        np.testing.assert_allclose(found, estimates.log_likelihood, rtol=1e-6)
        assert found.scaled.mean() == pytest.approx(summary["log_likelihood_scaled"])
        assert "a density in the units of the data" in found._repr_html_()

    def test_training_reports_the_same_units(self, standardized: LoadedRun) -> None:
        result, metrics = standardized.run.read("training.json"), standardized.run.metrics()
        assert result["validation"]["elbo"] == metrics[-1]["validation_elbo"]
        difference = result["validation"]["elbo_scaled"] - result["validation"]["elbo"]
        assert difference == pytest.approx(result["log_scale"])
        asked = Plan(iw_samples=(300,), split="validation", execution="eager")
        evaluated = assess(standardized, reload(standardized.config), asked).result
        assert abs(result["validation"]["elbo"] - evaluated["elbo"]) < 0.5 * result["log_scale"]

    def test_annealing_has_the_same_units(self, standardized: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
        given = np.array([-3.0, -4.0])
        annealed = Annealed(given, np.zeros(2), np.ones(2))
        monkeypatch.setattr(results.annealing, "annealed_log_likelihood", lambda *args, **more: annealed)
        monkeypatch.setattr(
            results.annealing, "sandwich", lambda *args, **more: Sandwich(np.zeros((2, 4)), given, given + 0.5)
        )
        asked = Plan(iw_samples=(1,), max_examples=2, execution="eager", annealing=AnnealingPlan(2, 2, 2))
        result = assess(standardized, reload(standardized.config), asked).result
        assert result["ais"]["log_likelihood"] == pytest.approx(-3.5 - result["log_scale"])
        difference = result["ais"]["log_likelihood"] - result["ais"]["above_importance_sampling"]
        assert difference == pytest.approx(result["log_likelihood"])
        assert result["sandwich"]["lower"] == pytest.approx(-3.5 - result["log_scale"])
        assert result["sandwich"]["upper"] == pytest.approx(-3.0 - result["log_scale"])

    def test_a_probability_has_no_units(self, assessment: Assessment) -> None:
        result = assessment.result
        assert "log_likelihood_scaled" not in result
        assert (result["likelihood"], result["scaling"], result["binarization"]) == ("bernoulli", "pixels", "dynamic")
        assert result["bits_per_dim_of"] == "binarized values"


def test_an_evaluation_remarks_on_idle_units(standardized: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    data, plan_ = reload(standardized.config), Plan(iw_samples=(1,), max_examples=5, execution="eager")
    monkeypatch.setattr(results, "idle_units", lambda active, total: f"{active} of {total}")
    found = assess(standardized, data, plan_).result
    assert found["remarks"] == [f"{found['active_units']} of 2"]
    monkeypatch.setattr(results, "idle_units", lambda active, total: "")
    assert assess(standardized, data, plan_).result["remarks"] == []


def test_scores_of_some_examples_are_those_of_an_evaluation(assessment: Assessment, restored: LoadedRun) -> None:
    rows = assessment.examples.rows
    settings = {"iw_samples": 200, "execution": "graph"}
    _, found = score(restored, assessment.examples.x, places=rows, **settings)
    np.testing.assert_allclose(found.log_likelihood, assessment.estimates.log_likelihood, rtol=1e-6)


class TestCompare:
    """Differences are paired."""

    def test_a_run_does_not_differ_from_itself(self, assessment: Assessment) -> None:
        found = compare(assessment, assessment)
        assert found["log_likelihood"] == found["log_likelihood_se"] == 0

    @pytest.mark.slow
    def test_error_refers_to_paired_differences(self, restored: LoadedRun, other: LoadedRun, digits: Dataset) -> None:
        asked = Plan(iw_samples=(50,), max_examples=100, execution="graph")
        first, second = (assess(run, reload(run.config), asked) for run in (restored, other))
        found = compare(first, second)
        pairs = second.estimates.log_likelihood - first.estimates.log_likelihood
        assert found["log_likelihood"] == pytest.approx(pairs.mean())
        assert found["log_likelihood_se"] == pytest.approx(pairs.std(ddof=1) / 10)
        assert found["log_likelihood_se"] < 0.7 * first.result["log_likelihood_se"]
        assert (found["run"], found["baseline"]) == (second.result["run"], first.result["run"])

    def test_refuses_other_examples(self, assessment: Assessment, restored: LoadedRun, digits: Dataset) -> None:
        fewer = assess(restored, digits, Plan(iw_samples=(1,), max_examples=9, execution="eager"))
        with pytest.raises(UsageError, match="only on the same examples"):
            compare(assessment, fewer)

    def test_missing_cells_are_the_same_in_both_runs(self, assessment: Assessment) -> None:
        holes = np.where(assessment.examples.x == 0, np.nan, assessment.examples.x)
        given = dataclasses.replace(assessment, examples=dataclasses.replace(assessment.examples, x=holes))
        assert compare(given, dataclasses.replace(given))["log_likelihood"] == 0

    def test_a_density_is_not_compared_with_a_probability(self, assessment: Assessment) -> None:
        density = Assessment(
            assessment.result | {"bits_per_dim": None}, assessment.estimates, assessment.examples, assessment.ladder
        )
        with pytest.raises(UsageError, match="A probability cannot be compared with a density"):
            compare(assessment, density)


@pytest.mark.parametrize(
    ("most", "rungs"), [(1, (1,)), (2, (1, 2)), (100, (1, 2, 5, 10, 20, 50, 100)), (30, (1, 2, 5, 10, 20, 30))]
)
def test_ladder_ends_with_all_samples(most: int, rungs: tuple[int, ...]) -> None:
    assert ladder(most) == rungs


def test_a_plan_needs_samples() -> None:
    with pytest.raises(UsageError, match="from 1 on"):
        Plan(iw_samples=(0, 5))


class TestAdvice:
    """Advice appears if the weights need it."""

    @staticmethod
    def given(ess: float, bias: float, samples: int = 1_000, **more: int | None) -> str:
        column = np.zeros(10)
        estimates = Estimates(*(column for _ in Estimates._fields))._replace(
            ess=np.full(10, ess),
            pareto_k=np.full(10, 0.9),
            shortfall=np.full(10, bias),
            posterior_mean=np.zeros([10, 2]),
            posterior_mean_variance=np.zeros([10, 2]),
        )
        return advice(summarize(estimates, 4, discrete=True), samples, **more) or ""

    def test_advice_if_samples_are_too_few_to_judge(self) -> None:
        assert "unknown, because K = 5 is too small" in self.given(4.0, 0.2, samples=5)

    def test_a_small_bias_needs_no_advice_whatever_the_shape_of_the_tail(self) -> None:
        assert self.given(900.0, 0.001) == ""

    def test_advice_on_a_bias(self) -> None:
        found = self.given(300.0, 0.31)
        assert "biased low, by about 0.31 nats" in found
        assert "`ais_steps=1000` gives a bound" in found
        assert "`refine=local` fits the proposal" in found

    def test_advice_does_not_suggest_a_refinement_twice(self) -> None:
        assert "refine" not in self.given(300.0, 0.31, refined=True)

    def test_advice_on_a_discrete_z_suggests_nothing_that_it_does_not_support(self) -> None:
        found = self.given(300.0, 0.31, discrete=True)
        assert "Use more `iw_samples`" in found
        assert "refine" not in found
        assert "ais_steps" not in found

    def test_advice_on_unknown_errors(self) -> None:
        found = self.given(5.0, 0.3)
        assert "unknown for 100% of the examples, because fewer than 10 of their 1,000 samples count" in found
        assert "0.30 nats or more" in found

    @pytest.mark.parametrize("ess", [5.0, 300.0])
    def test_no_advice_if_annealing_agrees(self, ess: float) -> None:
        assert self.given(ess, 0.3, annealed=0) == ""

    def test_advice_agrees_with_a_higher_annealing(self) -> None:
        found = self.given(900.0, 0.001, annealed=1)
        assert "biased low, because annealing is higher" in found
        assert "ais_steps" not in found

    def test_a_lower_annealing_proves_nothing(self) -> None:
        assert self.given(900.0, 0.001, annealed=-1) == ""
        assert "about 0.31 nats" in self.given(300.0, 0.31, annealed=-1)


def test_unknown_errors_have_a_reason() -> None:
    column = np.zeros(4)
    estimates = Estimates(*(column for _ in Estimates._fields))._replace(
        ess=np.array([3.0, 50, 50, 50]), posterior_mean=np.zeros([4, 2]), posterior_mean_variance=np.zeros([4, 2])
    )
    found = unknown_errors(summarize(estimates, 4, discrete=True), 100)
    assert found["log_likelihood_low"] is None
    assert found["log_likelihood_low_reason"] == "the effective sample size is below 10 for 25% of the examples"
    known = estimates._replace(ess=np.full(4, 50.0))
    assert unknown_errors(summarize(known, 4, discrete=True), 100) == {}


@pytest.mark.parametrize(("shift", "said"), [(0.0, "agree"), (5.0, "higher"), (-5.0, "lower")])
def test_verdict_compares_a_difference_with_its_error(shift: float, said: str, rng: np.random.Generator) -> None:
    difference = rng.normal(size=100)
    assert said in verdict(difference - difference.mean() + shift)


def test_gaps_are_undefined_without_refinement(assessment: Assessment) -> None:
    assert assessment.result["gaps"] is None
    assert "`refine=local`" in assessment.result["gaps_reason"]
    assert np.isnan(assessment.per_example()["amortization_gap"]).all()


@pytest.mark.slow
def test_a_refined_evaluation_splits_the_gap(
    restored: LoadedRun, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "gap_remark", lambda averages: f"amortization {averages['amortization']}")
    found = assess(restored, digits, Plan((40,), max_examples=8, execution="graph", refine="local:steps=4"))
    each, gaps = found.per_example(), found.result["gaps"]
    for name in ("approximation", "amortization"):
        assert gaps[name] == pytest.approx(each[f"{name}_gap"].mean())
        assert gaps[f"{name}_se"] == pytest.approx(each[f"{name}_gap"].std(ddof=1) / np.sqrt(8))
        assert 0 < gaps[f"{name}_mc_error"] < each[f"{name}_gap_error"].max()
    total = found.result["log_likelihood"] - found.result["elbo"]
    assert gaps["approximation"] + gaps["amortization"] == pytest.approx(total)
    assert f"amortization {gaps['amortization']}" in found.result["remarks"]


@pytest.fixture(scope="module")
def settled(restored: LoadedRun, digits: Dataset) -> Assessment:
    """An evaluation to an accuracy that the least effort reaches for some of the examples only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "RUNGS", [settling.Rung("none", 500)])
        return assess(restored, digits, Plan(max_examples=20, execution="graph", accuracy=0.2))


class TestAccuracy:
    """An evaluation to a given accuracy."""

    @pytest.mark.slow
    def test_result_says_how_much_effort_settled_how_many(self, settled: Assessment) -> None:
        result = settled.result
        assert (result["accuracy"], result["refine"], result["sweep"]) == (0.2, "as-needed", [])
        assert sum(effort["examples"] for effort in result["efforts"]) == 20
        done = sum(effort["settled"] for effort in result["efforts"])
        assert 0 < done < 20
        assert result["settled_share"] == pytest.approx(done / 20)
        assert len(result["unsettled_rows"]) == 20 - done
        assert result["iw_samples"] == max(effort["iw_samples"] for effort in result["efforts"])
        assert json.loads(json_text(result)) == result

    def test_advice_counts_the_examples_that_are_left(self, settled: Assessment) -> None:
        left = len(settled.result["unsettled_rows"])
        said = f"log p(x) of {left} of 20 examples is not known to 0.2 nats, even with 500 samples from the encoder's"
        assert settled.result["advice"].startswith(said)
        assert "`ais_steps=1000`" in settled.result["advice"]

    def test_arrays_have_the_effort_of_each_example(self, settled: Assessment) -> None:
        arrays = settled.per_example()
        left = np.isin(arrays["row"], settled.result["unsettled_rows"])
        np.testing.assert_array_equal(arrays["settled"], ~left)
        assert set(arrays["iw_samples"]) <= {200, 500}
        assert (arrays["refine"] == "none").all()
        assert arrays["sweep"].shape == (20, 0)

    def test_there_is_no_picture_of_the_bound(self, settled: Assessment) -> None:
        assert EVALUATION_PICTURES["evaluation-bound"].draw(settled) is None
        assert "K up to 500" in EVALUATION_PICTURES["evaluation-histogram"].draw(settled).axes[0].get_title()

    def test_file_takes_the_result(self, settled: Assessment) -> None:
        assert Evaluation.model_validate(settled.result).accuracy == 0.2

    @pytest.mark.parametrize("other", [{"iw_samples": (7,)}, {"refine": "local"}])
    def test_plan_refuses_other_effort(self, other: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="Leave them out"):
            Plan(accuracy=0.1, **other)


class TestInterrupted:
    """An evaluation that is interrupted and goes on."""

    PLANS: ClassVar = {
        "plain": Plan((40,), max_examples=90, execution="graph", annealing=AnnealingPlan(2, 2, 60)),
        "accuracy": Plan(max_examples=90, execution="graph", accuracy=3.0),
    }

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "stages"), [("plain", 3), ("accuracy", 3)])
    def test_goes_on_with_the_same_result(
        self, name: str, stages: int, copied: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unfinished, "SECONDS", 0.0)
        monkeypatch.setattr(unfinished, "PATIENCE", 0)
        monkeypatch.setattr(settling, "RUNGS", [settling.Rung("none", 500)])
        restored, asked = LoadedRun(copied), self.PLANS[name]
        expected, begun = assess(restored, digits, asked), list[str]()
        assert expected.unfinished is None

        @contextmanager
        def interrupting(stage: str, total: int) -> Iterator[Any]:
            begun.append(stage)
            done = 0

            def progress(more: int) -> None:
                nonlocal done
                done += more
                if "continued" not in stage and done > total / 2:
                    raise InterruptedError

            yield progress

        with pytest.raises(InterruptedError):
            assess(restored, digits, asked, stages=interrupting, resume=True)
        found = assess(restored, digits, asked, stages=interrupting, resume=True)
        assert len(begun) == stages + 1
        assert all(stage.endswith(", continued") for stage in begun[1:])
        for column, same in zip(found.estimates, expected.estimates, strict=True):
            np.testing.assert_array_equal(column, same)
        assert {**found.result, "seconds": 0} == {**expected.result, "seconds": 0}
        assert found.unfinished is not None
        found.unfinished.remove()
        assert not (copied.folder / "unfinished").exists()

    def test_everything_that_decides_the_numbers_identifies_an_evaluation(
        self, restored: LoadedRun, digits: Dataset
    ) -> None:
        plans = [Plan(), Plan(seed=1), Plan((7,)), Plan(refine="local"), Plan(accuracy=0.1), Plan(split="train")]
        plans.append(Plan(annealing=AnnealingPlan(2)))
        found = [results.evaluation_identity(restored, each, digits.test, "graph") for each in plans]
        found.append(results.evaluation_identity(restored, Plan(), digits.test[np.arange(5)], "graph"))
        found.append(results.evaluation_identity(restored, Plan(), digits.test, "xla"))
        assert len({json.dumps(each) for each in found}) == len(found)

    def test_rows_that_are_the_usual_ones_identify_an_evaluation_like_those_left_out(
        self, restored: LoadedRun, digits: Dataset
    ) -> None:
        implied, stated = (dataclasses.replace(digits.test, rows=rows) for rows in (None, np.arange(len(digits.test))))
        found = [results.evaluation_identity(restored, Plan(), each, "graph") for each in (implied, stated)]
        assert found[0] == found[1]


def test_verdict_on_one_example_says_that_it_is_too_few() -> None:
    assert verdict(np.array([0.3])) == "one example is too few to compare them"
    assert sign_of_difference(0.3, float("nan")) is None


@pytest.mark.parametrize("name", list(EVALUATION_PICTURES))
def test_draws_every_picture_of_an_evaluation(name: str, assessment: Assessment) -> None:
    figure = EVALUATION_PICTURES[name].draw(assessment)
    if name == "evaluation-gaps":  # which need a refinement
        assert figure is None
        return
    assert figure.axes
    assert all(axes.get_title() or axes.get_xlabel() for axes in figure.axes)


class TestScores:
    """log p(x) of each example."""

    def test_scores_equal_those_of_an_evaluation(self, restored: LoadedRun, digits: Dataset) -> None:
        x = digits.test.x[:20]
        result, estimates = score(restored, x, iw_samples=7, seed=3, places=np.arange(20), execution="graph")
        seed = seed_for(3, Purpose.EVALUATION)
        expected = log_likelihood(restored.vae, x, iw_samples=7, seed=seed, execution="graph").values
        np.testing.assert_allclose(estimates.log_likelihood, expected, rtol=1e-5)  # a batch has more rows here
        assert result["log_likelihood"] == pytest.approx(expected.mean())
        assert result["quantiles"]["0.5"] == pytest.approx(np.median(expected))
        assert result["quantiles"]["0"] == pytest.approx(expected.min())

    @pytest.mark.parametrize("refine", ["none", "local:steps=2"])
    def test_a_score_depends_on_its_example_alone(self, restored: LoadedRun, digits: Dataset, refine: str) -> None:
        x = digits.test.x[:40]
        settings: dict[str, Any] = {"iw_samples": 3, "refine": refine, "execution": "graph"}
        expected = score(restored, x, **settings)[1].log_likelihood
        order = np.random.default_rng(0).permutation(40)
        np.testing.assert_array_equal(score(restored, x[order], **settings)[1].log_likelihood, expected[order])
        np.testing.assert_array_equal(score(restored, x[7:8], **settings)[1].log_likelihood, expected[7:8])
        copies = score(restored, np.repeat(x[3:4], 35, axis=0), **settings)[1].log_likelihood
        np.testing.assert_array_equal(copies, np.repeat(expected[3], 35))

    def test_a_single_example_has_no_standard_error(self, restored: LoadedRun, digits: Dataset) -> None:
        assert np.isnan(score(restored, digits.test.x[:1], iw_samples=2)[0]["log_likelihood_se"])

    def test_interrupted_scores_go_on_with_the_same_result(self, copied: Run, digits: Dataset) -> None:
        restored, x = LoadedRun(copied), digits.test.x[:70]
        settings: dict[str, Any] = {
            "iw_samples": 3,
            "refine": "none",
            "seed": 1,
            "places": np.arange(70),
            "execution": "graph",
        }
        expected, scored = score(restored, x, **settings)[1], list[int]()
        blocks = MemoryBlocks(most=1)
        with pytest.raises(InterruptedError):
            score(restored, x, **settings, blocks=blocks)
        blocks.most = 2
        found = score(restored, x, **settings, progress=scored.append, blocks=blocks)[1]
        np.testing.assert_array_equal(found.log_likelihood, expected.log_likelihood)
        assert scored[0] == 64 * 3

    def test_unfinished_scores_belong_to_equal_settings_and_examples(self, copied: Run, digits: Dataset) -> None:
        restored, x = LoadedRun(copied), digits.test.x[:4]
        settings: dict[str, Any] = {
            "iw_samples": 3,
            "refine": "none",
            "seed": 1,
            "places": np.arange(4),
            "execution": "graph",
        }
        others = [{"iw_samples": 4}, {"refine": "local"}, {"seed": 2}, {"places": np.arange(4) + 1}]
        others.append({"execution": "eager"})
        names = {unfinished_scores(restored, x, **settings | other).name for other in others}
        names.add(unfinished_scores(restored, x[::-1], **settings).name)
        assert len(names) == 6
        assert unfinished_scores(restored, x, **settings).name not in names
        assert unfinished_scores(restored, x.copy(), **settings).name == unfinished_scores(restored, x, **settings).name

    def test_the_least_likely_come_first(self) -> None:
        log_px = np.array([-3.0, -np.inf, -1.0, -9.0, -3.0])
        assert most_anomalous(log_px, 3).tolist() == [1, 3, 0]
        assert most_anomalous(log_px, 99).tolist() == [1, 3, 0, 4, 2]


def layer(number: int, rate: float, units: int | None) -> dict[str, Any]:
    return {"layer": number, "size": 4, "rate": rate, "active_units": units}


def test_a_layer_is_idle_if_it_has_neither_rate_nor_active_units() -> None:
    assert layer_remarks([]) == []
    said = layer_remarks([layer(1, 5.0, 3), layer(2, 0.55, 0)])
    assert said == [
        "Rate and active units of the layers: z_1 5.00 nats and 3 of 4 units, z_2 0.55 nats and 0 of 4 units."
    ]
    assert "The model ignores z_2." in layer_remarks([layer(1, 5.0, 3), layer(2, 0.01, 0)])[1]
    assert layer_remarks([layer(1, 5.0, None), layer(2, 0.01, None)]) == [
        "Rate of the layers: z_1 5.00 nats, z_2 0.01 nats."
    ]
