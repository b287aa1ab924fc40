"""The state of a training as named arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.models import make
from tests.helpers.runs import assert_same
from tfp_vae.core.errors import RunError
from tfp_vae.training.average import Average, copies
from tfp_vae.training.optimizers import adam
from tfp_vae.training.state import AVERAGE, OPTIMIZER, State, model_arrays, weights_in_use


def test_names_are_the_same_for_every_model_of_a_kind() -> None:
    assert State(make(seed=0)).shapes() == State(make(seed=1)).shapes()


def test_all_variables_are_named_once() -> None:
    vae = make()
    state = State(vae)
    assert {id(v) for v in state.variables.values()} == {id(v) for v in vae.variables}
    assert len(state.variables) == len(vae.variables)
    assert {name.partition("/")[0] for name in state.variables} == {"encoder", "decoder"}


def test_names_are_positions_in_the_variables_of_each_part() -> None:
    """`docs/reliability.md` documents this order."""
    vae, optimizer = make(), adam(1e-3)
    optimizer.build(vae.trainable_variables)
    state = State(vae, optimizer)
    for part in ("encoder", "decoder"):
        module = getattr(vae, part)
        named = {name: v for name, v in state.variables.items() if name.startswith(f"{part}/")}
        assert [int(name.split("/")[1]) for name in named] == list(range(len(module.variables)))
        for (name, found), expected in zip(named.items(), module.variables, strict=True):
            assert found is expected
            assert expected.name.split(":")[0].endswith(name.split("/")[2])
    slots = [v for name, v in state.variables.items() if name.startswith(OPTIMIZER)]
    assert all(a is b for a, b in zip(slots, optimizer.variables, strict=True))
    shapes = [tuple(v.shape) for v in vae.trainable_variables for _ in range(2)]
    assert [tuple(slot.shape) for slot in slots] == [(), *shapes]


def test_restore_gives_another_model_the_captured_weights() -> None:
    first, second = State(make(seed=0)), State(make(seed=1))
    captured = first.capture()
    assert any((captured[name] != array).any() for name, array in second.capture().items())
    second.restore(captured)
    assert_same(second.capture(), captured)


def test_a_capture_is_a_copy() -> None:
    vae = make()
    captured = State(vae).capture()
    before = {name: array.copy() for name, array in captured.items()}
    for variable in vae.trainable_variables:
        variable.assign_add(np.ones(variable.shape, np.float32))
    assert_same(captured, before)


def test_optimizer_and_averages_have_prefixes() -> None:
    vae, optimizer = make(), adam(1e-3)
    optimizer.build(vae.trainable_variables)
    average = Average(copies(vae.trainable_variables), 0.9)
    captured = State(vae, optimizer, average).capture()
    assert sum(name.startswith(OPTIMIZER) for name in captured) == len(optimizer.variables)
    assert sum(name.startswith(AVERAGE) for name in captured) == len(vae.trainable_variables)
    assert_same(model_arrays(captured), State(vae).capture())


def test_the_weights_in_use_are_the_averages() -> None:
    weights = {"encoder/000/kernel": np.zeros(2), "decoder/000/kernel": np.ones(2)}
    arrays = {**weights, "optimizer/000": np.zeros(1), "average/encoder/000/kernel": np.full(2, 7.0)}
    assert_same(weights_in_use(arrays), {**weights, "encoder/000/kernel": np.full(2, 7.0)})


def test_a_state_without_optimizer_restores_the_weights_in_use() -> None:
    vae, optimizer = make(), adam(1e-3)
    optimizer.build(vae.trainable_variables)
    average = Average(copies(vae.trainable_variables), 0.9)
    for variable in average.variables:
        variable.assign_add(np.ones(variable.shape, np.float32))
    captured = State(vae, optimizer, average).capture()
    other = make(seed=1)
    State(other).restore(captured)
    for weight, expected in zip(other.trainable_variables, average.variables, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.popitem(), "only one of them has"),
        (lambda arrays: arrays.update({"prior/000/loc": np.zeros(2)}), "only one of them has 'prior/000/loc'"),
        (lambda arrays: arrays.update({min(arrays): np.zeros(99, np.float32)}), "expected decoder/000"),
        (lambda arrays: arrays.update({min(arrays): arrays[min(arrays)].astype(np.float64)}), "float64"),
    ],
    ids=["missing", "unknown", "shape", "type"],
)
def test_unsuitable_arrays_change_nothing(change: object, message: str) -> None:
    state, other = State(make(seed=0)), State(make(seed=1)).capture()
    before = state.capture()
    change(other)
    with pytest.raises(RunError, match=message):
        state.restore(other)
    assert_same(state.capture(), before)
