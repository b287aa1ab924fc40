"""The table of settings agrees with its fields, and records refuse values beyond their limits."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest

from tests.helpers.runs import small_model
from tfp_vae.core.errors import RunError, UsageError
from tfp_vae.core.execution import AUTO, EXECUTIONS
from tfp_vae.core.registry import RECORDED, Member
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.schema import Column, Schema
from tfp_vae.runs.config import (
    GROUPS,
    SETTINGS,
    DataConfig,
    ModelConfig,
    Request,
    RunConfig,
    TrainingConfig,
    check_values,
    expand_shortcuts,
    read_settings,
)
from tfp_vae.training.callbacks import CALLBACKS

DATA = DataConfig(
    dataset="digits",
    event_shape=(8, 8, 1),
    split_rule="a tenth each",
    splits={"train": 80, "validation": 10, "test": 10},
    fingerprint="cdd7ad5e9de73761",
    binarization="dynamic",
    scaling="pixels",
    learned=(),
    pixels_over=1,
    deeper=False,
)
NUMBERS = [name for name, setting in SETTINGS.items() if setting.kind in (int, float)]


def run_config(**training: object) -> RunConfig:
    return RunConfig(data=DATA, model=ModelConfig(), training=TrainingConfig(**training))


class TestTable:
    """`SETTINGS` has one entry for each field, with all texts."""

    @pytest.mark.parametrize("record", [ModelConfig, TrainingConfig, Request])
    def test_every_field_has_an_entry(self, record: type[pydantic.BaseModel]) -> None:
        assert record.model_fields.keys() - SETTINGS.keys() <= {"encoder_input", "objects"}

    def test_keys_and_labels_are_unique(self) -> None:
        assert len({setting.key for setting in SETTINGS.values()}) == len(SETTINGS)
        assert len({setting.label for setting in SETTINGS.values()}) == len(SETTINGS)

    def test_texts_are_short_sentences(self) -> None:
        for name, setting in SETTINGS.items():
            assert setting.group in GROUPS, name
            assert setting.label[0].isupper(), name
            assert setting.help.endswith((".", "`.")), name
            assert "--" not in setting.help + setting.default, name
            assert setting.key.replace("-", "_") in (name, "json", "callback", "schema", "id")

    def test_a_member_field_has_the_table_that_checks_it(self) -> None:
        for name, setting in SETTINGS.items():
            members = setting.kind is Member or name == "callbacks"
            assert (setting.table is not None) == (members or name == "dataset"), name
            for member in setting.table or () if members else ():
                assert check_values({name: member}) == {name: member}

    def test_shortcuts_fill_a_key_of_members(self) -> None:
        filled = [(name, SETTINGS[each].table) for name, setting in SETTINGS.items() for each in setting.fills]
        for name, table in filled:
            assert any(name in table.info(member).defaults for member in table), name

    def test_groups_follow_the_help_page(self) -> None:
        order = [GROUPS.index(setting.group) for setting in SETTINGS.values()]
        assert order == sorted(order)
        assert set(order) == set(range(len(GROUPS)))

    def test_execution_lists_all_executions(self) -> None:
        assert SETTINGS["execution"].choices == (AUTO, *EXECUTIONS)


class TestLimits:
    """Numbers are accepted at their limits and refused beyond."""

    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_at_its_limits(self, name: str) -> None:
        limits = SETTINGS[name].limits
        assert limits
        for bound in ("ge", "le"):
            if bound in limits:
                never = name == "early_stopping" and limits[bound] == 0
                assert check_values({name: limits[bound]}) == {name: None if never else limits[bound]}

    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_beyond_its_limits(self, name: str) -> None:
        limits = SETTINGS[name].limits
        words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
        beyond = {"ge": -1, "gt": 0, "le": 1, "lt": 0}
        for bound, limit in limits.items():
            text = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
            with pytest.raises(UsageError, match=f"{name}: expected a number {words[bound]} {text}, found"):
                check_values({name: limit + beyond[bound]})

    @pytest.mark.parametrize("value", ["many", "", [3], {}, True, float("nan")])
    def test_anything_but_a_number(self, value: object) -> None:
        for name in NUMBERS:
            with pytest.raises(UsageError, match=f"^{name}: expected "):
                check_values({name: value})

    @pytest.mark.parametrize("name", [name for name in NUMBERS if SETTINGS[name].kind is int])
    def test_whole_numbers_refuse_fractions(self, name: str) -> None:
        with pytest.raises(UsageError, match=f"{name}: expected a whole number, found 1.5"):
            check_values({name: 1.5})

    @pytest.mark.parametrize("record", [ModelConfig, TrainingConfig, Request])
    def test_records_refuse_unknown_keys(self, record: type[pydantic.BaseModel]) -> None:
        with pytest.raises(UsageError, match=f"^{record.__name__} has no setting `nothing`.$"):
            record(nothing=1)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"event_shape": ()}, "at least 1"),
            ({"event_shape": (1, 2, 3, 4)}, "at most 3"),
            ({"event_shape": (0,)}, "`event_shape`: expected a number above 0, found 0"),
            ({"event_shape": (10**5, 10**5)}, "may have at most"),
            ({"dataset": "../digits"}, "absolute path"),
            ({"dataset": "/data/../digits.npy"}, "absolute path"),
            ({"data_dir": "data"}, "absolute path"),
            ({"splits": {"dev": 3}}, "'train', 'validation' or 'test'"),
            ({"splits": {"train": 0}}, "`splits.train`: expected a number above 0, found 0"),
        ],
    )
    def test_data_beyond_their_limits(self, values: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            DataConfig(**{**DATA.model_dump(), **values})


class TestCheckValues:
    """Values of a file or a call, checked by the fields."""

    @pytest.mark.parametrize(
        ("values", "checked"),
        [
            ({"batch-size": 10}, {"batch_size": 10}),
            ({"json": True}, {"as_json": True}),
            ({"hidden": "64,32"}, {"hidden": (64, 32)}),
            ({"hidden": [64, 32]}, {"hidden": (64, 32)}),
            ({"resize": "28"}, {"resize": (28, 28)}),
            ({"resize": [28, 32]}, {"resize": (28, 32)}),
            ({"columns": '"a, b",c'}, {"columns": ("a, b", "c")}),
            ({"learning_rate": 1}, {"learning_rate": 1.0}),
            ({"prior": "vamp:components=3"}, {"prior": "vamp:components=3"}),
            ({"prior": {"name": "vamp", "components": 3}}, {"prior": {"name": "vamp", "components": 3}}),
            ({"plots": False, "run_dir": "r"}, {"plots": False, "run_dir": "r"}),
        ],
    )
    def test_values_become_those_of_the_fields(self, values: dict[str, object], checked: dict[str, object]) -> None:
        assert check_values(values) == checked

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"epoch": 3}, r"unknown key 'epoch'. Did you mean 'epochs'\?"),
            ({"learnig-rate": 3}, r"unknown key 'learnig-rate'. Did you mean 'learning_rate'\?"),
            ({"colour_of_the_sky": 3}, "unknown key 'colour_of_the_sky'.$"),
            ({"encoder_input": "log1p"}, "unknown key"),
            ({"prior": "vam"}, r"unknown prior 'vam'.*Did you mean 'vamp'\?"),
            ({"prior": {"name": "vamp", "component": 3}}, r"Did you mean 'components'\?"),
            ({"prior": {"components": 3}}, "unknown prior ''"),
            ({"execution": "fast"}, "execution: expected 'auto', 'xla', 'graph' or 'eager', found 'fast'"),
            ({"plots": "maybe"}, "plots: expected true or false, found 'maybe'"),
            ({"dataset": 4}, "dataset: expected text, found 4"),
            ({"hidden": []}, "hidden: expected at least 1 of them"),
            ({"hidden": [8, 0]}, "hidden: expected a number above 0, found 0"),
            ({"columns": ""}, "columns: expected at least 1 of them"),
            ({"resize": "3x"}, "resize: expected a height and a width"),
            ({"resize": 0}, "resize: expected"),
        ],
    )
    def test_wrong_values(self, values: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            check_values(values)


class TestShortcuts:
    """`hidden` and `mc_samples` are written into the members that have such a key."""

    def test_hidden_goes_into_both_networks(self) -> None:
        _, model, _ = read_settings({"hidden": (8, 4)})
        assert model.encoder.settings["hidden"] == model.decoder.settings["hidden"] == (8, 4)

    def test_other_networks_keep_their_settings(self) -> None:
        _, model, _ = read_settings({"hidden": (8,), "encoder": "conv:dense=3"})
        assert model.encoder.settings["dense"] == (3,)
        assert model.decoder.settings["hidden"] == (8,)

    def test_a_key_of_a_member_wins_if_the_other_takes_the_shortcut(self) -> None:
        _, model, _ = read_settings({"hidden": (8,), "encoder": "mlp:hidden=5"})
        assert (model.encoder.settings["hidden"], model.decoder.settings["hidden"]) == ((5,), (8,))

    @pytest.mark.parametrize("objective", ["elbo", "iwae", {"name": "dreg"}])
    def test_mc_samples_go_into_the_objective(self, objective: object) -> None:
        _, _, training = read_settings({"mc_samples": 7, "objective": objective})
        assert training.objective.settings["mc_samples"] == 7

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"hidden": (8,), "encoder": "conv", "decoder": "conv"}, "`hidden` has no meaning for the network conv"),
            ({"mc_samples": 2, "objective": "elbo:mc_samples=3"}, "`mc_samples` and the key mc_samples of objective"),
            ({"hidden": (8,), "encoder": "mlp:hidden=5", "decoder": "mlp:hidden=5"}, "of decoder and encoder"),
            ({"mc_samples": 0}, "mc_samples: expected a number of at least 1, found 0"),
        ],
    )
    def test_contradictions(self, values: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            expand_shortcuts(values)

    def test_settings_without_shortcuts_do_not_change(self) -> None:
        values = {"encoder": "conv", "epochs": 3}
        assert expand_shortcuts(values) == values


class TestReadSettings:
    """Settings become three records, with defaults for the rest."""

    def test_defaults(self) -> None:
        assert read_settings({}) == (Request(), ModelConfig(), TrainingConfig())

    def test_values_go_to_their_records(self) -> None:
        request, model, training = read_settings({"dataset": "mnist", "latent_dim": 5, "epochs": 7, "channels": "grey"})
        assert (request.dataset, model.latent_dim, training.epochs) == ("mnist", 5, 7)
        assert request.reading().given() == {"channels"}

    def test_the_first_problem_is_an_error(self) -> None:
        with pytest.raises(UsageError, match=r"^`epochs`: expected a number of at least 1, found 0\.$"):
            read_settings({"epochs": 0})


def with_table(schema: Schema) -> RunConfig:
    """Return a config of data that were read as a mixed table."""
    config = run_config()
    reading = config.data.reading.model_copy(update={"table": schema})
    return config.model_copy(update={"data": config.data.model_copy(update={"reading": reading})})


class TestRunConfig:
    """The config of a run, its digest, and the settings that train it again."""

    def test_a_config_survives_json(self) -> None:
        config = run_config(objective="iwae:mc_samples=5", ema=0.9, clip_norm=3.0)
        assert RunConfig.model_validate_json(config.model_dump_json()) == config

    def test_the_digest_does_not_change(self) -> None:
        assert run_config().identity() == "1f2214fbb0bd8590"

    def test_the_digest_of_a_table_without_units_does_not_change(self) -> None:
        city = Column(name="city", kind="category", levels=("Bern", "Rome"))
        digests = [
            with_table(Schema(columns=(Column(name="age", kind="count", suffix=unit), city))).identity()
            for unit in ("", " years")
        ]
        assert digests[0] == "a107991fe1e55842"
        assert digests[1] != digests[0]

    @pytest.mark.parametrize("changes", [{"epochs": 7}, {"early_stopping": 3}])
    def test_the_end_of_training_does_not_change_the_digest(self, changes: dict[str, object]) -> None:
        assert run_config(**changes).identity() == run_config().identity()

    @pytest.mark.parametrize(
        "changes", [{"seed": 1}, {"ema": 0.9}, {"batch_size": 64}, {"optimizer": "sgd"}, {"execution": "graph"}]
    )
    def test_other_settings_change_the_digest(self, changes: dict[str, object]) -> None:
        assert run_config(**changes).identity() != run_config().identity()

    def test_the_input_of_the_encoder_changes_the_digest(self) -> None:
        model = small_model()
        config = run_config().model_copy(update={"model": model})
        other = config.model_copy(update={"model": model.model_copy(update={"encoder_input": "log1p"})})
        assert config.identity() != other.identity()

    def test_early_stopping_needs_validation_data(self) -> None:
        data = DATA.model_copy(update={"splits": {"train": 80, "test": 10}})
        with pytest.raises(UsageError, match=r"^`early_stopping` needs a validation split"):
            RunConfig(data=data, model=ModelConfig(), training=TrainingConfig(early_stopping=3))

    @pytest.mark.parametrize("name", ["beta", "kl_warmup_epochs", "free_bits"])
    def test_a_weight_of_the_rate_needs_an_objective_that_weighs_it(self, name: str) -> None:
        assert getattr(TrainingConfig(**{name: 2}), name) == 2
        with pytest.raises(UsageError, match=f"^`{name}` has no effect on the objective iwae"):
            TrainingConfig(objective="iwae", **{name: 2})

    @pytest.mark.parametrize(
        ("training", "examples", "steps"),
        [({}, 1280, 10), ({}, 1281, 11), ({"batch_size": 1}, 5, 5), ({"steps_per_epoch": 7}, 5, 7)],
    )
    def test_an_epoch_is_one_pass_by_default(self, training: dict[str, object], examples: int, steps: int) -> None:
        assert TrainingConfig(**training).steps(examples) == steps

    def test_settings_make_the_same_records(self) -> None:
        config = run_config(objective="iwae:mc_samples=5", clip_norm=3.0, execution="eager")
        request, model, training = read_settings(config.settings())
        assert (model, training) == (config.model, config.training)
        assert (request.dataset, request.binarization, request.scaling) == ("digits", DATA.binarization, DATA.scaling)

    def test_texts_of_settings_make_the_same_records(self) -> None:
        config = run_config(objective="iwae:mc_samples=5", clip_norm=3.0, execution="eager", lr_schedule="cosine")
        texts = {name: SETTINGS[name].text(value) for name, value in config.settings().items()}
        _, model, training = read_settings(texts)
        assert (model, training) == (config.model, config.training)

    def test_columns_and_scalings_that_the_data_decided_are_left_out(self) -> None:
        reading = Request(columns=("a", "b"), label_column="y").reading()
        data = DATA.model_copy(update={"reading": reading, "learned": ("columns", "scaling"), "event_shape": (2,)})
        scaling = Member("standard", {"loc": (1.0, 2.0), "scale": (3.0, 4.0)})
        data = data.model_copy(update={"scaling": scaling})
        assert data.request().keys() == {"dataset", "data_dir", "binarization", "scaling", "label_column"}
        assert SETTINGS["scaling"].text(data.request()["scaling"]) == "standard"
        kept = data.model_copy(update={"learned": ()}).request()
        assert SETTINGS["columns"].text(kept["columns"]) == "a,b"
        assert SETTINGS["scaling"].text(kept["scaling"]) == "standard:loc=1.0,2.0,scale=3.0,4.0"


@pytest.mark.parametrize(
    ("name", "value", "text", "line"),
    [
        ("epochs", 12_000, "12000", "12,000"),
        ("learning_rate", 1e-3, "0.001", "0.001"),
        ("early_stopping", 5, "5", "after 5 epochs without a better validation bound"),
        ("ema", 0.999, "0.999", "decay 0.999"),
        ("resize", (28, 32), "28x32", "28x32"),
        ("columns", ("a, b", "c"), '"a, b",c', '"a, b",c'),
        ("prior", Member("vamp", {"components": 3}), "vamp:components=3", "vamp: components=3"),
        ("prior", Member("standard-normal", {}), "standard-normal", "standard-normal"),
        ("encoder", Member("mlp", {"hidden": (8, 9), "flag": True}), "mlp:hidden=8,9,flag=true", None),
        ("plots", False, "false", "False"),
    ],
)
def test_values_as_options_and_in_reports(name: str, value: object, text: str, line: str | None) -> None:
    assert SETTINGS[name].text(value) == text
    assert line is None or SETTINGS[name].report(value) == line


@pytest.mark.parametrize("name", ["__main__:Recorder", "collections:Recorder", "no-such-callback", "os:system"])
def test_recorded_callbacks_need_no_code_to_be_read(name: str) -> None:
    """A callback of a notebook or of an uninstalled package changes no number, so its run stays readable."""
    written = run_config().model_dump(mode="json")
    written["training"]["callbacks"] = [{"name": name, "every": 3}]
    with pytest.raises(UsageError):
        RunConfig.model_validate(written)
    config = RunConfig.model_validate(written, context=RECORDED)
    assert config.training.callbacks == (Member(name, {"every": 3}),)
    assert config.model_dump(mode="json") == written
    with pytest.raises((UsageError, RunError, KeyError)):
        CALLBACKS.build(config.training.callbacks[0])


@pytest.mark.parametrize(("features", "shown"), [((), [[14.0, 26.0]]), (("a", "b"), [[2.0, 2.0]])])
def test_series_are_shown_in_their_units_and_tables_in_standard_deviations(
    features: tuple[str, ...], shown: list[list[float]]
) -> None:
    scaling = Member("standard", {"loc": (10.0, 20.0), "scale": (2.0, 3.0)})
    reading = Reading(columns=features or None)
    data = DATA.model_copy(update={"event_shape": (2,), "scaling": scaling, "reading": reading})
    x = np.full((1, 2), 2.0, np.float32)
    np.testing.assert_allclose(data.shown(x), shown)
    assert data.shown(np.stack([x, x, x])).shape == (3, 1, 2)


def test_pictures_of_a_table_name_its_features() -> None:
    table = {"event_shape": (2,), "reading": Reading(columns=("height", "mass")), "ink": False}
    assert DATA.model_copy(update=table).look == {"features": ("height", "mass"), "unit": False, "ink": False}
    assert DATA.look["features"] == ()


def test_images_that_are_not_standardized_are_shown_as_they_are() -> None:
    x = np.full((2, 8, 8, 1), 0.5, np.float32)
    assert DATA.shown(x) is x
