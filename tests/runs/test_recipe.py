"""Recipes: the choices for each kind of data, plans of runs, and new data for a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from tests.helpers.files import PIXELS, as_folder, as_npy, dataset, encoded, write_table
from tests.helpers.files import write as write_images
from tests.helpers.runs import small_model, small_training
from tfp_vae.core import registry
from tfp_vae.core.errors import UsageError
from tfp_vae.core.supports import BINARY, REAL, UNIT, Support, levels
from tfp_vae.data.dataset import SPLITS, Dataset, Origin, Split
from tfp_vae.data.loading import load, read
from tfp_vae.data.profile import Profile, array_facts, profile_arrays
from tfp_vae.data.readers.sources import Reading
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS, needs_images
from tfp_vae.runs import recipe
from tfp_vae.runs.config import SETTINGS, ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.examples import new_examples
from tfp_vae.runs.recipe import (
    NUMBERS_LIKELIHOOD,
    OPEN,
    OPEN_TRAINING,
    RARE_LIKELIHOOD,
    SUITABLE,
    Note,
    advise,
    choose,
    inspect,
    likelihoods_that_fit,
    plan,
    reload,
    still_open,
    suit,
)

COUNT_LIKELIHOODS = ("poisson", "negative-binomial", "inflated-negative-binomial")


class Reads(np.ndarray):
    """An array that counts how many of its values are read. Slices and results are plain arrays."""

    count = 0

    def __getitem__(self, key: object) -> object:
        found = np.asarray(self)[key]  # type: ignore[index]
        Reads.count += np.size(found)
        return found

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **more: object) -> object:
        Reads.count += sum(each.size for each in inputs if isinstance(each, Reads))
        plain = [np.asarray(each) if isinstance(each, Reads) else each for each in inputs]
        return getattr(ufunc, method)(*plain, **more)

    def __array_function__(
        self, function: Callable[..., object], types: object, args: object, kwargs: object
    ) -> object:
        Reads.count += 0 if function is np.may_share_memory else self.size
        return super().__array_function__(function, types, args, kwargs)  # type: ignore[arg-type]

    def astype(self, *args: object, **more: object) -> np.ndarray:
        Reads.count += self.size
        return np.asarray(self).astype(*args, **more)  # type: ignore[arg-type,call-overload,no-any-return]


SOURCES = {
    "pixels": PIXELS.repeat(40, axis=0)[..., None],
    "counts": np.random.default_rng(0).integers(0, 900, (2_000, 12)),
    "values in [0, 1]": np.random.default_rng(0).random((2_000, 4, 5, 1)),
    "binary vectors": (np.random.default_rng(0).random((2_000, 12)) > 0.5).astype(np.float32),
}


@pytest.mark.parametrize("name", list(SOURCES))
@pytest.mark.parametrize("open_choices", [OPEN, ()], ids=["open", "set"])
def test_planning_reads_the_data_at_most_twice(
    name: str, open_choices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = dataset(SOURCES[name].view(Reads))
    monkeypatch.setattr(recipe, "read", lambda *args, **more: raw)
    monkeypatch.setattr(Reads, "count", 0)
    model = small_model(likelihood="poisson" if name == "counts" else "normal")
    plan("/some.npy", None, None, model, small_training(), open_choices=open_choices)
    values = sum(x.size for x in raw.parts)
    assert Reads.count >= values
    assert Reads.count <= 2.05 * values  # single examples are read to find their type


def test_an_empty_split_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    raw = Dataset("some", "", Split(x[:15]), Split(x[:0]), Split(x[15:]), origin=Origin("digits"))
    monkeypatch.setattr(recipe, "read", lambda *args, **more: raw)
    config, _ = plan("digits", None, None, small_model(likelihood="normal"), small_training())
    assert config.data.splits == {"train": 15, "test": 5}


def test_standardization_reads_only_the_training_data_again(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(2_000, 12))
    raw = Dataset("some", "", Split(x[:1_000].view(Reads)), Split(x[1_000:].view(Reads)), Split(x[1_000:].view(Reads)))
    monkeypatch.setattr(recipe, "read", lambda *args, **more: raw)
    counts = []
    for scaling in ("none", "standard"):
        vars(raw).pop("profile", None)
        Reads.count = 0
        plan("/some.npy", None, None, small_model(), small_training(), scaling=scaling, open_choices=OPEN)
        counts.append(Reads.count)
    assert 0 < counts[1] - counts[0] <= 5 * 1_000 * 12  # for NumPy's mean, standard deviation, minimum and maximum


STAGES = (
    "runs.recipe",
    "data.loading",
    "data.doubts",
    "data.downloads",
    "data.named",
    "data.readers.sources",
    "data.readers.roles",
    "data.readers.arrays",
    "data.splits",
    "data.transforms.binarization",
    "data.transforms.dequantization",
    "data.transforms.scaling",
    "data.dataset",
    "data.profile",
)
"""The modules that planning visits. A module may call those below it, but none above."""


def visits_of(call: Callable[[], object]) -> list[tuple[str, str]]:
    """Return the calls of functions that cross from one module of `tfp_vae.data` or `recipe` into another.

    A visit is the call of a function that a reader has to look up in another module. Methods of records that are passed
    on, such as `Dataset.sizes`, do not count.
    """
    visits = []

    def stage(frame: FrameType | None) -> str:
        name = "" if frame is None else str(frame.f_globals.get("__name__", ""))
        return name.removeprefix("tfp_vae.") if name.startswith(("tfp_vae.data.", "tfp_vae.runs.recipe")) else ""

    def record(frame: FrameType, event: str, _: object) -> None:
        module, caller = stage(frame), frame.f_back
        if event != "call" or not module or "." in frame.f_code.co_qualname:
            return
        while caller is not None and not stage(caller):
            caller = caller.f_back
        if caller is not None and stage(caller) != module:
            visits.append((stage(caller), f"{module}:{frame.f_code.co_qualname}"))

    sys.setprofile(record)
    try:
        call()
    finally:
        sys.setprofile(None)
    return visits


@pytest.mark.skipif(sys.version_info < (3, 11), reason="qualified names of code are new in Python 3.11")
@pytest.mark.parametrize("open_choices", [OPEN, ()], ids=["open", "set"])
@pytest.mark.parametrize("name", ["digits", "pixels.npy", "reals.npy", "grey.npz"])
def test_planning_visits_at_most_ten_functions_and_never_returns_upwards(
    name: str, open_choices: tuple[str, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "pixels.npy", PIXELS)
    np.save(tmp_path / "reals.npy", np.random.default_rng(0).normal(size=(60, 5)))
    np.savez(tmp_path / "grey.npz", x=PIXELS / 255, y=np.arange(20))
    source = name if name == "digits" else str(tmp_path / name)
    model = small_model(likelihood="bernoulli" if name != "reals.npy" else "normal")

    def run() -> object:
        return plan(source, None, None, model, small_training(), open_choices=open_choices)

    run()  # imports modules
    visits = visits_of(run)
    assert 0 < len(visits) <= 10, visits
    for caller, callee in visits:
        assert STAGES.index(caller) < STAGES.index(callee.partition(":")[0]), (caller, callee)


def test_choice_is_a_pure_function_of_the_profile() -> None:
    facts = read("digits").profile
    first, second = choose(facts), choose(facts)
    assert (first.model, first.scaling, first.binarization, first.notes) == (
        second.model,
        second.scaling,
        second.binarization,
        second.notes,
    )


@pytest.mark.parametrize("setting", ["likelihood", "encoder", "decoder", "scaling", "binarization"])
def test_each_choice_has_a_note_with_the_setting_that_overrides_it(setting: str) -> None:
    facts = read("digits").profile
    recipe_notes = {note.setting: note for note in choose(facts).notes}
    assert f"Set `{setting}` to choose another" in recipe_notes[setting].text
    chosen = (
        {"scaling": "none"} if setting == "scaling" else {"binarization": "static"} if setting == "binarization" else {}
    )
    fewer = choose(facts, open_choices=[name for name in OPEN if name != setting], **chosen)  # type: ignore[arg-type]
    assert setting not in {note.setting for note in fewer.notes if not note.warns}


@pytest.mark.parametrize("values", [5, 2])
def test_warning_about_a_density_lists_likelihoods_with_a_probability(values: int, rng: np.random.Generator) -> None:
    profile = profile_arrays({"train": rng.integers(0, values, (500, 8))})
    (note,) = [note for note in choose(profile, ModelConfig(likelihood="normal"), open_choices=()).notes if note.warns]
    named = note.text.split("`likelihood` that has one: ")[1].removesuffix(".").split(", ")
    assert named == (["bernoulli"] if values == 2 else [*COUNT_LIKELIHOODS])
    for name in named:
        again = choose(profile, ModelConfig(likelihood=name), open_choices=())
        assert [each.text for each in again.notes if each.warns] == []


def test_choice_for_loaded_data_equals_that_of_a_plan() -> None:
    config, _ = plan("digits", None, None, ModelConfig(), TrainingConfig(), open_choices=OPEN)
    found = choose(load("digits").profile, scaling="none")
    assert found.model == config.model
    assert found.binarization == config.data.binarization


@pytest.mark.parametrize(
    ("values", "support", "advice"),
    [
        ([0.0, 0.5, 1.0], BINARY, "`binarization=dynamic`, static or threshold, or a `likelihood` that fits: "),
        (
            [0.0, 255.0, 7.5],
            BINARY,
            "`scaling=divided:by=255`, or a `likelihood` that fits: normal, laplace, student-t.",
        ),
        ([-1.0, 3.5], BINARY, "Choose a `likelihood` that fits: normal, laplace, student-t."),
        (
            [0.0, 3.0],
            UNIT,
            "a `likelihood` that fits: normal, laplace, student-t, poisson, negative-binomial, inflated-",
        ),
        ([i / 16 for i in range(17)], levels(4), "categorical:levels=17, ordinal:levels=17, discretized-"),
    ],
)
def test_advice_names_only_remedies_that_work(values: list[float], support: Support, advice: str) -> None:
    facts = profile_arrays({"train": np.array(values)[:, None]})
    assert advice in advise(facts, support)


@pytest.mark.parametrize(
    ("x", "fit"),
    [
        (
            [0.0, 1.0],
            {"bernoulli", "normal", "laplace", "student-t", "continuous-bernoulli", *COUNT_LIKELIHOODS},
        ),
        ([0.0, 5.0], {"normal", "laplace", "student-t", *COUNT_LIKELIHOODS}),
        ([-0.5, 5.0], {"normal", "laplace", "student-t"}),
    ],
)
def test_likelihoods_that_fit_follow_from_the_values(x: list[float], fit: set[str]) -> None:
    found = set(likelihoods_that_fit(profile_arrays({"train": np.array(x)[:, None]})))
    assert fit <= found
    assert found <= fit | {"categorical", "ordinal", "discretized-logistic", "discretized-logistic-mixture"}


def test_counts_reach_the_encoder_as_logarithms(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.random.default_rng(0).integers(0, 900, (40, 6)))
    asked = (str(tmp_path / "c.npy"), None, None)
    assert plan(*asked, ModelConfig(), TrainingConfig(), open_choices=OPEN)[0].model.encoder_input == "log1p"
    model = ModelConfig(encoder_input="values")
    assert plan(*asked, model, TrainingConfig(), open_choices=OPEN)[0].model.encoder_input == "values"


@pytest.mark.parametrize("option", ["encoder", "decoder"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_refuses_networks_for_images_on_vectors(option: str, name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS.reshape(20, -1))
    asked = (str(tmp_path / "a.npy"), None, None, ModelConfig(**{option: name}), TrainingConfig())
    if name == "mlp":
        assert plan(*asked, open_choices=["likelihood"])[0].model.encoder.name == "mlp"
        return
    with pytest.raises(
        UsageError, match=rf"^`{option}={name}` needs images, but the data are vectors of 20 values.*mlp"
    ):
        plan(*asked, open_choices=["likelihood"])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_with_an_image_shape_take_no_vectors(name: str) -> None:
    asked = (NETWORKS.member(name), (2,), 5)
    if needs_images(name):
        with pytest.raises(UsageError, match=r"expected a shape \[H, W, C\], found \[5\]"):
            NETWORKS.build(*asked, image_shape=(5,))
    else:
        assert NETWORKS.build(*asked, image_shape=(5,))(np.zeros((3, 2), np.float32)).shape == (3, 5)


REALS = np.random.default_rng(0).normal(size=(12, 48))
VALUES = {
    "binary values": (REALS > 0).astype(np.float32),
    "values in [0, 1]": (1 / (1 + np.exp(-REALS))).astype(np.float32),
    "counts": np.floor(np.exp(REALS)).astype(np.float32),
    "real values": REALS.astype(np.float32),
}
SHAPES = {"vectors": (48,), "grey images": (6, 8, 1), "colour images": (4, 4, 3)}


class TestChoices:
    """The settings that suit each kind of data."""

    @pytest.mark.parametrize("form", list(SHAPES))
    @pytest.mark.parametrize("values", list(VALUES))
    def test_suitable_likelihoods_take_the_data(self, form: str, values: str) -> None:
        data = dataset(VALUES[values].reshape(12, *SHAPES[form]))
        assert data.profile.kind[:2] == (form, values)
        picked = LIKELIHOODS.build(suit(data.profile)["likelihood"], data.event_shape)
        takes = UNIT if picked.support.contains(np.array([0.0, 1.0])).all() and values != "counts" else picked.support
        assert (REAL if values == "real values" else takes).contains(data.train.x).all()
        assert SUITABLE.keys() == set(VALUES)

    def test_rows_of_counts_get_a_size_factor_if_their_totals_vary(self, rng: np.random.Generator) -> None:
        sizes = np.exp(rng.normal(4, 0.5, 200))
        x = rng.poisson(sizes[:, np.newaxis], (200, 60)).astype(np.float32)
        logs = np.log(x.sum(axis=1, dtype=np.float64))
        recipe = choose(dataset(x).profile)
        assert recipe.model.likelihood.name == "size-factor-negative-binomial"
        found = recipe.model.likelihood.settings
        assert found == {"log_size": round(logs.mean(), 4), "size_scale": round(logs.std(), 4)}
        assert recipe.model.encoder_input == "log1p"
        note = next(note.text for note in recipe.notes if note.setting == "likelihood")
        assert f"standard deviation of their logarithm {logs.std():.2f}" in note
        assert "Set `likelihood` to choose another." in note
        assert "size-factor-poisson" in likelihoods_that_fit(dataset(x).profile)

    @pytest.mark.parametrize("reason", ["equal totals", "few columns", "an image", "real values", "chosen"])
    def test_other_data_have_no_size_factor(self, reason: str, rng: np.random.Generator) -> None:
        sizes = np.exp(rng.normal(4, 0.05 if reason == "equal totals" else 0.5, 200))
        x = rng.poisson(sizes[:, np.newaxis], (200, 60)).astype(np.float32)
        others = {"few columns": x[:, :20], "an image": x.reshape(200, 6, 10, 1), "real values": x + 0.5}
        model, opened = None, OPEN
        if reason == "chosen":
            model, opened = ModelConfig(likelihood="negative-binomial"), ("encoder", "decoder", "latent_dim")
        found = choose(dataset(others.get(reason, x)).profile, model, open_choices=opened).model.likelihood.name
        assert found == ("student-t" if reason == "real values" else "negative-binomial")

    @pytest.mark.parametrize(("rows", "batch"), [(12, 16), (600, 64), (5_000, 128)])
    def test_real_vectors_choose_their_training(self, rows: int, batch: int, rng: np.random.Generator) -> None:
        facts = dataset(rng.normal(size=(rows, 7)).astype(np.float32)).profile
        recipe = choose(facts, open_training=OPEN_TRAINING)
        expected = {"epochs": 150, "early_stopping": 20, "learning_rate": 3e-3, "batch_size": batch}
        assert recipe.training == expected
        assert recipe.model.likelihood == LIKELIHOODS.member("student-t:floor=0.1")
        assert recipe.model.latent_dim == 3
        assert expected.keys() < {note.setting for note in recipe.notes}
        assert choose(facts, open_training=["epochs"]).training == {"epochs": 150}
        alone = replace(facts, splits={"train": facts.train})
        assert "early_stopping" not in choose(alone, open_training=OPEN_TRAINING).training

    @pytest.mark.parametrize("other", ["", "holes", "words"])
    def test_complete_tables_of_real_values_are_trained_like_vectors_of_them(
        self, other: str, tmp_path: Path, rng: np.random.Generator
    ) -> None:
        lines = ["id,a,b"]
        for i, (a, b) in enumerate(rng.normal(size=(80, 2))):
            cell = {"": f"{b:.4f}", "holes": f"{b:.4f}" if i % 4 else "", "words": "cat" if b > 0 else "dog"}[other]
            lines.append(f"P{i:03},{a:.4f},{cell}")
        path = tmp_path / "t.csv"
        path.write_text("\n".join(lines))
        found = choose(read(str(path)).profile, open_training=OPEN_TRAINING)
        assert [column.name for column in found.profile.columns] == ["a", "b"]
        assert found.model.encoder == found.model.decoder
        if other:
            assert found.training == {}
            assert found.model.encoder == NETWORKS.member("mlp:hidden=32,32")
            return
        assert found.training == {"epochs": 150, "early_stopping": 20, "learning_rate": 3e-3, "batch_size": 16}
        assert found.model.encoder == NETWORKS.member("mlp:hidden=64,64")
        assert found.training.keys() | {"encoder", "decoder"} <= {note.setting for note in found.notes if note.value}

    def test_groups_far_apart_get_a_mixture_as_prior_unless_a_setting_keeps_the_usual_objective(
        self, rng: np.random.Generator
    ) -> None:
        x = 20.0 * rng.integers(2, size=(1_500, 1)) + rng.normal(size=(1_500, 3))
        facts = dataset(x).profile
        chosen = choose(facts, open_training=OPEN_TRAINING)
        assert str(chosen.model.prior) == "normal-mixture:components=10"
        assert str(chosen.training["objective"]) == "iwae:mc_samples=5"
        assert {"prior", "objective"} == {note.setting for note in chosen.notes if "far apart" in note.text}
        for training in (TrainingConfig(beta=0.5), TrainingConfig(objective="elbo:mc_samples=5")):
            assert "objective" not in still_open(OPEN_TRAINING, training)
        assert "objective" not in still_open(OPEN_TRAINING, TrainingConfig(), is_conditional=True)
        kept = [
            choose(facts),  # without a training, so its objective is not open
            choose(facts, open_choices=[name for name in OPEN if name != "prior"], open_training=OPEN_TRAINING),
            choose(facts, ModelConfig(posterior="real-nvp"), open_training=OPEN_TRAINING),
            choose(dataset(x[::2]).profile, open_training=OPEN_TRAINING),
            choose(dataset(x / 20 % 1).profile, open_training=OPEN_TRAINING),
        ]
        assert {recipe.model.prior.name for recipe in kept} == {"standard-normal"}
        assert not any("objective" in recipe.training for recipe in kept)

    @pytest.mark.parametrize(
        ("columns", "share", "likelihood", "latents"),
        [
            (40, 0.05, RARE_LIKELIHOOD, 32),
            (39, 0.05, NUMBERS_LIKELIHOOD, 10),
            (79, 0.3, NUMBERS_LIKELIHOOD, 10),
        ],
    )
    def test_rare_values_of_most_columns_are_no_outliers(
        self, columns: int, share: float, likelihood: str, latents: int, rng: np.random.Generator
    ) -> None:
        x = rng.normal(size=(200, 79))
        x[:, :columns] = np.where(np.arange(200)[:, np.newaxis] < 200 * share, 4.3, -0.2)
        recipe = choose(dataset(x).profile)
        assert recipe.model.likelihood == LIKELIHOODS.member(likelihood)
        assert recipe.model.latent_dim == latents
        assert any("one of them rare" in note.text for note in recipe.notes) == (likelihood == RARE_LIKELIHOOD)

    def test_other_data_keep_the_usual_training(self) -> None:
        for values in VALUES.keys() - {"real values"}:
            facts = dataset(VALUES[values].reshape(12, 48)).profile
            assert choose(facts, open_training=OPEN_TRAINING).training == {}

    def test_colours_of_8_bits_are_levels(self) -> None:
        x = (PIXELS[:12].reshape(12, -1)[:, :12] / np.float32(255)).reshape(12, 2, 2, 3)
        assert suit(dataset(x).profile)["likelihood"].name == "discretized-logistic"
        assert (
            suit(dataset(VALUES["values in [0, 1]"].reshape(12, 4, 4, 3)).profile)["likelihood"].name
            == "continuous-bernoulli"
        )

    @pytest.mark.parametrize(
        ("shape", "network"),
        [((28, 28, 1), "mlp"), ((32, 32, 1), "mlp"), ((33, 32, 1), "conv"), ((32, 32, 3), "conv"), ((4_000,), "mlp")],
    )
    def test_large_images_get_convolutions(self, shape: tuple[int, ...], network: str) -> None:
        assert suit(dataset(np.zeros((3, *shape), np.float32)).profile)["encoder"].name == network

    def test_grey_photos_are_levels_and_digits_are_binarized(self) -> None:
        photos = dataset(PIXELS[..., None])
        recipe_of = {name: choose(data.profile) for name, data in (("photos", photos), ("digits", read("digits")))}
        assert recipe_of["photos"].model.likelihood.name == "discretized-logistic"
        assert recipe_of["photos"].binarization.name == "none"
        assert recipe_of["digits"].model == ModelConfig()
        assert recipe_of["digits"].binarization.name == "dynamic"
        texts = [note.text for note in recipe_of["photos"].notes if note.setting == "likelihood"]
        assert "look like photos" in texts[0]

    def test_grey_photos_without_levels_get_a_density_of_grey(self) -> None:
        x = np.random.default_rng(0).random((70, 32, 32, 1))
        found = choose(dataset(x).profile)
        assert (found.model.likelihood.name, found.binarization.name) == ("continuous-bernoulli", "none")

    @pytest.mark.parametrize(
        ("examples", "shape", "latents", "network"),
        [
            (4, (7,), 2, "mlp:hidden=16,16"),
            (159, (48,), 2, "mlp:hidden=64,64"),
            (1_437, (8, 8, 1), 8, "mlp"),
            (60, (64, 40, 3), 32, "conv:channels=32,64,64,dense=16"),
            (5, (512, 512, 3), 32, "conv:channels=32,64,64,64,64,64,dense=16"),
            (1_024, (32, 32, 3), 32, "conv"),
        ],
    )
    def test_sizes_follow_from_the_number_and_the_size_of_examples(
        self, examples: int, shape: tuple[int, ...], latents: int, network: str
    ) -> None:
        ends = np.stack([np.full(shape, 0.01), np.full(shape, 0.99)])
        facts = replace(array_facts(ends), size=examples, at_ends=0)
        found = suit(Profile(shape, {"train": facts}, frozenset({ends.dtype})))
        assert found["latent_dim"] == latents
        assert found["encoder"] == found["decoder"] == NETWORKS.member(network)

    def test_treats_images_of_many_channels_as_colours(self) -> None:
        kind = dataset(np.full((3, 4, 4, 5), 0.25, np.float32)).profile.kind
        assert kind.form == "images of many channels"
        assert suit(dataset(np.zeros((3, 4, 4, 5), np.float32)).profile)["likelihood"].name == "bernoulli"

    def test_chooses_only_open_settings(self, tmp_path: Path) -> None:
        path = str(write_table(tmp_path / "t.csv"))
        reading, told = Reading(label_column="kind"), ModelConfig(likelihood="laplace")
        config, _ = plan(path, None, None, told, TrainingConfig(), reading=reading, open_choices=("encoder",))
        assert config.model.likelihood.name == "laplace"
        config, _ = plan(path, None, None, told, TrainingConfig(), reading=reading, open_choices=OPEN)
        assert config.model.likelihood.name == "student-t"
        assert config.data.scaling.name == "standard"


def test_only_a_new_run_warns_about_a_file_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    config, _ = plan("digits", None, None, small_model(), small_training())
    assert "write ./digits" in caplog.text
    caplog.clear()
    reload(config)
    assert not caplog.messages


def test_png_files_of_16_bits_equal_the_array_of_their_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = PIXELS.astype(np.uint16) * 257
    np.save(tmp_path / "a.npy", deep)
    folder = write_images(tmp_path / "deep", {f"{i:02}.png": encoded(x) for i, x in enumerate(deep)})
    (config, found), (_, expected) = (
        plan(str(path), None, None, ModelConfig(), TrainingConfig(), scaling="divided:by=65535")
        for path in (folder, tmp_path / "a.npy")
    )
    for x, y in zip(found.parts, expected.parts, strict=True):
        np.testing.assert_array_equal(x, y)
    new = new_examples(config, str(folder))
    assert config.data.deeper
    assert caplog.messages == []
    shallow = new_examples(config, str(as_folder(tmp_path)))
    assert shallow.x.shape == new.x.shape
    assert "8-bit values are divided by 65535, like the run's own, so they end at 0.0039" in caplog.text
    assert "multiply by 257 first" in caplog.text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_divides_new_pixels_of_8_bits_like_the_runs_own(
    dtype: type, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "trained.npy", PIXELS.astype(dtype))
    asked = (str(tmp_path / "trained.npy"), None, None, ModelConfig(likelihood="normal"), TrainingConfig())
    config, data = plan(*asked, scaling="divided:by=1000")
    assert config.data.deeper is False
    new = str(as_npy(tmp_path))
    found = new_examples(config, new).x
    np.testing.assert_array_equal(found[data.train.source_rows()], data.train.x)
    assert caplog.messages == []
    written = config.model_dump(mode="json")
    del written["data"]["deeper"]
    before = RunConfig.model_validate(written)
    assert before.identity() == config.identity()
    new_examples(before, new)
    assert caplog.messages == []


class TestInspect:
    """The description of a data set."""

    def test_description_of_the_digits(self) -> None:
        raw = read("digits")
        found = inspect(raw)
        assert found["trainable"]
        assert found["kind"] == "grey images of 8x8x1, values in [0, 1]"
        assert found["range"]["max"] == 1
        every = np.concatenate([getattr(raw, name).x for name in SPLITS])
        assert found["range"]["mean"] == pytest.approx(every.mean(), rel=1e-6)
        assert found["range"]["std"] == pytest.approx(every.std(), rel=1e-5)
        assert found["labels"]["classes"] == 10
        assert sum(sum(sizes.values()) for sizes in found["labels"]["examples"].values()) == 1797
        assert found["constant"] == 3
        assert found["likelihoods"] == likelihoods_that_fit(raw.profile)
        assert found["likelihoods_if_binarized"] == ["bernoulli"]
        assert found["picked"]["binarization"] == "dynamic"

    def test_reports_identical_examples(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=3).repeat(40).reshape(3, 40).T
        assert inspect(dataset(x))["lack"] == "all examples are identical, so there is nothing to learn"
        other = x.copy()
        other[-1, -1] += 1
        assert inspect(dataset(other))["lack"] is None
        found = inspect(Dataset("some", "", Split(x), Split(x[:5]), Split(other)))["lack"]
        assert found == "all 40 training examples are identical, so there is nothing to learn from them"
        constant = rng.normal(size=(40, 1)).repeat(5, axis=1)  # each example its own value
        assert inspect(dataset(constant))["lack"] is None

    def test_labels_keep_their_digits(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(20, 3)), np.float32([0.3, 1.5] * 10)
        found = inspect(Dataset("some", "", Split(x, y), Split(x[:4]), Split(x[4:8])))["labels"]
        assert found["examples"].keys() == {"0.3", "1.5"}

    @pytest.mark.parametrize(
        ("count", "said"), [(1, "there is only one training example"), (2, "2 training examples are too few"),
                            (9, "9 training examples are too few to learn"), (10, None)],
    )  # fmt: skip
    def test_reports_few_training_examples(self, count: int, said: str | None, rng: np.random.Generator) -> None:
        x = rng.normal(size=(count + 8, 3))
        found = inspect(Dataset("some", "", Split(x[8:]), Split(x[:4]), Split(x[4:8])))
        assert found["trainable"]
        assert found["lack"] is None if said is None else found["lack"].startswith(said)

    def test_counts_and_names_missing_values(self, tmp_path: Path, rng: np.random.Generator) -> None:
        x = rng.normal(size=(40, 3))
        x[[3, 3, 11], [0, 2, 1]] = np.nan, np.nan, np.inf
        np.savez(tmp_path / "a.npz", x_train=x, x_validation=x[20:], x_test=x[20:])
        found = inspect(read(str(tmp_path / "a.npz")))
        assert found["missing"] == {"values": 2, "examples": 1, "first": "train: row 3"}
        assert found["infinite"] == {"values": 1, "examples": 1, "first": "train: row 11"}
        assert found["trainable"] is False
        assert "found nan in row 3" in found["problem"]
        assert np.isfinite(list(found["range"].values())).all()
        assert "likelihoods" not in found

    def test_describes_data_without_any_number(self) -> None:
        found = inspect(dataset(np.full((9, 2), np.nan)))
        assert np.isnan(found["range"]["mean"])
        assert not found["trainable"]
        assert "found only missing or infinite values" in found["problem"]

    def test_likelihoods_that_fit_have_finite_densities(self) -> None:
        data = dataset(PIXELS[..., None])
        x = (PIXELS[..., None] / np.float32(255))[:2]
        for name in inspect(data)["likelihoods"]:
            settings = LIKELIHOODS[name].settings_from(LIKELIHOODS.member(name).settings, data.train.x / 255)
            likelihood = LIKELIHOODS.build(LIKELIHOODS.member({"name": name, **settings}), (4, 5, 1))
            p = likelihood(np.zeros((2, likelihood.params_size), np.float32))
            assert np.isfinite(p.log_prob(x)).all(), name

    @pytest.mark.parametrize(
        ("x", "unbounded", "likely"),
        [(np.arange(400) % 2, ["continuous-bernoulli", "normal", "laplace", "student-t"], ["bernoulli"]),
         (np.arange(400) % 17 / 16, ["normal", "laplace", "student-t"],
          ["categorical", "ordinal", "discretized-logistic", "discretized-logistic-mixture"]),
         (np.arange(400) % 9, ["normal", "laplace", "student-t"], [*COUNT_LIKELIHOODS]),
         (np.arange(400) % 3 - 1, ["normal", "laplace", "student-t"], []),
         (0.2 + np.arange(400) % 2 / np.pi, ["normal", "laplace", "student-t", "log-normal", "beta"], [])],
    )  # fmt: skip
    def test_lists_densities_without_upper_bound_on_few_values(
        self, x: np.ndarray, unbounded: list[str], likely: list[str]
    ) -> None:
        found = inspect(dataset(x.reshape(100, 4)))["few_values"]
        assert found == {"size": len(np.unique(x)), "likely": likely, "unbounded": unbounded}

    def test_pixels_of_few_levels_are_few_values_after_scaling(self) -> None:
        x = (85 * (np.arange(20 * 16).reshape(20, 4, 4, 1) % 4)).astype(np.uint8)
        assert inspect(dataset(x))["few_values"]["likely"][0] == "categorical"

    def test_many_values_or_few_examples_are_not_few_values(self, rng: np.random.Generator) -> None:
        many = (np.arange(66).repeat(10) // 2).reshape(66, 10)  # 33 values, each of them twenty times
        for x in (rng.normal(size=(10, 3)), many, PIXELS[..., None]):
            assert inspect(dataset(x))["few_values"] is None

    @pytest.mark.parametrize("scaling", ["none", "standard"])
    def test_scaling_can_be_set(self, scaling: str) -> None:
        assert inspect(dataset(PIXELS[..., None]), scaling)["picked"]["scaling"] == scaling


def test_levels_of_a_recorded_likelihood_are_counted_without_allowing_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        pytest.fail("a recorded likelihood allowed imports")

    likelihood, facts = LIKELIHOODS.member("discretized-logistic"), profile_arrays({"train": np.eye(3)})
    monkeypatch.setattr(registry, "allow_code", refuse)
    assert recipe.count_levels(likelihood, facts).name == "discretized-logistic"


def test_config_records_whether_images_are_ink(tmp_path: Path) -> None:
    photo = load_sample_image("china.jpg").mean(axis=2)[::4, ::4]
    crops = np.stack([photo[i : i + 8, i : i + 8] for i in range(60)]).astype(np.uint8)
    np.save(tmp_path / "photos.npy", crops)
    for name, ink in ((str(tmp_path / "photos.npy"), False), ("digits", True)):
        config, _ = plan(name, None, None, small_model(), small_training(), open_choices=("likelihood",))
        assert config.data.ink is ink
        changed = config.model_copy(update={"data": config.data.model_copy(update={"ink": None})})
        assert changed.identity() == config.identity()


def test_settings_for_reading_give_the_same_data_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(tmp_path / "a.npz", first=x[:40], second=x[40:50], third=x[50:])
    np.savetxt(tmp_path / "a.csv", x, delimiter=",")
    readings = {
        "a.npz": Reading(arrays="x_train=first,x_validation=second,x_test=third"),
        "a.csv": Reading(drop_columns="2"),
    }
    for name, reading in readings.items():
        model = small_model(likelihood="normal")
        config, _ = plan(str(tmp_path / name), None, None, model, small_training(), reading=reading, scaling="none")
        caplog.clear()
        assert reload(config).fingerprint() == config.data.fingerprint
        assert not caplog.messages  # because the run recorded its choices
        given = {key: value for key, value in config.settings().items() if key in Reading.model_fields}
        assert Reading(**given) == reading.model_copy(update={"header": config.data.reading.header})


def test_shares_of_splits_are_printed_recorded_and_used_again(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(60, 2)))
    notes, made = [], []
    for reading in (None, Reading(split_fractions=(0.5, 0.25, 0.25)), Reading(split_fractions=(0.8, 0.1, 0.1))):
        model, told = small_model(likelihood="normal"), list[Note]()
        config, _ = plan(
            str(tmp_path / "a.npy"), None, None, model, small_training(), reading=reading, notify=told.append
        )
        assert reload(RunConfig.model_validate_json(config.model_dump_json())).sizes() == config.data.splits
        notes.append([(note.value, note.text) for note in told if note.setting == "split_fractions"])
        made.append(config)
    text = "`split_fractions` is 0.8,0.1,0.1, because the data have no validation and test split. "
    assert notes == [[("0.8,0.1,0.1", f"{text}Set `split_fractions` to choose other shares.")], [], []]
    assert [tuple(each.data.splits.values()) for each in made] == [(48, 6, 6), (30, 15, 15), (48, 6, 6)]
    assert SETTINGS["split_fractions"].text(made[1].settings()["split_fractions"]) == "0.5,0.25,0.25"
    assert made[0].data.fingerprint == made[2].data.fingerprint != made[1].data.fingerprint
    assert "split_fractions" not in made[0].settings()


def test_named_data_sets_keep_their_splits() -> None:
    with pytest.raises(UsageError, match="`split_fractions` has no effect on the named data set digits"):
        read("digits", reading=Reading(split_fractions=(0.5, 0.25, 0.25)))
