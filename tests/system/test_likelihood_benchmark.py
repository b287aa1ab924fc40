"""The benchmark of log-likelihoods: its statistics against closed forms, its tables, and its file of results."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.likelihood import calibration, comparison, cost, document
from benchmarks.likelihood.__main__ import PARTS, Model, main, parts_of
from benchmarks.likelihood.calibration import ENOUGH, Calibration, Repeats
from benchmarks.likelihood.cases import CASES, EXAMPLES, MADE, MNIST, Case
from benchmarks.likelihood.comparison import Comparison, Example, Method, Timed
from benchmarks.likelihood.cost import UNREFINED, Cost, Turns
from tests.helpers.oracles import LinearGaussian
from tfp_vae.core.seeds import Purpose, Seed, seed_for
from tfp_vae.evaluation.importance import Estimates, estimate
from tfp_vae.evaluation.proposals import REFINEMENTS

ROOT = Path(__file__).parents[2]


def estimates_of(values: np.ndarray, spread: float = 0.1, ess: float = 50.0) -> Estimates:
    """Return estimates with these values of log p(x), [N], and otherwise equal columns."""
    same = {name: np.ones_like(values) for name in Estimates._fields}
    given = {"log_likelihood": values, "spread": np.full_like(values, spread), "ess": np.full_like(values, ess)}
    return Estimates(**(same | given))


def example(value: float, error: float = 0.1, ess: float = math.nan, seconds: float = 1.0) -> Example:
    return Example(value, error, ess, 2 * seconds, seconds)


def repeats_of(scales: np.ndarray, reported: np.ndarray, seeds: int = 20) -> Repeats:
    """Return Normal estimates around 0 with these spreads [N], and 90% intervals that use the reported ones."""
    values = np.random.default_rng(0).normal(0, scales, (seeds, len(scales)))
    spreads = np.broadcast_to(reported, values.shape)
    return Repeats(values, spreads, values - 1.645 * spreads, values + 1.645 * spreads)


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0])
def test_ratio_finds_errors_that_are_too_small_or_too_large(factor: float) -> None:
    scales = np.linspace(0.1, 0.5, 200)
    spread, error, ratio_error = calibration.spread_over_error(repeats_of(scales, factor * scales))
    assert error == pytest.approx(factor * np.sqrt(np.sum(scales**2)) / 200)
    assert abs(spread / error - 1 / factor) < 4 * ratio_error
    assert ratio_error < 0.05 / factor


def test_error_of_the_ratio_is_its_spread_over_experiments() -> None:
    scales, draw = np.linspace(0.1, 0.5, 60), np.random.default_rng(1)
    found = []
    for _ in range(100):
        values = draw.normal(0, scales, (10, 60))
        spreads = np.broadcast_to(scales, values.shape)
        spread, error, ratio_error = calibration.spread_over_error(Repeats(values, spreads, values, values), 100)
        found.append((spread / error, ratio_error))
    ratios, errors = np.array(found).T
    assert 0.75 < errors.mean() / ratios.std(ddof=1) < 1.3


def test_intervals_of_exact_errors_cover_the_truth() -> None:
    scales = np.linspace(0.1, 0.5, 200)
    found = calibration.calibrate(UNREFINED, repeats_of(scales, scales), 0.0, np.zeros(200))
    assert (found.seeds, found.examples, found.cases, found.unknown) == (20, 200, 4_000, 0)
    assert found.coverage == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 4_000))
    assert abs(found.shortfall) < 4 * found.spread / np.sqrt(20)


def test_unknown_intervals_and_references_do_not_count() -> None:
    values = np.zeros([2, 3])
    low = np.array([[-1.0, np.nan, -1.0], [1.0, -1.0, -1.0]])
    repeats = Repeats(values, np.ones([2, 3]), low, np.where(np.isnan(low), np.nan, 2.0))
    truth = calibration.truth_of([example(0.5, ess=ENOUGH), example(0.5, ess=ENOUGH), example(0.5, ess=ENOUGH - 1)])
    np.testing.assert_array_equal(np.isnan(truth), [False, False, True])
    found = calibration.calibrate(UNREFINED, repeats, 0.25, truth)
    assert (found.cases, found.covered, found.bias) == (3, 2, 0.25)
    assert found.unknown == pytest.approx(1 / 6)
    assert found.shortfall == pytest.approx(0.5)
    nothing = calibration.calibrate(UNREFINED, repeats, 0.25, np.array([0.0, np.nan, np.nan]))._replace(cases=0)
    assert math.isnan(nothing.coverage)


@pytest.mark.parametrize(("shift", "agrees"), [(0.0, True), (-0.15, True), (-0.3, False), (5.0, True)])
def test_estimate_agrees_with_annealing_unless_it_is_clearly_lower(shift: float, agrees: bool) -> None:
    annealed = [example(value, error=0.2) for value in (-3.0, -4.0, -5.0, -6.0)]
    timed = Timed(estimates_of(np.array([-3.0, -4.0, -5.0, -6.0]) + shift, 0.1), 1.0, 2.0, 3.0)
    row = comparison.compare(timed, Method("local", 200), annealed)
    assert (row.method, row.cpu_seconds, row.seconds, row.compile_seconds) == ("local, K = 200", 1, 2, 3)
    assert row.above == pytest.approx(shift)
    assert row.error == pytest.approx(0.05)
    assert row.above_error == pytest.approx(np.hypot(0.05, 0.1))
    assert row.agrees is agrees


def test_rows_of_much_effort_hold_its_mean_its_time_and_the_difference_from_annealing() -> None:
    annealed = [example(value, error=0.2) for value in (-3.0, -4.0, -5.0, -6.0)]
    last = comparison.effort_row("annealing", annealed)
    assert (last.method, last.mean, last.error, last.cpu_seconds) == ("annealing", -4.5, 0.1, 8)
    assert math.isnan(last.above)
    referred = comparison.effort_row("reference", [example(-4.0, error=0.1)] * 4, annealed)
    assert (referred.above, referred.above_error) == pytest.approx((0.5, np.hypot(0.05, 0.1)))
    assert referred.agrees


def test_methods_are_the_refinements_and_the_unrefined_one_takes_more_samples() -> None:
    methods = comparison.methods()
    assert [method.refine for method in methods] == list(REFINEMENTS)
    assert [method.iw_samples for method in methods if method.refine != "none"] == [200] * (len(methods) - 1)
    assert dict(methods)["none"] == 1_000


def test_times_compare_an_unrefined_method_with_refined_ones_of_fewer_samples() -> None:
    unrefined, *refined = cost.methods()
    assert (unrefined, unrefined.iw_samples) == (UNREFINED, 5_000)
    assert {method.iw_samples for method in refined} == {200}
    assert {"laplace", "local"} <= {method.refine for method in refined}


def test_a_first_batch_compiles_outside_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimator takes 7 s for its first call and 1 s for each example after it."""
    sizes, now = [], iter([0.0, 7.0, 10.0, 15.0])

    def estimator(x: np.ndarray, seed: tuple[int, int]) -> Estimates:
        assert seed == (0, 3)
        sizes.append(len(x))
        return estimates_of(x)

    monkeypatch.setattr(
        comparison, "Estimator", lambda *_, **settings: estimator if settings["refine"] == "local" else None
    )
    monkeypatch.setattr(comparison.time, "perf_counter", lambda: next(now))
    timed = comparison.estimate_in_time(
        LinearGaussian("float64").vae(), np.arange(5.0), Method("local", 100), seed=(0, 3), batch_size=2
    )
    assert sizes == [2, 5]
    assert (timed.compile_seconds, timed.seconds) == (7, 5)
    np.testing.assert_array_equal(timed.estimates.log_likelihood, np.arange(5.0))


def test_turns_give_the_estimates_of_one_call_and_their_times() -> None:
    model = LinearGaussian("float64")
    vae, x, method = model.vae(shift=0.3), model.data(6), Method("none", 50)
    turns = cost.take_turns(vae, x, [method], block=2, execution="graph")[method]
    whole = estimate(
        vae, x, iw_samples=50, seed=seed_for(0, Purpose.EVALUATION), batch_size=2, execution="graph"
    ).log_likelihood
    np.testing.assert_allclose(turns.estimates.log_likelihood, whole)
    assert turns.times.shape == (3, 2)
    assert (turns.times > 0).all()


def test_costs_are_shares_of_the_unrefined_time_of_each_turn() -> None:
    values, method = np.array([-1.0, -2.0, -3.0, -4.0]), Method("local", 200)
    turns = {
        UNREFINED: Turns(estimates_of(values), np.array([[4.0, 8.0], [10.0, 20.0]])),
        method: Turns(estimates_of(values + 0.5, ess=5.0), np.array([[1.0, 2.0], [1.0, 2.0]])),
    }
    base, refined, annealed = cost.costs(turns, [example(-1.5, seconds=7.0), example(-2.5, seconds=7.0)])
    assert (base.images, base.unknown, base.share) == (4, 0, (1, 1, 1))
    assert (base.above, refined.above) == pytest.approx((0.5, 1.0))
    assert (refined.cpu_seconds, refined.seconds, refined.unknown) == (2, 4, 1)
    assert refined.share == pytest.approx((0.1375, 0.175, 0.2125))
    assert (annealed.images, annealed.mean, annealed.cpu_seconds) == (2, -2, 28)
    assert annealed.method == "annealing, 1,000 steps, 8 chains"
    assert annealed.share[1] == pytest.approx(14 / 3.5)


def test_eight_cases_differ_in_data_families_and_dimension() -> None:
    assert len({case.name for case in CASES}) == len(CASES) == 8
    assert MNIST in {case.name for case in CASES}
    assert {case.source for case in CASES} == {*MADE, "digits", "mnist", "binarized-mnist"}
    assert len({case.posterior for case in CASES}) == 4
    assert {case.likelihood for case in CASES} == {"bernoulli", "normal", "negative-binomial"}
    assert (min(case.latent_dim for case in CASES), max(case.latent_dim for case in CASES)) == (2, 100)
    assert EXAMPLES * len(CASES) >= 400


def test_examples_of_a_case_are_random_rows_and_fewer_are_the_first_of_more() -> None:
    case = next(case for case in CASES if case.source == "digit counts")
    vae = LinearGaussian("float64").vae()
    few, many = (case.examples(count, None, vae) for count in (5, 500))
    np.testing.assert_array_equal(few, many[:5])
    assert len(many) == len(case.data(None).test)
    np.testing.assert_array_equal(np.unique(many), np.arange(17))


def results() -> dict[str, dict[str, list[dict[str, object]]]]:
    """Return results of every part for each case, as the file holds them."""
    compared = Comparison("local, K = 200", -90.5, 0.01, 0.002, 0.1, -0.4, 0.1, 3.0, 5.0, 9.0)
    calibrated = Calibration("local, K = 200", 20, 64, 0.011, 0.01, 0.05, 0.02, 0.03, 0.25, 100, 91)
    rows = {
        "anneal": [example(-90.1)],
        "refer": [example(-90.0, ess=900.0)],
        "compare": [compared],
        "calibrate": [calibrated],
        "anneal-images": [example(-90.2)] * cost.IMAGES,
        "cost": [Cost("local, K = 200", 500, -90.5, 0.01, 0.1, -0.01, 0.02, 30.0, 50.0, (0.1, 0.19, 0.25))],
    }
    assert rows.keys() == PARTS.keys()
    return {
        part: {case.name: [row._asdict() for row in found] for case in CASES if part in parts_of(case, PARTS)}
        for part, found in rows.items()
    }


def test_tables_show_figures_of_every_case_and_the_coverage_of_all() -> None:
    text = document.markdown(json.loads(json.dumps(results()))).replace("\u2212", "-")
    lines = text.splitlines()
    assert "| local, K = 200 | 500 | -90.50 | 0.010 | 10% | -0.01 ± 0.02 | 30 | 50 | 0.19 (0.10 to 0.25) |" in lines
    assert "| digits full | digits | 10 | full-covariance-normal | bernoulli | 150 | 500 steps, 8 chains |" in lines
    head = lines.index("**Estimates and annealing**") + 4
    first, referred, annealed = lines[head : head + 3]
    assert first.endswith("| local, K = 200 | -90.50 | 0.010 | 0.002 | 10% | -0.40 ± 0.10 | 3.0 | **no** |")
    assert referred == "|  | reference: mixture, K = 20,000 | -90.00 | 0.100 | - | - | 0.10 ± 0.14 | 2.0 | yes |"
    assert annealed == "|  | annealing | -90.10 | 0.100 | - | - |  | 2.0 |  |"
    assert "| table | local, K = 200 | 0.0110 | 1.10 ± 0.05 | 0.020 | 0.030 | 25% | 100 | 91% |" in lines
    assert "| **all** | all |  |  |  |  |  | 800 | 91% |" in lines
    assert sum(line.startswith("**Time on") for line in lines) == 1


def test_tables_leave_out_models_that_were_not_measured() -> None:
    part = {name: {"table": rows["table"]} for name, rows in results().items() if "table" in rows}
    text = document.markdown(part)
    assert "| table | breast cancer |" in text
    assert "digits" not in text
    assert "Time on" not in text
    assert "| **all** | all |  |  |  |  |  | 100 | 91% |" in text


def test_document_replaces_the_text_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}old\n{document.END}after\n")
    for _ in range(2):
        document.write(results(), page)
        before, text, after = page.read_text().replace(document.END, document.BEGIN).split(document.BEGIN)
        assert (before, after) == ("before\n", "after\n")
        assert text == document.markdown(results())


def test_page_has_the_marks_once() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert text.count(document.BEGIN) == text.count(document.END) == 1


def test_a_run_measures_only_the_parts_that_its_file_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One case lacks its calibration. Neither its other parts nor other cases are measured again."""
    out, given, case = tmp_path / "found.json", results(), CASES[3]
    (removed,) = given["calibrate"].pop(case.name)
    out.write_text(json.dumps(given))
    asked = []

    def calibrate(model: Model) -> list[Calibration]:
        asked.append((model.case.name, model.seeds, model.examples("refer")[0].value))
        return [Calibration(**{**removed, "seeds": model.seeds})]  # type: ignore[arg-type]

    monkeypatch.setattr(Case, "vae", lambda *_: None)
    monkeypatch.setattr(Case, "examples", lambda *_: np.zeros([500, 2]))
    monkeypatch.setitem(PARTS, "calibrate", calibrate)
    for _ in range(2):
        result = CliRunner().invoke(main, ["--out", str(out), "--seeds", "7"])
        assert result.exit_code == 0, result.output
        assert asked == [(case.name, 7, -90.0)]
    assert json.loads(out.read_text())["calibrate"][case.name] == [{**removed, "seeds": 7}]
    assert f"{case.name}: finished calibrate" not in result.output


def test_interrupted_annealing_of_images_goes_on_after_the_last_finished_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third block of images is interrupted. The second run anneals it and those after it, with their own seeds."""
    out, given = tmp_path / "found.json", results()
    del given["anneal-images"], given["cost"]
    out.write_text(json.dumps(given))
    calls: list[tuple[float, tuple[int, ...]]] = []

    def anneal(vae: None, x: np.ndarray, *, seed: Seed, **settings: object) -> list[Example]:
        if len(calls) == 2 and settings["steps"] == cost.STEPS and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        calls.append((x[0, 0], tuple(np.asarray(seed).tolist())))
        return [example(value) for value in x[:, 0].tolist()]

    interrupted: list[bool] = []
    monkeypatch.setattr(Case, "vae", lambda *_: None)
    monkeypatch.setattr(Case, "examples", lambda *_: np.arange(2.0 * cost.IMAGES).reshape(-1, 2))
    monkeypatch.setattr(comparison, "anneal", anneal)
    arguments = ["--out", str(out), "--part", "anneal-images"]
    assert CliRunner().invoke(main, arguments).exit_code == 1
    assert len(json.loads(out.read_text())["anneal-images"][MNIST]) == 2 * cost.BLOCK
    assert CliRunner().invoke(main, arguments).exit_code == 0
    found = json.loads(out.read_text())["anneal-images"][MNIST]
    assert [row["value"] for row in found] == list(range(0, 2 * cost.IMAGES, 2))
    assert [first for first, _ in calls] == list(range(0, 2 * cost.IMAGES, 2 * cost.BLOCK))
    assert len({seed for _, seed in calls}) == len(calls)


def test_parts_are_measured_after_those_that_they_need_and_only_mnist_has_a_cost() -> None:
    assert parts_of(CASES[0], ["compare", "calibrate"]) == ["anneal", "refer", "compare", "calibrate"]
    assert parts_of(CASES[0], ["cost"]) == []
    assert parts_of(CASES[3], ["cost"]) == ["anneal-images", "cost"]
    assert parts_of(CASES[3], PARTS) == list(PARTS)


def test_refuses_an_unknown_case() -> None:
    result = CliRunner().invoke(main, ["--case", "digits 3"])
    assert result.exit_code == 2
    assert "digits 2" in result.output


@pytest.mark.slow
def test_parts_agree_with_the_evidence_of_a_linear_model() -> None:
    model = LinearGaussian("float64")
    x = model.data(8)
    case = Case("linear", "none", 3, 0, annealing=(50, 8))
    given = Model(case, model.vae(shift=0.5, widen=1.5), x, 3, {})
    for part in ("anneal", "refer", "compare", "calibrate"):
        given.results[part] = {given.case.name: [row._asdict() for row in PARTS[part](given)]}
    evidence = model.log_evidence(x)
    for part in ("anneal", "refer"):
        found = given.examples(part)
        values, errors = (np.array([getattr(each, name) for each in found]) for name in ("value", "error"))
        assert np.all(np.abs(values - evidence) < 5 * errors + 0.01)
    for row in given.results["compare"][given.case.name]:
        assert abs(row["mean"] - evidence.mean()) < 5 * row["error"] + 0.01
    assert [row["examples"] for row in given.results["calibrate"][given.case.name]] == [8] * len(REFINEMENTS)
