"""The types for editors and type checkers."""

from __future__ import annotations

import inspect

import pytest
import tensorflow_probability as tfp

from tfp_vae.core import types

METHODS = [name for name, member in vars(types.Distribution).items() if not name.startswith("_") and member]


@pytest.mark.parametrize("name", METHODS)
def test_protocol_of_distributions_has_only_members_of_tfp(name: str) -> None:
    stock = getattr(tfp.distributions.Distribution, name)
    member = inspect.getattr_static(types.Distribution, name)
    if isinstance(member, property):
        assert isinstance(inspect.getattr_static(tfp.distributions.Distribution, name), property)
    else:
        ours, theirs = inspect.signature(member).parameters, inspect.signature(stock).parameters
        assert list(theirs)[: len(ours)] == list(ours)


def test_types_of_tensors_are_any_at_run_time() -> None:
    assert {types.Tensor, types.Variable, types.Bijector, types.TensorShape} == {types.Any}
