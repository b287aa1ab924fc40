"""Tables of members: their syntax, and the errors for wrong names and settings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, final

import numpy as np
import pydantic
import pytest

import tfp_vae as tv
from tests.helpers.tables import TABLE
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import RECORDED, BaseRecord, Member, Positive, Table, allow_code, check_keywords, record
from tfp_vae.data.named import DATASETS
from tfp_vae.data.transforms.scaling import Divided
from tfp_vae.model.latent import Latent
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import NormalMixture, StandardNormal
from tfp_vae.objectives import ELBO, IWAE, OBJECTIVES, Weighted
from tfp_vae.runs.config import TABLES, TrainingConfig

if TYPE_CHECKING:
    from decimal import Decimal

EVERY = [(table, name) for table in (*TABLES.values(), DATASETS) for name in table]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("wide", {}),
        ("wide:rate=2", {"rate": 2.0}),
        ("wide:hidden=5,6,7,rate=2", {"hidden": (5, 6, 7), "rate": 2.0}),
        ("wide:kind=b,hidden=9", {"kind": "b", "hidden": (9,)}),
        ("wide:hidden=", {"hidden": ()}),
        (" wide : rate = 2 ", {"rate": 2.0}),
    ],
)
def test_syntax(text: str, settings: dict[str, object]) -> None:
    assert TABLE.member(text) == Member("wide", {"hidden": (3, 4), "rate": 0.5, "kind": "a", **settings})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("narrow", "unknown thing 'narrow'. Choose from wide"),
        ("", "unknown thing ''"),
        ("narrow:2", "unknown thing 'narrow'. Choose from wide"),
        ("narrow:rate=1,rate=2", "unknown thing 'narrow'. Choose from wide"),
        (":2", "unknown thing ''"),
        ("wide:depth=2", "depth: this key is unknown. Its keys: hidden, rate, kind"),
        ("wide:rate=-1", "rate: expected a number above 0, found '-1'"),
        ("wide:rate=fast", "rate: expected a number, found 'fast'"),
        ("wide:kind=c", "kind: expected 'a' or 'b', found 'c'"),
        ("wide:hidden=3,x", "hidden: expected a whole number, found 'x'"),
        ("wide:hidden=3,-2", "hidden: expected a number above 0, found '-2'"),
        ("wide:2", "expected key=value, found '2'"),
        ("wide:rate=1,rate=2", "rate is given twice"),
        ("wide:hidden=99999999999", "hidden: expected a number of at most 65,536, found '99999999999'"),
    ],
)
def test_errors_name_the_expected_value(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        TABLE.member(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


MEMBERS = [pytest.param(table, name, id=f"{table.kind}-{name}") for table, name in EVERY]


@pytest.mark.parametrize(("table", "name"), MEMBERS)
def test_every_member_has_a_description_and_survives_a_round_trip_through_text(table: Table, name: str) -> None:
    member = table.member(name)
    assert table.member(str(member)) == member
    assert table.member({"name": member.name, **member.settings}) == member
    assert table.member(member) == member
    info = table.info(name)
    assert info.name == name
    assert info.summary.endswith(".")
    assert info.defaults == member.settings


SETTINGS = [(table, name, key) for table, name in EVERY for key in table.info(name).defaults]
NUMBERS = [
    (table, name, key)
    for table, name, key in SETTINGS
    if not isinstance(table.info(name).defaults[key], str) or (name, key) == ("normal", "scale")
    if (name, key) != ("self-masking", "columns")  # names
]


def identified(cases: list[tuple[Table, str, str]]) -> list[str]:
    return [f"{table.kind}-{name}-{key}" for table, name, key in cases]


def refusal(table: Table, member: object) -> str:
    """Return what a table says of a member, or "nothing" if it takes it."""
    try:
        table.member(member)
    except UsageError as error:
        return str(error)
    return "nothing"


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "x", "-1e400"])
def test_every_setting_is_a_finite_number(value: str) -> None:
    number = value if value == "x" else float(value)
    for table, name, key in NUMBERS:
        for member in (f"{name}:{key}={value}", {"name": name, key: number}):
            assert f"{table.kind} {name}: {key}: expected " in refusal(table, member), member


UNITS = (TABLES["scalings"], TABLES["missingness"])
"""Tables whose settings are in the units of the data, which may be any."""

BOUNDED = [
    (table, name, key)
    for table, name, key in NUMBERS
    if table not in UNITS and name != "columns" and not isinstance(table.info(name).defaults[key], bool)
]


@pytest.mark.parametrize("value", [100_000_000_000_000, 1e300])
def test_every_setting_has_an_upper_limit(value: float) -> None:
    for table, name, key in BOUNDED:
        is_list = key == "hidden" or isinstance(table.info(name).defaults[key], tuple)
        setting = [value] if is_list else value
        assert re.search(r"at most|below|whole number", refusal(table, {"name": name, key: setting})), (name, key)


TUPLES = [case for case in BOUNDED if isinstance(case[0].info(case[1]).defaults[case[2]], tuple)]


@pytest.mark.parametrize(("table", "name", "key"), TUPLES, ids=identified(TUPLES))
def test_a_list_of_widths_has_a_longest_length(table: Table, name: str, key: str) -> None:
    with pytest.raises(UsageError, match="at most"):
        table.member(f"{name}:{key}={','.join(['1'] * 200)}")


OF_NETWORKS = [case for case in TUPLES if case[0].kind == "network"]


@pytest.mark.parametrize(("table", "name", "key"), OF_NETWORKS, ids=identified(OF_NETWORKS))
@pytest.mark.parametrize("shape", [(8, 8, 1), (2,)])
def test_an_empty_list_makes_a_network_or_an_error(table: Table, name: str, key: str, shape: tuple[int, ...]) -> None:
    text = f"{name}:{key}="
    if key in ("channels", "at"):
        with pytest.raises(UsageError, match=f"{key}: expected at least 1 of them, found none"):
            table.member(text)
    else:
        network = table.build(table.member(text), shape, 64, image_shape=(8, 8, 1))
        assert network(np.zeros((3, *shape), np.float32)).shape == (3, 64)


LARGEST = [
    "renyi:alpha=1001",
    "miwae:outer_samples=317",
    "miwae:inner_samples=100000",
    "iwae:mc_samples=100001",
]


@pytest.mark.parametrize("text", LARGEST)
def test_objectives_have_limits(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number of at most"):
        TABLES["objectives"].member(text)


@pytest.mark.parametrize(("table", "text"), [("priors", "vamp:components=100000000"), ("networks", "conv:channels=")])
def test_refuses_settings_of_impossible_networks_and_priors(table: str, text: str) -> None:
    with pytest.raises(
        UsageError, match=r"components: expected a number of at most|channels: expected at least 1 of them"
    ):
        TABLES[table].member(text)


def test_build_passes_context_and_settings() -> None:
    assert TABLE.build(TABLE.member("wide:rate=1"), 7) == "7 (3, 4) 1.0 a"


def test_a_setting_of_a_member_takes_precedence_over_context_of_its_name() -> None:
    @dataclasses.dataclass
    class Own:
        size: int
        dtype: str = dataclasses.field(default="int8", kw_only=True)

    table: Table[object] = Table("own", {"own": Own}, base=object, takes=("size",))
    assert table.build(table.member("own:dtype=int16"), 3, dtype="float64") == Own(3, dtype="int16")


def test_error_lists_every_type_that_a_setting_accepts() -> None:
    with pytest.raises(UsageError, match=r"scale: expected a number or 'shared' or 'per-element', found 'x'. Its keys"):
        TABLES["likelihoods"].member("normal:scale=x")
    with pytest.raises(UsageError, match=r"hidden: expected a whole number, found 'x'. Its keys"):
        TABLE.member("wide:hidden=3,x,-2")


@pytest.mark.parametrize("settings", ["depth=0,hidden=0", {"depth": 0, "hidden": [0]}])
def test_error_names_the_first_of_several_settings_with_one_wrong_value(settings: str | dict[str, object]) -> None:
    name = "inverse-autoregressive-flow"
    asked = f"{name}:{settings}" if isinstance(settings, str) else {"name": name, **settings}
    with pytest.raises(UsageError, match=r"flow: depth: expected a number of at least 1, found '?0'?. Its keys"):
        TABLES["posteriors"].member(asked)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("epochs", 1_000_001, "of at most 1,000,000"),
        ("seed", 2**31, "of at most 2,147,483,647"),
        ("epochs", 0, "of at least 1"),
        ("ema", 1.5, "below 1"),
    ],
)
def test_errors_write_limits_in_plain_words(field: str, value: float, limit: str) -> None:
    with pytest.raises(UsageError, match=f"^`{field}`: expected a number {limit}, found"):
        TrainingConfig(**{field: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IWAE(k=50), "IWAE has no setting `k`. Its settings: `mc_samples`."),
        (
            lambda: NormalMixture((2,), component=50),
            "Did you mean `components`? Its settings: `latent_dim`, `seed`, `dtype`, `components`.",
        ),
        (lambda: DiagonalNormal(2, scale_flor=0.1), "Did you mean `scale_floor`?"),
        (lambda: StandardNormal(latentdim=2), "StandardNormal has no setting `latentdim`. Did you mean `latent_dim`?"),
        (lambda: Divided(bye=2.0), "Divided has no setting `bye`. Did you mean `by`? Its settings: `by`."),
        (lambda: Latent((2,), block=(2,)), "Latent has no setting `block`. Did you mean `blocks`?"),
        (
            lambda: Weighted(ELBO(), warmup_step=9),
            "setting `warmup_step`. Did you mean `warmup_steps`?",
        ),
    ],
)
def test_error_for_a_misspelt_keyword_suggests_the_nearest_setting(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        make()
    assert message in str(error.value)


CLASSES = [(table, name) for table, name in EVERY if inspect.isclass(table[name])]


@pytest.mark.parametrize(("table", "name"), MEMBERS)
def test_every_member_refuses_an_unknown_keyword_and_lists_its_settings(table: Table, name: str) -> None:
    with pytest.raises(UsageError, match=f"{table[name].__name__} has no setting `no_such_setting`") as error:
        table[name](no_such_setting=1)
    assert all(f"`{key}`" in str(error.value) for key in table.info(name).defaults)


@pytest.mark.parametrize(("table", "name"), MEMBERS)
def test_every_member_suggests_the_right_name_of_a_misspelt_keyword(table: Table, name: str) -> None:
    for keyword in inspect.signature(table[name]).parameters:
        misspelt = f"{keyword}x"
        with pytest.raises(UsageError) as error:
            table[name](**{misspelt: 1})
        assert f"{table[name].__name__} has no setting `{misspelt}`. Did you mean `{keyword}`?" in str(error.value)


@pytest.mark.parametrize(("table", "name"), CLASSES, ids=[f"{table.kind}-{name}" for table, name in CLASSES])
def test_every_class_of_a_table_is_frozen(table: Table, name: str) -> None:
    assert dataclasses.is_dataclass(table[name])
    made = object.__new__(table[name])
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.anything = 1


def test_a_record_checks_values_and_keeps_its_signature() -> None:
    @record
    class Example:
        size: int
        rate: Positive = dataclasses.field(default=1.0, kw_only=True)

    assert str(inspect.signature(Example)) == "(size: 'int', *, rate: 'Positive' = 1.0) -> None"
    assert Example(2, rate="3") == Example(size=2, rate=3.0)
    with pytest.raises(UsageError, match=r"^Example: rate: expected a number of at least 1e-12, found -1\.$"):
        Example(2, rate=-1)
    with pytest.raises(UsageError, match=r"^Example: size: this key is missing\.$"):
        Example()
    with pytest.raises(UsageError, match=r"^Example: size: expected a whole number, found 'x'\.$") as caught:
        Example("x")
    assert caught.value.__suppress_context__  # pydantic's own text ends with the address of its website
    for values, more in (((1, 2), {}), ((1,), {"size": 2})):
        with pytest.raises(UsageError, match=r"^Example: "):
            Example(*values, **more)


def test_a_subclass_of_a_record_names_itself_and_all_its_settings() -> None:
    @record
    class First:
        size: int = 1

    @record
    class Second(First):
        rate: float = 2.0

    assert (Second(size=3).size, Second(rate=4).rate) == (3, 4.0)
    with pytest.raises(UsageError, match=r"Second has no setting `sise`\. .*`size`\? Its settings: `size`, `rate`"):
        Second(sise=1)


@final
class Inner(BaseRecord):
    size: Annotated[int, pydantic.Field(ge=1)] = 1
    kind: Literal["a", "b"] = "a"


@final
class Outer(BaseRecord):
    inner: Inner
    either: Inner | None = None
    rate: float = 0.5
    prior: Annotated[Member, TABLES["priors"].validator] = Member("vamp", {})

    @pydantic.model_validator(mode="after")
    def refuse_two(self) -> Outer:
        if self.rate == 2:
            raise ValueError("`rate=2` does not fit. Choose another")
        return self


INNER = Inner()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Inner(sise=3), "Inner has no setting `sise`. Did you mean `size`?"),
        (lambda: Inner(nothing=3), "Inner has no setting `nothing`."),
        (lambda: Inner(size="x"), "`size`: expected a whole number, found 'x'."),
        (lambda: Inner(kind="c"), "`kind`: expected 'a' or 'b', found 'c'."),
        (lambda: Inner.model_validate(3), "Inner: expected a mapping of settings, found 3."),
        (lambda: Inner.model_validate_json('{"size": 0}'), "`size`: expected a number of at least 1, found 0."),
        (lambda: INNER.model_copy(update={"sise": 2}), "Inner has no setting `sise`. Did you mean `size`?"),
        (
            lambda: setattr(INNER, "size", 2),
            "Inner cannot be changed. Make a new one with `record.model_copy(update=...)`.",
        ),
        (lambda: Outer(iner=INNER), "Outer has no setting `iner`. Did you mean `inner`?"),
        (lambda: Outer(rate=1), "Outer needs the setting `inner`."),
        (lambda: Outer(inner=3), "`inner`: expected a mapping of settings, found 3."),
        (lambda: Outer(inner={"size": 0}), "`inner.size`: expected a number of at least 1, found 0."),
        (lambda: Outer(inner={"sise": 0}), "`inner` has no setting `sise`. Did you mean `size`?"),
        (
            lambda: Outer(inner=INNER, either={"knid": 0}),
            "`either` has no setting `knid`. Did you mean `kind`?",
        ),
        (lambda: Outer(inner=INNER, rate=2), "`rate=2` does not fit. Choose another."),
        (lambda: Outer(inner=INNER, prior=3), "`prior`: expected the name of a prior, found 3."),
    ],
)
def test_errors_of_records_name_the_setting_and_not_pydantic(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value) == message
    error = caught.value  # pydantic's own text, which ends with the address of its website, would be its context
    assert error.__suppress_context__ or error.__context__ is None


def test_a_record_within_a_record_is_read_with_the_context() -> None:
    found = Outer.model_validate({"inner": {}, "prior": {"name": "my_module:Prior", "width": 3}}, context=RECORDED)
    assert found.inner == Inner()
    assert found.prior == Member("my_module:Prior", {"width": 3})
    assert list(inspect.signature(Outer).parameters) == ["inner", "either", "rate", "prior"]
    assert found.model_copy(update={"rate": 0.25}).rate == 0.25


@pytest.mark.parametrize(
    ("table", "text", "hint"),
    [
        ("priors", "vamb", " Did you mean 'vamp'?"),
        ("posteriors", "diagonal-norml", " Did you mean 'diagonal-normal'?"),
        ("networks", "mlp:hiden=3", ". Its keys: hidden, activation, normalization, dropout. Did you mean 'hidden'?"),
        ("posteriors", "diagonal-normal:floor=1", "Its keys: scale_floor. Did you mean 'scale_floor'?"),
    ],
)
def test_error_for_a_misspelt_name_or_key_suggests_the_nearest_one(table: str, text: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        TABLES[table].member(text)
    assert str(error.value).endswith(hint)


def test_a_name_that_resembles_none_gets_no_suggestion() -> None:
    with pytest.raises(UsageError) as error:
        TABLES["priors"].member("xyz")
    assert "Did you mean" not in str(error.value)


class Plain:
    """A class with its own `__init__`, whose annotations say less than those of its parameters."""

    width: str

    def __init__(
        self, size: Decimal, *, width: int | None = None, rate: Annotated[float, pydantic.Field(gt=0)] = 1.0
    ) -> None:
        self.size, self.width, self.rate = size, str(width), rate


@check_keywords
class Inherited(Plain):
    """A class that passes its settings on."""

    def __init__(self, size: int, *, depth: int = 1, **_: object) -> None:
        super().__init__(size)
        self.depth = depth


class Unreadable:
    """A class whose setting has an annotation that only type checkers know."""

    def __init__(self, size: int, *, width: Decimal | None = None) -> None:
        del size, width


class NoType:
    """A class whose setting is not of a type that text can be read as."""

    def __init__(self, size: int, *, width: np.random.Generator | None = None) -> None:
        del size, width


OWN: Table[object] = Table(
    "thing",
    {"plain": Plain, "inherited": Inherited, "unreadable": Unreadable, "no-type": NoType},
    base=object,
    takes=("size",),
)


def test_settings_of_a_plain_class_are_read_from_its_init() -> None:
    assert OWN.member("plain:width=3").settings == {"width": 3, "rate": 1.0}
    assert OWN.member("inherited:depth=2").settings == {"depth": 2}
    with pytest.raises(UsageError, match="rate: expected a number above 0, found '-1'"):
        OWN.member("plain:rate=-1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unreadable", "settings of Unreadable cannot be read: name 'Decimal' is not defined. Import each name"),
        ("no-type", "settings of NoType cannot be read: .*Annotate each with a type of numbers or text"),
    ],
)
def test_a_setting_with_an_unknown_annotation_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OWN.member(name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ELBO, r"found the class ELBO. Call it if this place takes objects: `ELBO\(...\)`. Or write 'elbo'"),
        (ELBO(), "found an object ELBO. Write 'elbo', with its settings after a colon"),
        (3, "objective: expected a name with settings, such as 'elbo', found an object int.$"),
        (None, "found None"),
    ],
)
def test_a_value_that_is_no_name_is_refused(value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OBJECTIVES.member(value)  # type: ignore[arg-type]


def test_allow_code_leaves_no_folder_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "my_thing_of_a_block.py").write_text("def make(size: int) -> str: return str(size)")
    before = list(sys.path)
    with allow_code(tmp_path), allow_code():
        assert TABLE.build(TABLE.member("my_thing_of_a_block:make"), 3) == "3"
    assert sys.path == before
    assert sys.modules.pop("my_thing_of_a_block")
    with pytest.raises(UsageError, match="there is no module my_thing_of_a_block"):
        TABLE.member("my_thing_of_a_block:make")


CALLABLES = [
    tv.VAE,
    tv.Encoder,
    tv.Decoder,
    tv.build,
    tv.fit,
    tv.log_likelihood,
    tv.save,
    tv.load,
    tv.data.load,
    tv.interop.Keras3,
    tv.training.EarlyStopping,
    tv.training.BestWeights,
    tv.training.Progress,
    tv.evaluation.Estimator,
    tv.evaluation.estimate,
    tv.evaluation.annealed_log_likelihood,
    tv.evaluation.sandwich,
    tv.evaluation.decomposition,
    tv.evaluation.encode,
    tv.evaluation.decode,
    tv.evaluation.grid,
    tv.evaluation.generate_within,
]


@pytest.mark.parametrize("function", CALLABLES, ids=lambda function: function.__name__)
def test_public_functions_and_classes_suggest_the_right_name_of_a_misspelt_keyword(
    function: Callable[..., object],
) -> None:
    for keyword in inspect.signature(function).parameters:
        with pytest.raises(UsageError) as error:
            function(**{f"{keyword}x": 1})
        assert f"{function.__name__} has no setting `{keyword}x`. Did you mean `{keyword}`?" in str(error.value)
