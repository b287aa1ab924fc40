"""Every public function, class and method explains a misspelt keyword and a value of the wrong type."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.builders import data, model
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import KINDS, BaseRecord

PACKAGES = ["tfp_vae"] + [
    module.name
    for module in pkgutil.walk_packages(tv.__path__, "tfp_vae.")
    if module.ispkg and not module.name.startswith("tfp_vae.cli")
]

BY_OTHERS = {tv.plots.Figure, tv.plots.Gif}
"""Classes whose arguments are those of a class of matplotlib or Python."""


class Entry(NamedTuple):
    """A public function, class or method.

    name: its full name.
    function: the callable.
    arguments: its first arguments, such as a stand-in for the object of a method.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[object, ...] = ()

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Return the parameters that a caller may name."""
        found = list(inspect.signature(self.function).parameters.items())
        return dict(found[len(self.arguments) :])


def methods(name: str, cls: type) -> Iterator[Entry]:
    """Yield the public methods of a class that tfp_vae defines, except those that replace pydantic's."""
    for key in dir(cls):
        held = inspect.getattr_static(cls, key)
        method = getattr(held, "__func__", held)
        own = inspect.isfunction(method) and method.__module__.startswith("tfp_vae")
        if own and (key == "__call__" or not key.startswith("_")) and key not in dir(BaseRecord):
            yield Entry(f"{name}.{key}", method, () if isinstance(held, staticmethod) else (object(),))


def entries() -> Iterator[Entry]:
    """Yield the callables that the packages export."""
    exported = {}
    for package in map(importlib.import_module, PACKAGES):
        for name in getattr(package, "__all__", ()):
            found = getattr(package, name)
            if callable(found) and getattr(found, "__module__", "").startswith("tfp_vae"):
                exported.setdefault(found, f"{package.__name__}.{name}")
    for found, name in exported.items():
        if not inspect.isclass(found):
            yield Entry(name, found)
        elif not getattr(found, "_is_protocol", False) and found not in BY_OTHERS:
            if not inspect.isabstract(found) and found is not tv.training.Callback:
                yield Entry(name, found)
            yield from methods(name, found)


EVERY = list(entries())


def test_the_walk_finds_functions_classes_and_methods() -> None:
    names = {entry.name for entry in EVERY}
    assert {"tfp_vae.fit", "tfp_vae.Batch", "tfp_vae.plots.manifold", "tfp_vae.VAE.sample"} <= names
    assert {"tfp_vae.runs.Run.create", "tfp_vae.objectives.IWAE.loss", "tfp_vae.runs.TrainingConfig"} <= names


def refusal(entry: Entry, name: str, value: object) -> str:
    """Return what a function says of an argument, or "nothing" if it takes it."""
    try:
        entry.function(*entry.arguments, **{name: value})
    except (UsageError, TypeError) as error:
        return str(error)
    return "nothing"


def test_unknown_keywords_are_refused() -> None:
    """A function that takes one needs `check_keywords` from `tfp_vae.core.registry`, or the class of a method does."""
    said = {entry.name: refusal(entry, "no_such_setting", 1) for entry in EVERY}
    assert not {name: text for name, text in said.items() if "has no setting `no_such_setting`" not in text}


def test_misspelt_keywords_get_a_suggestion() -> None:
    said = {(entry.name, name): refusal(entry, f"{name}x", 1) for entry in EVERY for name in entry.parameters()}
    wrong = {
        key: text for key, text in said.items() if f"has no setting `{key[1]}x`. Did you mean `{key[1]}`?" not in text
    }
    assert not wrong


# Pydantic checks the values of classes with a `__signature__`, and of text as well, such as "3".
NUMBERS = [
    (entry, name)
    for entry in EVERY
    for name, parameter in entry.parameters().items()
    if {*str(parameter.annotation).split(" | ")} <= {*KINDS, "None"} and not hasattr(entry.function, "__signature__")
]


@pytest.mark.parametrize("value", ["a", [[1]]], ids=["text", "list"])
def test_values_of_the_wrong_type_are_refused_in_a_sentence(value: object) -> None:
    said = {(entry.name, name): refusal(entry, name, value) for entry, name in NUMBERS}
    sentence = re.compile(rf"`(\w+)`: expected .*found {re.escape(repr(value))}\.")
    named = {key: found[1] if (found := sentence.match(text)) else text for key, text in said.items()}
    assert not {key: text for key, text in named.items() if text != key[1]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda vae, x: tv.log_likelihood(vae, x, iw_samples="100"), "`iw_samples`: expected a whole number, found"),
        (lambda vae, x: tv.log_likelihood(vae, x, iw_samples=2.5), "`iw_samples`: expected a whole number, found 2.5."),
        (lambda vae, x: tv.log_likelihood(vae, x, batch_size="a"), "`batch_size`: expected a whole number, found 'a'."),
        (lambda vae, x: tv.log_likelihood(vae, x, seed=1.5), "`seed`: expected an integer or two integers"),
        (lambda vae, x: tv.fit(vae, x, epochs=2.5), "`epochs`: expected a whole number, found 2.5."),
        (lambda vae, x: tv.fit(vae, x, epochs=True), "`epochs`: expected a whole number, found True."),
        (lambda vae, x: tv.fit(vae, x, seed=1.5), "`seed`: expected a whole number, found 1.5."),
        (lambda vae, x: tv.fit(vae, x, learning_rate="1e-3"), "`learning_rate`: expected a number, found '1e-3'."),
        (lambda vae, x: tv.fit(vae, x, clip_norm=[1]), "`clip_norm`: expected a number, found [1]."),
        (lambda vae, x: vae.sample(2, temperature="warm"), "`temperature`: expected a number, found 'warm'."),
        (lambda vae, x: vae.sample("2"), "`n`: expected a whole number, found '2'. Remove the quotes."),
        (lambda vae, x: vae.sample(2, seed=1.5), "`seed`: expected an integer or two integers"),
        (lambda vae, x: vae.prior("warm"), "`temperature`: expected a number, found 'warm'."),
        (lambda vae, x: tv.training.EarlyStopping(patience="5"), "`patience`: expected a whole number, found '5'."),
        (lambda vae, x: tv.training.EarlyStopping(5, restore="no"), "`restore`: expected True or False, found 'no'."),
        (
            lambda vae, x: tv.evaluation.estimate(vae, x, iw_samples=9, seed=(0, 1), sweep=("1",)),
            "`sweep`: expected whole numbers, found ('1',).",
        ),
        (lambda vae, x: tv.networks.mlp((8, 8, 1), "4"), "`output_size`: expected a whole number, found '4'."),
    ],
)
def test_wrong_types_are_named(call: Callable[[tv.VAE, np.ndarray], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(model(), data("bernoulli"))
    assert str(caught.value).startswith(message)


def test_numbers_of_numpy_and_tensors_are_numbers() -> None:
    for patience in (np.int64(2), np.array(2)):
        assert tv.training.EarlyStopping(patience).patience == 2
    adam = tv.training.optimizers.adam(np.float32(0.5), beta_1=1e-3)
    assert float(adam.learning_rate) == 0.5


def test_checks_keep_names_signatures_and_docstrings() -> None:
    assert list(inspect.signature(tv.VAE.sample).parameters) == ["self", "n", "seed", "temperature"]
    assert list(inspect.signature(tv.Batch).parameters) == ["x", "observed", "context"]
    assert tv.plots.manifold.__name__ == "manifold"
    assert str(tv.VAE.sample.__doc__).startswith("Return n samples")
    assert tv.Batch(3)._replace(x=4) == tv.Batch(x=4)
