"""Dequantizations: noise on levels, its bound on their log-probability, and data that have no levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import tfp_vae as tv
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.execution import compile_function
from tfp_vae.core.supports import COUNTS, OPEN_UNIT, REAL, UNIT
from tfp_vae.data.dataset import SPLITS, Dataset
from tfp_vae.data.loading import load
from tfp_vae.data.profile import profile_arrays
from tfp_vae.data.transforms.binarization import Dynamic, Unchanged, prepare, transform_held_out
from tfp_vae.data.transforms.dequantization import Uniform, UniformNoise
from tfp_vae.model.likelihoods import Normal
from tfp_vae.runs.examples import new_examples, view
from tfp_vae.runs.recipe import choose, plan, reload

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), dtype=np.uint8)
PIXELS[:2] = [[[[0]]], [[[255]]]]
SCALINGS = ("none", "pixels", "divided:by=256", "divided:by=255", "standard")


def data(scaling: str | None = None, x: np.ndarray = PIXELS) -> Dataset:
    return load(x, scaling=scaling, dequantization="uniform")


def in_levels(dataset: Dataset, x: np.ndarray) -> np.ndarray:
    """Return scaled values in units of levels, by the inverse of the scaling alone."""
    scaling = tv.data.transforms.scaling.SCALINGS.build(dataset.scaling)
    return scaling.inverse(x) * (255 if dataset.scaling.name == "pixels" else 1)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_noise_lies_in_the_unit_interval_and_its_floor_gives_the_levels(scaling: str) -> None:
    dataset = data(scaling)
    noise, levels = dataset.noise, np.rint(in_levels(dataset, dataset.train.x))
    np.testing.assert_array_equal(levels, PIXELS[dataset.train.source_rows()])
    drawn = compile_function(lambda seed: noise.batch(dataset.train.x, seed), "graph")((0, 1)).numpy()
    for noisy in (drawn, transform_held_out(dataset.train, noise).x):
        found = in_levels(dataset, noisy)
        np.testing.assert_array_equal(np.floor(found), levels)
        np.testing.assert_array_equal(noise.floor(noisy), noise.floor(dataset.train.x))
        u = found - levels
        assert stats.kstest(u.ravel(), "uniform", args=(0, 1)).pvalue > 1e-3
        assert 0 < u.min() < u.max() < 1


@pytest.mark.parametrize("execution", ["graph", "xla"])
def test_batches_get_fresh_noise(execution: str) -> None:
    dataset = data()
    draw = compile_function(lambda seed: dataset.noise.batch(dataset.train.x, seed), execution)
    first, again, other = (draw(seed).numpy() for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_held_out_data_get_one_draw_that_all_runs_share() -> None:
    dataset = data()
    first, other = (prepare(dataset, Unchanged(), seed) for seed in (0, 1))
    np.testing.assert_array_equal(first.train.x, dataset.train.x)
    for name in ("validation", "test"):
        np.testing.assert_array_equal(first.splits[name].x, other.splits[name].x)
        assert (first.splits[name].x > dataset.splits[name].x).all()
        twice = transform_held_out(first.splits[name], dataset.noise)
        np.testing.assert_array_equal(twice.x, first.splits[name].x)
    assert prepare(first, Unchanged(), 0) is first
    assert first.fingerprint() == dataset.fingerprint() == load(PIXELS, scaling=dataset.scaling).fingerprint()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("scale", [0.004, 0.03, 0.5])
def test_mean_density_in_units_of_levels_bounds_their_log_probability(scaling: str, scale: float) -> None:
    dataset = data(scaling)
    x, noise, likelihood = dataset.train.x[2:3], dataset.noise, Normal((4, 4, 1), scale=scale)
    p = likelihood(np.ravel(x + 0.5 * scale).astype(np.float32))
    noisy = transform_held_out(replace(dataset.train, x=np.repeat(x, 2_000, 0)), noise).x
    found = p.log_prob(noisy).numpy() - dataset.train.log_scale
    unit = np.broadcast_to(in_levels(dataset, np.ones_like(x)) - in_levels(dataset, np.zeros_like(x)), x.shape)
    level = np.rint(in_levels(dataset, x))
    loc, spread = in_levels(dataset, x + 0.5 * scale), scale * unit
    bin_mass = stats.norm.cdf(level + 1, loc, spread) - stats.norm.cdf(level, loc, spread)
    exact = -np.log(spread * np.sqrt(2 * np.pi)) - ((level + 0.5 - loc) ** 2 + 1 / 12) / (2 * spread**2)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - exact.sum()) < 4 * error + 1e-3 * abs(exact.sum())
    assert exact.sum() < np.log(bin_mass).sum()


@pytest.mark.parametrize(
    ("x", "scaling", "step"),
    [
        (PIXELS, "none", 1),
        (PIXELS, "pixels", 1 / 255),
        (PIXELS.astype(np.float64), "standard", 1),
        (PIXELS.astype(np.uint16) * 257, "divided:by=65536", 1),
        (np.arange(60.0).reshape(20, 3) % 5 / 4, "none", 1 / 4),
        (np.arange(60.0).reshape(20, 3) % 2, "none", 1),
        (np.arange(-30, 30).reshape(20, 3), "none", 1),
    ],
)
def test_finds_the_distance_of_levels(x: np.ndarray, scaling: str, step: float) -> None:
    found = load(x, scaling=scaling, dequantization="uniform").dequantization
    assert found.settings["step"] == pytest.approx(step)


@pytest.mark.parametrize(
    ("x", "scaling"),
    [
        (PIXELS, "divided:by=256.0"),
        (PIXELS // 64, "divided:by=256.0"),  # 8-bit pixels end at 255, whatever the largest is
        (PIXELS // 128, "divided:by=2.0"),
        (PIXELS.astype(np.float64), "divided:by=256.0"),
        (np.arange(60).reshape(20, 3), "standard"),
        (np.arange(320.0).reshape(20, 4, 4) % 17 / 16, "divided:by=1.0625"),
        (np.arange(-160, 160).reshape(20, 4, 4), "standard"),
    ],
)
def test_usual_scaling_leaves_room_for_the_noise(x: np.ndarray, scaling: str) -> None:
    assert str(Uniform().usual_scaling(profile_arrays({"train": x}))) == scaling
    assert load(x, dequantization="uniform").scaling.name == scaling.split(":", maxsplit=1)[0]


def test_a_distance_of_your_own_is_kept() -> None:
    rows = np.round(np.random.default_rng(0).normal(36, 1, (40, 3)), 1)
    with pytest.raises(DataError, match=r"array, train split: expected values in whole numbers, found 3\d\.\d in row"):
        load(rows, dequantization="uniform")
    found = load(rows, dequantization="uniform:step=0.1")
    np.testing.assert_allclose(10 * rows[found.train.source_rows()], found.noise.levels(found.train.x), atol=1e-6)
    levels = load(rows.astype(np.float32) * 2, dequantization="uniform:step=0.2").noise.levels
    np.testing.assert_array_equal(levels(found.train.x), found.noise.levels(found.train.x))


@pytest.mark.parametrize("value", [0.5, 70_000.0])
def test_values_between_or_beyond_levels_raise_an_error(value: float) -> None:
    x = np.arange(60.0).reshape(20, 3)
    x[7, 1] = value
    with pytest.raises(DataError, match=rf"expected values in whole numbers, found {value:g} in row 7 .* Leave it out"):
        data("none", x)


def test_likelihoods_of_probabilities_are_refused() -> None:
    message = r"`dequantization` needs a density, but the likelihood has probabilities of \{0, 1, 2, \.\.\.\}\."
    with pytest.raises(UsageError, match=message):
        prepare(data("none"), Unchanged(), 0, support=COUNTS)


def test_binarization_is_refused() -> None:
    with pytest.raises(UsageError, match="`dequantization` and `binarization` cannot be combined"):
        prepare(data(), Dynamic(), 0)


@pytest.mark.parametrize("support", [UNIT, OPEN_UNIT, REAL])
def test_densities_that_hold_all_noisy_values_are_accepted(support: tv.core.supports.Support) -> None:
    assert prepare(data(), Unchanged(), 0, support=support).noise is not None


def test_densities_without_room_for_the_noise_are_refused() -> None:
    message = r"expected values in \[0, 1\] less one level, found 1 in row .* `scaling=divided:by=256`"
    with pytest.raises(DataError, match=message):
        prepare(data("pixels"), Unchanged(), 0, support=UNIT)


def test_no_noise_is_the_default() -> None:
    dataset = load(PIXELS)
    assert dataset.noise is None
    assert UniformNoise.find(None, None, (3,)) is None
    assert UniformNoise.find(dataset.dequantization, dataset.scaling, (4, 4, 1)) is None


@pytest.fixture
def file(tmp_path: Path) -> str:
    np.save(tmp_path / "pixels.npy", PIXELS)
    return str(tmp_path / "pixels.npy")


def planned(file: str, **more: object) -> tuple[tv.runs.RunConfig, Dataset]:
    model, training = tv.runs.ModelConfig(latent_dim=2), tv.runs.TrainingConfig(epochs=1)
    open_choices = ("likelihood", "encoder", "decoder")
    return plan(file, None, None, model, training, dequantization="uniform", open_choices=open_choices, **more)


def test_run_records_and_reloads_the_dequantization(file: str) -> None:
    config, dataset = planned(file)
    assert (config.model.likelihood.name, str(config.data.scaling)) == ("normal", "divided:by=256.0")
    assert config.data.binarization.name == "none"
    again = tv.runs.RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert str(again.data.request()["dequantization"]) == "uniform:step=1.0"
    for name in SPLITS:
        np.testing.assert_array_equal(reload(again).splits[name].x, dataset.splits[name].x)
    assert config.data.log_scale == dataset.train.log_scale == pytest.approx(16 * np.log(256))
    plain = config.model_copy(
        update={"data": config.data.model_copy(update={"dequantization": Dataset.dequantization})}
    )
    assert plain.identity() != config.identity()


def test_new_examples_of_a_run_get_noise_and_must_have_levels(file: str, tmp_path: Path) -> None:
    config, dataset = planned(file)
    seen = new_examples(config, file)
    np.save(tmp_path / "turned.npy", PIXELS[::-1])
    np.testing.assert_array_equal(new_examples(config, str(tmp_path / "turned.npy")).x, seen.x[::-1])
    np.testing.assert_array_equal(dataset.noise.levels(seen.x), PIXELS)
    assert view(config, seen).random
    np.save(tmp_path / "new.npy", PIXELS + 0.25)
    with pytest.raises(DataError, match=r"new\.npy: expected values in whole numbers, found 0\.25 in row 0"):
        new_examples(config, str(tmp_path / "new.npy"))


@pytest.mark.parametrize("scaling", [None, "pixels", "standard"])
def test_draws_come_back_as_whole_levels(scaling: str | None, file: str) -> None:
    config, dataset = planned(file, scaling=scaling)
    noisy = transform_held_out(dataset.train, dataset.noise).x
    np.testing.assert_array_equal(config.data.unscaled(dataset.noise.floor(noisy)), PIXELS[dataset.train.source_rows()])
    assert (config.data.unscaled(noisy) % 1 != 0).any()


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson", "categorical:levels=256"])
def test_run_with_probabilities_is_refused(likelihood: str, file: str) -> None:
    model, training = tv.runs.ModelConfig(likelihood=likelihood), tv.runs.TrainingConfig(epochs=1)
    with pytest.raises(UsageError, match="`dequantization` needs a density"):
        plan(file, None, None, model, training, dequantization="uniform")


def test_density_is_chosen_without_a_warning_about_few_values() -> None:
    profile = load("digits", scaling="none").profile
    assert any(note.warns for note in choose(profile, tv.runs.ModelConfig(likelihood="normal"), open_choices=()).notes)
    recipe = choose(profile, dequantization="uniform")
    assert recipe.model.likelihood.name == "normal"
    assert not any(note.warns for note in recipe.notes)
